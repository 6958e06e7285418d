"""One search as it will run: from a request to a snapshot, a vector and a place to begin. Knows no routes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastapi import UploadFile
from numpy.typing import NDArray
from starlette.datastructures import State

from indexer.embed import Vectors
from indexer.errors import BadCursor, BadRequest, SnapshotGone, UnknownFilter
from service.api.schemas import DEFAULT_K, SearchRequest
from service.api.uploaded import check_count, embedded
from service.cursor import Cursor, digest, stamp_of
from service.decided import DecidedBy, DecidedRows
from service.hub import ServedLake
from service.query import Query, query_vector
from service.snapshot import Snapshot
from service.where import Where

MAX_COLLAPSED = 10_000
NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Plan:
    """One search as it will run: on one snapshot, from one vector."""

    served: ServedLake
    snapshot: Snapshot
    cursor: Cursor  # where this page begins
    k: int | None
    embed_s: float
    decided: DecidedRows | None = None  # where only rows are wanted that a filter decided so

    @property
    def query(self) -> Query:
        assert self.cursor.vector is not None
        return Query(
            vectors=[(self.cursor.vector, 1.0)],
            where=self.cursor.where,
            decided=None if self.decided is None else self.decided.by,
            k=self.k,
            min_z=self.cursor.min_z,
            offset=self.cursor.position,
            collapse=self.cursor.collapse,
        )

    def rows_decided(self, snapshot: Snapshot, asked: DecidedBy) -> DecidedRows:
        """For `search`: what was looked up already."""
        assert self.decided is not None and (snapshot, asked) == (self.snapshot, self.decided.by)
        return self.decided


@dataclass(frozen=True, slots=True)
class Uploads:
    """Example images as they were sent."""

    files: Sequence[UploadFile] = ()
    weights: Sequence[float] = ()  # one a file, or none


def make_plan(
    state: State,
    body: SearchRequest,
    uploads: Uploads,
    *,
    is_stream: bool = False,
) -> Plan:
    """
    :param state: of the app.
    :raises LakeError: for each of a caller's mistakes, before anything costly is done.
    """
    max_k = state.config.max_k
    if not is_stream and body.k is not None and body.k > max_k:
        raise BadRequest(
            "k", f"{body.k} is more than a page holds ({max_k}); follow next_cursor, or ask for {NDJSON}"
        )
    k = body.k if is_stream else body.k or DEFAULT_K
    if body.collapse and (k is None or k > MAX_COLLAPSED):
        message = f"near-identical images are looked for among at most {MAX_COLLAPSED:,} hits; set k"
        raise BadRequest("k", message)  # each hit is compared with all before it
    if body.cursor is not None:
        return _continued(state, body, k)
    served: ServedLake = state.hub.lake(body.lake)
    snapshot = served.lake.snapshot
    started = time.perf_counter()
    if body.where:
        Where.parse(body.where, snapshot.schema)  # before any image is decoded
    decided = _decided(served, snapshot, _asked(body))
    vector = _vector_of(state, served, snapshot, body, uploads)
    cursor = Cursor(
        lake=served.name,
        snapshot=snapshot.number,
        stamp=stamp_of(snapshot.manifest),
        position=0,
        where=body.where or None,
        filter=None if decided is None else decided.by.named,
        decisions=() if decided is None else decided.by.decisions,
        min_z=body.min_z,
        collapse=bool(body.collapse),
        query=_digest(body),
        vector=vector,
    )
    return Plan(served, snapshot, cursor, k, time.perf_counter() - started, decided)


def _asked(body: SearchRequest) -> DecidedBy | None:
    if body.filter is None:
        if body.decision is not None:
            raise BadRequest("decision", "it is a filter's; name the filter, too")
        return None
    return DecidedBy.parse(body.filter, body.decision)


def _decided(served: ServedLake, snapshot: Snapshot, asked: DecidedBy | None) -> DecidedRows | None:
    if asked is None:
        return None
    try:
        return served.lake.rows_decided(snapshot, asked)
    except UnknownFilter as error:  # by the lake's name here: callers need not know our folders
        raise UnknownFilter(served.name, asked.filter, error.nearest, field="filter") from None


def _vector_of(
    state: State, served: ServedLake, snapshot: Snapshot, body: SearchRequest, uploads: Uploads
) -> NDArray[np.float32]:
    for number, example in enumerate(body.images):
        if snapshot.find(example.row_id) is None:
            raise BadRequest(
                f"images[{number}].row_id", f"there is no row {example.row_id} in {served.name} (any more)"
            )
    vectors = [] if body.vector is None else [(_scaled(body.vector), 1.0)]
    query = Query(
        texts=[(example.text, example.weight) for example in body.texts],
        row_ids=[(example.row_id, example.weight) for example in body.images],
        vectors=vectors + _embedded(state, served, uploads),
    )
    return query_vector(snapshot, query, served.embedder)


def _scaled(numbers: Sequence[float]) -> NDArray[np.float32]:
    """The vector with 1 as its largest number: JSON has larger ones than float32, and only the direction counts."""
    vector = np.array(numbers, np.float64)
    largest = np.abs(vector).max()
    return np.asarray(vector / largest if largest else vector, np.float32)


def _continued(state: State, body: SearchRequest, k: int | None) -> Plan:
    assert body.cursor is not None
    cursor = Cursor.decode(body.cursor)
    if cursor.vector is None:
        raise BadCursor("it is one of rows without a query; send it to where it came from")
    if body.lake not in (None, cursor.lake):
        raise BadCursor(f"it belongs to the lake {cursor.lake}")
    cursor.check_query(_digest(body))
    served: ServedLake = state.hub.lake(cursor.lake)
    snapshot = snapshot_of(served, cursor)
    asked = None if cursor.filter is None else DecidedBy.parse(cursor.filter, cursor.decisions)
    return Plan(served, snapshot, cursor, k, 0.0, _decided(served, snapshot, asked))


def snapshot_of(served: ServedLake, cursor: Cursor) -> Snapshot:
    """The snapshot that a cursor speaks of.

    :raises SnapshotGone: if it is not on disk any more, or another lake lies there now.
    """
    try:
        snapshot = served.lake.at(cursor.snapshot)
    except SnapshotGone:
        snapshot = None
    if snapshot is None or stamp_of(snapshot.manifest) != cursor.stamp:
        raise SnapshotGone(served.name, cursor.snapshot)  # by its name: callers need not know our folders
    return snapshot


def _digest(body: SearchRequest) -> str:
    """Which query a request is; empty for a cursor that comes alone."""
    said = body.model_dump(exclude={"lake", "k", "cursor"}, exclude_defaults=True)
    return digest(said) if said else ""


def _embedded(state: State, served: ServedLake, uploads: Uploads) -> list[tuple[Vectors, float]]:
    """The vectors of uploaded images, with their weights.

    :raises UnreadableImage: naming the first file that is no image, or that the model refuses.
    """
    files, weights = uploads.files, uploads.weights
    check_count(state, "files", len(files))
    if weights and len(weights) != len(files):
        raise BadRequest(
            "weights", f"{len(weights)} were sent for {len(files)} files; send one a file, or none"
        )
    found = embedded(
        state, served.embedder, [(f"files[{number}]", file) for number, file in enumerate(files)]
    )
    return [(image.vector, weights[number] if weights else 1.0) for number, image in enumerate(found)]
