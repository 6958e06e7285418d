"""What a search over HTTP takes beside the search: the way in and out, with one client.

Each answer's Server-Timing says how long its search took, rows and z included. The rest is the
client, the sockets, the door, the request's validation, JSON and threads; it does not depend on the
lake's size.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.approximate import DIM, K
from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.measure import Measurement
from benchmarks.service import search_body, served
from indexer.arrays import Vectors
from indexer.embed.models import load_embedder

BUDGET_MS = 1.5


def measure_around(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """200,000 rows; a vector as a list of numbers, and in base64; and a request of nothing."""
    drawn, rows, rounds = PhotoLike(DIM), 5_000 if quick else 200_000, 5 if quick else 200
    folder = workspace / f"{rows}.lake"
    write_synthetic_lake(
        folder,
        rows,
        DIM,
        segment_rows=rows,
        vectors=drawn.photos,
        # So that `serve` finds its model; nothing is embedded.
        model=load_embedder("builtin"),
    )
    queries = drawn.photos(50, np.random.default_rng(5))
    around: dict[str, list[float]] = {"list": [], "base64": [], "nothing": []}
    searched: list[float] = []
    with served(folder) as (port, _):
        client = http.client.HTTPConnection("127.0.0.1", port)
        for turn in range(rounds + 5):
            query = queries[turn % len(queries)]
            bodies = {"list": search_body(query), "base64": _in_base64(query)}
            took = {name: _search_ms(client, body) for name, body in bodies.items()}
            nothing = _asked_ms(client, "GET", "/healthz")[0]
            if turn >= 5:  # caches fill
                around["nothing"].append(nothing)
                for name, (whole, search) in took.items():
                    around[name].append(whole - search)
                    searched.append(search)
    note = f"the search itself {statistics.median(searched):.1f} ms"
    for name in ("list", "base64"):
        yield Measurement(
            f"{rows:,} rows, a vector as {name}: what is not search, over HTTP, one client",
            statistics.median(around[name]),
            "ms",
            at_most=None if quick else BUDGET_MS,
            note=note,
        )
    yield Measurement(
        "GET /healthz over HTTP, one client", statistics.median(around["nothing"]), "ms"
    )


def _in_base64(vector: Vectors) -> bytes:
    numbers = base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return json.dumps({"vector": numbers, "k": K}).encode()


def _search_ms(client: http.client.HTTPConnection, body: bytes) -> tuple[float, float]:
    """Until the answer was read, and what the server says its search took."""
    whole, timing = _asked_ms(client, "POST", "/v1/search", body)
    found = re.search(r"search;dur=([\d.]+)", timing)
    assert found is not None, timing
    return whole, float(found[1])


def _asked_ms(
    client: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
) -> tuple[float, str]:
    start = time.perf_counter()
    client.request(method, path, body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    content = answer.read()
    seconds = time.perf_counter() - start
    assert answer.status == 200, content
    return 1e3 * seconds, answer.headers.get("Server-Timing", "")
