"""How often `curate compare` says that sets differ that do not, and misses a difference that is
there.

Each run compares two new sets of 1,000 drawn vectors of 64 dimensions. Either both are draws of the
same, or of the second so many are near copies of one vector, which one phrase names; the other
phrases are drawn as texts. Counted are runs in which something is said to differ: the sets at all
(p up to 0.05), clusters and phrases (q up to 0.05).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.machine import describe_machine
from indexer.arrays import Vectors
from service.curate.comparing.compare import Comparison, compare
from service.lake import Lake
from service.search.vocabulary import VOCABULARY

ROWS, DIM = 1_000, 64
NAMED = "the planted one"
NEAR = 0.3  # length of what a copy is off by
PLANTED = (0.0, 0.01, 0.02, 0.05)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks comparing", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="of each share (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the first run (default: 0)")
    arguments = parser.parse_args(argv)
    print("| planted in B | differ at all | a cluster | a phrase | the planted phrase |")
    print("|---|---|---|---|---|")
    start = time.perf_counter()
    for share in PLANTED:
        counts = np.zeros(4, int)
        for run in range(arguments.runs):
            found = _compared(share, arguments.seed + run)
            named = any(each.words == NAMED for each in found.phrases)
            said = (found.apart.p <= 0.05, bool(found.clusters), bool(found.phrases), named)
            counts += np.array(said, int)
        told = " | ".join(f"{count} of {arguments.runs}" for count in counts)
        print(f"| {share:.0%} | {told} |", flush=True)
    took_s = time.perf_counter() - start
    print(json.dumps({"hardware": describe_machine(), "seconds": round(took_s)}))
    return 0


def _compared(share: float, seed: int) -> Comparison:
    random = np.random.default_rng([seed, 1])
    drawn = PhotoLike(DIM, groups=100, seed=seed + 1_000)
    planted = drawn.photos(1, random)[0]
    sets = [drawn.photos(ROWS, random), drawn.photos(ROWS, random)]
    copies = round(share * ROWS)
    off = random.standard_normal((copies, DIM)).astype(np.float32) * NEAR / np.sqrt(DIM)
    sets[1][:copies] = _unit(planted + off)
    others = drawn.texts(len(VOCABULARY), random)
    phrases = dict(zip(VOCABULARY, others, strict=True)) | {NAMED: planted}

    def embed(texts: Sequence[str]) -> Vectors:
        return np.stack([phrases[text] for text in texts])

    rest = iter(np.split(np.concatenate(sets), [ROWS]))
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "my.lake"
        write_synthetic_lake(
            lake, 2 * ROWS, DIM, segment_rows=ROWS, vectors=lambda count, _: next(rest)[:count]
        )
        with Lake.open(lake) as opened:
            return compare(
                opened.snapshot, f"row_id <= {ROWS}", None, embed=embed, phrases=[NAMED], seed=seed
            )


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
