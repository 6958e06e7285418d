"""One search as it will run: from a request to a query that was understood on one snapshot.

Knows no routes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from fastapi import UploadFile
from starlette.datastructures import State

from indexer.errors import BadCursor, BadRequest, SnapshotGone, UnknownFilter
from service.api.answers import NDJSON
from service.api.cursor import Cursor, digest, stamp_of
from service.api.schemas import MAX_EXAMPLES, SearchRequest
from service.api.serving.hub import ServedLake
from service.api.uploaded import check_count, embedded
from service.search.decided import DecidedBy, DecidedRows
from service.search.query import EXAMPLES, PAGE_K, Query
from service.search.understood import Understood, understand
from service.search.vector import NoSuchRow, Weighted, no_more
from service.snapshot.snapshot import Snapshot

MAX_COLLAPSED = 10_000
# the least cosine of two vectors that a model made of the same examples
SAME_QUERY = 1 - 1e-5


@dataclass(frozen=True, slots=True)
class Plan:
    """One search as it will run: understood, on one snapshot."""

    asked: Understood
    cursor: Cursor  # where this page begins
    embed_s: float


@dataclass(frozen=True, slots=True)
class Uploads:
    """Example images as they were sent."""

    files: Sequence[UploadFile] = ()
    weights: Sequence[float] = ()  # one a file, or none
    names: Sequence[str] = ()  # the fields they were sent in; none: files[0] and so on


def make_plan(
    state: State,
    body: SearchRequest,
    uploads: Uploads,
    *,
    is_stream: bool = False,
    max_k: int | None = None,
    on_engine: bool = False,
) -> Plan:
    """
    :param state: of the app.
    :param on_engine: True: the lake's engine is asked, if it has one: what is wanted is a page.
    :param max_k: hits that one page may have; None: as the service is set.
    :raises LakeError: for each of a caller's mistakes, before anything costly is done.
    """
    max_k = state.config.max_k if max_k is None else max_k
    if not is_stream and body.k is not None and body.k > max_k:
        raise BadRequest(
            "k",
            f"{body.k} is more than a page holds ({max_k}); follow next_cursor, or ask for {NDJSON}",
        )
    k = body.k if is_stream else body.k or PAGE_K
    if body.collapse:
        _check_collapsed(k)
    if body.cursor is not None:
        return _continued(state, body, k, on_engine=on_engine)
    served: ServedLake = state.hub.lake(body.lake)
    started = time.perf_counter()
    said = body.model_dump(exclude={"lake", "cursor"}, exclude_none=True)
    query = Query.from_json(said | {"where": body.where or None, "k": k})
    if query.recall is None and state.config.recall:
        query = replace(query, recall=state.config.recall)
    if is_stream:
        query = replace(query, exact=True)
    if len(query.texts) > MAX_EXAMPLES:
        raise BadRequest(
            "query",
            f"it makes {len(query.texts)} texts, with those of `texts`; a search takes {MAX_EXAMPLES}",
        )
    asked = _understood(
        served,
        served.lake.snapshot,
        query,
        partial(_embedded, state, served, uploads),
        on_engine=on_engine,
    )
    manifest = asked.snapshot.manifest
    cursor = Cursor(
        served.name, manifest.snapshot, stamp_of(manifest), asked.portable, _digest(body)
    )
    return Plan(asked, cursor, time.perf_counter() - started)


def _check_collapsed(k: int | None, position: int = 0, rows: int = 0) -> None:
    """Each hit is compared with all before it, those of the pages before too.

    :param position: where the page begins, among so many rows.
    :raises BadRequest: if its last hit lies too far down.
    """
    if k is None or k > MAX_COLLAPSED:
        raise BadRequest(
            "k", f"near-identical images are looked for among at most {MAX_COLLAPSED:,} hits; set k"
        )
    end = min(position + k, rows)  # beyond the last row there is nothing to compare
    if end > MAX_COLLAPSED:
        raise BadRequest(
            "cursor",
            f"near-identical images are looked for among at most {MAX_COLLAPSED:,} hits, and this "
            f"page would end at {end:,}; for those beyond search without collapse",
        )


def rows_decided(served: ServedLake, snapshot: Snapshot, by: DecidedBy) -> DecidedRows:
    """As the lake has it, with what is unknown told by the lake's name: callers need not know our
    folders.
    """
    try:
        return served.lake.rows_decided(snapshot, by)
    except UnknownFilter as error:
        raise UnknownFilter(served.name, by.filter, error.nearest, field="filter") from None


def decided_facts(decided: DecidedRows) -> dict[str, Any]:
    """A `DecidedFacts`."""
    by = decided.by
    return {
        "filter": by.filter,
        "version": by.version,
        "decision": by.decisions,
        "undecided": decided.undecided,
    }


def _understood(
    served: ServedLake,
    snapshot: Snapshot,
    query: Query,
    more: Callable[[], Weighted] = no_more,
    *,
    on_engine: bool = False,
) -> Understood:
    """As `understand`, with what is unknown told by the lake's name."""
    engine = served.engine if on_engine else None
    try:
        return understand(
            snapshot, query, served.embedder, partial(rows_decided, served), more, engine
        )
    except NoSuchRow as error:
        raise BadRequest(
            f"images[{error.number}].row_id",
            f"there is no row {error.row_id} in {served.name} (any more)",
        ) from None


