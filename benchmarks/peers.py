"""The same queries on the same vectors, answered by lakesift and by what others search with: in one
process, in turn, with what each finds of the ten nearest.

clip-retrieval builds an HNSW index of 32 links and asks it with efSearch 843: that is the FAISS
index here, without its server. IVF with product quantisation is FAISS's, its best 500 scored again
exactly, and Lance's, by its own defaults but for what it says about recall. The floor is reading
every vector in half precision once, a thread a core.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa

from benchmarks.approximate import K, found_of, no_model
from benchmarks.codes import SEGMENT_ROWS, bare, turning
from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.measure import Measurement, in_turn
from indexer.arrays import Vectors
from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from indexer.run.coding import add_codes
from indexer.run.grouping.making import add_groups
from indexer.run.grouping.probes import Probes
from service.lake import Lake

DIM = 512
QUERIES = 200
RECALL = 0.99
HNSW_LINKS, EF_CONSTRUCTION, EF_SEARCH = 32, 40, 843
IVF_LISTS, IVF_PROBES, RESCORED = 1024, 128, 500


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    find: Callable[[Vectors], set[int]]  # the places of the ten nearest


def measure_peers(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    drawn = PhotoLike(DIM)
    rows = 60_000 if quick else 200_000
    folder = workspace / "peers.lake"
    write_synthetic_lake(
        folder, rows, DIM, segment_rows=SEGMENT_ROWS, vectors=drawn.photos, small_segments=11
    )
    layout = Layout(folder)
    add_codes(layout, read_manifest(layout)[0])
    texts = Probes(drawn.texts(1_000, np.random.default_rng(4)), "drawn")
    add_groups(layout, read_manifest(layout)[0], no_model, texts=texts)
    with Lake.open(folder) as lake:
        lake.snapshot.warm()
        vectors = all_vectors(lake)
        random = np.random.default_rng(5)
        asked = {"photo": drawn.photos(QUERIES, random), "text": drawn.texts(QUERIES, random)}
        peers = [
            Peer("lakesift, exact", lambda query: _places(lake, query, None)),
            Peer(f"lakesift, recall {RECALL:g} asked", lambda query: _places(lake, query, RECALL)),
            *_faiss(vectors),
            *_lance(workspace, vectors),
        ]
        for kind, queries in asked.items():
            truth = [peers[0].find(query) for query in queries]
            jobs = [turning(queries, peer.find) for peer in peers]
            jobs += [turning(queries, partial(bare, lake, K)), lambda: _read_all(folder)]
            seconds = in_turn(jobs, 10 if quick else 100)
            for peer, took_s in zip(peers, seconds, strict=False):
                shares = [
                    len(peer.find(q) & true) / K for q, true in zip(queries, truth, strict=True)
                ]
                yield Measurement(
                    f"{rows:,} rows, by {kind}: {peer.name}",
                    1e3 * took_s,
                    "ms",
                    note=f"{np.mean(shares):.3f} of the ten nearest",
                )
            yield Measurement(
                f"{rows:,} rows, by {kind}: FAISS flat, fp16", 1e3 * seconds[-2], "ms"
            )
            yield Measurement(f"{rows:,} rows: every byte read", 1e3 * seconds[-1], "ms")


def _places(lake: Lake, query: Vectors, recall: float | None) -> set[int]:
    """Rows of a synthetic lake are numbered from 1 in the order of its vectors."""
    return {row_id - 1 for row_id in found_of(lake, query, recall)}


def all_vectors(lake: Lake) -> Vectors:
    parts = lake.snapshot.parts
    return np.concatenate([part.vectors.take(np.arange(part.rows)) for part in parts]).astype(
        np.float32
    )


def _faiss(vectors: Vectors) -> Iterator[Peer]:
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    hnsw = faiss.IndexHNSWFlat(DIM, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    hnsw.hnsw.efConstruction, hnsw.hnsw.efSearch = EF_CONSTRUCTION, EF_SEARCH
    hnsw.add(vectors)
    yield Peer("FAISS HNSW32, efSearch 843", partial(_search, hnsw))
    ivf = faiss.index_factory(DIM, f"IVF{IVF_LISTS},PQ64x4fs", faiss.METRIC_INNER_PRODUCT)
    refined = faiss.IndexRefineFlat(ivf)
    refined.train(vectors[:: max(1, len(vectors) // 100_000)])
    refined.add(vectors)
    ivf.nprobe, refined.k_factor = IVF_PROBES, RESCORED / K
    yield Peer("FAISS IVF1024,PQ64x4, 128 lists, 500 scored again", partial(_search, refined))


def _search(index: Any, query: Vectors) -> set[int]:
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    return set(index.search(query[None], K)[1][0].tolist())


def _lance(workspace: Path, vectors: Vectors) -> Iterator[Peer]:
    import lance

    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
    table = pa.table({"vector": column, "place": np.arange(len(vectors))})
    data: Any = lance.write_dataset(table, workspace / "peers.lance")
    lists = round(len(vectors) ** 0.5)
    data = data.create_index(
        "vector", "IVF_PQ", metric="dot", num_partitions=lists, num_sub_vectors=DIM // 8
    )

    def find(query: Vectors) -> set[int]:
        asked = {
            "column": "vector",
            "q": query,
            "k": K,
            "nprobes": lists // 8,
            "refine_factor": RESCORED // K,
        }
        wanted = ["place", "_distance"]  # said, or Lance warns of each query
        return set(data.to_table(columns=wanted, nearest=asked)["place"].to_pylist())

    yield Peer("Lance IVF_PQ, an eighth of the lists, 500 scored again", find)


_POOL = ThreadPoolExecutor(os.cpu_count())


def _read_all(folder: Path) -> None:
    """Every byte of the vectors, as one reads memory."""

    def read(path: Path) -> int:
        stored = np.memmap(path, np.uint64, "r", shape=(path.stat().st_size // 8,))
        cores = os.cpu_count() or 1
        return sum(
            int(x) for x in _POOL.map(lambda piece: piece.max(), np.array_split(stored, cores))
        )

    for segment in sorted((folder / "segments").iterdir()):
        read(segment / "vectors.faiss")
