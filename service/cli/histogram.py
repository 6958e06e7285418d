"""What `search --histogram` prints: how strongly the images match, a line a bin, best first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from indexer.words import count
from service.cli.parts import print_json

if TYPE_CHECKING:
    from service.lake import Lake
    from service.search.query import Query
    from service.search.score_histogram import ScoreHistogram

BINS = 30  # lines that a screen holds
_BAR = 32  # characters of the longest bar


def print_histogram(lake: Lake, query: Query, *, as_json: bool) -> None:
    if as_json:
        found = lake.score_histogram(query)
        print_json({"snapshot": lake.snapshot.number} | found.to_json())
        return
    found = lake.score_histogram(query, BINS)
    print(_told(found))
    if found.rows:
        print(f"{found.unit + ' from':>10}  {'images':>10}  (bars are logarithmic)")
    most = max(found.counts, default=0)
    digits = max(0, -math.floor(math.log10(found.step)))
    for number in reversed(range(len(found.counts))):
        rows = found.counts[number]
        bar = "#" * math.ceil(_BAR * math.log1p(rows) / math.log1p(most))
        low = found.low + number * found.step
        print(f"{round(low, digits) + 0.0:>10.{digits}f}  {rows:>10,}  {bar}".rstrip())


def _told(found: ScoreHistogram) -> str:
    told = count(found.rows, "image")
    if found.best is not None:
        told += f"; the best has {found.unit} {found.best:.{1 if found.unit == 'z' else 3}f}"
    if found.chance is not None and found.best is not None and found.best <= found.chance:
        told += f", no more than the best of so many has by chance ({found.chance:.1f})"
    if found.above is not None:
        have = "has" if found.above == 1 else "have"
        told += f"; {found.above:,} {have} a z of at least {found.min_z:g}"
    return told
