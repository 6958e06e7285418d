"""Peak memory of a run: this process, or rather one of its own,
and the decoders; whatever the lake's size.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lakes import write_tiny_images
from benchmarks.measure import Measurement
from benchmarks.photos import make_giants, make_photos
from benchmarks.processes import watched_memory
from indexer.processes import python_code

BUDGET_GB = 1.5
GROWTH_BUDGET_GB = 0.15
TINY_MODEL = """
import sys
from pathlib import Path
from benchmarks.lakes import NearlyNothing
from indexer.disk.manifest import SourceEntry
from indexer.sync import sync
report = sync(Path(sys.argv[2]), lambda _: NearlyNothing(), add=[SourceEntry(sys.argv[1])])
assert not report.problems and not report.newly_skipped, report
print(report.new)
"""


def measure_memory(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    few, many = (200, 1_000) if quick else (5_000, 50_000)
    peaks = {}
    for count in (few, many):
        folder = workspace / f"tiny-{count}"
        write_tiny_images(folder, count)
        peaks[count] = _peak_gb(folder, workspace, count)
        yield Measurement(
            f"peak memory, {count:,} tiny images", peaks[count], "GB", at_most=BUDGET_GB
        )
    growth = peaks[many] - peaks[few]
    yield Measurement(f"growth from {few:,} to {many:,}", growth, "GB", at_most=GROWTH_BUDGET_GB)
    if not quick:
        photos = workspace / "photos"
        make_photos(photos, 400)
        yield Measurement(
            "peak memory, 400 photos of 500x375",
            _peak_gb(photos, workspace, 400),
            "GB",
            at_most=BUDGET_GB,
        )
        giants = workspace / "giants"
        make_giants(giants, 4)
        peak = _peak_gb(giants, workspace, 4)
        yield Measurement("peak memory, 4 images of 180 Mpx", peak, "GB", at_most=BUDGET_GB)


def _peak_gb(folder: Path, workspace: Path, count: int) -> float:
    """All processes of a run with a model of no weight;
    shared pages count once a process, so it is an upper bound.
    """
    lake = workspace / f"{folder.name}.lake"
    command = python_code(TINY_MODEL, str(folder), str(lake))
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with watched_memory(run.pid) as peak:
        out, _ = run.communicate()
    assert run.returncode == 0 and int(out) == count, out
    return peak.bytes / 1e9
