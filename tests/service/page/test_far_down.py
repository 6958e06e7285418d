"""Thousands of images: only those near the window stand in the document."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.service.page.conftest import Served, Visit

PLACES = """() => [...document.querySelectorAll("#grid .cell")]
  .map((each) => Number(each.getAttribute("aria-posinset")))"""
FOCUSED = """() => {
  const cell = document.activeElement.closest(".cell");
  const { top, bottom } = cell.getBoundingClientRect();
  return [Number(cell.getAttribute("aria-posinset")), top >= 0 && bottom <= innerHeight];
}"""


def placed(page: Page) -> list[int]:
    places: list[int] = page.evaluate(PLACES)
    return places


def test_what_is_far_from_the_window_is_out_of_the_document_until_one_comes_near(
    visit: Visit, reds: Served
) -> None:
    # Two images a row of some 180 px, so fifty-five rows, of which 4,000 px on each side stand.
    visitor = visit(reds, viewport={"width": 360, "height": 400}).open("/?where=true")
    page = visitor.page
    page.locator("#foot").scroll_into_view_if_needed()
    page.locator("#foot").scroll_into_view_if_needed()
    expect(page.locator("#foot")).to_have_text("End · 110 images")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator(".cell").last).to_have_attribute("aria-posinset", "110")
    visitor.settled()
    there = placed(page)
    # The first one has the Tab stop: it stands wherever it is.
    assert there[0] == 1
    assert there[1:] == list(range(there[1], 111))
    assert 40 <= len(there) <= 60
    expect(page.locator(".cell").last).to_have_attribute("aria-setsize", "110")

    # By key to both ends and back: what has the focus is in sight.
    page.locator(".cell .photo").first.focus()
    for key, place in (("End", 110), ("Home", 1), ("End", 110), ("ArrowLeft", 109)):
        page.keyboard.press(key)
        assert page.evaluate(FOCUSED) == [place, True], key
    visitor.settled()

    # In the middle those of both sides stand, in their order, and photos come into sight.
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    expect(page.locator('.cell[aria-posinset="55"]')).to_have_count(1)
    visitor.settled()
    there = placed(page)
    assert there == sorted(there)
    assert there[-1] == 109  # has the Tab stop
    assert not {1, 110} & set(there)

    # What is out of the document is selected with the others, and ticked when it comes back.
    page.locator('.cell[aria-posinset="55"] .tick').click()
    page.locator("#select-all").click()
    expect(page.locator("#selected")).to_have_text("110 selected")
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator('.cell[aria-posinset="2"].selected')).to_have_count(1)
    visitor.settled()
    assert page.locator(".cell:not(.selected)").count() == 0
