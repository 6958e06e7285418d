"""`lakesift serve` beside clip-retrieval's back end: the same vectors over HTTP, one client and
eight, in turn. Ours is asked for exact answers, and for a recall of 0.99 of a lake with groups.

clip-retrieval runs as it is published, in a Python of its own that LAKESIFT_PEER_PYTHON names
(`python -m venv peer; peer/bin/pip install "setuptools<81" clip-retrieval==2.45.0`), with the index
it builds (HNSW, 32 links, efSearch 843) and its metadata in memory. Both run ViT-B-32 with random
weights, which take the same time. Its mclip and aesthetic parts are off: they would be downloaded.
Every text is a new one. What each finds of the ten nearest is counted against all rows read.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.approximate import no_model
from benchmarks.codes import SEGMENT_ROWS
from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.measure import Measurement, in_turn
from benchmarks.peers import EF_CONSTRUCTION, EF_SEARCH, HNSW_LINKS, all_vectors
from benchmarks.service import CLIENTS, VIT, rate, served
from indexer.arrays import Vectors
from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from indexer.embed.models import load_embedder
from indexer.run.coding import add_codes
from indexer.run.grouping.making import add_groups
from indexer.run.grouping.probes import PROBES_OF_LARGE, Probes
from service.lake import Lake

PYTHON = "LAKESIFT_PEER_PYTHON"
K = 10
QUERIES = 200
TIMES_BY_VECTOR, TIMES_BY_TEXT = 4.0, 8.0  # of the issue, with eight clients
STARTS_WITHIN_S = 300
SERVE = """
import sys
from clip_retrieval.clip_back import clip_back
clip_back(indices_paths=sys.argv[1], port=int(sys.argv[2]), clip_model=sys.argv[3], use_jit=False,
          enable_mclip_option=False, provide_aesthetic_embeddings=False)
"""
SAVE = """
import sys, open_clip, torch
torch.save(open_clip.create_model("ViT-B-32").state_dict(), sys.argv[1])
"""


@dataclass(frozen=True, slots=True)
class Server:
    """How one of them is asked, and how its answer names rows."""

    name: str
    port: int
    path: str
    body: Callable[[dict[str, Any]], dict[str, Any]]
    places: Callable[[Any], list[int]]


class _Client(threading.local):
    """A connection a thread."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def ask(self, query: dict[str, Any]) -> list[int]:
        """The places of the ten nearest, the nearest first."""
        body = json.dumps(self._server.body(query))
        self._connection.request(
            "POST", self._server.path, body, {"Content-Type": "application/json"}
        )
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said[:500]
        places = self._server.places(json.loads(said))
        assert len(places) == K, places
        return places


