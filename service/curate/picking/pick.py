"""Picks images of a lake to label.

All images that could be picked are compared, where they are at most STAND_FOR_ALL; of a larger lake
so many, drawn at random, stand for all, and are picked from, beside some more of those that a
condition asks for. The same snapshot, seed and arguments give the same picks on the same machine;
another one rounds its products otherwise, and may prefer another one of two copies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions
from indexer.errors import BadRequest
from indexer.report import Progress, Silent
from service.curate.picking.aims import Coverage, Diversity
from service.curate.picking.greedy import Aim, greedy
from service.curate.picking.limits import AtLeast, AtMost, Limits
from service.curate.picking.reach import Reach, reach_of
from service.curate.rows import Rows
from service.search.browse import passing
from service.snapshot.snapshot import Snapshot

AIMS = ("coverage", "diversity")
STAND_FOR_ALL = 20_000
MOST_PICKS = 20_000
# Rows that pass a condition are drawn in so many times the number that is asked for.
CHOICE = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for at least, and what came of it."""

    where: str
    count: int  # asked for
    picked: int  # of the picks, that pass

    def to_json(self) -> dict[str, Any]:
        return {"where": self.where, "count": self.count, "picked": self.picked}


@dataclass(frozen=True, slots=True)
class Doubts:
    """What a filter knows of images."""

    name: str  # the filter's
    answered: Positions  # int64, (n,): row_ids that people answered, which count as labelled
    row_ids: Positions  # int64, (m,), rising
    weights: NDArray[np.float64]  # (m,), 0 to 1: 1 at even chances, 0 where it is sure

    def of(self, row_ids: Positions) -> NDArray[np.float64]:
        """float64, (n,): of these; 0 of those that it does not know, or people answered."""
        found = np.zeros(len(row_ids), np.float64)
        is_known = np.isin(row_ids, self.row_ids) & ~np.isin(row_ids, self.answered)
        at = np.searchsorted(self.row_ids, row_ids[is_known])
        found[is_known] = self.weights[at]
        return found


@dataclass(frozen=True, slots=True)
class Picks:
    row_ids: tuple[int, ...]  # in the order they were picked: any first so many are picks, too
    by: str
    seed: int
    snapshot: int
    rows: int  # that pass where
    compared: int  # of these, that stood for all
    labelled: int  # that counted as picked before
    unsure_of: str | None  # the filter whose doubts they stand for; None: they stand for all alike
    wanted: tuple[Wanted, ...]
    reach: Reach | None  # None: nothing was picked, or there was nothing to stand for

    def to_json(self) -> dict[str, Any]:
        return {
            "row_ids": list(self.row_ids),
            "by": self.by,
            "seed": self.seed,
            "snapshot": self.snapshot,
            "rows": self.rows,
            "compared": self.compared,
            "labelled": self.labelled,
            "unsure_of": self.unsure_of,
            "wanted": [each.to_json() for each in self.wanted],
            "reach": None if self.reach is None else self.reach.to_json(),
        }


def pick(
    snapshot: Snapshot,
    count: int,
    *,
    by: str = "coverage",
    where: str | None = None,
    labelled: str | None = None,
    at_most: Mapping[str, int] | None = None,
    at_least: Mapping[str, int | float] | None = None,
    within: float | None = None,
    seed: int = 0,
    doubts: Doubts | None = None,
    progress: Progress | None = None,
) -> Picks:
    """See `Lake.pick`, and for the doubts `Filter.pick`."""
    _check(count, by, within, seed, doubts)
    rows = Rows.of(snapshot, passing(snapshot, where).row_ids)
    if doubts is not None:
        rows = replace(rows, weights=doubts.of(rows.row_ids))
    none = np.empty(0, np.int64)
    known = none if labelled is None else passing(snapshot, labelled).row_ids
    if doubts is not None:
        known = np.union1d(known, np.intersect1d(doubts.answered, snapshot.places[0]))
    before = Rows.of(snapshot, known)
    free = rows.at(np.flatnonzero(~np.isin(rows.row_ids, known)))
    asked = {
        condition: _number_of(condition, each, count)
        for condition, each in (at_least or {}).items()
    }
    passes = {condition: free.passing(condition) for condition in asked}
    # Three draws of their own: what is asked for changes no other one.
    standing, choosing, counting = (np.random.default_rng([seed, each]) for each in range(3))
    lake = rows.stand_ins(STAND_FOR_ALL, standing)
    chosen = np.flatnonzero(np.isin(free.row_ids, lake.row_ids))
    for condition, number in asked.items():
        here = np.flatnonzero(passes[condition])
        chosen = np.union1d(chosen, here[free.at(here).drawn(CHOICE * number, choosing)])
    candidates = free.at(chosen)
    limits = Limits(
        len(candidates),
        min(count, len(candidates)),
        [
            AtMost(candidates.values(name), _most(name, each))
            for name, each in (at_most or {}).items()
        ],
        [AtLeast(passes[condition][chosen], number) for condition, number in asked.items()],
    )
    vectors = candidates.vectors()
    aim: Aim
    if by == "coverage":
        of_lake = lake.vectors()
        aim = Coverage(of_lake, vectors, before.nearest_to(of_lake), lake.weights)
    else:
        aim = Diversity(vectors, before.nearest_to(vectors) if len(before) else None)
    picked: Positions = np.array(
        greedy(aim, len(candidates), count, limits, progress or Silent()), np.int64
    )
    return Picks(
        tuple(candidates.row_ids[picked].tolist()),
        by,
        seed,
        snapshot.number,
        len(rows),
        len(lake),
        len(before),
        None if doubts is None else doubts.name,
        tuple(
            Wanted(condition, number, int(passes[condition][chosen[picked]].sum()))
            for condition, number in asked.items()
        ),
        reach_of(rows, vectors[picked], before, within, counting)
        if len(picked) and len(lake)
        else None,
    )


def _check(count: int, by: str, within: float | None, seed: int, doubts: Doubts | None) -> None:
    if not 1 <= count <= MOST_PICKS:
        raise BadRequest("n", f"{count} is no number of picks; it is 1 to {MOST_PICKS:,}")
    if by not in AIMS:
        raise BadRequest("by", f"images are picked by {' or '.join(AIMS)}, not by {by}")
    if doubts is not None and by != "coverage":
        raise BadRequest(
            "unsure_of", f"what a filter is unsure of is picked by coverage, not by {by}"
        )
    if within is not None and not -1 <= within <= 1:
        raise BadRequest("within", f"{within:g} is no cosine, which is from -1 to 1")
    if not 0 <= seed < 2**63:
        raise BadRequest("seed", f"{seed} is no seed; it is a whole number from 0")


def _most(column: str, count: int) -> int:
    if count < 1:
        raise BadRequest("at_most", f"{count} of each {column} leaves none; it is 1 at least")
    return count


def _number_of(condition: str, asked: int | float, count: int) -> int:
    """A share of the picks is rounded up."""
    is_share = isinstance(asked, float)
    if not (0 < asked <= 1 if is_share else 1 <= asked <= count):
        raise BadRequest(
            "at_least",
            f"{asked} of {count} where {condition}: it is a number from 1 to {count}, or a share up to 1.0",
        )
    # 0.1 of 30 is a hair above three in binary.
    return math.ceil(round(count * asked, 6)) if is_share else int(asked)
