"""Searching over HTTP beside the same search in process and
beside bare FAISS; one client and eight.

The server is `lakesift serve` in a process of its own; the clients are threads of this one, on the
same cores, each one connection that it keeps. Every text and every upload is a new one, so that no
vector kept answers for the model.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from benchmarks.measure import Measurement, in_turn
from benchmarks.photos import make_photos
from benchmarks.processes import cpu_s, resident_bytes
from indexer.disk.layout import Layout
from indexer.disk.stored_vectors import FlatIndex
from indexer.embed.models import load_embedder
from indexer.processes import python_command
from indexer.run.writing.compact import compact
from service.api.serving.shared_embedder import SharedEmbedder
from service.lake import Lake

VIT = "open_clip:ViT-B-32/random"  # random weights take the same time; 512 dimensions
K = 10
CLIENTS = 8
HTTP_BUDGET_MS = 3.0
# What clip-retrieval's back end did on two such cores with 200,000 x 512 (issue 3): ms, then
# queries/s with 8 clients.
PEER = {"vector": (18.0, 86.0), "text": (97.0, 15.0)}
LATENCY_SHARE, TIMES_THROUGHPUT = 1 / 3, 4.0
BOUNDARY = "lakesift-benchmark"
Search: TypeAlias = Callable[[], object]


def measure_service(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """200,000 and a million rows of 512 dimensions, in the segments that a run leaves."""
    model = load_embedder(VIT)
    photos = [path.read_bytes() for path in make_photos(workspace / "photos", 8 if quick else 64)]
    for rows in (5_000,) if quick else (200_000, 1_000_000):
        folder = workspace / f"{rows}.lake"
        made = write_synthetic_lake(
            folder, rows, model.dim, segment_rows=max(rows // 20, 1), model=model
        )
        compact(Layout(folder), made, max_segments=12)
        with Lake.open(folder, SharedEmbedder(model)) as lake, served(folder) as (port, pid):
            bench = _Bench(lake, port, photos)
            yield from bench.latencies(rounds=3 if quick else 40)
            yield from bench.throughputs(seconds=0.5 if quick else 8.0)
            yield Measurement(
                f"{rows:,} rows: memory of the server afterwards", resident_bytes(pid) / 1e6, "MB"
            )


@contextmanager
def served(lake: Path, *, workers: int = 1) -> Iterator[tuple[int, int]]:
    """`lakesift serve` in a process of its own: its port and its pid."""
    command = python_command(
        "service.cli", "serve", str(lake), "--port", "0", "--workers", str(workers)
    )
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if found := re.match(r"serving at http://127\.0\.0\.1:(\d+)", line):
                _wait_until_idle(process.pid)
                yield int(found[1]), process.pid
                return
        raise RuntimeError("".join(said))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def _wait_until_idle(pid: int) -> None:
    """Past the model's loading and the reading of every byte that a large lake is checked by."""
    for _ in range(600):
        before = cpu_s(pid)
        time.sleep(0.5)
        if cpu_s(pid) - before < 0.05:
            return
    raise RuntimeError("the server never came to rest")


