"""Frames of videos: mp4, mov, mkv and webm.

A frame's place is its time, as the file tells it. They are listed by the times of the packets, with
nothing decoded. Those that are asked for at once are decoded in one go, since a frame can only be
decoded after those before it, from the last key frame on.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import IO, BinaryIO, TypeAlias

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.cores import usable_cores
from indexer.errors import SourceError, UnreadableImage
from indexer.images.files import check_size
from indexer.sources import ColumnValue
from indexer.sources.containers import DamagedContainer, Member
from indexer.sources.containers.frames import Frames
from indexer.sources.containers.kept import Kept
from indexer.sources.containers.video import ffmpeg
from indexer.sources.containers.video.choosing import chosen_of
from indexer.sources.containers.video.picture import pictures, png, png_size
from indexer.sources.opened import open_file
from indexer.sources.store import Stores, store_reason

# Of all frames, by time, in microseconds with whether it is a key frame, the times of some.
Choice: TypeAlias = Callable[[Iterable[tuple[int, bool]]], Iterable[int]]
STREAM = "video"  # its first picture track; others, as covers and second cameras, are not read
_MOST_PACKETS = 10_000_000  # three days at 30 frames a second
_MOST_COPIED_BYTES = 8_000_000_000
_COPIES = 2  # of videos in a store
_AT_ONCE, _AT_ONCE_BYTES = 32, 256_000_000
# Frames further apart than this are decoded by two runs: with all frames between, and key frames
# alone.
_GAP_US, _KEY_GAP_US = 5_000_000, 60_000_000
# Those who got theirs ask for the next at once, and one run for all costs little more than one.
_LINGER_S = 0.02
_NEAR_S = 0.0005  # a frame is the one of a time that is so near


class Video:
    """Frames of videos. Those that are listed depend on `frames`; all can be read."""

    def __init__(self, stores: Stores, frames: Frames | None = None) -> None:
        self._stores, self._frames = stores, frames or Frames()
        self._copies: Kept[_Copy] = Kept(stores, _COPIES)
        self._desks: dict[str, _Desk] = {}
        self._turn = threading.Lock()
        # A page of hits may be of as many videos, and each run takes memory and threads.
        self._runs = threading.BoundedSemaphore(usable_cores())

    def members(
        self,
        file: Address,
        should_stop: Callable[[], bool] = bool,
        *,
        choose: Choice | None = None,
    ) -> Iterator[Member]:
        """
        :param should_stop: True: nobody waits for the rest.
        :param choose: which frames are listed; None: those that the user asked for.

        For the rest see `Container.members`.
        """
        # microseconds, twice; the lowest bit says whether it is a key frame
        times: array[int] = array("q")
        size = 0
        damage: str | None = None
        with self._opened(file) as video:
            try:
                for line in ffmpeg.probe(video, _PROBED, ReadLimits().decode_timeout_s):
                    section, facts = _facts(line)
                    if section == "packet" and (time_us := _time_us(facts)) is not None:
                        times.append(2 * time_us + facts["flags"].startswith("K"))
                    if len(times) > _MOST_PACKETS:
                        raise ValueError(f"it has more than {_MOST_PACKETS:,} frames")
                    if section == "stream":
                        size = png_size(*_shown_size(facts))
            except KeyError as error:
                damage = f"ffprobe does not say its {error}"
            except (ffmpeg.TookTooLong, ValueError) as error:
                damage = str(error)
            frames = [(time // 2, bool(time % 2)) for time in sorted(times)]
            chosen: list[tuple[int, str | None]] = []
            try:
                if choose is not None:
                    chosen.extend((time_us, None) for time_us in choose(frames))
                else:
                    with self._runs:
                        chosen.extend(chosen_of(frames, self._frames, video, should_stop))
            except (ffmpeg.TookTooLong, ValueError) as error:
                damage = damage or str(error)
        for time_us, run in chosen:
            place = replace(file, stream=STREAM, time_us=time_us)
            yield Member(place, size, () if run is None else (run,), columns_mark=run)
        if damage is not None:
            raise DamagedContainer(damage)

    def columns(self, member: Address, sidecars: tuple[str, ...]) -> dict[str, ColumnValue]:
        told: dict[str, ColumnValue] = json.loads(sidecars[0]) if sidecars else {}
        return told

    def read(self, member: Address, limits: ReadLimits) -> bytes:
        name = str(member)
        if member.stream != STREAM or member.time_us is None:
            raise UnreadableImage(name, "a video has frames alone, each with its time")
        with self._turn:
            desk = self._desks.setdefault(member.uri, _Desk(self))
        data = desk.frame(member, limits)
        check_size(name, len(data), limits)
        return data

    @contextmanager
    def _opened(self, file: Address) -> Iterator[int]:
        """A descriptor of a video; one in a store is copied to this machine first.

        ffmpeg reads here and there in it, and is given no network.

        :raises UnreadableImage, OSError: if it cannot be read; a store raises its own errors.
        """
        whole = Address(file.uri, file.path_bytes)
        if not whole.is_url:
            opened, _ = open_file(whole, self._stores)
            with opened:
                yield opened.fileno()
            return
        copy = self._copies.of(whole.uri, whole, lambda: self._copy(whole))
        yield copy.file.fileno()

    def _copy(self, file: Address) -> _Copy:
        opened, size_bytes = open_file(file, self._stores)
        with opened:
            if size_bytes > _MOST_COPIED_BYTES:
                raise UnreadableImage(
                    file.uri,
                    f"it is of {size_bytes:,} bytes, and at most {_MOST_COPIED_BYTES:,} of a video in a "
                    "store are copied to this machine to be read; copy it yourself",
                )
            return _Copy(opened)

    def decoded(
        self, file: Address, times: Sequence[int], limits: ReadLimits, *, may_be_keys: bool
    ) -> _Decoded:
        """:raises UnreadableImage: if the file cannot be read at all; transient or not."""
        try:
            with self._opened(file) as video, self._runs:
                return _decode(video, times, limits, may_be_keys=may_be_keys)
        except ffmpeg.NoFfmpeg as error:
            reason = SourceError(file.uri, str(error))
            raise UnreadableImage(file.uri, str(error), transient=True) from reason
        except UnreadableImage:
            raise
        except Exception as error:
            gone = isinstance(error, FileNotFoundError)
            raise UnreadableImage(file.uri, store_reason(error), transient=not gone) from error


class _Copy:
    """A video of a store on this machine's disk, without a name, as long as somebody has it."""

    def __init__(self, opened: BinaryIO) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="lakesift-")  # noqa: SIM115 - it is kept
        weakref.finalize(self, self.file.close)
        shutil.copyfileobj(opened, self.file, 1 << 22)
        self.file.flush()


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What came of some times."""

    frames: dict[int, bytes]  # time -> PNG
    why_not: str  # the others are not there
    is_late: bool = False  # they took too long
    is_broken: bool = False  # it may be the doing of one of them
    keys: int = 0  # of the frames, those that were found among the key frames


class _Wanted:
    """One who waits for a frame."""

    __slots__ = ("error", "frame", "limits", "member")

    def __init__(self, member: Address, limits: ReadLimits) -> None:
        self.member, self.limits = member, limits
        self.frame: bytes | None = None
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.frame is not None or self.error is not None

    @property
    def time_us(self) -> int:
        return self.member.time_us or 0


class _Desk:
    """Those who want frames of one video: one of them at a time decodes for all who wait."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self._turn = threading.Condition()
        self._waiting: list[_Wanted] = []
        self._is_busy = False
        self._served = 1  # by the last run
        self._most = 1  # frames at once, as soon as their size is known
        self._may_be_keys = True  # whether those that are wanted were key frames so far

    def frame(self, member: Address, limits: ReadLimits) -> bytes:
        wanted = _Wanted(member, limits)
        with self._turn:
            self._waiting.append(wanted)
            self._turn.notify_all()  # one may linger for it
        while True:
            with self._turn:
                while self._is_busy and not wanted.is_done:
                    self._turn.wait()
                if wanted.frame is not None:
                    return wanted.frame
                if wanted.error is not None:
                    raise wanted.error
                self._is_busy = True
            batch: list[_Wanted] = []
            try:
                batch = self._batch()
                self._serve(batch)
            finally:
                with self._turn:
                    for each in batch:
                        if not each.is_done:  # this thread was stopped
                            each.error = UnreadableImage(str(each.member), _STOPPED, transient=True)
                    self._is_busy, self._served = False, len(batch)
                    self._turn.notify_all()

    def _batch(self) -> list[_Wanted]:
        with self._turn:
            if self._served > 1:
                self._turn.wait_for(lambda: len(self._waiting) >= self._served, _LINGER_S)
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            return batch

    def _serve(self, batch: Sequence[_Wanted]) -> None:
        failed: Exception = RuntimeError("nobody decoded it")
        found = _Decoded({}, "")
        try:
            times = sorted({each.time_us for each in batch})
            limits = max((each.limits for each in batch), key=lambda limits: limits.max_bytes)
            found = self._video.decoded(
                batch[0].member, times, limits, may_be_keys=self._may_be_keys
            )
            self._may_be_keys = 2 * found.keys >= len(times)
            if found.frames:
                size = len(next(iter(found.frames.values())))
                self._most = max(1, min(_AT_ONCE, _AT_ONCE_BYTES // size))
        except Exception as error:  # noqa: BLE001 - each of those who wait is told
            failed = error
        for each in batch:
            each.frame = found.frames.get(each.time_us)
            if each.frame is None:
                each.error = _error_for(str(each.member), found, failed)


def _error_for(name: str, found: _Decoded, failed: Exception) -> Exception:
    if found.why_not:
        error = UnreadableImage(name, found.why_not)
        if found.is_late:
            error.__cause__ = SourceError(name, found.why_not)
        return error
    if isinstance(failed, UnreadableImage):
        error = UnreadableImage(name, failed.reason, transient=failed.transient)
        error.__cause__ = failed.__cause__
        return error
    return failed


def _decode(video: int, times: Sequence[int], limits: ReadLimits, *, may_be_keys: bool) -> _Decoded:
    """
    :param may_be_keys: True: they are looked for among the key frames first, which costs little;
        the others need all that lies before them.
    """
    frames: dict[int, bytes] = {}
    last = _Decoded({}, "")
    if may_be_keys:
        for group in _groups(times, _KEY_GAP_US):
            last = _run(video, group, ["-skip_frame", "nokey"], limits)
            frames |= last.frames
    keys = len(frames)
    for group in _groups([time for time in times if time not in frames], _GAP_US):
        last = _run(video, group, [], limits)
        frames |= last.frames
        if last.is_broken and len(group) > 1:
            for time in group:
                last = _run(video, [time], [], limits)
                frames |= last.frames
    return replace(last, frames=frames, keys=keys)


def _groups(times: Sequence[int], gap_us: int) -> Iterator[Sequence[int]]:
    begin = 0
    for place in range(1, len(times) + 1):
        if place == len(times) or times[place] - times[place - 1] > gap_us:
            yield times[begin:place]
            begin = place


def _run(video: int, times: Sequence[int], skipping: Sequence[str], limits: ReadLimits) -> _Decoded:
    seconds = [time / 1e6 for time in times]
    first = max(0.0, seconds[0] - _NEAR_S)
    wanted = "+".join(f"between(t,{s - _NEAR_S:.6f},{s + _NEAR_S:.6f})" for s in seconds)
    filters = (
        f"trim=end={seconds[-1] + 2 * _NEAR_S:.6f},select='{wanted}',showinfo=checksum=0,"
        "scale=flags=bicubic+accurate_rnd+full_chroma_int+bitexact,format=rgb24,"
        # one picture for each frame, none twice and none left out
        f"settb=1/{ffmpeg.RATE},setpts=N"
    )
    seeking = ["-copyts", "-seek_timestamp", "1", "-noaccurate_seek", "-ss", f"{first:.6f}"]
    reading = [
        *skipping,
        "-max_pixels",
        str(limits.max_pixels),
        *(seeking if first else seeking[:1]),
    ]
    patience_s = limits.decode_timeout_s * len(times)
    done = ffmpeg.decode(video, reading, filters, patience_s)
    shown, made = _shown(done.said), list(pictures(done.ppms))
    frames: dict[int, bytes] = {}
    # What broke off is right as far as it goes; else which picture is which cannot be told.
    if len(shown) == len(made) or done.code:
        for at_us, (width, height, rgb) in zip(shown, made, strict=False):
            nearest = min(times, key=lambda time: abs(time - at_us))
            if nearest not in frames and png_size(width, height) <= limits.max_bytes:
                frames[nearest] = png(width, height, rgb)
    if done.is_late:
        why_not = f"decoding took longer than {patience_s:g} s and was stopped"
        return _Decoded(frames, why_not, is_late=True)
    is_broken = bool(done.code) or len(shown) != len(made)
    return _Decoded(frames, _NO_FRAME, is_broken=is_broken)


_STOPPED = "decoding was stopped"
_NO_FRAME = "the video has no frame at this time that can be decoded"


def _shown(said: str) -> list[Fraction]:
    """When each picture is shown, in microseconds, in their order."""
    base = ffmpeg.BASE.search(said)
    if base is None:
        return []
    unit_us = Fraction(int(base[1]), int(base[2]) or 1) * 1_000_000
    return [int(match[1]) * unit_us for match in ffmpeg.SHOWN.finditer(said)]


_PROBED = "packet=pts_time,flags:stream=width,height:stream_side_data=rotation"


def _facts(line: str) -> tuple[str, dict[str, str]]:
    section, *facts = line.split("|")
    return section, dict(fact.split("=", 1) for fact in facts if "=" in fact)


def _shown_size(facts: dict[str, str]) -> tuple[int, int]:
    """Width and height as a person sees them; a phone's video may lie on its side."""
    width, height = int(facts["width"]), int(facts["height"])
    turned = [value for name, value in facts.items() if name.endswith("rotation")]
    return (height, width) if turned and abs(float(turned[0])) in (90, 270) else (width, height)


def _time_us(facts: dict[str, str]) -> int | None:
    """None for a packet that shows nothing: it has no time, begins before the video, or is only
    there for others.
    """
    try:
        time_us = round(Fraction(facts["pts_time"]) * 1_000_000)
    except (KeyError, ValueError):
        return None
    return time_us if 0 <= time_us < 2**61 and "D" not in facts["flags"] else None
