"""Which rows the conditions of a `where` keep: each is asked once, however they are combined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import RowMask
from service.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from service.where.where import Where


class Masks:
    """Of each part the rows that conditions keep."""

    def __init__(
        self, snapshot: Snapshot, terms: Sequence[Where], among: Sequence[RowMask] | None
    ) -> None:
        self._snapshot = snapshot
        self._terms = terms
        self._among = among
        self._of_term: dict[int, list[RowMask]] = {}
        self._found: dict[frozenset[int], list[RowMask]] = {}

    def without(self, *columns: str) -> list[RowMask]:
        """:param columns: those whose own conditions are left out."""
        numbers = frozenset(
            number
            for number, term in enumerate(self._terms)
            if not term.asked or not term.asked <= set(columns)
        )
        if numbers not in self._found:
            self._found[numbers] = [
                self._mask(at, numbers) for at in range(len(self._snapshot.parts))
            ]
        return self._found[numbers]

    def _mask(self, at: int, numbers: frozenset[int]) -> RowMask:
        part = self._snapshot.parts[at]
        mask = np.ones(part.rows, bool) if part.alive is None else part.alive.copy()
        if self._among is not None:
            mask &= self._among[at]
        for number in numbers:
            mask &= self._term(number)[at]
        return mask

    def _term(self, number: int) -> list[RowMask]:
        if number not in self._of_term:
            term = self._terms[number]
            self._of_term[number] = [
                term.mask(part.columns(sorted(term.columns))) for part in self._snapshot.parts
            ]
        return self._of_term[number]
