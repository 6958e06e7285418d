"""From a search to a filter, and from a filter into the search: what is carried, the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, expect

from service.lake import Lake
from service.relevance import Filters, Target
from tests.lakes import RED, Desk, png
from tests.service.page.conftest import Served, Visit, Visitor, serving
from tests.service.page.test_label import READY
from tests.service.page.test_page import CONTRAST, PHONE

COLOURS = {
    "a-red.png": (255, 0, 0),
    "b-orange.png": (255, 60, 0),
    "c-blue.png": (0, 0, 255),
    "d-green.png": (0, 255, 0),
}
REDS = "/label?lake=my&filter=reds"


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Rows 1 and 2 are kept by `reds`, 3 and 4 dropped, by people; row 5 (grey) came since."""
    root: Path = tmp_path_factory.mktemp("doors")
    desk = Desk(root)
    for name, colour in COLOURS.items():
        desk.add(name, colour, size=(40, 30))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        reds = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        rows = reds.next(9, "audit")["rows"]
        reds.label(
            [
                {"row_id": row["row_id"], "label": "yes" if row["row_id"] <= 2 else "no"}
                for row in rows
            ]
        )
        assert reds.apply().refused is False
    desk.add("e-grey.png", (99, 99, 99), size=(40, 30))
    desk.sync()
    with serving(root / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


# -- from a search to a filter


def test_a_search_becomes_a_filter_with_all_that_it_was_for(visit: Visit, applied: Served) -> None:
    visitor = visit(applied).open("/?q=red&also=yellow&not=blue&like=2&unlike=4&where=width_px+>+1")
    page = visitor.page
    mine: FilePayload = {"name": "mine.png", "mimeType": "image/png", "buffer": png(RED)}
    page.set_input_files("#files", [mine])
    expect(page.locator("#chips li")).to_have_count(5)
    visitor.settled()
    search = visitor.address
    page.click("#make-filter")
    expect(page.locator("#new-given")).to_be_visible()
    assert page.input_value("#new-keep") == "red\nyellow"
    assert page.input_value("#new-drop") == "blue"
    assert page.input_value("#new-where") == "width_px > 1"
    assert page.input_value("#new-name") == "red"
    assert visitor.focused == "new-name"

    def titles(side: str) -> list[str | None]:
        return [each.get_attribute("title") for each in page.locator(f"#{side}-photos li").all()]

    expect(page.locator("#keep-photos li")).to_have_count(2)
    assert (titles("keep"), titles("drop")) == (["image 2", "mine.png"], ["image 4"])
    page.reload()  # all of it is in the address
    expect(page.locator("#keep-photos li")).to_have_count(2)
    assert page.input_value("#new-keep") == "red\nyellow"

    page.go_back()
    visitor.settled()
    assert visitor.address == search
    page.go_forward()
    expect(page.locator("#new-given")).to_be_visible()
    expect(page.locator("#keep-photos li")).to_have_count(2)
    page.fill("#new-name", "warm")
    page.press("#new-name", "Enter")
    page.wait_for_selector(READY)
    told = page.request.get(f"{applied.url}/v1/lakes/my/filters/warm").json()
    assert told["keep"]["texts"] == ["red", "yellow"]
    assert (told["keep"]["row_ids"], told["drop"]["row_ids"]) == ([2], [4])
    assert [image["name"] for image in told["keep"]["images"]] == ["mine.png"]
    assert (told["drop"]["texts"], told["where"]) == (["blue"], "width_px > 1")


def test_what_is_wrong_with_a_carried_example_stands_beside_it(
    visit: Visit, applied: Served
) -> None:
    visitor = visit(applied)
    visitor.refusals = {404, 422}
    page = visitor.page
    address = "/label?lake=my&new=1&keep_rows=1&keep_rows=99&keep_photos=0123456789abcdef"
    page.goto(applied.url + address)
    expect(page.locator("#notices")).to_contain_text("only another browser has")
    page.fill("#new-name", "odd")
    page.click("#new-submit")
    expect(page.locator("#new-keep-problem")).to_have_text(
        "image 99: there is no row 99 in this lake (any more)."
    )
    expect(page.locator("#keep-photos .amiss")).to_have_attribute("title", "image 99")
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove image 99"


def test_without_a_query_there_is_no_filter_to_make(visit: Visit, applied: Served) -> None:
    visitor = visit(applied).open("/?where=width_px+>+1")
    assert not visitor.page.locator("#make-filter").is_visible()
    visitor.search("red")
    expect(visitor.page.locator("#make-filter")).to_be_visible()
    assert visitor.shifted == []


# -- from a filter into the search


def test_one_looks_among_what_a_filter_dropped_and_comes_back(
    visit: Visit, applied: Served
) -> None:
    visitor = visit(applied)
    page = visitor.page
    page.goto(applied.url + REDS)
    expect(page.locator("#sample-grid img").first).to_have_attribute("alt", "b-orange.png")
    page.locator('input[value="drop"]').check(force=True)
    page.click("text=Search among those dropped by reds")
    visitor.settled()
    assert visitor.address == "/?lake=my&filter=reds&decision=drop"
    assert visitor.names == ["c-blue.png", "d-green.png"]
    assert visitor.chips == ["Among those dropped by reds"]
    assert page.locator("#status").inner_text() == "2 images"
    visitor.search("green")
    assert visitor.names == ["d-green.png", "c-blue.png"]
    page.locator(".cell .photo").first.click()
    expect(page.locator(".decided")).to_have_text("Dropped by reds")
    expect(page.locator(".decided-more")).to_contain_text("labelled no")
    page.keyboard.press("Escape")
    expect(page.locator("#view")).to_be_hidden()
    page.click("#filter-button")
    expect(page.locator('#facets button[title="png"] .value-rows')).to_have_text("2")
    page.get_by_role("button", name="Remove dropped by reds").click()
    visitor.settled()
    assert visitor.names[0] == "d-green.png"
    assert len(visitor.names) == 5
    assert visitor.address == "/?lake=my&q=green"
    for _ in range(3):
        page.go_back()
    expect(page.locator('input[value="drop"]')).to_be_checked()  # the filter, as it was left


def test_what_came_since_is_told_with_what_to_do(visit: Visit, applied: Served) -> None:
    visitor = visit(applied)
    page = visitor.page
    page.goto(applied.url + REDS)
    expect(page.locator("#since")).to_contain_text("1 image came since: undecided.")
    page.get_by_role("button", name="Decide them: a new random check").click()
    expect(page.locator(".invite")).to_be_visible()
    page.click("text=Look at them")
    visitor.settled()
    assert visitor.names == ["e-grey.png"]
    assert visitor.chips == ["Among those undecided of reds"]
    page.click("#chips a")
    expect(page.locator("#crumb")).to_have_text("reds")
    # An image that is not among them has its own decision, and its label.
    visitor.open("/?filter=reds&decision=undecided&row=2")
    expect(page.locator(".decided")).to_have_text("Kept by reds")
    expect(page.locator(".decided-more")).to_contain_text("labelled yes")
    page.goto(applied.url + "/?filter=reds&decision=undecided&row=5")
    expect(page.locator(".decided-more")).to_have_text("not labelled")
    expect(page.locator(".decided")).to_have_text("Undecided of reds")


def test_a_set_that_is_empty_or_of_no_filter_is_said(visit: Visit, applied: Served) -> None:
    visitor = visit(applied).open("/?filter=reds&decision=ask")
    expect(visitor.page.locator("#message")).to_contain_text("No image passes")
    visitor.page.click("text=Look among all images")
    visitor.settled()
    assert len(visitor.names) == 5
    visitor.refusals = {404}
    visitor.open("/?filter=blues&decision=drop")
    expect(visitor.page.locator("#message")).to_contain_text(re.compile("blues"))


# -- the way back


def test_escape_leads_back_from_page_to_page_and_wipes_nothing(
    visit: Visit, applied: Served
) -> None:
    visitor = visit(applied).open("/?q=red&not=blue")
    page = visitor.page
    page.keyboard.press("Escape")
    assert (visitor.address, page.input_value("#words")) == ("/?q=red&not=blue", "red")
    page.click("#filter-button")
    page.fill("#where", "width_px > 1")
    page.keyboard.press("Escape")  # the panel is put aside, with what was typed
    expect(page.locator("#filter")).to_be_hidden()
    assert visitor.focused == "filter-button"
    page.keyboard.press("Enter")
    assert page.input_value("#where") == "width_px > 1"
    page.click("#to-filters")
    page.click(".filter-link >> text=reds")
    expect(page.locator("#sample-grid img").first).to_be_visible()
    page.click("#again")
    expect(page.locator(".invite")).to_be_visible()
    page.keyboard.press("Escape")  # the invitation alone is put aside
    expect(page.locator(".invite")).to_have_count(0)
    page.locator('input[value="drop"]').check(force=True)
    expect(page.locator("#sample-grid img").first).to_have_attribute("alt", "c-blue.png")
    page.locator("#sample-grid a").first.click()
    expect(page.locator("#view .large")).to_be_visible()
    page.keyboard.press("Escape")  # to the filter, at what was looked at
    expect(page.locator("#sample-grid img").first).to_have_attribute("alt", "c-blue.png")
    expect(page.locator('input[value="drop"]')).to_be_checked()
    page.keyboard.press("Escape")
    expect(page.locator("#list")).to_be_visible()
    page.keyboard.press("Escape")
    visitor.settled()
    assert (visitor.address, visitor.chips) == ("/?q=red&not=blue", ["less blue"])
    visitor.may_be_gone = True  # thumbnails that were left on their way


def test_escape_keeps_what_was_typed_and_leaves_an_untouched_form(
    visit: Visit, applied: Served
) -> None:
    visitor = visit(applied).open("/?q=red")
    page = visitor.page
    page.click("#make-filter")
    expect(page.locator("#new-name")).to_be_focused()
    page.keyboard.press("Escape")
    visitor.settled()
    assert visitor.address == "/?q=red"
    page.click("#make-filter")
    expect(page.locator("#new-name")).to_be_focused()
    page.keyboard.type("warm")
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    assert page.input_value("#new-name") == "warm"
    assert visitor.address.startswith("/label?")


def test_escape_on_a_first_page_leads_to_the_one_above_it(visit: Visit, applied: Served) -> None:
    visitor = visit(applied)
    page = visitor.page
    page.goto(applied.url + REDS)
    expect(page.locator("#samples")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#list")).to_be_visible()
    assert visitor.address == "/label?lake=my"
    visitor.may_be_gone = True


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sets_and_the_way_to_a_filter_fit_a_phone(
    visit: Visit, applied: Served, scheme: str
) -> None:
    visitor: Visitor = visit(applied, **PHONE, color_scheme=scheme)
    page = visitor.open("/?filter=reds&decision=drop&q=green").page
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate(CONTRAST) == []
    for part in page.locator("#make-filter, .within .remove").all():
        box = part.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["x"] + box["width"] <= 360
