"""Two images side by side: from the selection or by a link, moved together, what differs marked."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from service.lake import Lake
from service.relevance import Filters, Target
from tests.lakes import Desk, write
from tests.service.page.conftest import Served, Visit, serving
from tests.service.page.test_axe import faults

PAIR = "/?q=red&beside=1&beside=2"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """a.png and b.png, kept by `reds`, differ in their size and weather; c.png is dropped."""
    root = tmp_path_factory.mktemp("beside")
    desk = Desk(root)
    desk.add("a.png", (255, 0, 0), size=(400, 300))
    desk.add("b.png", (255, 60, 0), size=(300, 300))
    desk.add("c.png", (0, 0, 255), size=(400, 300))
    for name, weather in (("a", "fog"), ("b", "sun"), ("c", "sun")):
        write(desk.photos / f"{name}.json", json.dumps({"weather": weather, "n": 7}).encode())
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        reds = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        rows = reds.next(9, "audit").rows
        reds.label(
            [{"row_id": row.row_id, "label": "yes" if row.row_id < 3 else "no"} for row in rows]
        )
        assert reds.apply().refused is False
    with serving(root / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def shown(page: Page) -> list[str]:
    expect(page.locator("#beside .large")).to_have_count(2)
    return [str(each.get_attribute("alt")) for each in page.locator("#beside .large").all()]


def looks(page: Page) -> list[tuple[float, float, float]]:
    """How large each image is, and by how much of its size its middle is moved."""
    look = """each => {
      const { a, e, f } = new DOMMatrix(each.style.transform);
      return [a, e / each.offsetWidth, f / each.offsetHeight];
    }"""
    found = [each.evaluate(look) for each in page.locator("#beside .large").all()]
    return [(round(scale, 3), round(x, 3), round(y, 3)) for scale, x, y in found]


def marked(page: Page) -> set[str]:
    """What the table says differs."""
    return {
        each.evaluate("each => each.firstChild.textContent")
        for each in page.locator("#beside .differs th").all()
    }


def test_two_that_are_selected_lie_side_by_side(visit: Visit, served: Served) -> None:
    visitor = visit(served).open("/?q=red")
    page = visitor.page
    page.locator(".cell .photo").first.focus()
    page.keyboard.press("x")
    expect(page.locator("#selected")).to_have_text("1 selected")
    expect(page.locator("#select-beside")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.keyboard.press("b")
    assert shown(page) == ["a.png", "b.png"]
    assert visitor.address == PAIR
    # What differs is marked; what is the same, or each image's own, is not.
    assert {"size", "weather", "score", "sha256"} <= marked(page)
    assert not {"uri", "row_id", "n", "format"} & marked(page)
    cells = page.locator("#beside tr", has=page.locator("th", has_text="weather")).locator("td")
    assert cells.all_inner_texts() == ["fog", "sun"]
    # Both are moved at once: by key, and by a hand on either.
    page.keyboard.press("+")
    assert looks(page) == [(1.5, 0, 0)] * 2
    width = page.locator("#beside .large").first.evaluate("each => each.offsetWidth")
    page.keyboard.press("ArrowRight")
    assert looks(page) == [(1.5, round(-60 / width, 3), 0)] * 2
    right = page.locator("#beside .stage").nth(1)
    right.dblclick(position={"x": 60, "y": 60})
    assert looks(page) == [(1, 0, 0)] * 2
    right.dblclick(position={"x": 60, "y": 60})
    left = looks(page)[0]
    assert left == looks(page)[1]
    assert left[0] == 3
    assert min(left[1:]) > 0.2  # what was near the upper left corner stays under the hand
    # Swapped, they are one step of the history still: Back leads to the results and the selection.
    page.keyboard.press("s")
    assert shown(page) == ["b.png", "a.png"]
    assert visitor.address == "/?q=red&beside=2&beside=1"
    assert faults(page) == []
    page.locator("#beside figcaption a").first.click()
    expect(page.locator("#view")).to_be_visible()
    expect(page.locator("#beside")).to_be_hidden()
    assert visitor.address == "/?q=red&row=2"
    page.keyboard.press("Escape")
    assert shown(page) == ["b.png", "a.png"]
    page.keyboard.press("Escape")
    expect(page).to_have_url(served.url + "/?q=red")
    expect(page.locator("#beside")).to_be_hidden()
    expect(page.locator("#selected")).to_have_text("2 selected")
    expect(page.locator("#select-beside")).to_be_focused()
    page.go_forward()
    assert shown(page) == ["b.png", "a.png"]
    page.go_back()
    expect(page.locator("#beside")).to_be_hidden()
    page.locator(".cell .photo").nth(2).focus()
    page.keyboard.press("x")
    expect(page.locator("#select-beside")).to_be_disabled()  # three are not two


def test_by_link_on_a_dark_phone_one_lies_above_the_other(visit: Visit, served: Served) -> None:
    visitor = visit(served, viewport={"width": 360, "height": 740}, color_scheme="dark")
    visitor.refusals = {404}
    page = visitor.open("/?filter=reds&decision=keep&beside=1&beside=3").page
    assert shown(page) == ["a.png", "c.png"]
    upper, lower = (each.bounding_box() for each in page.locator("#beside .stage").all())
    assert upper is not None
    assert lower is not None
    assert (upper["x"], upper["width"]) == (lower["x"], lower["width"])
    assert upper["x"] == 0
    assert upper["width"] >= 340  # all but a scroll bar
    assert lower["y"] >= upper["y"] + upper["height"]
    assert lower["y"] + lower["height"] <= 740
    # What the chosen filter says of each, of the one that is not among those kept, too.
    first = page.locator("#beside tbody tr")
    expect(first.nth(0).locator("td")).to_have_text(["Kept by reds", "Dropped by reds"])
    expect(first.nth(2).locator("td")).to_have_text(["labelled yes", "labelled no"])
    assert {"decision", "label", "weather"} <= marked(page)
    assert page.evaluate("document.querySelector('#beside').scrollWidth") <= 360
    assert faults(page) == []
    assert visitor.shifted == []
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#beside")).to_be_hidden()
    assert visitor.address == "/?filter=reds&decision=keep"
    # One that is gone says so; the other is there.
    visitor.open("/?beside=1&beside=99")
    expect(page.locator("#beside .view-problem")).to_contain_text("My has no row 99")
    expect(page.locator("#beside .large")).to_have_attribute("alt", "a.png")
