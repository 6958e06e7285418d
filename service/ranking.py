"""All rows of a snapshot in one order, as many from the top as are asked for: score first, then row_id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer import ann
from service.scan import WIDEST, Answer, Order, pays
from service.snapshot import Part, Positions, Snapshot
from service.threads import for_each

if TYPE_CHECKING:
    from service.where import Where

PARALLEL_FROM_ROWS = 50_000
WIDER = 8  # a widened search costs hardly more than a narrow one, so few of them


@dataclass(frozen=True, slots=True)
class Found:
    """Rows found, best first; their columns are not read yet."""

    scores: NDArray[np.float32]  # (n,)
    parts: Positions  # (n,): the number of each one's part in the snapshot
    positions: Positions  # (n,): in its part
    row_ids: Positions  # (n,)

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, chosen: slice | Positions | NDArray[np.bool_]) -> Found:
        """Some of them, in the order given."""
        return Found(self.scores[chosen], self.parts[chosen], self.positions[chosen], self.row_ids[chosen])


class Ranking:
    """The rows that are wanted, by falling score, then by rising row_id: top(n) is where top(n + 1) begins.

    Equal scores are common: copies of one file have one vector. FAISS breaks ties as it likes.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        vector: NDArray[np.float32],
        where: Where | None,
        among: Sequence[ann.RowMask] | None = None,
    ) -> None:
        """:param among: a mask a part: only these rows, of those that where keeps; None: all of them."""
        self.snapshot = snapshot
        self._vector = vector
        self._where = where
        self._among = among
        self._masks: dict[int, ann.RowMask | None] = {}  # by part number; a predicate is asked once

    @property
    def is_parallel(self) -> bool:
        """True where the lake is so large that threads pay."""
        return sum(part.rows for part in self.snapshot.parts) >= PARALLEL_FROM_ROWS

    def top(self, count: int | None) -> Found:
        """The first count rows; None: all."""
        if count is None or count > WIDEST or not self.is_parallel or not pays():
            return self.merged(self._alone(count), count)
        return self.merged(self.snapshot.scanner.top(self.order(count)), count)

    def order(self, count: int) -> Order:
        """The first count rows, for a scanner to find."""
        return Order(self._vector, count, self._mask, lambda: self._alone(count))

    def _alone(self, count: int | None) -> list[Answer]:
        def search(number: int) -> Answer:
            part = self.snapshot.parts[number]
            return _top_of_part(part, self._vector, count or part.rows, self._mask(number))

        return for_each(search, range(len(self.snapshot.parts)), parallel=self.is_parallel)

    def merged(self, answers: Sequence[Answer], count: int | None) -> Found:
        """The first count rows of those found in the parts."""
        if not answers:
            return Found(np.empty(0, np.float32), *[np.empty(0, np.int64)] * 3)
        positions = [found for _, found in answers]
        parts = zip(self.snapshot.parts, positions, strict=True)
        all_of_them = Found(
            np.concatenate([scores for scores, _ in answers]),
            np.repeat(np.arange(len(answers)), [len(found) for found in positions]),
            np.concatenate(positions),
            np.concatenate([part.row_ids[found] for part, found in parts]),
        )
        return all_of_them.at(np.lexsort((all_of_them.row_ids, -all_of_them.scores))[:count])

    def _mask(self, number: int) -> ann.RowMask | None:
        if number not in self._masks:
            mask = self.snapshot.parts[number].mask(self._where)
            if self._among is not None:
                mask = self._among[number] if mask is None else self._among[number] & mask
            self._masks[number] = mask
        return self._masks[number]


def _top_of_part(part: Part, vector: NDArray[np.float32], count: int, mask: ann.RowMask | None) -> Answer:
    """The count best rows, and all that are as good as the last of them: scores and positions.

    One more is looked for than is wanted. Only where it ties with the last is the search repeated, wider.
    """
    width = count + 1
    while True:
        scores, positions = ann.search_index(part.segment.index, vector, width, mask)
        scores = np.clip(scores, -1, 1)  # before they are compared: beyond 1 is only rounding
        if len(scores) < width or scores[-1] < scores[count - 1]:
            break
        width *= WIDER
    if len(scores) <= count:
        return scores, positions
    kept = int(np.count_nonzero(scores >= scores[count - 1]))
    return scores[:kept], positions[:kept]
