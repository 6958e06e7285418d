"""The metadata panel's plot of places: a box is drawn, or typed, and writes the `where`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.lakes import Desk, write
from tests.service.page.conftest import Served, Visit, serving
from tests.service.page.test_axe import DARK_PHONE, faults

# Degrees of the four corners of the plot, and of its middle; the last image has no place.
PLACES = [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (10.0, 10.0), (5.0, 5.0), None]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("places")
    desk = Desk(root)
    for number, place in enumerate(PLACES):
        desk.add(f"{number}.png", (255, number, 0))
        columns = {} if place is None else {"gps_lat": place[0], "gps_lon": place[1]}
        write(desk.photos / f"{number}.json", json.dumps(columns).encode())
    desk.index()
    with serving(root / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def test_a_box_is_drawn_and_typed(visit: Visit, served: Served) -> None:
    visitor = visit(served).open("/")
    page = visitor.page
    page.click("#filter-button")
    place = page.get_by_role("region", name="gps")
    expect(place.locator("h3")).to_have_text("gps 1 without")
    # Both columns are one thing to choose by.
    expect(page.get_by_role("slider", name="gps_lat from")).to_have_count(0)
    ground = place.locator(".place-ground")
    box = ground.bounding_box()
    assert box is not None
    # From beyond the north-west corner to a little behind the middle.
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 0.55 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#passing")).to_have_text("2 images pass")
    visitor.settled()
    assert visitor.names == ["1.png", "4.png"]
    where = page.input_value("#where")
    names = [term.split(" ")[0:2] for term in where.split(" AND ")]
    assert names == [["gps_lat", ">="], ["gps_lat", "<="], ["gps_lon", ">="], ["gps_lon", "<="]]
    north = place.get_by_label("gps: north, in degrees")
    assert 10 <= float(north.input_value()) < 10.4
    # Typed: the other sides stay, and a box never has a side behind the other.
    north.fill("7.5")
    north.press("Enter")
    expect(page.locator("#passing")).to_have_text("1 image passes")
    assert "gps_lat <= 7.5" in page.input_value("#where")
    south = place.get_by_label("gps: south, in degrees")
    south.fill("9")
    south.press("Enter")
    expect(page.locator("#passing")).to_have_text("0 images pass")
    assert "gps_lat >= 9 AND gps_lat <= 9" in page.input_value("#where")
    place.get_by_role("button", name="All places").click()
    expect(page.locator("#passing")).to_have_text("6 images")
    assert page.input_value("#where") == ""
    expect(place.get_by_role("button", name="All places")).to_be_disabled()


def test_a_click_on_the_plot_chooses_nothing(visit: Visit, served: Served) -> None:
    visitor = visit(served).open("/?where=gps_lat+%3E%3D+4")
    page = visitor.page
    place = page.get_by_role("region", name="gps")
    expect(page.locator("#passing")).to_have_text("3 images pass")
    page.click("#filter-button")
    place.locator(".place-plot").click()
    expect(place.get_by_role("button", name="All places")).to_be_enabled()
    assert page.input_value("#where") == "gps_lat >= 4"
    # What was typed by hand and means the same is known for a side of the box.
    assert place.get_by_label("gps: south, in degrees").input_value() == "4"
    assert place.get_by_label("gps: north, in degrees").input_value() == ""


@pytest.mark.parametrize("screen", [{}, DARK_PHONE], ids=["desk", "dark phone"])
def test_it_fits_and_axe_finds_nothing(
    visit: Visit, served: Served, screen: dict[str, object]
) -> None:
    page = visit(served, **screen).open("/?where=gps_lat+%3E%3D+4").page
    page.click("#filter-button")
    expect(page.get_by_role("button", name="All places")).to_be_visible()
    assert faults(page) == []
    viewport = page.viewport_size
    assert viewport is not None
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
