"""A run's progress on the terminal: what is done, how fast, and when it will end. Written to stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

LOG_EVERY_S = 10.0  # where stderr is a file, a line this often instead of a bar that moves


class TerminalProgress:
    """Draws the stages of `indexer.sync`, one bar a stage."""

    def __init__(self, unit: str = " images") -> None:
        """:param unit: what is counted, as it stands behind the number."""
        self._unit = unit
        self._bar: tqdm[Never] | None = None
        self._skipped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def stage(self, name: str, total: int | None) -> None:
        self._close()
        terminal = sys.stderr.isatty()
        self._skipped = 0
        self._bar = tqdm(
            desc=name,
            total=total,
            unit=self._unit,
            file=sys.stderr,
            mininterval=0.2 if terminal else LOG_EVERY_S,
            maxinterval=0.5 if terminal else LOG_EVERY_S,
            dynamic_ncols=terminal,
            leave=total is not None,
            smoothing=0.1,
            delay=0.0 if total is not None else 0.5,
        )

    def advance(self, done: int, skipped: int = 0) -> None:
        if self._bar is not None:
            self._skipped += skipped
            if skipped:
                self._bar.set_postfix_str(f"{self._skipped:,} skipped", refresh=False)
            self._bar.update(done)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class StageProgress(TerminalProgress):
    """Draws stages that tell how far they are, as those of training do: one bar a stage."""

    def __init__(self) -> None:
        super().__init__(unit="")
        self._stage = ""
        self._total = self._done = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """:param done: of total, in this stage; it may be told as often as one likes."""
        if (stage, total) != (self._stage, self._total) or done < self._done:
            self.stage(stage, total)
            self._stage, self._total, self._done = stage, total, 0
        self.advance(done - self._done)
        self._done = done
