"""The rows of a few groups where they lie: pieces of blocks of codes, read one after the other.

Knows no bounds and no answers: it multiplies, and fetches what is stored.
"""

from __future__ import annotations

import threading
from functools import cached_property
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from indexer.cores import usable_cores
from indexer.disk.codes import CODE_ROWS, ByteQueries, ByteQuery, Bytes, Numbers, Room
from indexer.disk.groups import StoredGroups
from service.snapshot.threads import for_each

# Threads that read many small pieces wait for one another's turn in Python: with two of them 30,000
# rows took 9.6 ms where one took 7.6 to 8.4, all told, and 50,000 rows as long as with one.
PARALLEL_FROM_ROWS = 100_000
# For the same reason searches of few rows take turns at it: on 200,000 rows, with a recall of 0.99
# and eight clients on two cores, 150 searches were answered a second instead of 128 by photo, 118
# instead of 104 by text.
_ONE_AT_A_TIME = threading.Lock()
_ROWS_A_COLUMN = 64

Half: TypeAlias = Literal["head", "tail"]
Share: TypeAlias = tuple[int, int]  # pieces from, to


class Pieces:
    """Rows of some groups, counted from 0 in the order of the groups."""

    def __init__(self, stored: StoredGroups, chosen: Positions) -> None:
        """:param chosen: int64, (n,): numbers of groups, rising."""
        self._blocks = stored.codes.blocks
        self.sizes = stored.starts[chosen + 1] - stored.starts[chosen]  # (groups,): rows of each
        begins, ends = _runs(stored, chosen)
        lengths = ends - begins
        self._begins: Positions = begins  # (pieces,)
        self._ats: Positions = np.cumsum(lengths) - lengths  # (pieces,)
        self._bounds: list[int] = [*self._ats.tolist(), int(lengths.sum())]
        homes = begins // CODE_ROWS
        firsts = begins - homes * CODE_ROWS
        # Of each piece its block, and its rows there from and to.
        self._places = list(
            zip(homes.tolist(), firsts.tolist(), (firsts + lengths).tolist(), strict=True)
        )

    def __len__(self) -> int:
        return int(self._bounds[-1])

    def of_groups(self, numbers: NDArray[np.float64]) -> NDArray[np.float32]:
        """float32, (rows,): of each row the number of its group, rounded up.

        :param numbers: float64, (groups,).
        """
        up = np.nextafter(numbers.astype(np.float32), np.float32(np.inf))
        return np.repeat(up, self.sizes)

    def numbers(self, rows: Positions) -> Positions:
        """int64, (n,): of these rows their numbers among those of all groups."""
        homes = np.searchsorted(self._ats, rows, side="right") - 1
        numbers: Positions = self._begins[homes] + (rows - self._ats[homes])
        return numbers

    def mask(self, alive: RowMask) -> RowMask:
        """bool, (rows,): what a mask of the rows of all groups says of these."""
        pieces = zip(self._begins.tolist(), pairwise(self._bounds), strict=True)
        return np.concatenate(
            [np.empty(0, bool), *(alive[b : b + end - at] for b, (at, end) in pieces)]
        )

    def scores(self, half: Half, whole: Bytes, step: float) -> NDArray[np.float32]:
        """float32, (rows,): what a half of the codes adds, the query rounded to bytes."""
        asked = ByteQuery(whole)
        found = np.empty(len(self), np.float32)

        def multiply(share: Share) -> None:
            start, end = (self._bounds[piece] for piece in share)
            self._multiply(share, half, asked, found[start:end])
            found[start:end] *= np.float32(step)

        shares = self._shares
        if len(shares) > 1:
            for_each(multiply, shares, parallel=True)
        elif shares:
            with _ONE_AT_A_TIME:
                multiply(shares[0])
        return found

    def _multiply(
        self, share: Share, half: Half, asked: ByteQuery, found: NDArray[np.float32]
    ) -> None:
        """Products with the codes, times the rows' scales."""
        pieces = self._places[slice(*share)]
        room, number = Room(len(found)), int(half == "tail")
        codes = [block.tensors[number] for block in self._blocks]
        asked.multiply([(codes[home], start, end) for home, start, end in pieces], room)
        name = f"{half}_scale"
        scales = [getattr(block, name) for block in self._blocks]
        np.concatenate([scales[home][start:end] for home, start, end in pieces], out=found)
        found *= room.products

    @cached_property
    def _shares(self) -> list[Share]:
        """A share a core, of about as many rows each."""
        rows, pieces = len(self), len(self._places)
        shares = min(usable_cores(), rows // PARALLEL_FROM_ROWS + 1)
        cuts = np.searchsorted(self._ats, [rows * share // shares for share in range(1, shares)])
        bounds = [0, *cuts.tolist(), pieces]
        return [(begin, end) for begin, end in pairwise(bounds) if end > begin]

    def scores_of(
        self, numbers: Positions, half: Half, whole: Bytes, step: float
    ) -> NDArray[np.float32]:
        """float32, (n,): as `scores`, of these rows alone.

        :param numbers: as `numbers` gives them, rising.
        """
        if not len(numbers):
            return np.empty(0, np.float32)
        products = ByteQueries(whole[None]).products_with(self.codes(half, numbers))[:, 0]
        scales = self.column(f"{half}_scale", numbers)
        return scales * products.astype(np.float32) * np.float32(step)

    def codes(self, half: Half, numbers: Positions) -> Bytes:
        """int8, (n, directions): of these rows.

        :param numbers: as `numbers` gives them, rising.
        """
        width = getattr(self._blocks[0], half).shape[1]
        found = np.empty((len(numbers), width), np.int8)
        for home, here in self._by_block(numbers):
            rows = numbers[here] - home * CODE_ROWS
            # Not "raise", which NumPy works out beside, and then copies.
            getattr(self._blocks[home], half).take(rows, 0, out=found[here], mode="clip")
        return found

    def column(self, name: str, numbers: Positions) -> Numbers:
        """float32, (n,): a column of the codes, likewise."""
        found = np.empty(len(numbers), np.float32)
        for home, here in self._by_block(numbers):
            found[here] = getattr(self._blocks[home], name)[numbers[here] - home * CODE_ROWS]
        return found

    def _by_block(self, numbers: Positions) -> list[tuple[int, slice]]:
        homes = numbers // CODE_ROWS
        cuts = [0, *(np.flatnonzero(np.diff(homes)) + 1).tolist(), len(numbers)]
        return [(int(homes[a]), slice(a, b)) for a, b in pairwise(cuts) if b > a]


def _runs(stored: StoredGroups, chosen: Positions) -> tuple[Positions, Positions]:
    """int64, (n,) each: where pieces of rows begin and end. Groups that follow one another are one
    piece; none goes over the end of a block.
    """
    firsts, cuts = stored.cuts
    counts = firsts[chosen + 1] - firsts[chosen]
    before = np.cumsum(counts) - counts
    pieces = np.arange(int(counts.sum())) + np.repeat(firsts[chosen] - before, counts)
    begins, ends = cuts[pieces], cuts[pieces + 1]
    is_first = np.ones(len(pieces), bool)
    is_first[1:] = (begins[1:] != ends[:-1]) | (begins[1:] % CODE_ROWS == 0)
    is_last = np.ones(len(pieces), bool)
    is_last[:-1] = is_first[1:]
    return begins[is_first], ends[is_last]


def kth_largest(scores: NDArray[np.float32], count: int) -> float:
    """The count-th largest; minus infinity if there are fewer.

    Of 200,000 scores it takes a third of the time of a partition: at least as large as the count-th
    largest of the maxima of many columns, and few are.
    """
    if len(scores) < count:
        return -np.inf
    width = len(scores) // _ROWS_A_COLUMN
    if width >= 8 * count:
        columns = scores[: width * _ROWS_A_COLUMN].reshape(_ROWS_A_COLUMN, width).max(0)
        scores = scores[scores >= np.partition(columns, -count)[-count]]
    return float(np.partition(scores, -count)[-count])