def _continued(state: State, body: SearchRequest, k: int | None, *, on_engine: bool) -> Plan:
    assert body.cursor is not None
    cursor = Cursor.decode(body.cursor, state.signer)
    if not cursor.has_query:
        raise BadCursor("it is one of rows without a query; send it to where it came from")
    if body.lake not in (None, cursor.lake):
        raise BadCursor(f"it belongs to the lake {cursor.lake}")
    cursor.check_digest(_digest(body))
    served: ServedLake = state.hub.lake(cursor.lake)
    snapshot = snapshot_of(served, cursor)
    if cursor.query.offset > snapshot.live_rows:
        raise BadCursor(f"it is at {cursor.query.offset:,} of {snapshot.live_rows:,} rows")
    if cursor.query.collapse:
        _check_collapsed(k, cursor.query.offset, snapshot.live_rows)
    started = time.perf_counter()
    asked = _understood(served, snapshot, replace(cursor.query, k=k), on_engine=on_engine)
    if cursor.query.candidates is not None and asked.near is None:
        # The engine is away, and every row has been in its place so far: so it stays.
        own = replace(cursor.query, candidates=None, seen=None, exact=True)
        cursor = replace(cursor, query=own)
    if body.explain:
        asked = _explained(served, asked, body)
    return Plan(asked, cursor, time.perf_counter() - started)


def _explained(served: ServedLake, asked: Understood, body: SearchRequest) -> Understood:
    """A further page's query with the examples of its request: a cursor has their sum alone.

    :raises BadRequest: if the request has not all of them.
    """
    said = body.model_dump(include=set(EXAMPLES), exclude_none=True)
    query = replace(Query.from_json(said), exact=True)
    if not query.has_examples:
        raise BadRequest("explain", "a cursor alone has no examples; send the query beside it")
    again = _understood(served, asked.snapshot, query)
    if float(np.vdot(again.vector, asked.vector)) < SAME_QUERY:
        raise BadRequest(
            "explain",
            "the first page had uploaded images, which its cursor has not; leave explain out",
        )
    explained = replace(asked.query, explain=True)
    return replace(asked, query=explained, examples=again.examples)


def snapshot_of(served: ServedLake, cursor: Cursor) -> Snapshot:
    """The snapshot that a cursor speaks of.

    :raises SnapshotGone: if it is not on disk any more, or another lake lies there now.
    """
    try:
        snapshot = served.lake.at(cursor.snapshot)
    except SnapshotGone:
        snapshot = None
    if snapshot is None or stamp_of(snapshot.manifest) != cursor.stamp:
        # by its name: callers need not know our folders
        raise SnapshotGone(served.name, cursor.snapshot)
    return snapshot


def _digest(body: SearchRequest) -> str:
    """Which query a request is; empty for a cursor that comes alone."""
    said = body.model_dump(exclude={"lake", "k", "cursor", "explain"}, exclude_defaults=True)
    return digest(said) if said else ""


def _embedded(state: State, served: ServedLake, uploads: Uploads) -> Weighted:
    """The vectors of uploaded images, with their weights.

    :raises UnreadableImage: naming the first file that is no image, or that the model refuses.
    """
    files, weights = uploads.files, uploads.weights
    check_count(state, "files", len(files))
    if weights and len(weights) != len(files):
        raise BadRequest(
            "weights", f"{len(weights)} were sent for {len(files)} files; send one a file, or none"
        )
    names = uploads.names or [f"files[{number}]" for number in range(len(files))]
    found = embedded(state, served.embedder, list(zip(names, files, strict=True)))
    return [
        (image.vector, weights[number] if weights else 1.0) for number, image in enumerate(found)
    ]
