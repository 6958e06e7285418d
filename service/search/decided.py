"""Which rows of a lake a filter kept, dropped or left to a person:
what a search may be restricted to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from indexer.errors import BadRequest
from indexer.words import count

if TYPE_CHECKING:
    from indexer.arrays import RowMask

_NAMED = re.compile(r"([^@]*)(?:@([1-9][0-9]{0,8}))?")
Decision = Literal["keep", "ask", "drop"]
DECISIONS: tuple[Decision, ...] = ("keep", "ask", "drop")
# What a search may be restricted to: rows without a decision, too.
Wanted = Literal["keep", "ask", "drop", "undecided"]
WANTED: tuple[Wanted, ...] = (*DECISIONS, "undecided")


@dataclass(frozen=True, slots=True)
class DecidedBy:
    """A filter, and the decisions that are wanted; undecided: rows that have none.

    :raises BadRequest: if none is, or one is none of keep, ask, drop and undecided.
    """

    filter: str
    decisions: tuple[str, ...] = ("keep",)
    version: int | None = None  # None: the one that was applied last

    def __post_init__(self) -> None:
        for decision in self.decisions:
            if decision not in WANTED:
                raise BadRequest(
                    "decision", f"{decision!r} is none of keep, ask, drop and undecided"
                )
        if not self.decisions:
            raise BadRequest("decision", "name at least one of keep, ask, drop and undecided")

    @classmethod
    def parse(cls, filter: str, decisions: str | Sequence[str] | None = None) -> DecidedBy:
        """Understand NAME, or NAME@VERSION.

        :param decisions: None: keep.
        :raises BadRequest: if it is neither, or a decision is unknown.
        """
        found = _NAMED.fullmatch(filter)
        if not found or not found[1]:
            raise BadRequest(
                "filter",
                f"{filter!r} is no filter's name, with or without a version: hospital, or hospital@3",
            )
        wanted = (decisions,) if isinstance(decisions, str) else tuple(decisions or ("keep",))
        return cls(found[1], tuple(dict.fromkeys(wanted)), int(found[2]) if found[2] else None)

    @property
    def named(self) -> str:
        """As `parse` takes it."""
        return self.filter if self.version is None else f"{self.filter}@{self.version}"


@dataclass(frozen=True, slots=True)
class DecidedRows:
    """The rows of one snapshot that were decided so."""

    by: DecidedBy  # with its version
    masks: tuple[RowMask, ...]  # a part each, bool, (rows of the part,): True was decided so
    undecided: int  # live rows without any decision: added since, or left out by the filter's where

    def note(self, lake: str) -> str | None:
        """A sentence about the rows without a decision; None where there are none, or they are what
        is asked for.
        """
        if not self.undecided or "undecided" in self.by.decisions:
            return None
        rows = count(self.undecided, "image has", "images have")
        again = f"lakesift filter next {lake} {self.by.filter} --purpose audit --again"
        return (
            f"{rows} no decision of {self.by.named} and cannot be found with it: added since, or left out by its "
            f"where; a new audit takes in what was added: {again}"
        )
