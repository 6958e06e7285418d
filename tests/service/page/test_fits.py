"""What stands on the pages keeps its place and fits, whichever step or view is chosen."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.service.page.conftest import Served, Visit
from tests.service.page.test_label import ANIMALS, PHONE, lake, make_filter, served

__all__ = ["lake", "served"]  # fixtures

WIDER = """() => [...document.querySelectorAll("#frame, #frame *")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline")
  .map((each) => each.outerHTML.slice(0, 80))"""
HEIGHTS = """() => [...document.querySelectorAll(".steps label")]
  .map((each) => each.getBoundingClientRect().height)"""


def test_the_invitation_to_a_random_check_fits_a_phone_as_a_whole(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    page = visit(served, **PHONE).page
    page.goto(served.url + ANIMALS)
    page.locator(".steps label", has_text="Random check").click()
    begin = page.locator("#frame").get_by_role("button", name="Begin the random check")
    expect(begin).to_be_visible()
    expect(page.locator(".plan")).not_to_contain_text("Working out")
    page.fill("#budget", "1234567")
    assert page.evaluate(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # It scrolls with the page, and its button is not cut off.
    assert begin.evaluate(
        "(each) => each.getBoundingClientRect().bottom <= each.closest('#frame').getBoundingClientRect().bottom"
    )


def test_steps_keep_their_height_whichever_is_chosen(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    page = visit(served).page
    page.goto(served.url + ANIMALS)
    expect(page.locator("#brought-describe")).not_to_be_empty()
    before = page.evaluate(HEIGHTS)
    assert len(set(before)) == 1
    for step in ("Describe", "Random check", "Teach"):
        page.locator(".steps label", has_text=step).click()
        assert page.evaluate(HEIGHTS) == before, step


def test_on_a_phone_buttons_stay_where_they_are_in_another_view(visit: Visit, reds: Served) -> None:
    page = visit(reds, **PHONE).open("/").page
    buttons = [page.locator("#filter-button"), page.locator("#saved > summary")]
    before = [each.bounding_box() for each in buttons]
    page.click("[data-view=alike]")
    expect(page.locator("body")).to_have_class("not-grid of-groups")
    assert [each.bounding_box() for each in buttons] == before
