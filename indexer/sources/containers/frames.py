"""Which moments of a stream become images: what a user asks for, and what a source remembers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from indexer.durations import duration_us

_UNITS_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000}
_NO_FRAMES, _KEY_FRAMES, _SCENES, _STILL = "none", "key", "scenes", "still"
# Of the range; below it a frame is still. Measured: `python -m benchmarks stillness`.
DEFAULT_PERMILLE = 70
_LONGEST_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Frames:
    """One frame for each `every_us` of a video: of all its frames, of its key frames alone, or of
    each shot anew.
    """

    every_us: int = 1_000_000  # 0: each key frame, or one frame a shot
    are_keys: bool = False
    none: bool = False  # True: videos are left out
    scenes: bool = False  # True: the first frame of each shot, and others after it
    # frames that differ from the last one kept by less, in thousandths, are no rows; 0: all are
    still_permille: int = 0

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """As `1s`, `500ms`, `key`, `key/5s`, `scenes`, `scenes/5s` or `none`; all but the last may
        end with `/still` or `/still=6%`. None for the default.

        :raises ValueError: with a sentence.
        """
        if text is None:
            return cls()
        if text == _NO_FRAMES:
            return cls(none=True)
        chosen, _, still = text.partition(f"/{_STILL}")
        permille = 0
        if len(chosen) < len(text):
            permille = still_permille(still.removeprefix("=")) if still else DEFAULT_PERMILLE
        for word in (_KEY_FRAMES, _SCENES):
            if chosen != word and not chosen.startswith(f"{word}/"):
                continue
            every = chosen.removeprefix(word).removeprefix("/")
            return cls(
                _duration_us(every) if chosen != word else 0,
                are_keys=word == _KEY_FRAMES,
                scenes=word == _SCENES,
                still_permille=permille,
            )
        return cls(_duration_us(chosen), still_permille=permille)

    def __str__(self) -> str:
        if self.none:
            return _NO_FRAMES
        parts = [_KEY_FRAMES] if self.are_keys else [_SCENES] if self.scenes else []
        if self.every_us or not parts:
            unit, size = next(
                (unit, size)
                for unit, size in reversed(_UNITS_US.items())
                if self.every_us % size == 0 or unit == "ms"
            )
            parts.append(f"{self.every_us // size}{unit}")
        if self.still_permille:
            parts.append(f"{_STILL}={self.still_permille / 10:g}%")
        return "/".join(parts)

    def of(self, frames: Iterable[tuple[int, bool]]) -> Iterator[int]:
        """The times of those that are chosen.

        :param frames: time in microseconds, and whether it is a key frame or begins a shot; by
            time.
        """
        chooser = Chooser(self)
        return (time_us for time_us, is_marked in frames if chooser.takes(time_us, is_marked))


class Chooser:
    """Takes the frames of one video, by time.

    The first frame of each `every_us`, as the first frame of all begins them; key frames are as far
    apart at least, and a shot's first frame begins anew.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._due_us: int | None = None  # None: whatever comes next

    def takes(self, time_us: int, is_marked: bool) -> bool:
        """:param is_marked: it is a key frame, or begins a shot."""
        frames, due, every_us = self._frames, self._due_us, self._frames.every_us
        if frames.scenes:
            if due is not None and not is_marked and (not every_us or time_us < due):
                return False
        elif (frames.are_keys and not is_marked) or (due is not None and time_us < due):
            return False
        if frames.are_keys or frames.scenes or due is None or not every_us:
            self._due_us = time_us + max(every_us, 1)
        else:
            self._due_us = due + every_us * ((time_us - due) // every_us + 1)
        return True


def still_permille(text: str) -> int:
    """A share of the range as `6%`, `2.5%` or `6`, in thousandths.

    :raises ValueError: with a sentence.
    """
    match = re.fullmatch(r"(\d{1,3}(?:\.\d)?)%?", text)
    permille = round(float(match[1]) * 10) if match else 0
    if not 0 < permille <= 1_000:
        raise ValueError(f"{text!r} is no share from 0.1% to 100%, such as 6%")
    return permille


def _duration_us(text: str) -> int:
    """A duration such as `1s`, `0.5s`, `500ms` or `2m` in microseconds; without a unit, seconds.

    :raises ValueError: with a sentence.
    """
    try:
        us = duration_us(text)
    except ValueError:
        us = 0
    if not 0 < us <= _LONGEST_US:
        raise ValueError(
            f"{text!r} is no duration of whole milliseconds up to a day, such as 1s, 0.5s or 2m"
        )
    return us
