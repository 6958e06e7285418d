"""Whether a frame shows something else than the last one that was kept.

Two frames are compared as 32 x 32 cells, each the mean of its pixels; they differ by the largest
change of red, green or blue in any cell, as a share of the range. So a small thing that moves is
seen, where the mean of the frame would hardly change, and noise, which a cell's mean evens out, is
not. Whole numbers alone, so that a later run chooses the same frames on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Cells: TypeAlias = NDArray[np.uint8]  # (CELLS * CELLS * 3,): rows from the top, RGB

CELLS = 32  # on either side of a frame
_RANGE = 255


def change_permille(before: Cells, now: Cells) -> int:
    """By how much two frames differ, from 0 to 1,000."""
    return int(np.abs(now.astype(np.int16) - before).max()) * 1_000 // _RANGE


@dataclass(slots=True)
class Run:
    """A frame that is kept, and those after it that hardly differ from it."""

    begin_us: int
    end_us: int
    frames: int = 1

    def columns(self) -> dict[str, int | float]:
        """Of its row."""
        return {"still_frames": self.frames, "still_s": (self.end_us - self.begin_us) / 1e6}


class Stillness:
    """Takes the frames of one stream, one after the other; makes runs of them."""

    def __init__(self, below_permille: int) -> None:
        """:param below_permille: frames that differ by less are one run."""
        self._below = below_permille
        self._kept: Cells | None = None
        self._run: Run | None = None

    def add(self, time_us: int, cells: Cells | None) -> Run | None:
        """The run that a frame begins; None: it goes on with the one before.

        :param cells: None: the frame cannot be read; it is a run of its own, and the one before
            may go on after it.
        """
        if cells is None:
            return Run(time_us, time_us)
        if (
            self._run is not None
            and self._kept is not None
            and change_permille(self._kept, cells) < self._below
        ):
            self._run.frames += 1
            self._run.end_us = max(self._run.end_us, time_us)
            return None
        self._kept, self._run = cells, Run(time_us, time_us)
        return self._run
