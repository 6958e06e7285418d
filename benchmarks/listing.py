"""How soon a bucket of ten million objects is being embedded, and what memory its listing takes.

The bucket is generated and answers at once, and the model costs nothing: all that is measured is
ours. The run is stopped once everything was listed and compared.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Measurement
from benchmarks.processes import watched_memory
from indexer.processes import python_code

FIRST_BUDGET_S = 10.0
BUDGET_GB = 1.5
GROWTH_BUDGET_GB = 0.3

RUN = """
import json, sys, time
from pathlib import Path
from benchmarks.generated_store import register
from benchmarks.lakes import NearlyNothing
from indexer.disk.layout import Layout
from indexer.disk.manifest import SourceEntry
from indexer.sync import sync

class Watch:
    def __init__(self):
        self.began = time.perf_counter()
        self.marks, self.images = {}, 0
        self.stage_name = ""

    def mark(self, name):
        self.marks.setdefault(name, time.perf_counter() - self.began)

    def stage(self, name, total, unit=None):
        self.stage_name = name
        if name == "comparing":
            self.mark("listed")

    def expect(self, total, more=False):
        if not more:
            self.mark("listed")

    def advance(self, done, skipped=0):
        if self.stage_name == "indexing":
            self.mark("first")
            self.images += done
            if Layout(lake).segments.exists() and any(Layout(lake).segments.iterdir()):
                self.mark("searchable")

    def should_stop(self):
        return "listed" in self.marks and "searchable" in self.marks

watch, lake = Watch(), Path(sys.argv[2])
source = register(int(sys.argv[1]))
report = sync(lake, lambda _: NearlyNothing(), add=[SourceEntry(source)], progress=watch,
              should_stop=watch.should_stop)
for name in ("first", "listed", "searchable"):
    watch.mark(name)  # of a few images that come in one batch
assert not report.problems and not report.newly_skipped, report
print(json.dumps({**watch.marks, "images": watch.images, "rows": report.rows}))
"""


def measure_listing(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    few, many = (2_000, 20_000) if quick else (1_000_000, 10_000_000)
    peaks = {}
    for objects in (few, many):
        found, peaks[objects] = _listed(objects, workspace)
        name = f"of {objects:,} objects"
        yield Measurement(
            f"first images embedded, {name}", found["first"], "s", at_most=FIRST_BUDGET_S
        )
        yield Measurement(f"the lake can be searched, {name}", found["searchable"], "s")
        yield Measurement(
            f"all listed and compared, {name}",
            found["listed"],
            "s",
            note=f"{found['images']:,.0f} images were indexed meanwhile",
        )
        yield Measurement(
            f"peak memory until then, {name}", peaks[objects], "GB", at_most=BUDGET_GB
        )
    yield Measurement(
        f"growth from {few:,} to {many:,}",
        peaks[many] - peaks[few],
        "GB",
        at_most=GROWTH_BUDGET_GB,
    )


def _listed(objects: int, workspace: Path) -> tuple[dict[str, float], float]:
    """When what happened, in seconds from the start; and the peak memory of all processes in GB."""
    command = python_code(RUN, str(objects), str(workspace / f"{objects}.lake"))
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with watched_memory(run.pid) as peak:
        out, _ = run.communicate()
    assert run.returncode == 0, out
    return json.loads(out), peak.bytes / 1e9
