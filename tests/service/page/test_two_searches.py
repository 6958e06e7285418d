"""Two searches side by side: one is kept, another stands beside it, and what is in both says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.lakes import Desk
from tests.service.page.conftest import Served, Visit, Visitor, serving, sync_and_wait
from tests.service.page.test_axe import DARK_PHONE, faults

KEPT = urlencode({"q": "red", "where": "row_id <= 4"})
BOTH = "/?" + urlencode({"q": "green", "where": "row_id >= 3", "against": KEPT})


def desk_of_five(root: Path) -> Desk:
    """Rows 1 to 5, from red to yellow: the first is the best for red, the last for green."""
    desk = Desk(root)
    for number in range(5):
        desk.add(f"{number + 1}.png", (255, 60 * number, 0), size=(8, 8))
    desk.index()
    return desk


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("two")
    desk = desk_of_five(root)
    with serving(root / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def seen(page: Page, grid: str) -> list[tuple[str, str]]:
    """The images of a grid, each with its mark: at which place the other side has it."""
    cells = page.locator(f"{grid} .cell").all()
    marks = [cell.locator(".in-both") for cell in cells]
    return [
        (
            str(cell.locator("img").get_attribute("alt")),
            mark.inner_text() if mark.count() else "",
        )
        for cell, mark in zip(cells, marks, strict=True)
    ]


def test_a_search_is_kept_and_another_stands_beside_it(visit: Visit, served: Served) -> None:
    visitor = visit(served).open(f"/?{KEPT}")
    page = visitor.page
    expect(page.locator("#kept")).to_be_hidden()
    page.get_by_role("button", name="Two searches").click()
    # The same at first, and the box waits for other words.
    expect(page.locator("#kept-said")).to_have_text("4 of these 4 in both")
    assert visitor.address == f"/?{KEPT}&{urlencode({'against': KEPT})}"
    same = [("1.png", "= 1"), ("2.png", "= 2"), ("3.png", "= 3"), ("4.png", "= 4")]
    assert seen(page, "#kept-grid") == seen(page, "#grid") == same
    expect(page.locator("#words")).to_be_focused()
    page.keyboard.type("green")
    page.keyboard.press("Enter")
    expect(page.locator("#now-words")).to_have_text("green · row_id <= 4")
    visitor.settled()
    page.fill("#where", "row_id >= 3")
    page.press("#where", "Enter")
    expect(page.locator("#kept-said")).to_have_text("2 of these 4 in both")
    expect(page.locator("#now-said")).to_have_text("2 of these 3 in both")
    assert visitor.address == BOTH
    kept = [("1.png", ""), ("2.png", ""), ("3.png", "= 3"), ("4.png", "= 2")]
    now = [("5.png", ""), ("4.png", "= 4"), ("3.png", "= 3")]
    assert (seen(page, "#kept-grid"), seen(page, "#grid")) == (kept, now)
    expect(page.locator("#kept-words")).to_have_text("red · row_id <= 4")
    mark = page.locator("#grid .in-both").first
    expect(mark).to_have_attribute("aria-label", "In both: at place 4 of the other search")
    # They change places, and one of them goes alone.
    page.get_by_role("button", name="Swap").click()
    expect(page.locator("#kept-words")).to_have_text("green · row_id >= 3")
    expect(page.locator("#kept-said")).to_have_text("2 of these 3 in both")
    assert (seen(page, "#kept-grid"), seen(page, "#grid")) == (now, kept)
    assert page.input_value("#words") == "red"
    page.go_back()
    expect(page.locator("#kept-said")).to_have_text("2 of these 4 in both")
    assert (seen(page, "#kept-grid"), seen(page, "#grid")) == (kept, now)
    page.get_by_role("button", name="Close the search that was kept").click()
    expect(page.locator("#kept")).to_be_hidden()
    assert seen(page, "#grid") == [("5.png", ""), ("4.png", ""), ("3.png", "")]
    assert visitor.address == BOTH.partition("&against")[0]
    page.go_back()
    page.locator("#kept-words").click()
    expect(page.locator("#kept")).to_be_hidden()
    visitor.settled()
    assert visitor.names == ["1.png", "2.png", "3.png", "4.png"]
    assert visitor.address == f"/?{KEPT}"


def test_another_view_takes_the_place_of_both_and_the_grid_of_one(
    visit: Visit, served: Served
) -> None:
    visitor = visit(served)
    visitor.refusals = {404}  # nothing was grouped yet
    page = visitor.open(BOTH).page
    two = page.get_by_role("button", name="Two searches")
    expect(two).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Near-identical", exact=True).click()
    expect(page.locator("#kept-grid")).to_be_hidden()
    expect(two).to_have_attribute("aria-pressed", "false")
    page.go_back()
    expect(page.locator("#kept-grid .cell")).to_have_count(4)
    page.get_by_role("button", name="Grid", exact=True).click()
    expect(page.locator("#kept")).to_be_hidden()
    expect(page.locator("#grid .cell")).to_have_count(3)


def test_the_large_view_goes_through_the_side_it_was_opened_from(
    visit: Visit, served: Served
) -> None:
    page = visit(served).open(BOTH).page
    large = page.locator("#view .large")
    page.locator("#kept-grid .photo").nth(2).click()
    expect(large).to_have_attribute("alt", "3.png")
    page.keyboard.press("ArrowLeft")
    expect(large).to_have_attribute("alt", "2.png")
    page.keyboard.press("Escape")
    expect(page.locator("#kept-grid .photo").nth(1)).to_be_focused()
    page.locator("#grid .photo").nth(1).click()
    expect(large).to_have_attribute("alt", "4.png")
    page.keyboard.press("ArrowLeft")
    expect(large).to_have_attribute("alt", "5.png")
    page.keyboard.press("Escape")
    expect(page.locator("#grid .photo").first).to_be_focused()
    expect(page.locator("#kept-grid .cell")).to_have_count(4)


def test_an_image_is_selected_on_both_sides_at_once(visit: Visit, served: Served) -> None:
    page = visit(served).open(BOTH).page
    page.locator("#kept-grid .photo").nth(1).focus()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#selected")).to_have_text("2 selected")
    names = [str(each.get_attribute("alt")) for each in page.locator(".cell.selected img").all()]
    # 2.png and 3.png of the kept side; 3.png of the other, too.
    assert names == ["2.png", "3.png", "3.png"]
    page.keyboard.press("Escape")
    expect(page.locator(".cell.selected")).to_have_count(0)


def test_what_was_kept_and_is_wrong_says_so_on_its_side(visit: Visit, served: Served) -> None:
    visitor = visit(served)
    visitor.refusals = {422}
    page = visitor.open("/?" + urlencode({"q": "red", "against": "where=widht > 3"})).page
    expect(page.locator("#kept-message")).to_contain_text("widht")
    expect(page.locator("#grid .cell")).to_have_count(5)
    page = visitor.open("/?" + urlencode({"q": "red", "against": "where=row_id > 7"})).page
    expect(page.locator("#kept-message")).to_contain_text("finds nothing in this lake")
    expect(page.locator("#now-said")).to_have_text("0 of these 5 in both")
    # A second search in what was kept is one too many.
    nested = urlencode({"q": "red", "against": urlencode({"q": "green", "against": "q=blue"})})
    page = visitor.open(f"/?{nested}").page
    expect(page.locator("#kept-words")).to_have_text("green")
    assert page.locator("#kept-words").get_attribute("href") == "?q=green"


def test_both_are_asked_anew_when_the_lake_has_changed(visit: Visit, tmp_path: Path) -> None:
    desk = desk_of_five(tmp_path)
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open("/?q=red&against=q%3Dgreen")
        page = visitor.page
        expect(page.locator("#kept-said")).to_have_text("5 of these 5 in both")
        desk.add("6.png", (0, 255, 0), size=(8, 8))
        sync_and_wait(desk, visitor)
        page.evaluate("dispatchEvent(new Event('focus'))")
        page.click("text=Show them")
        expect(page.locator("#kept-said")).to_have_text("6 of these 6 in both")
        assert seen(page, "#kept-grid")[0] == ("6.png", "= 6")


@pytest.mark.parametrize("screen", [{}, DARK_PHONE], ids=["desk", "dark phone"])
def test_nothing_moves_and_nothing_is_too_wide(
    visit: Visit, served: Served, screen: dict[str, Any]
) -> None:
    visitor: Visitor = visit(served, **screen)
    page = visitor.open(BOTH).page
    expect(page.locator("#kept-said")).to_have_text("2 of these 4 in both")
    expect(page.locator("#kept-grid .cell.loaded")).to_have_count(4)
    assert visitor.shifted == []
    width = page.viewport_size
    assert width is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= width["width"]
    assert faults(page) == []
