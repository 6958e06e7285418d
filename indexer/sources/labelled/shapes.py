"""The places of marks on an image: the whole pixels that a box, an outline or a mask touches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from indexer.address import Region

_SEEN = 2  # decimals of a pixel: parts of an image are written with six, which is less exact


class Bounds(NamedTuple):
    """A box of numbers of any unit, that may lie off the image."""

    left: float
    top: float
    right: float
    bottom: float


def region_of(
    left: float, top: float, right: float, bottom: float, width: float, height: float
) -> Region | None:
    """The whole pixels that a box touches, within an image; None where it touches none.

    :param width: of the image in px, inf where it is not known; height likewise.
    """
    if not all(map(math.isfinite, (left, top, right, bottom))):
        return None
    left, top = max(math.floor(left), 0), max(math.floor(top), 0)
    right, bottom = min(math.ceil(right), width), min(math.ceil(bottom), height)
    if right <= left or bottom <= top:
        return None
    return int(left), int(top), int(right - left), int(bottom - top)


def region_of_parts(parts: Bounds, width: float, height: float) -> Region | None:
    """As `region_of`, of a box in parts of the image's sides, 0 to 1.

    A hundredth of a pixel is what such numbers are exact to: 0.333333 of 300 px are 100.
    """
    sides = (width, height, width, height)
    if not all(map(math.isfinite, (*parts, *sides))):
        return None
    pixels = Bounds(*(round(part * side, _SEEN) for part, side in zip(parts, sides, strict=True)))
    return region_of(*pixels, width, height)


def around(points: Iterable[tuple[float, float]]) -> Bounds | None:
    """What points lie in; None of none."""
    all_points = list(points)
    if not all_points:
        return None
    x, y = zip(*all_points, strict=True)
    return Bounds(min(x), min(y), max(x), max(y))


def around_turned(box: Bounds, degrees: float, about: tuple[float, float]) -> Bounds:
    """What a box lies in that is turned clockwise, as pictures have it, about a point."""
    turn = math.radians(degrees % 360)
    cos, sin = math.cos(turn), math.sin(turn)
    corners = [(x, y) for x in (box.left, box.right) for y in (box.top, box.bottom)]
    turned = [
        (
            about[0] + (x - about[0]) * cos - (y - about[1]) * sin,
            about[1] + (x - about[0]) * sin + (y - about[1]) * cos,
        )
        for x, y in corners
    ]
    bounds = around(turned)
    assert bounds is not None
    return Bounds(*(round(each, 6) for each in bounds))


def around_ellipse(
    centre: tuple[float, float], radii: tuple[float, float], degrees: float
) -> Bounds:
    """What an ellipse lies in that is turned about its centre.

    Source: the extent of a cos t + b sin t is the root of a^2 + b^2.
    """
    turn = math.radians(degrees % 360)
    wide = math.hypot(radii[0] * math.cos(turn), radii[1] * math.sin(turn))
    high = math.hypot(radii[0] * math.sin(turn), radii[1] * math.cos(turn))
    edges = (centre[0] - wide, centre[1] - high, centre[0] + wide, centre[1] + high)
    return Bounds(*(round(each, 6) for each in edges))


def around_mask(mask: Any) -> Bounds | None:
    """What the pixels of a mask lie in, as COCO has it; None where it has none.

    Runs of zeros and ones by turns go down one column after another.

    :param mask: its `size`, [height, width], and `counts`, numbers or the text of them.
    :raises ValueError: if it is no such mask.

    Source: https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c (rleFrString)
    """
    size = mask.get("size") if isinstance(mask, dict) else None
    if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size)):
        raise ValueError("a mask has no size")
    height, width = size
    counts = mask.get("counts")
    runs = _runs(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(n) is int and n >= 0 for n in runs):
        raise ValueError("a mask has no counts")
    if height < 1 or width < 1 or sum(runs) > height * width:
        raise ValueError("a mask has more pixels than its image")
    points: list[tuple[float, float]] = []
    place = 0
    for number, run in enumerate(runs):
        if number % 2 and run:
            first, last = divmod(place, height), divmod(place + run - 1, height)
            points += [first, (last[0] + 1, last[1] + 1)]
            if first[0] != last[0]:
                points += [(first[0], 0), (last[0], height)]
        place += run
    return around(points)


def _runs(text: str) -> list[int]:
    """:raises ValueError: if it is no such text."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("a mask has counts that cannot be read")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("a mask has counts that are cut short")
    return runs


def pairs(numbers: Sequence[float]) -> list[tuple[float, float]]:
    """Points of their numbers in turn."""
    return list(zip(numbers[::2], numbers[1::2], strict=True))