class Client(threading.local):
    """A connection a thread."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port)

    def post(self, path: str, body: bytes, kind: str) -> None:
        self.connection.request("POST", path, body, {"Content-Type": kind})
        answer = self.connection.getresponse()
        found = json.loads(answer.read())
        assert answer.status == 200, found
        assert len(found["hits"]) == K


class _Bench:
    """One lake, asked in three ways (vector, text, upload)
    at three places (bare FAISS, in process, over HTTP).
    """

    def __init__(self, lake: Lake, port: int, photos: Sequence[bytes]) -> None:
        self._lake = lake
        self._client = Client(port)
        self._photos = photos
        self._counter = itertools.count()
        self._vector = random_unit_rows(1, lake.manifest.dim, np.random.default_rng(1))[0]
        self._label = f"{lake.rows:,} rows"
        self._bare = _Bare([part.vectors.index for part in lake.snapshot.parts], self._vector)
        self._vector_body = search_body(self._vector)

    def latencies(self, rounds: int) -> Iterator[Measurement]:
        """One client."""
        for way, here, over in self._ways():
            for job in (here, over):  # models load, caches fill
                job()
                job()
            bare_s, here_s, http_s = in_turn([self._bare.search, here, over], rounds)
            note = f"in process {1e3 * here_s:.1f} ms, bare FAISS {1e3 * bare_s:.1f} ms"
            label = f"{self._label}, by {way}, 1 client"
            peer_ms = PEER[way][0] if way in PEER and self._lake.rows == 200_000 else None
            yield Measurement(
                f"{label}: over HTTP",
                1e3 * http_s,
                "ms",
                at_most=peer_ms and peer_ms * LATENCY_SHARE,
                note=note,
            )
            yield Measurement(
                f"{label}: HTTP's share", 1e3 * (http_s - here_s), "ms", at_most=HTTP_BUDGET_MS
            )

    def throughputs(self, seconds: float) -> Iterator[Measurement]:
        """Eight clients at once."""
        bare = rate(self._bare.search, seconds)
        for way, here, over in self._ways():
            over_rate, here_rate = rate(over, seconds), rate(here, seconds)
            peer = PEER[way][1] if way in PEER and self._lake.rows == 200_000 else None
            yield Measurement(
                f"{self._label}, by {way}, {CLIENTS} clients: over HTTP",
                over_rate,
                "queries/s",
                at_least=peer and peer * TIMES_THROUGHPUT,
                note=f"in process {here_rate:.0f}, bare FAISS {bare:.0f}",
            )

    def _ways(self) -> list[tuple[str, Search, Search]]:
        search = partial(self._lake.search, k=K)
        return [
            ("vector", partial(search, vector=self._vector), self._over_vector),
            ("text", lambda: search(self._text()), self._over_text),
            ("upload", lambda: search(image=self._photo()), self._over_upload),
        ]

    def _text(self) -> str:
        return f"a photo of thing number {next(self._counter)}"

    def _photo(self) -> bytes:
        """A JPEG like no other before it: its last pixels differ."""
        number = next(self._counter)
        return changed(self._photos[number % len(self._photos)], number)

    def _over_vector(self) -> None:
        self._client.post("/v1/search", self._vector_body, "application/json")

    def _over_text(self) -> None:
        body = json.dumps({"texts": [{"text": self._text()}], "k": K}).encode()
        self._client.post("/v1/search", body, "application/json")

    def _over_upload(self) -> None:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="k"\r\n\r\n{K}\r\n'
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        )
        body = head.encode() + self._photo() + f"\r\n--{BOUNDARY}--\r\n".encode()
        self._client.post("/v1/search/upload", body, f"multipart/form-data; boundary={BOUNDARY}")


def search_body(vector: NDArray[np.float32], **more: object) -> bytes:
    """A search by this vector, in JSON."""
    return json.dumps({"vector": vector.tolist(), "k": K, **more}).encode()


class _Bare:
    """FAISS alone on the lake's own files:
    every segment searched, a thread a core, the best of all kept.
    """

    def __init__(self, indexes: Sequence[FlatIndex], vector: NDArray[np.float32]) -> None:
        self._indexes = indexes
        self._query = vector[None]
        self._pool = ThreadPoolExecutor(os.cpu_count())
        faiss.omp_set_num_threads(1)

    def search(self) -> object:
        found = list(self._pool.map(lambda index: index.search(self._query, K), self._indexes))
        scores = np.concatenate([scores[0] for scores, _ in found])
        return np.argsort(-scores)[:K]


def changed(jpeg: bytes, number: int) -> bytes:
    """The JPEG with another quantisation of its highest frequency:
    as good a photo, with other pixels.
    """
    at = jpeg.index(b"\xff\xdb") + 5
    table = bytearray(jpeg[at : at + 64])
    table[2 + number % 60] = 1 + (table[2 + number % 60] + number // 60) % 40
    return jpeg[:at] + bytes(table) + jpeg[at + 64 :]


def rate(job: Search, seconds: float) -> float:
    """Jobs a second that eight threads get done."""
    end = time.perf_counter() + seconds

    def work(_: int) -> int:
        done = 0
        while time.perf_counter() < end:
            job()
            done += 1
        return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        start = time.perf_counter()
        done = sum(pool.map(work, range(CLIENTS)))
        return done / (time.perf_counter() - start)
