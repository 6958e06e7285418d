"""Draws the picture of what labels cost, by the planner's own numbers: `python docs/labels.py`.

10,000 images of which 1,200 are relevant; the scores of those lie three standard deviations above
the others'. The promise is 95 % of them, with 95 %.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from service.relevance.definition import Target
from service.relevance.promise.audit import bands
from service.relevance.promise.martingale import Numbers, Wholes
from service.relevance.promise.plan import Option, options
from service.relevance.promise.promise import Known, chains, delta_of

PICTURE = Path(__file__).parent / "pictures" / "labels.svg"
IMAGES, RELEVANT, APART = 10_000, 1_200, 3.0
TARGET = Target(0.95, None, 0.95)
SHOWN = (5_000, 3_000, 2_500, 2_000)  # images that a line keeps

WIDTH, LEFT, RIGHT = 760, 64, 736  # of the drawing, and of its axis
SHARES_TOP, SHARES_BOTTOM = 34, 154
LABELS_TOP, LABELS_BOTTOM = 196, 396
LEAST, MOST = 100, 10_000  # labels on the axis
MIDDLE = (LEFT + RIGHT) / 2
TITLE = (
    "Labels that a promise takes, line by line: few where little is lost below it, more than there are images where "
    "nearly all that may be lost is"
)
QUESTION = "A line drops all to its right, of which 60 may be relevant (5 %). To show that takes about so many labels:"
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #222 }
  .soft { fill: #666 } .axis, .grid { stroke: #bbb; fill: none } .grid { stroke-dasharray: 2 4 }
  .share { fill: #2f6f4f } .curve { stroke: #9a3b1b; stroke-width: 2.5; fill: none } .dot { fill: #9a3b1b }
  .beyond { stroke-dasharray: 5 5 } .ground { fill: #fff }
  @media (prefers-color-scheme: dark) {
    text { fill: #eee } .soft { fill: #aaa } .axis, .grid { stroke: #555 } .share { fill: #6fbf95 }
    .curve { stroke: #f0936b } .dot { fill: #f0936b } .ground { fill: #161616 }
  }
"""


def population() -> tuple[Wholes, Numbers]:
    """int64 and float64, (strata,): images of each band of scores, best first, and the share of
    them that is relevant. Nothing is drawn: the scores are the quantiles of both distributions.
    """
    from scipy.special import ndtri

    others = IMAGES - RELEVANT
    scores = np.concatenate(
        [ndtri((np.arange(count) + 0.5) / count) for count in (RELEVANT, others)]
    )
    scores[:RELEVANT] += APART
    order = np.argsort(-scores, kind="stable")
    is_relevant = order < RELEVANT
    sizes = np.array(bands(scores[order].astype(np.float32)), np.int64)
    starts = np.cumsum(sizes) - sizes
    return sizes, np.add.reduceat(is_relevant, starts, dtype=np.int64) / sizes


def lines() -> list[Option]:
    """Each line that keeps enough, from the most generous one on, with its labels."""
    sizes, rates = population()
    delta = delta_of(TARGET.confidence, 1)
    chain = chains(TARGET, sizes, Known(0, 0), delta)[0]
    found = options(sizes, np.clip(rates, 1e-6, 1 - 1e-6), chain)
    return [each for each in found if each.recall >= (TARGET.recall or 0)]


def lost(option: Option) -> int:
    """Relevant images below a line."""
    return round((1 - option.recall) * RELEVANT)


def picture() -> str:
    """The drawing, as SVG."""
    sizes, rates = population()
    ends = np.cumsum(sizes)
    found = lines()
    bars = "".join(
        f'<rect class="share" x="{_x(end - size):.1f}" y="{_share(rate):.1f}" width="{_x(end) - _x(end - size):.1f}" '
        f'height="{SHARES_BOTTOM - _share(rate):.1f}"/>'
        for end, size, rate in zip(ends.tolist(), sizes.tolist(), rates.tolist(), strict=True)
    )
    curve = " ".join(
        f"{_x(each.kept):.1f},{_labels(each.labels):.1f}"
        for each in found
        if LEAST <= each.labels <= MOST
    )
    grid = "".join(
        f'<path class="grid" d="M{LEFT} {_labels(labels):.1f}H{RIGHT}"/>'
        f'<text class="soft" x="{LEFT - 8}" y="{_labels(labels) + 4:.1f}" text-anchor="end">{labels:,}</text>'
        for labels in (100, 300, 1_000, 3_000, 10_000)
    )
    dots = "".join(_dot(each) for each in found if each.kept in SHOWN and each.labels <= MOST)
    ticks = "".join(
        f'<text class="soft" x="{_x(kept):.1f}" y="{LABELS_BOTTOM + 18}" text-anchor="middle">{kept:,}</text>'
        for kept in range(0, IMAGES + 1, 2_000)
    )
    strict = next(each for each in found if each.kept == SHOWN[-1])
    last = [each for each in found if each.labels <= MOST][-1]
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 452" role="img" aria-labelledby="title">
<title id="title">{TITLE}</title>
<style>{STYLE}</style>
<rect class="ground" width="{WIDTH}" height="452"/>
<text x="{LEFT}" y="22">Of 10,000 images, best scores first, so many are relevant (1,200 in all):</text>
<path class="axis" d="M{LEFT} {SHARES_BOTTOM}H{RIGHT}"/>{bars}
<text x="{LEFT}" y="{LABELS_TOP - 14}">{QUESTION}</text>
{grid}<path class="axis" d="M{LEFT} {LABELS_BOTTOM}H{RIGHT}"/>
<polyline class="curve" points="{curve}"/>{dots}
<path class="curve beyond" d="M{_x(last.kept):.1f} {_labels(last.labels):.1f}L{_x(strict.kept):.1f} {LABELS_TOP}"/>
<text x="{_x(strict.kept) - 8:.1f}" y="{LABELS_TOP + 22}" text-anchor="end">{lost(strict)} lost:</text>
<text x="{_x(strict.kept) - 8:.1f}" y="{LABELS_TOP + 38}" text-anchor="end">label all</text>
{ticks}<text class="soft" x="{MIDDLE}" y="{LABELS_BOTTOM + 40}" text-anchor="middle">images that the line keeps</text>
</svg>
"""


def _dot(option: Option) -> str:
    x, y = _x(option.kept), _labels(option.labels)
    labels = round(option.labels, -1 if option.labels < 1_000 else -2)
    return (
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        f'<text x="{x + 10:.1f}" y="{y - 8:.1f}">{labels:,.0f} labels: {lost(option)} lost, {option.kept:,} kept</text>'
    )


def _x(kept: float) -> float:
    return LEFT + (RIGHT - LEFT) * kept / IMAGES


def _share(rate: float) -> float:
    return SHARES_BOTTOM - (SHARES_BOTTOM - SHARES_TOP) * rate


def _labels(labels: float) -> float:
    part = np.log(max(labels, LEAST) / LEAST) / np.log(MOST / LEAST)
    return float(LABELS_BOTTOM - (LABELS_BOTTOM - LABELS_TOP) * part)


if __name__ == "__main__":
    PICTURE.write_text(picture())
    sys.stdout.write(f"{PICTURE}\n")
