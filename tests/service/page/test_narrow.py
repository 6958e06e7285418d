"""No page is wider than its window, however long what stands on it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from service.lake import Lake
from service.relevance import Filters
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, write
from tests.service.page.conftest import Served, Visit, serving
from tests.service.page.test_map import browser, shown

__all__ = ["browser"]  # a fixture: with WebGL, for the map

WIDTHS_PX = (320, 360, 768)
LAKE = "lake" + "x" * 60
FILTER = "reds" + "x" * 60
# Without a blank, from right to left, and in signs of which each is several characters.
LONG_NAME = "p" * 150 + "/" + "q" * 145
RIGHT_TO_LEFT = "שלום" * 30
EMOJI = "👩\u200d👩\u200d👧\u200d👦" * 8
COLUMN = "c" * 1500
CAPTION = "w" * 10_000
# What is seen, and sticks out of the window though nothing around it scrolls or is cut off.
STICKS_OUT = """() => [...document.querySelectorAll("body *")].filter((each) => {
  if (!each.checkVisibility({ visibilityProperty: true }) || each.closest(".unseen, .skip")) return false;
  const { right, left, width } = each.getBoundingClientRect();
  if (!width || (right <= innerWidth + 1 && left >= -1)) return false;
  for (let around = each; around !== document.body; around = around.parentElement) {
    if (getComputedStyle(around).position === "fixed") return true;
    if (getComputedStyle(around.parentElement).overflowX !== "visible") return false;
  }
  return true;
}).map((each) => each.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Four colours and a copy, on the map and in groups; a filter that was applied."""
    root = tmp_path_factory.mktemp("narrow")
    desk = Desk(root)
    images = {
        LONG_NAME: BLUE,
        RIGHT_TO_LEFT: GREEN,
        EMOJI: RED,
        "d": YELLOW,
        f"{LONG_NAME}-copy": YELLOW,
    }
    for number, (name, colour) in enumerate(images.items()):
        desk.add(f"{name}.png", colour, size=(64, 48))
        facts = {"caption": CAPTION, COLUMN: number, RIGHT_TO_LEFT: EMOJI, "words": CAPTION[:900]}
        write(desk.photos / f"{name}.json", json.dumps(facts).encode())
    (desk.photos / f"{'z' * 200}.png").write_bytes(b"no image")
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        lake.tag("t" * 64, [3, 4])
        lake.make_map()
        lake.make_groups()
        found = Filters(lake).create(FILTER, keep_texts=["red"])
        drawn = [row["row_id"] for row in found.next(9, "audit")["rows"]]
        found.label(
            [
                {"row_id": row, "label": "yes" if row > 2 else "no", "purpose": "audit"}
                for row in drawn
            ]
        )
        found.apply()
    with serving(Path(root / "state"), {LAKE: desk.lake}, embedder=desk.model) as served:
        yield served


# What is cut off without a sign of it; what is made to be scrolled is none.
IS_CUT = """() => [...document.querySelectorAll("body *")].filter((each) => {
  if (!each.checkVisibility({ visibilityProperty: true })) return false;
  if (each.closest(".unseen, .skip, svg, .columns, .selection, .suggestions, .strip-list, .team-scroll")) return false;
  if (each.matches("input, textarea, select")) return false;
  const { overflowX, textOverflow, display } = getComputedStyle(each);
  if (overflowX === "visible" || textOverflow === "ellipsis" || display === "inline") return false;
  return each.scrollWidth > each.clientWidth + 1;
}).map((each) => each.outerHTML.slice(0, 100))"""
# In how many lines the words of an element stand.
LINES = """each => {
  const words = document.createRange();
  words.selectNodeContents([...each.childNodes].findLast((node) => node.nodeType === 3 && node.data.trim()));
  return words.getClientRects().length;
}"""


def fits(page: Page, what: str) -> None:
    assert page.evaluate(STICKS_OUT) == [], what
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what
    assert page.evaluate(IS_CUT) == [], what


@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_the_search_page(visit: Visit, served: Served, width_px: int) -> None:
    visitor = visit(served, viewport={"width": width_px, "height": 740})
    page = visitor.open(f"/?lake={LAKE}").page
    fits(page, "the first screen")
    assert page.locator(".sort label").evaluate(LINES) == 1
    page.get_by_role("button", name="Metadata").click()
    expect(page.locator(".facet").first).to_be_visible()
    fits(page, "metadata")
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Under each image").select_option("caption")
    fits(page, "captions")
    where = quote(f'"{COLUMN}" >= 0')
    visitor.open(f"/?lake={LAKE}&q=red&not=blue&like=3&where={where}")
    fits(page, "a query")
    page.locator(".cell .photo").first.focus()
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Selection")).to_be_visible()
    fits(page, "a selection")
    page.click("#select-tag")
    expect(page.locator("#tag-known button")).to_be_visible()
    fits(page, "the tags")
    visitor.open(f"/?lake={LAKE}&q=red&against=q%3Dblue")
    fits(page, "two searches")
    visitor.open(f"/?lake={LAKE}&q=red&row=1")
    page.wait_for_selector(".facts")
    fits(page, "one image")
    visitor.open(f"/?lake={LAKE}&beside=1&beside=2")
    expect(page.locator("#beside table")).to_be_visible()
    fits(page, "two images")


@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_map_and_groups(visit: Visit, served: Served, width_px: int) -> None:
    page = visit(served, viewport={"width": width_px, "height": 740}).open().page
    page.click("[data-view=map]")
    shown(page)
    fits(page, "the map")
    page.select_option("#map-colour", label=RIGHT_TO_LEFT)
    expect(page.locator("#map-legend")).to_be_visible()
    fits(page, "the map in colours of a column")
    page.click("[data-view=alike]")
    expect(page.locator("#groups-list li").first).to_be_visible()
    fits(page, "groups")


@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_the_page_of_filters(visit: Visit, served: Served, width_px: int) -> None:
    page = visit(served, viewport={"width": width_px, "height": 740}).page
    page.goto(f"{served.url}/label?lake={LAKE}")
    expect(page.locator("#list")).to_be_visible()
    fits(page, "the list")
    page.goto(f"{served.url}/label?lake={LAKE}&filter={FILTER}")
    expect(page.locator("#brought-result")).not_to_be_empty()
    for step in ("Describe", "Teach", "Random check", "Result"):
        page.locator(".steps label", has_text=step).click()
        there = "#sample-grid img" if step == "Result" else "#frame .message, #frame dl"
        expect(page.locator(there).first).to_be_visible()
        fits(page, step)
    for tab in page.locator(".tabs span").all():
        assert tab.evaluate(LINES) == 1
    page.click("#team-open")
    fits(page, "the team")


@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_the_page_of_a_lake(visit: Visit, served: Served, width_px: int) -> None:
    page = visit(served, viewport={"width": width_px, "height": 740}).open_lake("/lake").page
    fits(page, "the lake")
    page.locator("details summary").click()
    fits(page, "what was skipped")
