"""The one step in which a query is understood, whichever door it came in by.

Its `where` is parsed, its example rows and the rows that a filter decided are found, and its
examples become one vector. After this step only its `min_z` can still be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.disk.groups import Kind
from indexer.embed import Embedder, Reading, ReadsEnglish
from indexer.errors import BadRequest
from service.search.decided import DecidedBy, DecidedRows
from service.search.engine.sought import sought
from service.search.query import Query
from service.search.ranking import Found
from service.search.searched import Searched, searched
from service.search.vector import Example, Weighted, direction, examples_of, no_more
from service.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from service.search.engine.lake_engine import LakeEngine
    from service.where.where import Where

Ledgers: TypeAlias = Callable[[Snapshot, DecidedBy], DecidedRows]


@dataclass(frozen=True, slots=True)
class Understood:
    """A query, and all that is known of it on the snapshot that answers it."""

    snapshot: Snapshot
    query: Query  # as it was asked
    vector: NDArray[np.float32]  # (dim,), unit length
    examples: Sequence[Example]  # those that the vector is made of
    where: Where | None
    decided: DecidedRows | None  # None: no filter was named
    # of each of the query's texts, what the model makes of it; none: the model cannot tell
    readings: tuple[Reading, ...] = ()
    is_texts_alone: bool = False  # True: no image, row or vector is among the examples
    # how it is searched; None: exactly, and nobody asked for less
    searched: Searched | None = None
    # the best candidates of an engine, in order; None: no engine was asked
    near: Found | None = None

    @property
    def portable(self) -> Query:
        """The query with one vector for its examples, and the filter's version: JSON can say it.

        It is not explained: its examples are gone.
        """
        how = self.searched
        return replace(
            self.query,
            texts=(),
            images=(),
            row_ids=(),
            vectors=[(self.vector, 1.0)],
            decided=None if self.decided is None else self.decided.by,
            explain=False,
            depth=None if how is None else how.depth,
            candidates=how.candidates if how is not None and how.engine is not None else None,
            seen=None,
            tags_act=None if self.where is None else self.where.tags_act,
            # So that a page of another size is cut from the same order.
            exact=self.query.exact or (how is not None and not how.is_near),
        )


def no_ledgers(snapshot: Snapshot, asked: DecidedBy) -> DecidedRows:
    """:raises BadRequest: always: a snapshot alone knows no filters, its lake does."""
    raise BadRequest(
        "filter", f"filter {asked.filter} is known to its lake; search that one, not its snapshot"
    )


def understand(
    snapshot: Snapshot,
    query: Query,
    embedder: Callable[[], Embedder],
    ledgers: Ledgers = no_ledgers,
    more: Callable[[], Weighted] = no_more,
    engine: LakeEngine | None = None,
) -> Understood:
    """Understand a query; what costs most comes last.

    :param embedder: called only if the query has texts or images.
    :param ledgers: tells which rows a filter decided how; called only if the query names a filter.
    :param more: makes further examples, as of uploaded images; called when all else is right, but
        for texts and images.
    :param engine: is asked for candidates; None: the lake is searched here.
    :raises BadRequest: if k, offset, the column of max_per or sort, or an example makes no sense,
        or the filter was not applied.
    :raises UnknownFilter: if there is no such filter; WhereError: if where is not understood.
    :raises DimensionMismatch: if a vector is of another model.
    :raises UnreadableImage: if an image cannot be read.
    :raises SearchAway, EngineMoved: as `sought` does.
    """
    query.check()
    if query.max_per is not None:
        query.max_per.find(snapshot.schema)
    if query.sort is not None and query.sort.by == "column":
        query.sort.find(snapshot.schema)
    where = None if query.where is None else _parsed(query, snapshot)
    decided = None if query.decided is None else ledgers(snapshot, query.decided)
    examples = examples_of(snapshot, query, embedder, more)
    vector = direction(examples)
    readings = _readings(query, embedder()) if query.texts else ()
    is_texts_alone = all(each.kind == "text" for each in examples)
    kind = _kind(query, is_texts_alone=is_texts_alone)
    near = None
    if engine is None and query.candidates is None:
        how = searched(snapshot, query, kind)
    else:
        answer = sought(engine, snapshot, query, vector, where, kind)
        how, near = answer.how, answer.first
    return Understood(
        snapshot, query, vector, examples, where, decided, readings, is_texts_alone, how, near
    )


def _kind(query: Query, *, is_texts_alone: bool) -> Kind | None:
    """What the examples are; None: of several kinds, or a vector, which may be of any."""
    if is_texts_alone:
        return "text"
    return None if query.texts or query.vectors else "image"


def _readings(query: Query, model: Embedder) -> tuple[Reading, ...]:
    if not isinstance(model, ReadsEnglish):
        return ()
    readings = [model.read(text) for text, _ in query.texts]
    return tuple(each for each in readings if each is not None)


def _parsed(query: Query, snapshot: Snapshot) -> Where:
    # not at the top: Arrow's expressions take a quarter of a second to load
    from service.where.where import Where

    assert query.where is not None, "whoever calls looked"
    tags = partial(snapshot.tags, query.tags_act)
    return Where.parse(query.where, snapshot.schema, tags, snapshot.alike)
