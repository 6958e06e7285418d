"""The geometry of the report's drawings; their templates draw them as SVG and boxes, in the page's
colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

PLOT, LOW = (960, 180), (960, 70)
# Kinds of images, and how they are told.
DECIDED = {"keep": "kept", "ask": "to ask about", "drop": "dropped", "rows": "images"}
ANSWERED = {"keep": "yes", "ask": "skipped or in conflict", "drop": "no"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a bar, in the plot's own units; y grows downwards."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """Stacked bars, and the lines through them."""

    width: int
    height: int
    told: str  # what it shows, for whoever does not see it
    legend: Sequence[tuple[str, str]]  # the kinds that are in it, with their names
    bars: Sequence[Bar]
    cuts: Sequence[float]  # where on the x axis


@dataclass(frozen=True, slots=True)
class Mark:
    """A word on the axis."""

    text: str
    place: float | None  # in [0, 1] from the left; None: flush right
    shift: int | None  # so many percent of its own width to the right; None: at an end


@dataclass(frozen=True, slots=True)
class Scores:
    """The histogram of the scores, the line through it, and what the audit looked at."""

    images: Plot
    axis: Sequence[Mark]
    tallest: int  # images in the tallest bar
    audit: Plot | None


def scores(found: Mapping[str, Any], line: Mapping[str, float] | None) -> Scores:
    """:param found: as `scores.histogram` gives it; line: "keep" and "drop", two scores."""
    edges = found["edges"]
    cuts = [] if line is None else sorted({line["keep"], line["drop"]})
    kinds = {kind: found[kind] for kind in DECIDED if any(found.get(kind, ()))}
    told = ", ".join(f"{sum(numbers):,} {DECIDED[kind]}" for kind, numbers in kinds.items())
    images = _plot(
        kinds,
        {kind: name for kind, name in DECIDED.items() if kind != "rows"},
        edges,
        cuts,
        PLOT,
        f"Histogram of the scores from {edges[0]:.2f} to {edges[-1]:.2f}: {told}.",
    )
    return Scores(
        images,
        _axis(edges, cuts),
        max((sum(heights) for heights in zip(*kinds.values(), strict=True)), default=0),
        _audit(found, edges, cuts),
    )


def _audit(found: Mapping[str, Any], edges: Sequence[float], cuts: Sequence[float]) -> Plot | None:
    if not any(found.get("audit_yes", ())) and not any(found.get("audit_no", ())):
        return None
    yes, no, unclear = (found[f"audit_{kind}"] for kind in ("yes", "no", "unclear"))
    series = {"keep": yes, "ask": unclear, "drop": no}
    return _plot(
        {kind: numbers for kind, numbers in series.items() if any(numbers)},
        ANSWERED,
        edges,
        cuts,
        LOW,
        f"The audit's answers by score: {sum(yes):,} yes, {sum(no):,} no, {sum(unclear):,} unclear.",
    )


def _plot(
    series: Mapping[str, Sequence[int]],
    names: Mapping[str, str],
    edges: Sequence[float],
    cuts: Sequence[float],
    size: tuple[int, int],
    told: str,
) -> Plot:
    """Bars as high as the square root of their sum, parted as their numbers are."""
    width, height = size
    totals = [sum(numbers) for numbers in zip(*series.values(), strict=True)]
    scale = (height - 8) / sqrt(max([*totals, 1]))
    step = width / max(len(edges) - 1, 1)
    bars = []
    for number, total in enumerate(totals):
        top = float(height)
        for kind, numbers in series.items():
            if part := numbers[number]:
                tall = max(scale * sqrt(total) * part / total, 1.5)
                top -= tall
                bars.append(Bar(kind, number * step + 1, top, step - 2, tall))
    legend = [(kind, names[kind]) for kind in series if kind in names]
    return Plot(width, height, told, legend, bars, [width * _place(edges, cut) for cut in cuts])


def _place(edges: Sequence[float], score: float) -> float:
    """Where on the axis, in [0, 1]."""
    return min(1.0, max(0.0, (score - edges[0]) / (edges[-1] - edges[0])))


def _axis(edges: Sequence[float], cuts: Sequence[float]) -> list[Mark]:
    """The ends, where no line's label is in their way; and the lines."""
    places = [_place(edges, cut) for cut in cuts]
    marks = []
    if all(place > 0.2 for place in places):
        marks.append(Mark(f"{edges[0]:.2f}", 0.0, None))
    if all(place < 0.8 for place in places):
        marks.append(Mark(f"{edges[-1]:.2f}", None, None))
    names = ["line"] if len(cuts) == 1 else ["drop below", "keep from"]
    for name, cut, place in zip(names, cuts, places, strict=False):
        marks.append(Mark(f"{name} {cut:.2f}", place, _shift(name, place)))
    return marks


def _shift(name: str, place: float) -> int:
    """The labels of two lines stand away from each other, and none leaves the plot."""
    if place > 0.8 or name == "drop below":
        return -100
    return 0 if place < 0.2 or name == "keep from" else -50


@dataclass(frozen=True, slots=True)
class Range:
    """From the least to the most, with the estimate, on an axis that has 0 on it; all in [0, 1]."""

    left: float
    width: float
    mark: float


def span(low: float, middle: float, high: float) -> Range:
    start, end = min(low, 0.0), max(high, 0.0)
    width = (end - start) or 1.0
    left, mark, right = ((value - start) / width for value in (low, middle, high))
    return Range(left, right - left, mark)
