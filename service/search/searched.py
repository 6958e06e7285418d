"""How a query is searched: among every row, or in the nearest groups alone, and what that finds.

A search is exact unless less is asked for: by the query, by the service for queries that say
nothing, or by the lake. Then it looks into as few groups as had that recall when it was measured on
this lake. What would not be bounded by that measurement is searched exactly all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from indexer.disk.groups import KINDS, LEAST_ROWS, NEAREST, Kind
from service.search.query import Query
from service.snapshot.groups.groups import Groups
from service.snapshot.scan.rider import WIDEST
from service.snapshot.snapshot import Snapshot

# Of the groups: to look into more takes as long as to read all rows, whose order is their own.
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Searched:
    """How a query was searched."""

    depth: int | None = None  # groups looked into; None: every row is searched
    groups: int = 0  # that there are
    # Of queries of each kind, the share of the 10 and of the 100 nearest rows that was found when
    # it was measured.
    recall: Mapping[Kind, tuple[float, float]] = field(default_factory=dict)
    why: str | None = None  # less was asked for, and this is why it is exact all the same
    kind: Kind | None = None  # of its examples; None: of several, or nobody knows
    engine: str | None = None  # whose candidates were searched, as "pgvector"
    candidates: int = 0  # that it was asked for
    # 10 or 100 -> what queries are made of -> the share of so many nearest rows that was found, on
    # searches that people did.
    measured: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    is_outage: bool = False  # an engine was to be asked, and could not be

    @property
    def is_near(self) -> bool:
        """Whether it may have missed some of the nearest rows."""
        return self.depth is not None or self.engine is not None

    @property
    def sentence(self) -> str:
        if self.depth is None:
            return f"searched exactly{'' if self.why is None else f': {self.why}'}"
        found = ", ".join(f"{shares[0]:.3f} by {kind}" for kind, shares in self.recall.items())
        return (
            f"looked into {self.depth:,} of {self.groups:,} groups, which finds {found} of the "
            "10 nearest as measured on this lake; --exact-search searches every row"
        )

    def to_json(self) -> dict[str, Any]:
        if self.engine is not None:
            return {"exact": False, "engine": self.engine, "candidates": self.candidates} | {
                f"recall_at_{nearest}": {name: round(share, 4) for name, share in shares.items()}
                for nearest, shares in self.measured.items()
                if shares
            }
        if self.depth is None:
            return {"exact": True} | ({} if self.why is None else {"why": self.why})
        return {"exact": False} | {
            f"recall_at_{count}": {
                kind: round(shares[at], 4) for kind, shares in self.recall.items()
            }
            for at, count in enumerate(NEAREST)
        }


def searched(snapshot: Snapshot, query: Query, kind: Kind | None) -> Searched | None:
    """
    :param kind: of the query's examples; None: they are of several, or nobody knows.
    :returns: None: nobody asked for less than every row.
    """
    groups = snapshot.groups
    recall = query.recall or (None if groups is None else groups.recall)
    if query.exact:
        return Searched()
    if recall is None:
        return None
    if recall >= 1:
        return Searched()
    why = why_exact(query) or _why_no_groups(snapshot)
    if why is not None or groups is None:
        return Searched(why=why)
    depths = groups.stored.about.depths
    if query.depth is not None:
        return _at(groups, min(query.depth, len(groups)), kind)
    wanted: tuple[Kind, ...] = KINDS if kind is None else (kind,)
    if unknown := [each for each in wanted if each not in depths]:
        return Searched(why=f"searches by {unknown[0]} were not measured on this lake")
    found = [depths[each].depth_for(recall, query.k or WIDEST) for each in wanted]
    enough = [each for each in found if each is not None]
    if len(enough) < len(found) or max(enough) > _MOST * len(groups):
        return Searched(why=f"a recall of {recall:g} would take more than half of the groups")
    return _at(groups, max(enough), kind)


def _why_no_groups(snapshot: Snapshot) -> str | None:
    """None: they can be searched."""
    if snapshot.groups is None:
        # dead rows too, as `compact` counts them
        if sum(part.rows for part in snapshot.parts) < LEAST_ROWS:
            return (
                f"a lake below {LEAST_ROWS:,} rows has no groups, and is searched as fast without"
            )
        return "the lake has no groups; `lakesift compact LAKE --groups` makes them"
    if snapshot.manifest.are_groups_outlived:
        return (
            "many rows are gone since the lake's groups were measured; `lakesift compact LAKE "
            "--groups` measures them anew, as does the next sync"
        )
    return None


def _at(groups: Groups, depth: int, kind: Kind | None) -> Searched:
    recall = {kind: depths.recall(depth) for kind, depths in groups.stored.about.depths.items()}
    return Searched(depth, len(groups), recall, kind=kind)


def why_exact(query: Query, *, on_engine: bool = False) -> str | None:
    """What was measured is the best rows of all, no more of them than a page has.

    :param on_engine: True: of an engine, which goes on until enough of its candidates pass.
    """
    options = {
        "where": query.where is not None and not on_engine,
        "filter": query.decided is not None,
        "min_z": query.min_z is not None,
        "max_per": query.max_per is not None,
        "moments": query.moments is not None,
        "diversity": query.diversity > 0,
        "sort": query.is_sorted,
    }
    if said := [name for name, is_said in options.items() if is_said]:
        return f"a search with {said[0]} is always exact"
    if query.k is None or query.k > WIDEST:
        return f"a search for more than {WIDEST:,} hits is always exact"
    return None
