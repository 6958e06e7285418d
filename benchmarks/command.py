"""How long a person waits for the command:
help, and a search of a small lake, from a new process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import Measurement, in_turn
from benchmarks.photos import make_photos
from indexer.processes import python_command

HELP_BUDGET_S = 0.5
SEARCH_BUDGET_S = 1.5  # "about a second"


def measure_command(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    photos, lake = workspace / "photos", workspace / "small.lake"
    make_photos(photos, 8 if quick else 64)
    _lakesift("index", str(photos), "--into", str(lake))
    jobs: dict[str, Callable[[], object]] = {
        "lakesift --help": partial(_lakesift, "--help"),
        "lakesift search LAKE TEXT": partial(_lakesift, "search", str(lake), "a cat"),
        "lakesift search LAKE TEXT --where ...": partial(
            _lakesift, "search", str(lake), "a cat", "--where", "width_px >= 500"
        ),
        "python -c pass": partial(subprocess.run, [sys.executable, "-I", "-c", "pass"], check=True),
    }
    seconds = dict(zip(jobs, in_turn(list(jobs.values()), 1 if quick else 7), strict=True))
    yield Measurement("lakesift --help", seconds["lakesift --help"], "s", at_most=HELP_BUDGET_S)
    for name in list(jobs)[1:3]:
        yield Measurement(name, seconds[name], "s", at_most=SEARCH_BUDGET_S)
    yield Measurement("python -c pass", seconds["python -c pass"], "s", note="of all of these")


def _lakesift(*arguments: str) -> None:
    subprocess.run(python_command("service.cli", *arguments), capture_output=True, check=True)
