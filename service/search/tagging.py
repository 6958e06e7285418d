"""Images are given tags: which ones are meant, and what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.arrays import Positions
from indexer.errors import BadRequest, UnknownRow
from service.search.browse import passing
from service.snapshot.snapshot import Snapshot
from service.tags.names import key_of, tag_name
from service.tags.tags import rising

MISSING_SHOWN = 100  # of the rows that are told to be missing


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows that are meant."""

    row_ids: Positions  # int64, (n,), rising
    missing: tuple[int, ...] = ()  # asked for, and not in the lake


@dataclass(frozen=True, slots=True)
class Tagged:
    """What one act did."""

    name: str  # as the tag is called: by its first spelling
    rows: int  # that got the tag, or lost it; those that had it already among the first
    missing: tuple[int, ...] = ()  # rows that were asked for, and that the lake has not
    seq: int | None = None  # of the act; None: no row was meant, and nothing was written

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": self.rows,
            "missing": list(self.missing[:MISSING_SHOWN]),
            "missing_count": len(self.missing),
            "act": self.seq,
        }


def choice_of(
    snapshot: Snapshot,
    rows: Sequence[int] | None = None,
    where: str | None = None,
    hits: Positions | None = None,
) -> Choice | None:
    """The live rows that one of the three names; None: none of them is given.

    :param hits: int64, (n,): row_ids of a query's hits.
    :raises BadRequest: if more than one is given.
    :raises UnknownRow: if the lake has none of the rows.
    :raises WhereError: if where is not understood.
    """
    if sum(each is not None for each in (rows, where, hits)) > 1:
        raise BadRequest("rows", "choose the images by one of them: rows, a where or a search")
    if where is not None:
        return Choice(passing(snapshot, where).row_ids)
    if hits is not None:
        return Choice(rising(hits))
    return None if rows is None else _there(snapshot, rows)


def _there(snapshot: Snapshot, rows: Sequence[int]) -> Choice:
    wanted = [row for row in rows if 0 < row < 2**53]
    here = snapshot.places_of(rising(np.array(wanted, np.int64)))[0]
    known = set(here.tolist())
    missing = tuple(dict.fromkeys(row for row in rows if row not in known))
    if missing and not known:
        raise UnknownRow(str(snapshot.layout.root), missing[0])
    return Choice(here, missing)


def give_tag(snapshot: Snapshot, name: str, choice: Choice | None, by: str) -> Tagged:
    """:raises BadRequest: if the name is none, or there is no choice."""
    name = tag_name(name)
    if choice is None:
        raise BadRequest("rows", "say which images get the tag: rows, a where or a search")
    if not len(choice.row_ids):
        return Tagged(name, 0, choice.missing)
    act = snapshot.tag_book.add(name, choice.row_ids, by)
    return Tagged(act.tag or name, len(choice.row_ids), choice.missing, act.seq)


def take_tag(snapshot: Snapshot, name: str, choice: Choice | None, by: str) -> Tagged:
    """:param choice: None: every row that has the tag.
    :raises BadRequest: if no row has a tag of this name.
    """
    name, tags = tag_name(name), snapshot.tags()
    known = next((each for each in tags.names if key_of(each) == key_of(name)), None)
    if known is None:
        there = ", ".join(tags.names[:20]) or "none"
        raise BadRequest("name", f"no image has the tag {name}; the tags are: {there}")
    rows = tags.rows(known)
    missing: tuple[int, ...] = ()
    if choice is not None:
        # both rise, and hold each row once
        rows, missing = np.intersect1d(rows, choice.row_ids, assume_unique=True), choice.missing
    if not len(rows):
        return Tagged(known, 0, missing)
    act = snapshot.tag_book.remove(known, rows, by)
    # of rows that the lake has no more it is taken, too, and nobody is told of those
    return Tagged(known, len(snapshot.places_of(rows)[0]), missing, act.seq)


def tag_counts(snapshot: Snapshot) -> dict[str, int]:
    """The names of the tags that a live row has, and how many have each."""
    live = (
        part.row_ids if part.alive is None else part.row_ids[part.alive] for part in snapshot.parts
    )
    return {name: count for name, count in snapshot.tags().counts(live).items() if count}
