"""The first screen: what it offers comes from the lake, and finds something."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Route, expect

from indexer.arrays import Vectors
from tests.fakes import ColourEmbedder
from tests.lakes import Desk, write
from tests.service.page.conftest import Served, Visit, serving
from tests.service.page.test_axe import DARK_PHONE, faults


class Words(ColourEmbedder):
    """Grass is green, and all else it is asked for is grey."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        colours = [(0, 1, 0) if text == "grass" else (1, 1, 1) for text in texts]
        rows = np.array(colours, np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Four green images in the sun, behind 120 nearly grey ones in the fog."""
    root = tmp_path_factory.mktemp("suggestions")
    desk = Desk(Path(root), Words())
    draws = np.random.default_rng(5)
    for number in range(124):
        red, green, blue = (128 + draws.integers(-9, 10, 3)).tolist()
        is_green = number >= 120
        desk.add(f"{number:03}.png", (9, 255, 9) if is_green else (red, green, blue))
        weather = json.dumps({"weather": "sun" if is_green else "fog"})
        write(desk.photos / f"{number:03}.json", weather.encode())
    desk.index()
    with serving(root / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def test_what_is_offered_finds_something(visit: Visit, served: Served) -> None:
    visitor = visit(served)

    def later(route: Route) -> None:
        visitor.page.wait_for_timeout(300)
        route.continue_()

    visitor.page.route("**/suggestions?of=words", later)
    page = visitor.open().page
    offered = page.get_by_role("list", name="To try in this lake").locator("a")
    expect(offered).to_have_text(["weather: fog", "grass"])
    assert visitor.shifted == []
    offered.first.click()
    expect(page.locator("#intro")).to_be_hidden()
    expect(page.locator("#passing")).to_have_text("120 images pass")
    # The panel knows it for its own.
    page.get_by_role("button", name="Metadata").click()
    expect(page.get_by_role("button", name="fog 120")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(offered).to_have_text(["weather: fog", "grass"])
    offered.last.click()
    visitor.settled()
    assert visitor.names[:4] == ["120.png", "121.png", "122.png", "123.png"]
    assert visitor.address == "/?q=grass"


def test_it_is_asked_for_only_where_it_is_seen(visit: Visit, served: Served) -> None:
    visitor = visit(served)
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.open("/?q=grass")
    expect(visitor.page.locator("#strength-said")).not_to_be_empty()
    assert not [url for url in asked if "/suggestions?" in url]


def test_a_phone_has_them_in_one_line(visit: Visit, served: Served) -> None:
    visitor = visit(served, **DARK_PHONE)
    page = visitor.open().page
    offered = page.locator("#suggestions a")
    expect(offered).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    heights = [box["height"] for each in offered.all() if (box := each.bounding_box())]
    assert min(heights) >= 32
    assert faults(page) == []
    assert visitor.shifted == []