def measure_back_end(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """5,000 or 200,000 vectors of 512 dimensions, as photos' lie."""
    python = os.environ.get(PYTHON)
    if not python:
        raise SystemExit(f"back_end: set {PYTHON} to a Python that has clip-retrieval installed")
    rows = 5_000 if quick else 200_000
    model = load_embedder(VIT)
    drawn = PhotoLike(model.dim)
    folder = workspace / "back_end.lake"
    write_synthetic_lake(
        folder, rows, model.dim, segment_rows=SEGMENT_ROWS, vectors=drawn.photos, model=model
    )
    layout = Layout(folder)
    add_codes(layout, read_manifest(layout)[0])
    texts = Probes(drawn.texts(PROBES_OF_LARGE, np.random.default_rng(4)), "drawn")
    add_groups(layout, read_manifest(layout)[0], no_model, texts=texts)
    with Lake.open(folder) as lake:
        vectors = all_vectors(lake)
    random = np.random.default_rng(5)
    asked = {"photo": drawn.photos(QUERIES, random), "text": drawn.texts(QUERIES, random)}
    with served(folder) as (port, _), _theirs(python, workspace, vectors) as their_port:
        servers = (
            # Rows of a synthetic lake are numbered from 1 in the order of its vectors.
            Server("lakesift, exact", port, "/v1/search", _our_body, _our_places),
            Server("lakesift, recall 0.99", port, "/v1/search", _our_near_body, _our_places),
            Server("clip-retrieval", their_port, "/knn-service", _their_body, _their_places),
        )
        for kind, queries in asked.items():
            sent = [{"vector": query.tolist()} for query in queries]
            found = [_found(server, sent, vectors, queries) for server in servers]
            yield from _beside(f"{rows:,} rows, by vector of a {kind}", servers, sent, found, quick)
        yield from _beside(
            f"{rows:,} rows, by words", servers, _words(), [""] * len(servers), quick
        )


def _beside(
    label: str,
    servers: Sequence[Server],
    queries: Sequence[dict[str, Any]] | Iterator[dict[str, Any]],
    notes: Sequence[str],
    quick: bool,
) -> Iterator[Measurement]:
    """One client in turn, then eight in turn."""
    lock, turn = threading.Lock(), itertools.cycle(queries)

    def ask(client: _Client) -> None:
        with lock:
            query = next(turn)
        client.ask(query)

    clients = [_Client(server) for server in servers]
    jobs = [partial(ask, client) for client in clients]
    for job in jobs:  # caches fill
        job()
    seconds = in_turn(jobs, 10 if quick else 100)
    for server, took_s, note in zip(servers, seconds, notes, strict=True):
        yield Measurement(f"{label}, 1 client: {server.name}", 1e3 * took_s, "ms", note=note)
    rates: list[list[float]] = [[] for _ in servers]
    for _ in range(1 if quick else 5):
        for mine, server in zip(rates, servers, strict=True):
            client = _Client(server)
            mine.append(rate(partial(ask, client), 1.0 if quick else 4.0))
    *of_ours, theirs = rates
    for server, ours in zip(servers, of_ours, strict=False):
        times = [a / b for a, b in zip(ours, theirs, strict=True)]
        yield Measurement(
            f"{label}, {CLIENTS} clients: {server.name}, times clip-retrieval",
            statistics.median(times),
            "times",
            at_least=TIMES_BY_TEXT if "words" in label else TIMES_BY_VECTOR,
            note=f"{statistics.median(ours):.0f} beside {statistics.median(theirs):.0f} queries/s; "
            "in turn " + ", ".join(f"{each:.1f}" for each in times),
        )


def _words() -> Iterator[dict[str, Any]]:
    for number in itertools.count():
        yield {"text": f"a photo of thing number {number}"}


def _found(
    server: Server, sent: Sequence[dict[str, Any]], vectors: Vectors, queries: Vectors
) -> str:
    """The share of the ten nearest that it finds, ties counting by their score."""
    client = _Client(server)
    scores = queries @ vectors.T
    tenth = np.partition(scores, -K, axis=1)[:, -K]
    near = [
        np.count_nonzero(scores[place, client.ask(query)] >= tenth[place] - 1e-5) / K
        for place, query in enumerate(sent)
    ]
    return f"{np.mean(near):.3f} of the ten nearest"


def _our_body(query: dict[str, Any]) -> dict[str, Any]:
    if "text" in query:
        return {"texts": [{"text": query["text"]}], "k": K}
    return {"vector": query["vector"], "k": K}


def _our_near_body(query: dict[str, Any]) -> dict[str, Any]:
    return {**_our_body(query), "recall": 0.99}


def _our_places(answer: Any) -> list[int]:
    return [hit["row_id"] - 1 for hit in answer["hits"]]


def _their_body(query: dict[str, Any]) -> dict[str, Any]:
    asked = {"modality": "image", "num_images": K, "num_result_ids": K, "indice_name": "lake"}
    if "text" in query:
        return {**asked, "text": query["text"]}
    return {**asked, "embedding_input": query["vector"]}


def _their_places(answer: Any) -> list[int]:
    return [hit["id"] for hit in answer]


@contextmanager
def _theirs(python: str, workspace: Path, vectors: Vectors) -> Iterator[int]:
    """Their back end in a process of its own: its port."""
    index, weights = workspace / "index", workspace / "weights.pt"
    (index / "metadata").mkdir(parents=True)
    hnsw = faiss.IndexHNSWFlat(vectors.shape[1], HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    hnsw.hnsw.efConstruction, hnsw.hnsw.efSearch = EF_CONSTRUCTION, EF_SEARCH
    hnsw.add(vectors)
    faiss.write_index(hnsw, str(index / "image.index"))
    names = [f"/photos/{place:07d}.jpg" for place in range(len(vectors))]
    known = pa.table({"image_path": names, "caption": [f"photo {name}" for name in names]})
    pq.write_table(known, index / "metadata" / "metadata_0.parquet")
    paths = workspace / "indices.json"
    paths.write_text(json.dumps({"lake": str(index)}))
    subprocess.run([python, "-c", SAVE, str(weights)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    model = f"open_clip:ViT-B-32/{weights}"
    log = workspace / "clip_back.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [python, "-c", SERVE, str(paths), str(port), model], stdout=out, stderr=out
        )
        try:
            _wait_until_it_answers(process, port, log)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise RuntimeError(f"clip-retrieval's back end did not start: {log.read_text()[-2_000:]}")
