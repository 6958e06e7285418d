"""Which frame of a video is which frame of which episode.

The tables say where in the video an episode begins, in seconds that were added up: after many
episodes they may be a frame off. So where a video has just as many frames as its episodes, the
frames are counted; else they are told by their times, to half a frame.

Source: https://github.com/huggingface/lerobot/issues/3177
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_US = 1_000_000
# Episodes that begin further from where the tables say are not counted through to.
_MOST_DRIFT_US = _US


class Shown(NamedTuple):
    """An episode as a video shows it."""

    episode: int
    length: int  # frames
    from_us: int  # in the video


class Frame(NamedTuple):
    time_us: int  # in the video
    is_key: bool
    frame_index: int  # in its episode, from 0


def frames_of(
    times: Sequence[tuple[int, bool]], episodes: Sequence[Shown], fps: float
) -> Iterator[tuple[Shown, list[Frame]]]:
    """The frames of each episode, by time. A frame is of one episode, or of none.

    :param times: of all frames of a video, in microseconds, with whether it is a key frame; sorted.
    """
    ordered = sorted(episodes, key=lambda shown: (shown.from_us, shown.episode))
    starts = _counted(times, ordered)
    if starts is not None:
        for shown, start in zip(ordered, starts, strict=True):
            here = times[start : start + shown.length]
            yield shown, [Frame(*time, number) for number, time in enumerate(here)]
        return
    taken: set[int] = set()
    for shown in ordered:
        yield shown, _timed(times, shown, fps, taken)


def _counted(times: Sequence[tuple[int, bool]], ordered: Sequence[Shown]) -> list[int] | None:
    """The place of each episode's first frame; None where they cannot be counted."""
    if len(times) != sum(shown.length for shown in ordered):
        return None
    starts, next_start = [], 0
    for shown in ordered:
        if shown.length and abs(times[next_start][0] - shown.from_us) > _MOST_DRIFT_US:
            return None
        starts.append(next_start)
        next_start += shown.length
    return starts


def _timed(
    times: Sequence[tuple[int, bool]], shown: Shown, fps: float, taken: set[int]
) -> list[Frame]:
    half_us = 0.5 * _US / fps
    nearest: dict[int, tuple[float, Frame]] = {}
    for place in range(bisect_left(times, (shown.from_us - half_us, False)), len(times)):
        time_us, is_key = times[place]
        number = round((time_us - shown.from_us) * fps / _US)
        if number >= shown.length:
            break
        off_us = abs(time_us - shown.from_us - number * _US / fps)
        before = nearest.get(number)
        if number >= 0 and time_us not in taken and (before is None or off_us < before[0]):
            nearest[number] = (off_us, Frame(time_us, is_key, number))
    found = [nearest[number][1] for number in sorted(nearest)]
    taken.update(frame.time_us for frame in found)
    return found
