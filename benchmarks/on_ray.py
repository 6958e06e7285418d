"""`lakesift index --runner ray` on this machine's own cluster beside `lakesift index` alone.

The same photos into new lakes, one run after the other. Ray starts its cluster and its workers,
each with a model of its own, in every run; so the share of the start falls as the photos become
more.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import Measurement
from benchmarks.photos import make_photos
from indexer.processes import python_command

WORKERS = 4
AT_MOST = 1.15  # times the run alone
ROUNDS = 3


def measure_on_ray(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """The whole command, by the clock; rounds in turn, the quotient of each."""
    if find_spec("ray") is None:
        raise SystemExit("on_ray: pip install 'lakesift[ray]' first")
    count, rounds = (60, 1) if quick else (3_000, ROUNDS)
    photos = workspace / "photos"
    make_photos(photos, count)
    alone: list[float] = []
    on_ray: list[float] = []
    for _ in range(rounds):
        alone.append(_seconds(workspace, photos, count, []))
        flags = ["--runner", "ray", "--ray-workers", f"{WORKERS}"]
        on_ray.append(_seconds(workspace, photos, count, flags))
    times = [ray / own for ray, own in zip(on_ray, alone, strict=True)]
    yield Measurement(
        f"{count:,} photos by {WORKERS} workers of Ray, its start included, beside alone",
        statistics.median(times),
        "times",
        at_most=None if quick else AT_MOST,
        note=f"{statistics.median(on_ray):.1f} s and {statistics.median(alone):.1f} s; in turn "
        + ", ".join(f"{each:.2f}" for each in times),
    )


def _seconds(workspace: Path, photos: Path, count: int, flags: Sequence[str]) -> float:
    lake = workspace / "my.lake"
    shutil.rmtree(lake, ignore_errors=True)
    command = python_command("service.cli", "index", str(photos), "--into", str(lake), *flags)
    start = time.perf_counter()
    run = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, check=False
    )
    took_s = time.perf_counter() - start
    assert run.returncode == 0, run.stderr[-2_000:]
    assert f"{count:,} images" in run.stdout + run.stderr, run.stdout + run.stderr
    return took_s
