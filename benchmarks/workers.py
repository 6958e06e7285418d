"""`serve --workers 2` beside one process: what eight clients get by vector, and the memory.

The clients are threads of this process, on the same cores; each rate is taken in turn (A B A B).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from benchmarks.measure import Measurement
from benchmarks.processes import family, proportional_bytes
from benchmarks.service import CLIENTS, Client, rate, search_body, served
from indexer.embed.models import load_embedder

WORKERS = 2


def measure_workers(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """5,000 and 100,000 rows of 512 dimensions, with `builtin`."""
    model = load_embedder("builtin")
    for rows in (2_000,) if quick else (5_000, 100_000):
        lake = workspace / f"{rows}.lake"
        write_synthetic_lake(lake, rows, model.dim, segment_rows=max(rows // 4, 1), model=model)
        vector = random_unit_rows(1, model.dim, np.random.default_rng(1))[0]
        body = search_body(vector)
        with served(lake) as (port, pid), served(lake, workers=WORKERS) as (ports, parent):
            rates: tuple[list[float], list[float]] = ([], [])
            for _ in range(1 if quick else 5):
                for found, at in zip(rates, (port, ports), strict=True):
                    # a connection for each thread, and new ones for each rate
                    ask = partial(Client(at).post, "/v1/search", body, "application/json")
                    found.append(rate(ask, 0.5 if quick else 2.0))
            one, two = map(statistics.median, rates)
            yield Measurement(
                f"{rows:,} rows, by vector, {CLIENTS} clients: {WORKERS} workers",
                two,
                "queries/s",
                note=f"one process {one:.0f}; in turn {_shares(*rates)} times",
            )
            yield Measurement(
                f"{rows:,} rows: memory of {WORKERS} workers and their supervisor",
                sum(map(proportional_bytes, family(parent))) / 1e6,
                "MB",
                note=f"one process {proportional_bytes(pid) / 1e6:.0f} MB; shared pages in parts (PSS)",
            )


def _shares(one: list[float], two: list[float]) -> str:
    return ", ".join(f"{b / a:.2f}" for a, b in zip(one, two, strict=True))
