"""Groups as one snapshot has them: which of their rows live, and in which part each row is.

Parts that the groups do not hold are newer than they: a search reads all of their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from indexer.arrays import Positions, RowMask
from indexer.disk.groups import StoredGroups
from service.snapshot.part import Part


class Groups:
    """Stored groups beside the parts of a snapshot."""

    def __init__(self, stored: StoredGroups, parts: Sequence[Part], recall: float | None) -> None:
        """:param recall: of searches that ask for none; None: those are exact."""
        self.stored, self.parts, self.recall = stored, parts, recall
        numbers = {part.segment.entry.id: number for number, part in enumerate(parts)}
        held = [(numbers.get(name, -1), rows) for name, rows in stored.about.segments]
        # What a stranger's groups say of a segment may not be so.
        held = [(n if n >= 0 and parts[n].rows == rows else -1, rows) for n, rows in held]
        # (segments,): the number of each one's part; -1: the snapshot has it no more
        self._numbers = np.array([number for number, _ in held], np.int64)
        # (segments + 1,): the place of each one's first row
        self._starts = np.cumsum([0, *(rows for _, rows in held)])
        # The numbers of the parts that no group holds.
        self.others = [n for n in range(len(parts)) if n not in set(self._numbers.tolist())]

    def beside(self, parts: Sequence[Part]) -> Groups:
        """The same groups beside the parts of another snapshot, or of this one after some went."""
        return Groups(self.stored, parts, self.recall)

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def is_empty(self) -> bool:
        """True where the snapshot has none of the rows that they hold."""
        return bool(np.all(self._numbers < 0))

    def warm(self) -> Groups:
        """Read now what the first query would wait for; returns itself."""
        _ = self.alive, self.stored.cuts, self.stored.longest
        return self

    @cached_property
    def alive(self) -> RowMask | None:
        """bool, (rows,): in the order of the groups, the rows that live; None: all."""
        by_place = np.ones(int(self._starts[-1]), bool)
        for number, start, end in zip(
            self._numbers.tolist(),
            self._starts[:-1].tolist(),
            self._starts[1:].tolist(),
            strict=True,
        ):
            mask = None if number < 0 else self.parts[number].alive
            if number < 0:
                by_place[start:end] = False
            elif mask is not None:
                by_place[start:end] = mask
        return None if by_place.all() else by_place[self.stored.places]

    def locate(self, rows: Positions) -> tuple[Positions, Positions]:
        """int64, (n,) each: the numbers of the parts, and the positions there, of living rows.

        :param rows: int64, (n,): as the groups count them.
        """
        places = self.stored.places[rows].astype(np.int64)
        segments = np.searchsorted(self._starts, places, side="right") - 1
        return self._numbers[segments], places - self._starts[segments]
