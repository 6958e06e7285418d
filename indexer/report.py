"""What a run tells: its progress while it goes on, its report at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Told what a run is doing; the CLI draws it."""

    def stage(self, name: str, total: int | None) -> None:
        """A new stage begins; total is how much it has to do, None where that is not known."""

    def advance(self, done: int, skipped: int = 0) -> None:
        """So much more of the stage is done since the last call."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int | None) -> None: ...

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
    newly_skipped: list[tuple[str, str]] = field(default_factory=list)  # (uri, reason) of this run
    problems: list[str] = field(
        default_factory=list
    )  # what went wrong, a sentence each: the lake may lack something
    notes: list[str] = field(default_factory=list)  # sentences worth reading, of which none is a failure
    seconds: float = 0.0
    interrupted: bool = False
