"""The command: which benchmarks, how large, and the report."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.approximate import measure_approximate
from benchmarks.around import measure_around
from benchmarks.back_end import measure_back_end
from benchmarks.codes import measure_codes
from benchmarks.command import measure_command
from benchmarks.containers import measure_containers
from benchmarks.filter_at_scale import measure_filter_at_scale
from benchmarks.indexing import measure_indexing
from benchmarks.listing import measure_listing
from benchmarks.machine import describe_machine
from benchmarks.measure import Measurement, table
from benchmarks.memory import measure_memory
from benchmarks.moments import measure_moments
from benchmarks.on_ray import measure_on_ray
from benchmarks.page import measure_page
from benchmarks.peers import measure_peers
from benchmarks.resync import measure_resync
from benchmarks.scoring import measure_scoring
from benchmarks.search import measure_search
from benchmarks.service import measure_service
from benchmarks.shards import measure_shards
from benchmarks.soak import measure_soak
from benchmarks.ten_million import measure_ten_million
from benchmarks.thumbnails import measure_thumbnails
from benchmarks.where import measure_where
from benchmarks.workers import measure_workers

NAMES = (
    "indexing",
    "resync",
    "listing",
    "shards",
    "moments",
    "search",
    "codes",
    "approximate",
    "peers",
    "where",
    "scoring",
    "filter_at_scale",
    "memory",
    "command",
    "service",
    "around",
    "workers",
    "thumbnails",
    "soak",
    "containers",
)
# Not run unless named.
LONG = ("ten_million", "page", "back_end", "on_ray")
# They take arguments of their own.
APART = (
    "quality",
    "teaching",
    "budget",
    "groups",
    "scenes",
    "skips",
    "strangeness",
    "picking",
    "comparing",
    "follow",
    "prices",
    "coverage",
    "rules",
    "filtering",
    "hints",
    "stillness",
    "curator",
    "scale",
)


def main() -> int:
    if sys.argv[1:2] and sys.argv[1] in APART:
        measure: Callable[[list[str]], int] = import_module(f"benchmarks.{sys.argv[1]}").main
        return measure(sys.argv[2:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="Measured apart, each with --help: how well models find (python -m benchmarks quality), how fast "
        "filters learn (teaching), whether promises are kept (coverage), and what other rules keep (rules), what a "
        "number of labels buys (budget), whether a promise that follows a lake is kept and what it saves (follow), "
        "what picks of images to label are worth beside apricot's (picking), how often a comparison of two sets is "
        "wrong (comparing), how often strange images are told where there are none (strangeness), "
        "a filter on labelled photos (filtering), how often search says wrongly that nothing stands out (hints), "
        "what still scenes look like (stillness), a curator's job on the page, in clicks and seconds (curator), "
        "and what a very large lake would take (scale)",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(NAMES)} (default: all), {', '.join(LONG)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one round: does it run at all?"
    )
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="index these photos as well")
    parser.add_argument(
        "--rows",
        type=int,
        action="append",
        metavar="N",
        help="of the lakes of filter_at_scale; may be given several times (default: 1000000 and 4000000)",
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {*NAMES, *LONG}:
        parser.error(
            f"there is no benchmark {' or '.join(sorted(unknown))}; choose from {', '.join((*NAMES, *LONG))}"
        )
    measurements: list[Measurement] = []
    # Subprocesses that the benchmarks start must find these packages, from whatever folder they are
    # run.
    os.chdir(Path(__file__).resolve().parents[1])
    with tempfile.TemporaryDirectory(prefix="lakesift-bench-") as folder:
        for name in arguments.names or NAMES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            for measurement in _run(name, Path(folder) / name, arguments):
                measurements.append(measurement)
                print(f"  {table([measurement]).splitlines()[-1]}", file=sys.stderr, flush=True)
    print(table(measurements))
    document = {"hardware": describe_machine(), "quick": arguments.quick}
    print(json.dumps({**document, "measurements": [m.to_json() for m in measurements]}))
    return 0


def _run(name: str, workspace: Path, arguments: argparse.Namespace) -> Iterator[Measurement]:
    workspace.mkdir()
    quick: bool = arguments.quick
    if name == "indexing":
        return measure_indexing(workspace, arguments.photos, quick=quick)
    if name == "filter_at_scale":
        return measure_filter_at_scale(workspace, quick=quick, rows=arguments.rows)
    measures = {
        "resync": measure_resync,
        "listing": measure_listing,
        "shards": measure_shards,
        "containers": measure_containers,
        "moments": measure_moments,
        "search": measure_search,
        "codes": measure_codes,
        "approximate": measure_approximate,
        "peers": measure_peers,
        "where": measure_where,
        "scoring": measure_scoring,
        "memory": measure_memory,
        "command": measure_command,
        "service": measure_service,
        "around": measure_around,
        "workers": measure_workers,
        "soak": measure_soak,
        "thumbnails": measure_thumbnails,
        "ten_million": measure_ten_million,
        "page": measure_page,
        "back_end": measure_back_end,
        "on_ray": measure_on_ray,
    }
    return measures[name](workspace, quick=quick)


if __name__ == "__main__":
    sys.exit(main())
