"""What a run tells: its progress while it goes on, its report at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Told what a run is doing; the CLI draws it."""

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None:
        """A new stage begins; total is how much it has to do, None where that is not known.

        :param unit: what is counted, "steps"; None: what the run is about, images mostly.
        """

    def expect(self, total: int, *, more: bool = False) -> None:
        """The stage has so much to do in all; more: as far as is known, and it will be more."""

    def advance(self, done: int, skipped: int = 0) -> None:
        """So much more of the stage is done since the last call."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None: ...

    def expect(self, total: int, *, more: bool = False) -> None: ...

    def advance(self, done: int, skipped: int = 0) -> None: ...


@dataclass(slots=True)
class SyncReport:
    """What a run did, counted in images."""

    lake: str
    snapshot: int = 0
    rows: int = 0  # live rows now
    new: int = 0
    changed: int = 0
    moved: int = 0
    gone: int = 0
    unchanged: int = 0
    skipped: int = 0  # files that cannot be read, known ones included
    in_motion: int = 0  # files that are still being written, and were left to a later run
    recomputed: int = 0  # rows that have other values now, of columns that were to be recomputed
    # (uri, reason) of rows that keep the values they had
    not_recomputed: list[tuple[str, str]] = field(default_factory=list)
    newly_skipped: list[tuple[str, str]] = field(default_factory=list)  # (uri, reason) of this run
    problems: list[str] = field(
        default_factory=list
    )  # what went wrong, a sentence each: the lake may lack something
    # sentences worth reading, of which none is a failure
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def changed_rows(self) -> int:
        return self.new + self.changed + self.moved + self.gone + self.recomputed

    @property
    def is_news(self) -> bool:
        """Whether the run changed a row, or has something to tell."""
        told = self.newly_skipped or self.not_recomputed or self.problems or self.notes
        return bool(self.changed_rows or told or self.interrupted)
