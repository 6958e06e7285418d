"""A run's progress on the terminal: what is done,
how fast, and when it will end. Written to stderr.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

LOG_EVERY_S = 10.0  # where stderr is a file, a line this often instead of a bar that moves


BYTES = "bytes"  # as a unit


class TerminalProgress:
    """Draws the stages of `indexer.sync`, one bar a stage."""

    def __init__(self, unit: str = " images", *, is_passing: bool = False) -> None:
        """
        :param unit: what is counted, as it stands behind the number.
        :param is_passing: True: what is done leaves no bar behind, and in a file no line that
            begins within the first seconds.
        """
        self._unit, self._is_passing = unit, is_passing
        self._bar: tqdm[Never] | None = None
        self._skipped = 0
        self._growing = ""  # as far as it is known, where it still grows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None:
        self.clear()
        terminal = sys.stderr.isatty()
        self._skipped, self._growing = 0, ""
        self._bar = tqdm(
            desc=name,
            total=total,
            unit=self._unit if unit is None else "B" if unit == BYTES else f" {unit}",
            unit_scale=unit == BYTES,  # 12.3M/40.0M
            file=sys.stderr,
            mininterval=0.2 if terminal else LOG_EVERY_S,
            maxinterval=0.5 if terminal else LOG_EVERY_S,
            dynamic_ncols=terminal,
            leave=total is not None and not self._is_passing,
            smoothing=0.1,
            delay=self._delay_s(total, terminal),
        )

    def _delay_s(self, total: int | None, terminal: bool) -> float:
        if self._is_passing and not terminal:
            return LOG_EVERY_S
        return 0.0 if total is not None and not self._is_passing else 0.5

    def expect(self, total: int, *, more: bool = False) -> None:
        """While a total grows it says nothing of when the end will be."""
        if self._bar is not None:
            self._growing = f"of {total:,}+ (listing)" if more else ""
            self._bar.total = None if more else total
            self._bar.leave = not more and not self._is_passing
            self._remark()

    def advance(self, done: int, skipped: int = 0) -> None:
        if self._bar is not None:
            self._skipped += skipped
            if skipped:
                self._remark()
            self._bar.update(done)

    def _remark(self) -> None:
        assert self._bar is not None
        skipped = f"{self._skipped:,} skipped" if self._skipped else ""
        remark = ", ".join(filter(None, (self._growing, skipped)))
        self._bar.set_postfix_str(remark, refresh=False)

    def clear(self) -> None:
        """End the bar, so that a line can be printed."""
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
