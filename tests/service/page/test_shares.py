"""What each example adds to a score, in the large view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.lakes import Desk
from tests.service.page.conftest import Served, Visit, serving

WIDTHS = """() => [...document.querySelectorAll(".share-bar")].map((bar) => {
  const room = bar.parentElement.getBoundingClientRect();
  const { left, width } = bar.getBoundingClientRect();
  return [(left - room.left) / room.width, width / room.width];
})"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """70 photos, more than a page holds: row n + 1 is (255, n, 0)."""
    desk = Desk(tmp_path_factory.mktemp("shares"))
    for number in range(70):
        desk.add(f"{number:02}.png", (255, number, 0), size=(8, 8))
    desk.index()
    return desk


@pytest.fixture
def served(desk: Desk, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


@pytest.mark.parametrize("width", [1280, 360])
def test_the_large_view_says_what_each_example_adds(
    visit: Visit, served: Served, width: int
) -> None:
    """red - green, and (255, 51, 0), of length 260.05: 255 / 260.05 / sqrt(2) = .693, and .139."""
    visitor = visit(served, viewport={"width": width, "height": 740})
    visitor.open("/?q=red&not=green&row=52")
    table = visitor.page.locator("#view .shares")
    expect(table.locator("caption")).to_have_text("Score 0.555, the sum of")
    expect(table.locator("tr")).to_have_count(2)
    assert table.locator("th").all_inner_texts() == ["red", "not green"]
    assert table.locator("td.share").all_inner_texts() == ["+0.693", "−0.139"]
    # The bars stand on one zero, 1/6 from the left: what takes away goes to the left of it.
    (red, red_width), (green, green_width) = visitor.page.evaluate(WIDTHS)
    assert (red, red_width) == (pytest.approx(1 / 6, abs=0.02), pytest.approx(5 / 6, abs=0.02))
    assert (green, green_width) == (pytest.approx(0, abs=0.02), pytest.approx(1 / 6, abs=0.02))
    overflow = visitor.page.evaluate("document.querySelector('#view').scrollWidth - innerWidth")
    assert overflow <= 0


def test_of_one_example_the_score_says_it_all(visit: Visit, served: Served) -> None:
    visitor = visit(served).open("/?q=red&row=52")
    expect(visitor.page.locator("#view .facts")).to_be_visible()
    assert visitor.page.locator("#view .shares").count() == 0


def test_images_of_the_next_page_are_explained_too(visit: Visit, served: Served) -> None:
    """Row 70 is the last: the most of green."""
    visitor = visit(served).open("/?q=red&not=green&like=3")
    visitor.page.keyboard.press("End")
    visitor.page.mouse.wheel(0, 100_000)
    expect(visitor.page.locator(".cell[data-row='70']")).to_be_attached()
    visitor.page.locator(".cell[data-row='70'] .photo").click()
    table = visitor.page.locator("#view .shares")
    expect(table.locator("tr")).to_have_count(3)
    assert table.locator("th img").get_attribute("alt") == "image 3"
