"""Hits of one video, or of one topic of a recording, that are near in time as one hit: the best
frame, and the span of which it is.

A moment begins with its best frame, the best row that is of no other moment yet. Its span goes on,
before and behind, to each frame of the stream that fits at least half as well: with a score in the
upper half between the lake's median and the best frame's, as the width of a peak is measured at
half of its height. Two of them are at most a gap apart, and those between do not break it. All
other frames in the span or within a gap of it belong to the moment, too, and are no hits. So a
moment depends on the lake and the query alone, and not on how many hits were asked for.

Source of the measure: https://en.wikipedia.org/wiki/Full_width_at_half_maximum
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, RowMask
from service.search.hits import Span
from service.search.ranking import Ranking
from service.snapshot.snapshot import Snapshot
from service.snapshot.streams import Stream

_LEAST_AT_ONCE = 64  # frames whose scores are found at once


def has_streams(snapshot: Snapshot) -> bool:
    return any(part.streams.names for part in snapshot.parts)


class Moments:
    """Takes the best frames, from the best one on; says which rows are of their moments."""

    def __init__(self, ranking: Ranking, gap_us: int, median: Callable[[], float]) -> None:
        """
        :param gap_us: between two frames of a span, at most.
        :param median: of the scores of the lake.
        """
        self._ranking, self._gap_us = ranking, gap_us
        self._parts = ranking.snapshot.parts
        self._median = median
        self._rows: dict[Stream, _Rows] = {}

    @cached_property
    def _lake_median(self) -> float:
        return self._median()

    def begin(self, part: int, position: int, score: float) -> Span | None:
        """The moment of a row that is of none yet; None: it is of no stream.

        :param part: the number of the row's part; position: in that.
        """
        streams = self._parts[part].streams
        number = streams.number_of(position)
        if number < 0:
            return None
        name = streams.names[number]
        if name not in self._rows:
            self._rows[name] = _Rows(self._ranking, name)
        least = min(score, (score + self._lake_median) / 2)
        if self._ranking.at_least is not None:
            least = max(least, self._ranking.at_least)
        return self._rows[name].begin(part, position, least, self._gap_us)

    def taken(self, part: int, position: int) -> bool:
        """Whether a row is of a moment that was begun."""
        streams = self._parts[part].streams
        number = streams.number_of(position)
        rows = self._rows.get(streams.names[number]) if number >= 0 else None
        return rows is not None and rows.is_taken(part, position)

    def take_from(self, masks: Sequence[RowMask]) -> None:
        """Put False where a row is of a moment that was begun.

        :param masks: bool, (rows of the part,), one a part.
        """
        for rows in self._rows.values():
            for number, mask in enumerate(masks):
                mask[rows.positions[(rows.parts == number) & rows.taken]] = False


class _Rows:
    """The rows of one stream that the ranking wants, by their time."""

    def __init__(self, ranking: Ranking, name: Stream) -> None:
        self._ranking = ranking
        parts, positions, begins, ends = [], [], [], []
        for number, part in enumerate(ranking.snapshot.parts):
            where = part.streams.rows_of(name)
            here, mask = part.streams.places[where], ranking.mask(number)
            wanted = np.ones(len(here), bool) if mask is None else mask[here]
            parts.append(np.full(int(np.count_nonzero(wanted)), number))
            positions.append(here[wanted])
            begins.append(part.streams.begins_us[where][wanted])
            ends.append(part.streams.ends_us[where][wanted])
        order = np.lexsort(
            (np.concatenate(positions), np.concatenate(parts), np.concatenate(begins))
        )
        self.parts: Positions = np.concatenate(parts)[order]
        self.positions: Positions = np.concatenate(positions)[order]
        self._begins_us = np.concatenate(begins)[order]
        self._ends_us = np.concatenate(ends)[order]
        # the latest end of each and those before it: a run may reach beyond the next frame
        self._reaches_us = np.maximum.accumulate(self._ends_us)
        self.taken: NDArray[np.bool_] = np.zeros(len(order), bool)
        self._scores = np.full(len(order), np.nan, np.float32)
        self._at = {
            place: at
            for at, place in enumerate(
                zip(self.parts.tolist(), self.positions.tolist(), strict=True)
            )
        }

    def is_taken(self, part: int, position: int) -> bool:
        at = self._at.get((part, position))
        return at is not None and bool(self.taken[at])

    def begin(self, part: int, position: int, least: float, gap_us: int) -> Span:
        """
        :param least: the score of a frame that widens the span.
        """
        best = self._at[part, position]
        first, frames_before, from_us = self._walk(best, -1, least, gap_us)
        last, frames_behind, to_us = self._walk(best, 1, least, gap_us)
        near = (self._begins_us <= to_us + gap_us) & (self._ends_us >= from_us - gap_us)
        self.taken |= near
        self.taken[first : last + 1] = True
        return Span(from_us, to_us, 1 + frames_before + frames_behind)

    def _walk(self, best: int, step: int, least: float, gap_us: int) -> tuple[int, int, int]:
        """The last frame of the span on one side, how many there are, when it begins or ends."""
        at, frames = best, 0
        edge_us = int(self._begins_us[best] if step < 0 else self._ends_us[best])
        next_at = best + step
        while 0 <= next_at < len(self.taken) and not self.taken[next_at]:
            begin_us, end_us = int(self._begins_us[next_at]), int(self._ends_us[next_at])
            if (begin_us - edge_us if step > 0 else edge_us - self._end_before(next_at)) > gap_us:
                break
            if self._score(next_at, step) >= least:
                at, frames = next_at, frames + 1
                edge_us = max(edge_us, end_us) if step > 0 else begin_us
            next_at += step
        return at, frames, edge_us

    def _end_before(self, at: int) -> int:
        """When the last of the frames up to this one ends."""
        return int(self._reaches_us[at])

    def _score(self, at: int, step: int) -> float:
        if np.isnan(self._scores[at]):
            wanted = at + step * np.arange(_LEAST_AT_ONCE)
            self._fill(wanted[(wanted >= 0) & (wanted < len(self._scores))])
        return float(self._scores[at])

    def _fill(self, wanted: Positions) -> None:
        snapshot = self._ranking.snapshot
        for number in np.unique(self.parts[wanted]):
            here = wanted[self.parts[wanted] == number]
            vectors = snapshot.parts[number].vectors.take(self.positions[here])
            # not @: its result for one row may depend on the others that it is asked with
            self._scores[here] = np.vecdot(vectors, self._ranking.vector)
