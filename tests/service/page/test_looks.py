"""How the grid looks: the size of its images, captions under them; zoom in the large view."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.service.page.conftest import Served, Visit


def heights(page: Page) -> list[float]:
    """Of the first images, in px."""
    return [
        page.locator(".photo").nth(number).evaluate("each => each.getBoundingClientRect().height")
        for number in range(3)
    ]


def test_images_are_as_large_as_wanted(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red&min_z=3")
    page = visitor.page
    before = heights(page)
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Size of the images").fill("0.5")
    # Rows aim at 120 + 0.08 x 1214 px, and half of it.
    assert all(190 < height < 350 for height in before)
    assert all(95 < height < 175 for height in heights(page))
    page.reload()
    visitor.settled()
    assert all(95 < height < 175 for height in heights(page))
    assert visitor.shifted == []


def test_a_column_stands_under_each_image(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red&min_z=3")
    page = visitor.page
    expect(page.locator(".caption")).to_have_count(0)
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Under each image").select_option("file name")
    assert page.locator(".caption").all_inner_texts()[:2] == ["red-0.png", "red-1.png"]
    page.get_by_label("Under each image").select_option("row_id")
    assert page.locator(".caption").all_inner_texts()[:2] == ["101", "102"]
    page.get_by_label("Under each image").select_option("camera")
    assert page.locator(".caption").all_inner_texts()[:2] == ["–", "–"]
    page.keyboard.press("Escape")
    expect(page.get_by_label("Under each image")).to_be_hidden()
    # It lies below the photo, and the next row below it.
    cell = page.locator(".cell").first
    photo, caption = cell.locator(".photo").bounding_box(), cell.locator(".caption").bounding_box()
    assert photo is not None
    assert caption is not None
    assert caption["y"] == pytest.approx(photo["y"] + photo["height"], abs=1)
    # Another search has it, too.
    visitor.search("green")
    assert len(page.locator(".caption").all()) == len(visitor.names)


def scale(page: Page) -> float:
    style = str(page.locator(".large").get_attribute("style"))
    found = re.search(r"scale\(([\d.]+)\)", style)
    return float(found[1]) if found else 1.0


def test_the_large_image_is_zoomed_and_moved(visit: Visit, reds: Served) -> None:
    page = visit(reds).open("/?q=red&row=101").page
    image = page.locator(".large")
    expect(image).to_be_visible()
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert scale(page) == pytest.approx(1.5 * 1.5)
    page.keyboard.press("-")
    assert scale(page) == pytest.approx(1.5)
    page.keyboard.press("0")
    assert scale(page) == 1
    # The point under the mouse stays: d px right of the middle become d e px, so the image moves by
    # -d (e - 1).
    stage = page.locator(".stage").bounding_box()
    assert stage is not None
    middle = stage["x"] + stage["width"] / 2
    x = int(middle) + 4
    page.mouse.move(x, int(stage["y"] + stage["height"] / 2))
    page.mouse.wheel(0, -400)
    expect(page.locator(".stage")).to_have_class("stage zoomed")
    assert scale(page) == pytest.approx(2.71828, abs=1e-3)
    moved = re.search(r"translate\((-?[\d.]+)px", str(image.get_attribute("style")))
    assert moved is not None
    assert float(moved[1]) == pytest.approx(-(x - middle) * 1.71828, abs=0.01)
    # The next image begins as it fits.
    page.keyboard.press("ArrowRight")
    expect(page.locator("#view")).to_have_attribute("aria-label", "red-1.png")
    assert scale(page) == 1
