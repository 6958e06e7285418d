"""Where images were taken: which columns are places, and cells of a grid counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from service.lake import Lake
from service.search.places import Box, PlaceColumns, count_places, place_columns
from tests.lakes import Desk, write

PAIR = PlaceColumns("lat", "lon")


@pytest.mark.parametrize(
    ("columns", "pairs"),
    [
        (["place.latitude", "place.longitude", "n"], [("place.latitude", "place.longitude")]),
        (["lon", "lat"], [("lat", "lon")]),
        (["Lat", "LNG"], [("Lat", "LNG")]),
        (["gps_latitude", "gps_longitude", "lat"], [("gps_latitude", "gps_longitude")]),
        (["a.lat", "b.lon"], []),
        (["flat", "lon"], []),
        (["latitude", "lon"], []),
    ],
)
def test_columns_that_belong_together(columns: list[str], pairs: list[tuple[str, str]]) -> None:
    assert [(pair.latitude, pair.longitude) for pair in place_columns(columns)] == pairs


def test_cells_are_as_high_as_wide_on_the_ground() -> None:
    """At 60 degrees north a degree of longitude is half as long as one of latitude."""
    latitudes = np.array([59.0, 61.0, 61.0, 60.0, np.nan, 91.0, np.inf])
    longitudes = np.array([10.0, 14.0, 14.0, 12.0, 10.0, 10.0, 10.0])
    found = count_places(PAIR, latitudes, longitudes)
    assert (found.rows, found.nulls) == (4, 3)
    assert found.box == Box(59, 10, 61, 14)
    assert (found.across, found.down) == (48, 48)
    # North-east, the middle, south-west: from the west, from the north, rows.
    assert found.cells == ((47, 0, 2), (24, 24, 1), (0, 47, 1))


def test_a_box_crosses_the_antimeridian_where_all_lie_within_half_the_world_so() -> None:
    """Fiji (178 east) and Samoa (172 west) are 10 degrees apart, and not 350."""
    latitudes = np.array([-18.0, -14.0, -16.0, -16.0])
    longitudes = np.array([178.0, -172.0, 180.0, -180.0])
    found = count_places(PAIR, latitudes, longitudes)
    assert found.box == Box(-18, 178, -14, -172)
    assert Box(-18, 178, -14, -172).width == 10
    # 48 cells for 10 degrees by cos(16) = 9.61, so 4 degrees take 20; 180 and -180 are one.
    assert (found.across, found.down) == (48, 20)
    assert found.cells == ((47, 0, 1), (9, 10, 2), (0, 19, 1))


@pytest.mark.parametrize(
    ("longitudes", "west", "east"),
    [
        ([-90.0, 90.0], -90, 90),  # half the world, and no more: as it stands
        ([-90.0, 91.0], 91, -90),  # 179 degrees the other way
        ([-120.0, 0.0, 120.0], -120, 120),  # of the whole world: by Greenwich
        ([0.0, 179.5, -179.5], -179.5, 179.5),  # 180.5 degrees either way
        ([10.0, 179.9, -179.9], 10, -179.9),
        ([-180.0, 180.0], 180, -180),  # one meridian
    ],
)
def test_west_and_east(longitudes: list[float], west: float, east: float) -> None:
    found = count_places(PAIR, np.zeros(len(longitudes)), np.array(longitudes))
    assert found.box == Box(0, west, 0, east)
    assert sum(rows for _, _, rows in found.cells) == len(longitudes)


def test_one_place_and_none() -> None:
    one = count_places(PAIR, np.array([1.5, 1.5]), np.array([-180.0, -180.0]))
    assert (one.box, one.across, one.down) == (Box(1.5, -180, 1.5, -180), 1, 1)
    assert one.cells == ((0, 0, 2),)
    none = count_places(PAIR, np.array([np.nan]), np.array([3.0]))
    assert (none.rows, none.nulls, none.box, none.cells) == (0, 1, None, ())


def test_a_lake_counts_them_without_their_own_conditions(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    places = [(50.0, 8.0), (50.0, 8.0), (52.0, 13.0), None]
    for number, place in enumerate(places):
        desk.add(f"{number}.png", (255, number, 0))
        columns: dict[str, object] = {"weather": "fog" if number else "sun"}
        if place is not None:
            columns |= {"lat": place[0], "lon": place[1]}
        write(desk.photos / f"{number}.json", json.dumps(columns).encode())
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        (found,) = lake.facets().places
        assert (found.columns, found.rows, found.nulls) == (PAIR, 3, 1)
        assert [rows for _, _, rows in found.cells] == [1, 2]
        box = "lat >= 51 AND lat <= 53 AND lon >= 12 AND lon <= 14"
        counted = lake.facets(f"{box} AND weather = 'fog'")
        assert counted.rows == 1
        # Both places still show: what one chose is not all that there is.
        assert [rows for _, _, rows in counted.places[0].cells] == [1, 1]
        # Who asks for columns by name gets those.
        assert lake.facets(columns=["lat"]).places == ()
        # A condition on one of them and another column is not theirs alone.
        mixed = lake.facets("lat > 51 OR weather = 'sun'")
        assert mixed.places[0].rows == 2
