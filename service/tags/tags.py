"""Which rows have which tags, at one place of the log. Immutable, so that a query that began with
it ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions

Codes: TypeAlias = NDArray[np.int32]  # (n,): the number of each row's set of tags, -1: it has none

_DENSE_SPARE = 1 << 20


class Tags:
    """Names and their rows; rows may be among them that the lake has no more."""

    def __init__(self, rows: Mapping[str, Positions], seq: int = 0) -> None:
        """:param rows: a tag's name -> int64, (n,), rising.
        :param seq: of the last act that is in it.
        """
        self.seq = seq
        self._rows = {name: rows[name] for name in sorted(rows, key=_order) if len(rows[name])}

    @property
    def names(self) -> list[str]:
        """Of the tags that some row has, by the alphabet."""
        return list(self._rows)

    def rows(self, name: str) -> Positions:
        """int64, (n,), rising; :param name: one of `names`."""
        return self._rows[name]

    @cached_property
    def _coded(self) -> tuple[Positions, Codes, list[tuple[str, ...]]]:
        """All tagged rows, rising; of each the number of its set; the sets.

        Few sets stand for many rows, so that what is asked of tags is asked of sets.
        """
        every = [np.empty(0, np.int64), *self._rows.values()]
        tagged = every[-1] if len(every) == 2 else rising(np.concatenate(every))
        codes = np.zeros(len(tagged), np.int32)
        sets: list[tuple[str, ...]] = [()]
        for name, rows in self._rows.items():
            at = np.searchsorted(tagged, rows) if len(rows) < len(tagged) else slice(None)
            before, codes[at] = _numbered(codes[at], len(sets))
            sets += [(*sets[number], name) for number in before]
        return tagged, codes, sets

    @property
    def sets(self) -> list[tuple[str, ...]]:
        """The sets of tags that rows had or have, by their number."""
        return self._coded[2]

    @cached_property
    def _dense(self) -> Codes | None:
        """The code of every row_id up to the last tagged one; None: they lie too far apart."""
        tagged, codes, _ = self._coded
        if not len(tagged) or tagged[-1] > 16 * len(tagged) + _DENSE_SPARE:
            return None
        dense = np.full(int(tagged[-1]) + 2, -1, np.int32)
        dense[tagged] = codes
        return dense

    def codes(self, row_ids: Positions) -> Codes:
        """int32, (n,): of each row the number of its set, -1 where it has no tag."""
        tagged, codes, _ = self._coded
        if not len(tagged):
            return np.full(len(row_ids), -1, np.int32)
        dense = self._dense
        if dense is not None:
            found: Codes = dense[np.minimum(row_ids, len(dense) - 1)]
            return found
        at = np.minimum(np.searchsorted(tagged, row_ids), len(tagged) - 1)
        return np.where(tagged[at] == row_ids, codes[at], np.int32(-1))

    def of(self, row_id: int) -> tuple[str, ...]:
        """The tags of one row, by the alphabet."""
        (code,) = self.codes(np.array([row_id], np.int64))
        return () if code < 0 else self.sets[code]

    def numbers_of(self, fits: Callable[[str], bool]) -> list[int]:
        """The sets in which a tag fits."""
        known = {name for name in self._rows if fits(name)}
        return [at for at, names in enumerate(self.sets) if not known.isdisjoint(names)]

    def counts(self, row_ids: Iterable[Positions]) -> dict[str, int]:
        """How many of these rows have each tag.

        :param row_ids: int64, in pieces.
        """
        rows = np.zeros(len(self.sets), np.int64)
        for piece in row_ids:
            codes = self.codes(piece)
            rows += np.bincount(codes[codes >= 0], minlength=len(rows))
        counts = dict.fromkeys(self._rows, 0)
        for number in np.flatnonzero(rows).tolist():
            for name in self.sets[number]:
                counts[name] += int(rows[number])
        return counts


def merged(steps: Iterable[tuple[Positions, bool]]) -> Positions:
    """The rows that have a tag after these acts on it, one after the other: int64, rising.

    :param steps: rows, rising, that got it (True) or lost it.
    """
    steps = list(steps)
    if not steps:
        return np.empty(0, np.int64)
    if len(steps) == 1:
        rows, is_add = steps[0]
        return rows if is_add else rows[:0]
    rows = np.concatenate([rows for rows, _ in steps])
    is_added = np.repeat([is_add for _, is_add in steps], [len(rows) for rows, _ in steps])
    order = np.argsort(rows, kind="stable")
    rows, is_added = rows[order], is_added[order]
    # The last act on a row counts.
    is_last = np.append(rows[1:] != rows[:-1], True)[: len(rows)]
    kept: Positions = rows[is_last & is_added]
    return kept


def rising(row_ids: Positions) -> Positions:
    """Each of them once, by size. A stable sort merges pieces that rise already; np.unique hashes
    every one, which takes ten times as long.

    :param row_ids: int64, (n,)
    """
    every = np.sort(np.asarray(row_ids, np.int64), kind="stable")
    once: Positions = every[np.append(True, every[1:] != every[:-1])[: len(every)]]
    return once


def _numbered(codes: Codes, sets: int) -> tuple[list[int], Codes]:
    """The different codes, rising, and (n,) for each code its place among them plus `sets`.

    :param sets: every code is below it.
    """
    is_here = np.zeros(sets, bool)
    is_here[codes] = True
    found = np.flatnonzero(is_here)
    places = np.empty(sets, np.int32)
    places[found] = np.arange(sets, sets + len(found))
    return found.tolist(), places[codes]


def _order(name: str) -> tuple[str, str]:
    return name.casefold(), name


NO_TAGS = Tags({})
