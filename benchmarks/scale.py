"""What a lake of so many images needs: disk, memory, hours of embedding, and how long parts take on
machines that differ, straggle and die.

    python -m benchmarks scale --rate 65 --machines 16 --core-price 0.05

Sizes are laws by the row, whose constants are measured on a lake that this makes; hours are images
by the rate that is given, which `lakesift index --plan` measures on your machine. How long parts
take is simulated, event by event. Nothing else here is measured: where that was done, RESULTS says.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from indexer.disk.layout import Layout

IMAGES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
DIM = 512
SAMPLE_ROWS = 50_000
# Of RESULTS: 100,000 files in 0.83 s.
LISTED_A_SECOND = 120_000
PARTS_A_MACHINE = (1, 4, 16)
RUNS = 200


# -- what a row takes


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes a row."""

    vectors: float
    rows: float  # columns and what a segment says of itself
    codes: float
    groups: float

    @property
    def disk(self) -> float:
        return self.vectors + self.rows + self.codes + self.groups


def sizes_of(dim: int, sample: Path, rows: int = SAMPLE_ROWS) -> Sizes:
    """Those of vectors and codes follow from the format (docs/lake-format.md); those of rows are
    measured.

    :param sample: a folder that is not there, for a lake of so many rows.
    """
    write_synthetic_lake(sample, rows, dim, segment_rows=rows, vectors=PhotoLike(dim).photos)
    written = sum(path.stat().st_size for path in Layout(sample).segments.rglob("*.parquet"))
    return Sizes(2.0 * dim, written / rows, dim + 8.0, dim + 16.0)


# -- how long parts take


@dataclass(frozen=True, slots=True)
class Machines:
    """Some machines, none quite like the others."""

    count: int
    rate: float  # images a second of a usual one
    spread: float = 0.15  # standard deviation of the logarithm of their rates
    straggling: float = 0.03  # share of machines at a third of their rate
    deaths_per_hour: float = 0.02  # of each
    restart_s: float = 180.0  # until a part runs again, on any machine
    lost_s: float = 60.0  # of work at a death: what a part sends, or commits, so often

    def rates(self, random: np.random.Generator) -> list[float]:
        rates = self.rate * np.exp(self.spread * random.standard_normal(self.count))
        rates[random.random(self.count) < self.straggling] /= 3
        return [float(rate) for rate in rates]


@dataclass(order=True, slots=True)
class _Event:
    at_s: float
    machine: int
    images: float = field(compare=False)  # that are left of its part
    dies: bool = field(compare=False, default=False)


def time_of_parts(
    images: int,
    parts: int,
    machines: Machines,
    random: np.random.Generator,
    *,
    listed_a_second: float = LISTED_A_SECOND,
) -> float:
    """Seconds until the last part is done. Machines take the next part when they are free; a part
    lists all images, then embeds its own. One whose machine dies goes on from what it had sent,
    after `restart_s`.
    """
    rates = machines.rates(random)
    listing = images / listed_a_second
    waiting = [images / parts] * parts
    events: list[_Event] = []

    def start(machine: int, at_s: float, left: float) -> None:
        needed = listing + left / rates[machine]
        alive = math.inf
        if machines.deaths_per_hour:
            alive = float(random.exponential(3600 / machines.deaths_per_hour))
        if alive >= needed:
            heapq.heappush(events, _Event(at_s + needed, machine, 0.0))
            return
        done = max(0.0, alive - listing - machines.lost_s) * rates[machine]
        heapq.heappush(events, _Event(at_s + alive, machine, left - done, dies=True))

    for machine in range(min(machines.count, parts)):
        start(machine, 0.0, waiting.pop())
    now = 0.0
    while events:
        event = heapq.heappop(events)
        now = event.at_s
        if event.dies:
            start(event.machine, now + machines.restart_s, event.images)
        elif waiting:
            start(event.machine, now, waiting.pop())
    return now


# -- the tables


def sizing(sizes: Sizes, images: Sequence[int], rate: float, core_price: float) -> Iterator[str]:
    """
    :param rate: images a second of one core.
    :param core_price: of a core for an hour, in any currency.
    """
    yield "| images | disk | memory for searches of groups | files listed | core-hours of embedding | at that price |"
    yield "|---|---|---|---|---|---|"
    for count in images:
        hours = count / rate / 3600
        yield (
            f"| {count:,} | {_bytes(count * sizes.disk)} | {_bytes(count * sizes.groups)} | "
            f"{count / LISTED_A_SECOND / 60:,.1f} min | {hours:,.0f} | {hours * core_price:,.0f} |"
        )


def simulated(images: int, machines: Machines, *, runs: int, seed: int = 0) -> Iterator[str]:
    ideal = images / machines.count / machines.rate
    without = f"{ideal / 3600:,.1f} h without any trouble"
    yield f"| parts a machine | hours, median | 95 of 100 runs within | beside {without} |"
    yield "|---|---|---|---|"
    for each in PARTS_A_MACHINE:
        random = np.random.default_rng(seed)
        times = [
            time_of_parts(images, each * machines.count, machines, random) for _ in range(runs)
        ]
        middle, late = np.quantile(times, [0.5, 0.95])
        yield f"| {each} | {middle / 3600:,.1f} | {late / 3600:,.1f} | {middle / ideal:.2f} times |"


def _bytes(number: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number:,.0f} bytes"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, action="append", metavar="N")
    parser.add_argument("--dim", type=int, default=DIM, help="of the model (default: %(default)s)")
    parser.add_argument(
        "--rate", type=float, default=32.0, help="images/s of a core (default: %(default)s)"
    )
    parser.add_argument("--core-price", type=float, default=0.05, help="of a core for an hour")
    parser.add_argument("--machines", type=int, default=16)
    parser.add_argument("--cores", type=int, default=8, help="of a machine (default: %(default)s)")
    parser.add_argument("--deaths-per-hour", type=float, default=Machines(1, 1.0).deaths_per_hour)
    parser.add_argument("--runs", type=int, default=RUNS)
    given = parser.parse_args(arguments)
    if min(given.rate, given.machines, given.cores, given.dim, given.runs) <= 0:
        parser.error("rates and counts are above 0")
    images = given.images or list(IMAGES)
    with tempfile.TemporaryDirectory(prefix="lakesift-scale-") as folder:
        sizes = sizes_of(given.dim, Path(folder) / "sample.lake")
    print(
        f"{given.dim} dimensions, bytes a row: {sizes.vectors:.0f} vectors, {sizes.rows:.0f} columns, "
        f"{sizes.codes:.0f} codes, {sizes.groups:.0f} groups\n"
    )
    print("\n".join(sizing(sizes, images, given.rate, given.core_price)))
    machines = Machines(
        given.machines, given.rate * given.cores, deaths_per_hour=given.deaths_per_hour
    )
    for count in images:
        print(
            f"\n{count:,} images on {given.machines} machines of {given.cores} cores, simulated:\n"
        )
        print("\n".join(simulated(count, machines, runs=given.runs)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
