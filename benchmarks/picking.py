"""How long picking takes, and what the picks are worth beside another tool's.

First a lake of `--rows` drawn vectors that lie as photos' do, from which `--picks` are picked by
coverage: seconds, memory, and the mean cosine of an image to its nearest pick, beside as many
picked at random. Then `--compared` of such vectors, all of which are compared: ours and
apricot-select's facility location (lazy greedy, on the same cosines), in turn; the value of both
is the sum over all vectors of the cosine to the nearest pick, counted here. apricot runs in a
Python of its own that LAKESIFT_PEER_PYTHON names (`pip install apricot-select scikit-learn`);
without it ours is measured alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.machine import describe_machine
from indexer.arrays import Vectors
from indexer.report import Silent
from service.curate.picking.aims import Coverage
from service.curate.picking.greedy import greedy
from service.curate.picking.limits import Limits
from service.curate.rows import nearest
from service.lake import Lake

DIM, SEGMENT_ROWS = 512, 100_000
PYTHON = "LAKESIFT_PEER_PYTHON"
# Facility location needs values of 0 and more; ours counts a cosine below 0 as 0, too.
PEER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from apricot import FacilityLocationSelection, __version__
vectors, count = np.load(sys.argv[1]), int(sys.argv[2])
started = time.perf_counter()
cosines = np.maximum(vectors @ vectors.T, 0)
chosen = FacilityLocationSelection(count, metric="precomputed", optimizer="lazy").fit(cosines.astype(np.float64))
took = time.perf_counter() - started
print(json.dumps({"picks": chosen.ranking.tolist(), "seconds": took, "version": __version__}))
"""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks picking", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="(default: 1,000,000)")
    parser.add_argument("--picks", type=int, default=2_000, help="(default: 2,000)")
    parser.add_argument("--compared", type=int, default=5_000, help="with apricot (default: 5,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of both in turn (default: 3)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        facts = {
            "hardware": describe_machine(),
            "lake": of_lake(Path(folder) / "my.lake", arguments.rows, arguments.picks),
            "beside": beside(
                Path(folder) / "vectors.npy",
                arguments.compared,
                max(1, min(arguments.picks, arguments.compared // 10)),
                arguments.rounds,
            ),
        }
    print(json.dumps(facts))
    return 0


def of_lake(folder: Path, rows: int, picks: int) -> dict[str, float | int | None]:
    """Seconds and memory of one pick from a lake of that many rows, and what the picks reach."""
    drawn = PhotoLike(DIM)
    write_synthetic_lake(folder, rows, DIM, segment_rows=SEGMENT_ROWS, vectors=drawn.photos)
    with Lake.open(folder) as lake:
        lake.snapshot.warm()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        found = lake.pick(picks)
        took = time.perf_counter() - started
    reach = found.reach
    assert reach is not None
    return {
        "rows": rows,
        "picks": len(found.row_ids),
        "seconds": round(took, 1),
        "peak_mb_more": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
        "mean": round(reach.mean, 4),
        "random_mean": round(reach.random_mean, 4),
        "random_needed": reach.random_needed,
    }


def beside(path: Path, rows: int, picks: int, rounds: int) -> dict[str, float | int | str]:
    """Ours and apricot's picks of the same vectors.

    :param path: where the vectors are handed over.
    """
    vectors = PhotoLike(DIM).photos(rows, np.random.default_rng(1))
    np.save(path, vectors)
    ours: list[float] = []
    theirs: list[float] = []
    told: dict[str, float | int | str] = {"rows": rows, "picks": picks}
    for _ in range(rounds):
        started = time.perf_counter()
        aim = Coverage(vectors, vectors, np.full(rows, -1, np.float32))
        picked = greedy(aim, rows, picks, Limits(rows, picks, (), ()), Silent())
        ours.append(time.perf_counter() - started)
        told["value"] = value(vectors, picked)
        if python := os.environ.get(PYTHON):
            answer = subprocess.run(
                [python, "-c", PEER, str(path), str(picks)],
                check=True,
                capture_output=True,
                text=True,
            )
            found = json.loads(answer.stdout)
            theirs.append(found["seconds"])
            told["apricot_value"] = value(vectors, found["picks"])
            told["apricot"] = found["version"]
    told["seconds"] = round(float(np.median(ours)), 2)
    if theirs:
        told["apricot_seconds"] = round(float(np.median(theirs)), 2)
    generator = np.random.default_rng(2)
    told["random_value"] = value(vectors, generator.choice(rows, picks, replace=False).tolist())
    return told


def value(vectors: Vectors, picked: list[int]) -> float:
    """The sum over all vectors of the cosine to the nearest pick."""
    return round(float(nearest(vectors, vectors[picked]).sum(dtype=np.float64)), 3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
