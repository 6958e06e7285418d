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


# Fiji, Samoa and New Zealand: 12 degrees from west to east, across the antimeridian.
PACIFIC = [(-18.0, 178.0), (-14.0, -172.0), (-17.0, 180.0), (-40.0, 176.0)]


@pytest.fixture(scope="module")
def pacific(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("pacific")
    desk = Desk(root)
    for number, (lat, lon) in enumerate(PACIFIC):
        desk.add(f"{number}.png", (255, number, 0))
        write(desk.photos / f"{number}.json", json.dumps({"lat": lat, "lon": lon}).encode())
    desk.index()
    with serving(root / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def test_a_box_crosses_the_antimeridian(visit: Visit, pacific: Served) -> None:
    visitor = visit(pacific).open("/")
    page = visitor.page
    page.click("#filter-button")
    place = page.get_by_role("region", name="place")
    west, east = (place.get_by_label(f"place: {side}, in degrees") for side in ("west", "east"))
    expect(west).to_have_attribute("placeholder", "176")
    expect(east).to_have_attribute("placeholder", "-172")
    box = place.locator(".place-ground").bounding_box()
    assert box is not None
    # The plot is as wide as the images are apart: Samoa is at its right end, 180 a third in.
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 0.9 * box["height"], steps=4)
    page.mouse.up()
    expect(page.locator("#passing")).to_have_text("1 image passes")
    visitor.settled()
    assert visitor.names == ["1.png"]
    expect(place.locator(".place-across")).to_have_count(0)
    # Over it: west is above east.
    place.get_by_role("button", name="All places").click()
    expect(page.locator("#passing")).to_have_text("4 images")
    west.fill("177")
    west.press("Enter")
    expect(page.locator("#where")).to_have_value(
        "lat >= -40 AND lat <= -14 AND (lon BETWEEN 177 AND 180 OR lon BETWEEN -180 AND -172)"
    )
    expect(page.locator("#passing")).to_have_text("3 images pass")
    expect(place.locator(".place-across")).to_have_text("Across the 180th meridian: W is above E.")
    east.fill("-175")
    east.press("Enter")
    expect(page.locator("#passing")).to_have_text("2 images pass")
    expect(west).to_have_value("177")
    # All that there is stays on the plot: its own condition is not counted.
    expect(east).to_have_attribute("placeholder", "-172")
    # A side that would make it wider than half the world takes the other one along.
    west.fill("-160")
    west.press("Enter")
    expect(page.locator("#where")).to_have_value(
        "lat >= -40 AND lat <= -14 AND lon >= -160 AND lon <= -160"
    )


def test_a_box_across_is_read_from_a_where_and_drawn_at_both_ends_of_the_world(
    visit: Visit, served: Served
) -> None:
    page = visit(served).open("/").page
    read = """async ([where]) => {
      const { chosenLongitudes, withLongitudes } = await import("/page/search/where_terms.js");
      const column = { name: "a b" };
      return [chosenLongitudes(where, column), withLongitudes(where, column, { west: 1, east: 2 })];
    }"""
    across = '("a b" BETWEEN 170 AND 180 OR "a b" BETWEEN -180 AND -1.5e1)'
    for where, found, written in (
        (f"x = 1 AND {across}", {"west": 170, "east": -15}, "x = 1 AND "),
        ('"a b" >= 3 AND x = 1', {"west": 3, "east": None}, "x = 1 AND "),
        ("lon BETWEEN 170 AND 180", {"west": None, "east": None}, "lon BETWEEN 170 AND 180 AND "),
        (
            '("a b" BETWEEN 1 AND 180 OR "a b" BETWEEN -180 AND x)',
            {"west": None, "east": None},
            '("a b" BETWEEN 1 AND 180 OR "a b" BETWEEN -180 AND x) AND ',
        ),
    ):
        assert page.evaluate(read, [where]) == [found, f'{written}"a b" >= 1 AND "a b" <= 2']
    arcs = """async ([start, length, width]) => {
      const { arcs } = await import("/page/search/place_plot.js");
      return arcs(start, length, width);
    }"""
    # From the plot's west side, in degrees: all of it, a piece, none, both ends of a world.
    assert page.evaluate(arcs, [-5, 20, 10]) == [[-5, 15]]
    assert page.evaluate(arcs, [2, 3, 10]) == [[2, 5]]
    assert page.evaluate(arcs, [20, 3, 10]) == []
    assert page.evaluate(arcs, [350, 20, 360]) == [[350, 370], [-10, 10]]


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
