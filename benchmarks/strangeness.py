"""How often `curate strange` tells something of lakes in which nothing stands out, and how much of
what does.

Each run draws a lake of vectors of 64 dimensions of one of three kinds: like those of photos;
clusters of which some are wider than others; and a cloud that is skewed, whose tail is heavier.
Then seven of them are replaced by strange ones: three of no direction in common, and four round
another one. Told is what has a q up to 0.05.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.machine import describe_machine
from indexer.arrays import Vectors
from service.curate.strange.strange import strange
from service.lake import Lake

DIM, STRUCTURE = 64, 12  # dimensions, and those in which most of a vector lies
SINGLE, ALIKE = 3, 4
SIZES = (500, 2_000, 10_000)

Numbers = NDArray[np.floating[Any]]


def photos(rows: int, seed: int, random: np.random.Generator) -> Numbers:
    return PhotoLike(DIM, groups=100, seed=seed + 1_000).photos(rows, random)


def clusters(rows: int, _: int, random: np.random.Generator) -> Numbers:
    """Thirty, a few of which have most rows."""
    middles, widths = random.normal(size=(30, STRUCTURE)), random.uniform(0.2, 0.7, 30)
    homes = random.choice(30, rows, p=random.dirichlet(np.full(30, 0.5)))
    inner = middles[homes] + widths[homes][:, None] * random.normal(size=(rows, STRUCTURE))
    return _spread(inner, random)


def skewed(rows: int, _: int, random: np.random.Generator) -> Numbers:
    return _spread(random.exponential(size=(rows, STRUCTURE)), random)


KINDS: dict[str, Callable[[int, int, np.random.Generator], Numbers]] = {
    "like photos": photos,
    "clusters": clusters,
    "skewed": skewed,
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks strangeness", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="of each kind (default: 200)")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="of a lake")
    parser.add_argument("--seed", type=int, default=0, help="of the first run (default: 0)")
    arguments = parser.parse_args(argv)
    print(
        "| vectors | rows | told, nothing planted | single ones found | groups found | told besides |"
    )
    print("|---|---|---|---|---|---|")
    begin, told = time.perf_counter(), []
    for kind in KINDS:
        for rows in arguments.rows:
            runs = [_run(kind, rows, arguments.seed + run) for run in range(arguments.runs)]
            nothing, single, alike, besides = np.array(runs).T
            total = len(runs)
            print(
                f"| {kind} | {rows:,} | {np.count_nonzero(nothing)} of {total} | "
                f"{single.sum() / (SINGLE * total):.0%} | {alike.sum() / (ALIKE * total):.0%} | "
                f"{besides.mean():.2f} |",
                flush=True,
            )
            told.append({"kind": kind, "rows": rows, "runs": np.array(runs).sum(axis=0).tolist()})
    facts = {"hardware": describe_machine(), "seconds": round(time.perf_counter() - begin)}
    print(json.dumps(facts | {"told": told}))
    return 0


def _run(kind: str, rows: int, seed: int) -> tuple[int, int, int, int]:
    """What is told with nothing planted; then of the single ones, of those alike, and besides."""
    random = np.random.default_rng([seed, rows])
    vectors = _unit(KINDS[kind](rows, seed, random))
    nothing = _told(vectors)
    direction = _unit(random.normal(size=(1, DIM)))
    near = direction + 0.3 / np.sqrt(DIM) * random.normal(size=(ALIKE, DIM))
    planted = vectors.copy()
    planted[: SINGLE + ALIKE] = _unit(np.concatenate([random.normal(size=(SINGLE, DIM)), near]))
    told = _told(planted)
    single = sum(row_id <= SINGLE for row_id in told)
    alike = sum(SINGLE < row_id <= SINGLE + ALIKE for row_id in told)
    return len(nothing), single, alike, len(told) - single - alike


def _told(vectors: Vectors) -> set[int]:
    def embed(texts: Sequence[str]) -> Vectors:
        return np.tile(vectors[:1], (len(texts), 1))

    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "my.lake"
        write_synthetic_lake(
            lake, len(vectors), DIM, segment_rows=len(vectors), vectors=lambda count, _: vectors
        )
        with Lake.open(lake) as opened:
            found = strange(opened.snapshot, 10_000, where=None, labelled=None, embed=embed)
    return {each.row_id for each in found.images}


def _spread(inner: Numbers, random: np.random.Generator) -> Numbers:
    """In all dimensions, with a little of each besides."""
    axes = random.normal(size=(STRUCTURE, DIM)) * np.linspace(2, 0.3, STRUCTURE)[:, None]
    return np.asarray(inner @ axes + 0.3 * random.normal(size=(len(inner), DIM)))


def _unit(vectors: Numbers) -> Vectors:
    found = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(found, np.float32)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
