"""Searches that people save by name: saved, opened, renamed, replaced and deleted on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from service import Lake, Query
from service.search.query import MaxPer
from tests.lakes import Desk
from tests.service.page.conftest import Served, Visit, serving

STATE = """async ([query]) => {
  const { stateOf } = await import("/page/search/saved_state.js");
  const { savable } = await import("/page/search/query.js");
  const { toSearch } = await import("/page/search/state.js");
  const { state, lacks } = stateOf(query, "my");
  return [toSearch(state), lacks, savable(state)];
}"""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    for number in range(4):
        desk.add(f"{number}.png", (255, 80 * number, 0), size=(8, 8))
    desk.index()
    return desk


@pytest.fixture
def served(desk: Desk, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def test_a_search_is_saved_opened_renamed_replaced_and_deleted(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served).open("/")
    page, panel = visitor.page, visitor.page.locator("#saved")
    said, items = page.locator("#saved-said"), page.locator(".saved-item")
    panel.locator("summary").click()
    expect(page.locator(".saved-none")).to_contain_text("No search is saved yet.")
    expect(said).to_have_text(
        "Search, or choose by metadata: then you can save it here under a name."
    )
    expect(page.locator("#saved-name")).to_be_disabled()
    page.keyboard.press("Escape")
    assert visitor.shifted == []
    # Saved with all that it says, under a name that is one.
    page.goto(served.url + "/?q=red&not=green&where=row_id+%3E+1&sort=path%3Adown")
    visitor.settled()
    panel.locator("summary").click()
    name = page.locator("#saved-name")
    visitor.refusals.add(422)
    for wrong in ("a/b", "what?"):
        name.fill(wrong)
        name.press("Enter")
        expect(said).to_contain_text("letters, digits")
    name.fill("Late reds")
    name.press("Enter")
    expect(said).to_have_text("Saved as Late reds.")
    expect(items.locator(".saved-what")).to_have_text("red · −green · row_id > 1")
    with Lake.open(desk.lake, desk.model) as lake:
        assert lake.searches.get("late reds").query == {
            "texts": [{"text": "red", "weight": 1}, {"text": "green", "weight": -1}],
            "where": "row_id > 1",
            "sort": "path:down",
        }
        [hits] = [[h.row_id for h in lake.search_query(lake.searches.get("late reds").asked)]]
        assert hits == [4, 3, 2]
    # Under a name that is taken only if that is wanted.
    name.fill("late REDS")
    name.press("Enter")
    expect(said).to_contain_text("There is a search Late reds.")
    expect(said.get_by_role("button", name="Replace it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(said).to_have_text("Saved as late REDS.")
    expect(items).to_have_count(1)
    # Renamed in its place.
    page.get_by_role("button", name="Rename late REDS").click()
    page.get_by_label("New name of late REDS").fill("mine")
    page.keyboard.press("Enter")
    expect(said).to_have_text("late REDS is called mine now.")
    expect(items.locator(".saved-title")).to_have_text("mine")
    # Opened from elsewhere, on the keyboard.
    page.goto(served.url + "/")
    visitor.settled()
    panel.locator("summary").focus()
    page.keyboard.press("Enter")
    items.locator("a").focus()
    page.keyboard.press("Enter")
    assert visitor.settled().names == ["3.png", "2.png", "1.png"]
    assert visitor.address == "/?lake=my&q=red&not=green&where=row_id+%3E+1&sort=path%3Adown"
    expect(panel).not_to_have_attribute("open", "")
    # Deleted, once that is meant.
    panel.locator("summary").click()
    page.get_by_role("button", name="Delete mine").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("button", name="Delete mine")).to_be_focused()
    page.keyboard.press("Enter")
    expect(items).to_contain_text("Delete mine for everybody?")
    delete = items.get_by_role("button", name="Delete", exact=True)
    delete.evaluate("each => { each.click(); each.click(); }")  # it is deleted once
    expect(said).to_have_text("mine is deleted.")
    expect(page.locator(".saved-none")).to_be_visible()


def test_a_rename_takes_along_what_others_have_saved_meanwhile(
    visit: Visit, served: Served, desk: Desk
) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        lake.searches.save("mine", {"texts": [{"text": "red"}]})
        page = visit(served).open("/").page
        page.locator("#saved summary").click()
        page.get_by_role("button", name="Rename mine").click()
        lake.searches.save("mine", {"texts": [{"text": "green"}]})
        lake.searches.save("ours", {"texts": [{"text": "blue"}]})
        page.get_by_label("New name of mine").fill("Ours")
        page.keyboard.press("Enter")
        expect(page.locator("#saved-said")).to_contain_text("There is a search ours.")
        page.locator("#saved-said").get_by_role("button", name="Cancel").click()
        page.get_by_label("New name of mine").fill("yours")
        page.keyboard.press("Enter")
        expect(page.locator("#saved-said")).to_have_text("mine is called yours now.")
        found = {each.name: each.query["texts"] for each in lake.searches.all()}
        assert found == {"ours": [{"text": "blue"}], "yours": [{"text": "green"}]}


def test_what_the_page_cannot_show_is_told_and_not_opened(
    visit: Visit, served: Served, desk: Desk
) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        lake.searches.save("spread", Query.of("red").with_options({"max_per": MaxPer("camera", 1)}))
    visitor = visit(served, viewport={"width": 360, "height": 740}).open("/?q=red")
    page = visitor.page
    page.locator("#saved summary").click()
    expect(page.locator(".saved-what")).to_have_text(
        "The page has no max_per: lakesift search --saved opens it"
    )
    expect(page.locator(".saved-item a")).to_have_count(0)
    box = page.locator(".saved-panel").bounding_box()
    assert box is not None
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    both = {"texts": ["a", {"text": "b", "weight": -1}], "images": [3], "moments": {"gap_s": 10}}
    for query, address, lacks, again in (
        (
            {"query": 'x -y "z w"', "k": 5, "explain": True},
            "?lake=my&q=x&also=z+w&not=y&moments=0",
            [],
            {
                "texts": [
                    {"text": "x", "weight": 1},
                    {"text": "z w", "weight": 1},
                    {"text": "y", "weight": -1},
                ]
            },
        ),
        (
            both,
            "?lake=my&q=a&not=b&like=3",
            [],
            {
                "texts": [{"text": "a", "weight": 1}, {"text": "b", "weight": -1}],
                "images": [{"row_id": 3, "weight": 1}],
                "moments": {"gap_s": 10},
            },
        ),
        (
            {"filter": "f@2", "decision": ["drop"], "sort": "random:4"},
            "?lake=my&filter=f%402&decision=drop&sort=random%3A4",
            [],
            {"filter": "f@2", "decision": ["drop"], "sort": "random:4"},
        ),
        (
            {"texts": [{"text": "a", "weight": 0.5}], "vector": [1, 0]},
            None,
            ["vector", "weights"],
            None,
        ),
        ({"texts": ["a"], "moments": {"gap_s": 3}}, None, ["moments"], None),
    ):
        found = page.evaluate(STATE, [query])
        assert found[1] == lacks
        if address is not None:
            assert (found[0], found[2]) == (address, again)
