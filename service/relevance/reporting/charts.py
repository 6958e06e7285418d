"""The report's drawings: plain SVG and boxes; their colours follow the page's, light, dark or on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from service.relevance.reporting.words import count, plain

PLOT, LOW = (960, 180), (960, 70)
KINDS = {"keep": "kept", "ask": "to ask about", "drop": "dropped", "rows": "images"}


def shares(parts: Sequence[tuple[str, str, int]]) -> str:
    """A bar of parts, each (class, name, number)."""
    total = sum(number for _, _, number in parts) or 1
    told = plain(", ".join(f"{name} {number:,}" for _, name, number in parts))
    spans = "".join(
        f'<span class="{css}" style="flex:{number / total:.5f} 1 0"></span>'
        for css, _, number in parts
        if number
    )
    return f'<div class="bar" role="img" aria-label="{told}">{spans}</div>'


def scores(found: Mapping[str, Any], line: Mapping[str, float] | None) -> str:
    """The histogram of the scores, the line through it, and what the audit looked at below it."""
    edges = found["edges"]
    kinds = [kind for kind in KINDS if any(found.get(kind, ()))]
    alt = ", ".join(f"{sum(found[kind]):,} {KINDS[kind]}" for kind in kinds)
    alt = f"Histogram of the scores from {edges[0]:.2f} to {edges[-1]:.2f}: {alt}."
    cuts = [] if line is None else sorted({line["keep"], line["drop"]})
    drawn = [f'<div class="plot">{_bars(found, kinds, edges, cuts, PLOT, alt)}</div>', _axis(edges, cuts)]
    tallest = max((sum(heights) for heights in zip(*(found[kind] for kind in kinds), strict=True)), default=0)
    legend = "".join(
        f'<li><span class="key {_css(kind)}"></span>{KINDS[kind]}</li>' for kind in kinds if kind != "rows"
    )
    drawn.append(
        f'<ul class="legend">{legend}<li class="soft">tallest bar: {count(tallest, "image")}; heights grow with '
        "the square root, so that few images show too</li></ul>"
    )
    if any(found.get("audit_yes", ())) or any(found.get("audit_no", ())):
        drawn.append(_audit(found, edges, cuts))
    return f'<div class="chart">{"".join(drawn)}</div>'


def _audit(found: Mapping[str, Any], edges: Sequence[float], cuts: Sequence[float]) -> str:
    yes, no, unclear = (found[f"audit_{kind}"] for kind in ("yes", "no", "unclear"))
    series = {"keep": yes, "ask": unclear, "drop": no}
    alt = f"The audit's answers by score: {sum(yes):,} yes, {sum(no):,} no, {sum(unclear):,} unclear."
    kinds = [kind for kind in series if any(series[kind])]
    names = {"keep": "yes", "ask": "skipped or in conflict", "drop": "no"}
    legend = "".join(f'<li><span class="key {_css(kind)}"></span>{names[kind]}</li>' for kind in kinds)
    return (
        f'<h3>Where the audit looked</h3><div class="plot">'
        f'{_bars(series, kinds, edges, cuts, LOW, alt, css="low")}</div><ul class="legend">{legend}</ul>'
    )


def _css(kind: str) -> str:
    return {"keep": "k", "ask": "a"}.get(kind, "d")


def _bars(
    series: Mapping[str, Any],
    kinds: Sequence[str],
    edges: Sequence[float],
    cuts: Sequence[float],
    size: tuple[int, int],
    alt: str,
    css: str = "",
) -> str:
    """Stacked bars; as high as the square root of their sum, parted as their numbers are."""
    width, height = size
    totals = [sum(numbers) for numbers in zip(*(series[kind] for kind in kinds), strict=True)]
    scale = (height - 8) / sqrt(max([*totals, 1]))
    step = width / max(len(edges) - 1, 1)
    drawn = []
    for number, total in enumerate(totals):
        top = float(height)
        for kind in kinds:
            if part := series[kind][number]:
                tall = max(scale * sqrt(total) * part / total, 1.5)
                top -= tall
                drawn.append(
                    f'<rect class="{kind}" x="{number * step + 1:.1f}" y="{top:.1f}" width="{step - 2:.1f}" '
                    f'height="{tall:.1f}"/>'
                )
    for cut in cuts:
        x = width * _place(edges, cut)
        drawn.append(f'<line class="cut" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"/>')
    return (
        f'<svg class="{css}" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{plain(alt)}">{"".join(drawn)}</svg>'
    )


def _place(edges: Sequence[float], score: float) -> float:
    """Where on the axis, in [0, 1]."""
    return min(1.0, max(0.0, (score - edges[0]) / (edges[-1] - edges[0])))


def _axis(edges: Sequence[float], cuts: Sequence[float]) -> str:
    """The ends, where no line's label is in their way; and the lines."""
    places = [_place(edges, cut) for cut in cuts]
    marks = []
    if all(place > 0.2 for place in places):
        marks.append(f'<span style="left:0">{edges[0]:.2f}</span>')
    if all(place < 0.8 for place in places):
        marks.append(f'<span style="right:0">{edges[-1]:.2f}</span>')
    names = ["line"] if len(cuts) == 1 else ["drop below", "keep from"]
    for name, cut, place in zip(names, cuts, places, strict=False):
        shift = (
            -100 if place > 0.8 or (len(cuts) == 2 and name == "drop below") else 0 if place < 0.2 else -50
        )
        if len(cuts) == 2 and name == "keep from" and place <= 0.8:
            shift = 0
        marks.append(f'<span style="left:{place:.2%};transform:translateX({shift}%)">{name} {cut:.2f}</span>')
    return f'<div class="axis">{"".join(marks)}</div>'


def span(low: float, middle: float, high: float) -> str:
    """From the least to the most, with the estimate; 0 is always on it."""
    start, end = min(low, 0.0), max(high, 0.0)
    width = (end - start) or 1.0
    left, mark, right = ((value - start) / width for value in (low, middle, high))
    return (
        f'<div class="range" aria-hidden="true"><i style="left:{left:.2%};width:{right - left:.2%}"></i>'
        f'<b style="left:{mark:.2%}"></b></div>'
    )
