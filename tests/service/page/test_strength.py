"""Match strength on the page: bars of all images; a cut-off that is dragged, or moved by key."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.service.page.conftest import Served, Visit


def test_a_cut_off_is_dragged(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red")
    page = visitor.page
    said = page.locator("#strength-said")
    expect(said).to_have_text(re.compile(r"^110 images, the best has \d\.\d$"))
    expect(page.get_by_role("button", name="Show all")).to_be_hidden()
    assert visitor.shifted == []
    box = page.locator("#cut").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle, steps=4)
    # The number follows the hand; the images do when it rests.
    expect(said).to_have_text(re.compile(r"^Everything above [\d.]+: 10 images$"))
    page.mouse.up()
    expect(page.locator("#status")).to_have_text(re.compile("^10 images · most similar first"))
    visitor.settled()
    assert [name[:3] for name in visitor.names] == ["red"] * 10
    assert re.search(r"min_z=[23][\d.]*$", visitor.address)
    # On every image, without a hand over it.
    fits = page.locator(".fit").all_inner_texts()
    assert len(fits) == 10
    assert all(4 < float(fit) < 7 for fit in fits)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#status")).to_have_text(re.compile("^110 images"))
    assert visitor.address == "/?q=red"
    page.go_back()
    expect(said).to_have_text(re.compile(r"^Everything above [\d.]+: 10 images$"))


def test_a_cut_off_is_moved_by_key(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red&min_z=3.14159")
    page = visitor.page
    cut = page.get_by_role("slider", name="Cut-off by match strength")
    # One that lies between two bars is counted all the same.
    expect(cut).to_have_attribute("aria-valuetext", "Everything above 3.14159: 10 images")
    expect(page.locator("#chips")).to_be_hidden()
    cut.focus()
    page.keyboard.press("Home")
    expect(page.locator("#foot")).to_have_text("")
    expect(page.locator("#status")).to_have_text(re.compile("^110 images"))
    assert visitor.address == "/?q=red"
    page.keyboard.press("ArrowRight")
    # Without the lowest bar: as many as the search then finds.
    expect(page.locator("#strength-said")).to_have_text(re.compile("^Everything above -"))
    left = page.locator("#strength-said").inner_text().partition(": ")[2]
    assert 60 < int(left.split()[0]) < 110
    expect(page.locator("#status")).to_have_text(re.compile(f"^{left} · most similar first"))
    expect(cut).to_be_focused()
    visitor.settled()
    page.locator("#foot").scroll_into_view_if_needed()
    expect(page.locator("#foot")).to_have_text(f"End · {left}")


def test_where_narrows_what_is_counted(visit: Visit, reds: Served) -> None:
    page = visit(reds).open("/?q=red&where=row_id+%3E+98").page
    # Rows 99 and 100 are green.
    expect(page.locator("#strength-said")).to_have_text(re.compile("^12 images, the best has"))
    expect(page.locator("#status")).to_have_text(re.compile("^12 images"))


def test_the_metadata_panel_counts_above_the_cut_off(visit: Visit, reds: Served) -> None:
    page = visit(reds).open("/?q=red&min_z=3").page
    page.get_by_role("button", name="Metadata").click()
    expect(page.locator("#passing")).to_have_text(
        "10 images pass, with a match strength of at least 3"
    )
    expect(page.get_by_role("region", name="format").get_by_role("button")).to_have_text(["png10"])


def test_without_a_query_there_is_none(visit: Visit, reds: Served) -> None:
    page = visit(reds).open("/").page
    expect(page.locator("#strength")).to_be_hidden()
    expect(page.locator(".fit")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit: Visit, reds: Served, scheme: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    visitor = visit(reds, color_scheme=scheme, **phone).open("/?q=red&min_z=3")
    page = visitor.page
    expect(page.locator("#strength-said")).to_have_text("Everything above 3: 10 images")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for name in ("Show all",):
        box = page.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert box["height"] >= 44
    box = page.locator("#cut").bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert visitor.shifted == []
