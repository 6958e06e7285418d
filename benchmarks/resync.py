"""How long a lake of 100,000 files takes to find out that nothing changed,
and that it opens no image for that.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Never

from benchmarks.lakes import write_lake_of, write_tiny_images
from benchmarks.measure import Measurement
from indexer.disk.manifest import Manifest
from indexer.sources import Listing
from indexer.sources.opening import open_source
from indexer.sync import sync

BUDGET_S = 5.0


class _Opens:
    """Counts the images below a folder that this process opens, not what says which kind of set
    the folder is; an audit hook cannot be taken out, only switched off.
    """

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self.counting = True
        self._folder = f"{folder}/"
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and self.counting and isinstance(arguments[0], str | bytes):
            path = arguments[0]
            text = path.decode(errors="replace") if isinstance(path, bytes) else path
            self.count += text.startswith(self._folder) and text.endswith(".png")


def measure_resync(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    files, rounds = (2_000, 1) if quick else (100_000, 3)
    folder, lake = workspace / "images", workspace / "images.lake"
    write_tiny_images(folder, files)
    start = time.perf_counter()
    listed = sum(1 for _ in open_source(str(folder), None).files(Listing()))
    yield Measurement(f"listing {files:,} files", time.perf_counter() - start, "s")
    assert write_lake_of(folder, lake) == files == listed
    opens, seconds = _Opens(folder), []
    for _ in range(rounds):
        start = time.perf_counter()
        report = sync(lake, _must_not_load)
        seconds.append(time.perf_counter() - start)
        assert report.unchanged == files and not report.problems, report
    opens.counting = False
    yield Measurement(
        f"sync of {files:,} unchanged files", statistics.median(seconds), "s", at_most=BUDGET_S
    )
    yield Measurement("images opened by it", opens.count, "", at_most=0)


def _must_not_load(manifest: Manifest | None) -> Never:
    raise AssertionError("an unchanged lake asked for its model")
