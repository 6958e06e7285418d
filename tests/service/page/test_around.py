"""The large view's strips: taken before and after an image, most like it, nearly the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.lakes import Desk, write
from tests.service.page.conftest import Served, Visit, serving

SIDE = """async ([row, direction]) => {
  const { neighbourhood, side } = await import("/page/search/neighbourhood.js");
  const { where, sort } = side(neighbourhood(row), direction);
  return [where, sort];
}"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """In a 0 to 8.png, from red to green; in b one more. 3.png and 4.png have the same bytes."""
    desk = Desk(tmp_path)
    for number in range(9):
        shade = number if number != 4 else 3
        desk.add(f"a/{number}.png", (255 - 28 * shade, 28 * shade, 0), size=(8, 8))
        write(desk.photos / f"a/{number}.json", json.dumps({"n": number}).encode())
    desk.add("b/z.png", (0, 0, 255), size=(8, 8))
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def names(page: Page, strip: str) -> list[str]:
    images = page.locator(f"[data-strip={strip}] img")
    expect(images.first).to_be_visible()
    return [str(each.get_attribute("alt")) for each in images.all()]


def test_strips_are_walked_by_key(visit: Visit, served: Served) -> None:
    visitor = visit(served).open("/?row=4")
    page = visitor.page
    expect(page.locator("#strip-time")).to_have_text("Beside it in its folder")
    assert names(page, "time") == [f"{number}.png" for number in range(9)]
    # Flat images are nearly the same from a cosine of 0.99 on: 2.png is, beside its copy.
    assert sorted(names(page, "same")) == ["image 3", "image 5"]
    assert names(page, "like")[:2] == ["1.png", "5.png"]
    here = page.locator("[data-strip=time] [aria-current]")
    expect(here.locator("img")).to_have_attribute("alt", "3.png")
    # An arrow key walks along the strip, Enter opens, and the focus stays in the strip.
    here.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#view")).to_have_attribute("aria-label", "5.png")
    assert visitor.address == "/?row=6"
    expect(here.locator("img")).to_have_attribute("alt", "5.png")
    expect(here).to_be_focused()
    page.keyboard.press("]")
    expect(page.locator("#view")).to_have_attribute("aria-label", "6.png")
    assert names(page, "time")[0] == "0.png"
    page.locator("[data-step=close]").focus()
    page.keyboard.press("[")
    expect(page.locator("#view")).to_have_attribute("aria-label", "5.png")
    # The only one of its folder, like nothing of it.
    page.goto(served.url + "/?row=10")
    expect(page.locator("[data-strip=time] .strip-none")).to_have_text("None")
    expect(page.locator("[data-strip=same] .strip-none")).to_have_text("None")
    assert visitor.shifted == []


def test_neighbours_are_of_a_stream_a_camera_or_a_folder(visit: Visit, served: Served) -> None:
    page = visit(served).open("/").page
    uri = "/p/it's/a.mp4"
    for columns, direction, where, sort in (
        (
            {"stream_id": "video", "time_us": 5},
            1,
            "uri = '/p/it''s/a.mp4' AND stream_id = 'video' AND (time_us > 5 OR (time_us = 5 AND row_id > 7))",
            "time_us:up",
        ),
        (
            {"captured_at": "2024-05-01T12:30:00", "camera": "it's"},
            -1,
            "camera = 'it''s' AND (captured_at < TIMESTAMP '2024-05-01T12:30:00' OR "
            "(captured_at = TIMESTAMP '2024-05-01T12:30:00' AND row_id < 7))",
            "captured_at:down",
        ),
        (
            {},
            -1,
            "uri >= '/p/it''s/' AND uri < '/p/it''s0' AND (uri < '/p/it''s/a.mp4' OR "
            "(uri = '/p/it''s/a.mp4' AND row_id < 7))",
            "uri:down",
        ),
    ):
        row = {"row_id": 7, "uri": uri, "columns": columns}
        assert page.evaluate(SIDE, [row, direction]) == [where, sort]
        params: dict[str, str | float | bool] = {"where": where, "sort": sort}
        assert page.request.get(f"{served.url}/v1/lakes/my/rows", params=params).ok
