"""Where images were taken: columns of latitudes and longitudes that belong together, counted in
cells of a grid.

Degrees, WGS 84: latitudes from -90 to 90, longitudes from -180 to 180. What lies outside of them,
or is no number, is no place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CELLS = 48  # of the longer side of the grid
HALF_THE_WORLD = 180.0  # degrees
# Of the circle, to look for its widest part without an image: half a degree.
ARCS = 720
LEAST_SPAN = 1e-4  # degrees: about ten metres
_LATITUDE = re.compile(r"(?P<prefix>(?:.*[._\- ])?)(?P<name>latitude|lat)", re.IGNORECASE)
_PARTNERS = {"latitude": ("longitude",), "lat": ("lon", "lng", "long", "longitude")}


@dataclass(frozen=True, slots=True)
class PlaceColumns:
    """Two columns as a `where` writes them."""

    latitude: str
    longitude: str


@dataclass(frozen=True, slots=True)
class Box:
    """Degrees; south is not above north. West is above east where the box crosses the antimeridian,
    as in a bounding box of GeoJSON.

    Source: https://www.rfc-editor.org/rfc/rfc7946#section-5.2
    """

    south: float
    west: float
    north: float
    east: float

    @property
    def width(self) -> float:
        """Degrees of longitude from west to east, from 0 to 360."""
        return self.east - self.west + (360 if self.west > self.east else 0)


@dataclass(frozen=True, slots=True)
class Places:
    """Rows by where they were taken, among those that the conditions on other columns keep."""

    columns: PlaceColumns
    rows: int  # that have a place
    nulls: int  # that have none
    box: Box | None  # of all of them; None: there is none
    across: int  # cells of the grid from west to east
    down: int  # and from north to south
    cells: tuple[tuple[int, int, int], ...]  # that have rows: from the west, from the north, rows

    def to_json(self) -> dict[str, Any]:
        box = self.box
        return {
            "latitude": self.columns.latitude,
            "longitude": self.columns.longitude,
            "rows": self.rows,
            "nulls": self.nulls,
            "box": None if box is None else [box.south, box.west, box.north, box.east],
            "across": self.across,
            "down": self.down,
            "cells": [list(cell) for cell in self.cells],
        }


def place_columns(numbers: Iterable[str]) -> list[PlaceColumns]:
    """Which columns of numbers are latitudes and longitudes that belong together: `lat` and `lon`,
    `gps_latitude` and `gps_longitude`, `place.latitude` and `place.longitude`.
    """
    names = list(numbers)
    by_key = {name.lower(): name for name in names}
    found = []
    for name in names:
        match = _LATITUDE.fullmatch(name)
        if match is None:
            continue
        prefix = match["prefix"].lower()
        partners = (prefix + partner for partner in _PARTNERS[match["name"].lower()])
        longitude = next((by_key[each] for each in partners if each in by_key), None)
        if longitude is not None:
            found.append(PlaceColumns(name, longitude))
    return found


def count_places(
    columns: PlaceColumns, latitudes: NDArray[np.float64], longitudes: NDArray[np.float64]
) -> Places:
    """Count them in a grid over all of them, whose cells are about as high as wide on the ground.

    :param latitudes, longitudes: float64, (n,); NaN: unknown.
    """
    is_place = (np.abs(latitudes) <= 90) & (np.abs(longitudes) <= 180)
    y, x = latitudes[is_place], longitudes[is_place]
    nulls = len(latitudes) - len(y)
    if not len(y):
        return Places(columns, 0, nulls, None, 0, 0, ())
    west, east = _ends(x)
    box = Box(float(y.min()), west, float(y.max()), east)
    down, across = _grid(box)
    row = _cell(box.north - y, box.north - box.south, down)
    away = x - box.west
    if box.west > box.east:
        away = np.where(away < 0, away + 360, away)
    column = _cell(away, box.width, across)
    counts = np.bincount(row * across + column, minlength=down * across)
    cells = tuple(
        (int(at % across), int(at // across), int(counts[at])) for at in np.flatnonzero(counts)
    )
    return Places(columns, len(y), nulls, box, across, down, cells)


def _ends(longitudes: NDArray[np.float64]) -> tuple[float, float]:
    """West and east of all of them: across the antimeridian where all lie within half the world so,
    and in no such half otherwise.
    """
    least, most = float(longitudes.min()), float(longitudes.max())
    if most - least <= HALF_THE_WORLD:
        return least, most
    numbers = ((longitudes + 180) * (ARCS / 360)).astype(np.int64)
    taken = np.flatnonzero(np.bincount(numbers, minlength=ARCS))
    widest = int(np.argmax(np.diff(taken)))
    # Both ends of the widest gap are of images: the exact ones are in the arcs there.
    middle = (taken[widest] + 1) * (360 / ARCS) - 180
    before, behind = longitudes[longitudes < middle], longitudes[longitudes >= middle]
    west, east = float(behind.min()), float(before.max())
    return (west, east) if east - west + 360 <= HALF_THE_WORLD else (least, most)


def _grid(box: Box) -> tuple[int, int]:
    """Cells from north to south, and from west to east."""
    if (box.south, box.west) == (box.north, box.east):
        return 1, 1
    middle = np.radians((box.north + box.south) / 2)
    high = max(box.north - box.south, LEAST_SPAN)
    wide = max(box.width * max(float(np.cos(middle)), 0.1), LEAST_SPAN)
    longest = max(high, wide)
    return max(1, round(CELLS * high / longest)), max(1, round(CELLS * wide / longest))


def _cell(away: NDArray[np.float64], span: float, cells: int) -> NDArray[np.int64]:
    """int64, (n,): the cell of each; the last one has the far edge, too."""
    if span == 0:
        return np.zeros(len(away), np.int64)
    return np.minimum((away / span * cells).astype(np.int64), cells - 1)
