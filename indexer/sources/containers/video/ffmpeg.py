"""The system's ffmpeg and ffprobe, run in a box on one open file.

A program of the system and no package: the wheels of PyAV and of imageio-ffmpeg carry codecs under
the GPL, and a codec that a video took over would stand in our own process. In the box
(`indexer.box.program`) it reads its own libraries and that one file, and has no network, no other
process and so much memory and time. It knows the kinds of files that it is told of and no other, so
that no playlist names it a second file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from queue import SimpleQueue
from typing import IO, NamedTuple

from indexer.cores import usable_cores
from indexer.processes import FOLDER, bare_environment, python_command

MISSING = (
    "ffmpeg is not installed, and videos are read by it (Debian and Ubuntu: apt install ffmpeg; "
    "macOS: brew install ffmpeg)"
)
RATE = 25  # frames a second of what comes out; at another rate ffmpeg doubles or drops some
_MEMORY_BYTES = 4_000_000_000
_SPARE_S = 10  # of work, beyond the time that is waited for
_MAX_TOLD_CHARACTERS = 1_000_000
_IN = (
    "-protocol_whitelist", "file,pipe",
    "-format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm",
)  # fmt: skip
_FILE = "file:/dev/fd/0"
_LONGEST_LINE = 4_096
# What showinfo says: the unit of times, and each frame's.
BASE = re.compile(r"\] config in time_base: (\d+)/(\d+)")
SHOWN = re.compile(r"\[Parsed_showinfo_\d+ @ [^]]*\] n: *\d+ pts: *(-?\d+) ")
# What ffprobe says of a file that ends early; of anything else that it says it makes the best.
_CUT_SHORT = ("partial file", "ended prematurely")


class Decoded(NamedTuple):
    """What came of a decoding."""

    ppms: bytes  # one behind the other
    said: str
    code: int  # with which it ended
    is_late: bool  # it was stopped, since its time was over


class NoFfmpeg(Exception):
    """It is not on this machine; str() says how to get it."""


class TookTooLong(Exception):
    """It was stopped; str() says after how many seconds."""


def is_installed() -> bool:
    return _program("ffmpeg") is not None and _program("ffprobe") is not None


def probe(video: int, entries: str, silence_s: float) -> Iterator[str]:
    """What ffprobe says of a video's first picture track, in lines of `section|key=value|..`.

    :param video: a descriptor of the file.
    :param entries: as ffprobe's `-show_entries`.
    :param silence_s: it is stopped where no line comes for so long.
    :raises NoFfmpeg, TookTooLong: see there.
    :raises ValueError: if it fails, or the file is cut short.
    """
    command = ["ffprobe", "-v", "error", *_IN, "-select_streams", "V:0", "-show_entries", entries]
    with _running([*command, "-of", "compact", "-i", _FILE], video, int(silence_s)) as process:
        watch = _Watch(process, silence_s)
        told = _Told(process)
        assert process.stdout is not None
        for line in process.stdout:
            watch.heard()
            yield line.decode("utf-8", "replace").rstrip("\n")
        watch.end()
        if watch.stopped:
            raise TookTooLong(f"reading it took longer than {silence_s:g} s and was stopped")
        if code := process.wait():
            raise ValueError(f"ffmpeg cannot read it ({told.brief or f'exit code {code}'})")
        if any(word in told.text for word in _CUT_SHORT):
            raise ValueError("it is cut short")


def decode(video: int, arguments: Sequence[str], filters: str, patience_s: float) -> Decoded:
    """What ffmpeg makes of a video's first picture track: PPMs one behind the other.

    :param arguments: for the reading of it, as `-ss`.
    :param filters: as its `-vf`; what comes out of them has to have RATE frames a second.
    :raises NoFfmpeg: if it is not there.
    """
    threads = str(min(4, usable_cores()))
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "info", "-threads", threads]
    command += [*_IN, *arguments, "-i", _FILE, "-map", "0:V:0", "-vf", filters]
    command += ["-r", str(RATE), "-f", "image2pipe", "-c:v", "ppm", "pipe:1"]
    with _running(command, video, int(patience_s)) as process:
        told = _Told(process)
        try:
            pictures, is_late = process.communicate(timeout=patience_s)[0], False
        except subprocess.TimeoutExpired:
            process.kill()
            pictures, is_late = process.communicate()[0], True
        return Decoded(pictures, told.text, process.returncode, is_late)


def watch(
    video: int, arguments: Sequence[str], filters: Sequence[str], size_bytes: int, patience_s: float
) -> Iterator[tuple[Fraction, bytes]]:
    """What ffmpeg makes of the frames of a video's first picture track, one after the other: its
    time in microseconds, and its bytes as `rawvideo`. What cannot be decoded is left out.

    :param arguments: for the reading of it.
    :param filters: up to the last one that chooses frames; and behind it, one frame for one.
    :param size_bytes: of each frame that comes out.
    :param patience_s: it is stopped after so long.
    :raises NoFfmpeg: if it is not there.
    :raises TookTooLong: after those that came in time.
    :raises ValueError: if ffmpeg fails, after those that came.
    """
    choosing, making = filters
    shown = f"{choosing}," if choosing else ""
    graph = f"{shown}showinfo=checksum=0,{making},settb=1/{RATE},setpts=N"
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "info"]
    command += ["-threads", str(min(4, usable_cores())), *_IN, *arguments, "-i", _FILE]
    command += ["-map", "0:V:0", "-vf", graph, "-r", str(RATE), "-f", "rawvideo", "pipe:1"]
    with _running(command, video, int(patience_s)) as process:
        times = _Times(process)
        watch = _Watch(process, patience_s)
        assert process.stdout is not None
        while len(frame := process.stdout.read(size_bytes)) == size_bytes:
            time_us = times.next()
            if time_us is None:
                raise ValueError("ffmpeg does not say when a frame is shown")
            yield time_us, frame
        watch.end()
        if watch.stopped:
            raise TookTooLong(f"decoding it took longer than {patience_s:g} s and was stopped")
        if code := process.wait():
            raise ValueError(f"ffmpeg cannot decode it ({times.last or f'exit code {code}'})")


@contextmanager
def _running(command: Sequence[str], video: int, wait_s: int) -> Iterator[subprocess.Popen[bytes]]:
    program = _program(command[0])
    if program is None:
        raise NoFfmpeg(MISSING)
    # Where opening /dev/fd/0 is no opening anew, it begins at the place of this descriptor.
    os.lseek(video, 0, os.SEEK_SET)
    # It dies when this process ends and the system closes `ours`; nothing is written to it.
    lifeline, ours = os.pipe()
    errors_in, errors_out = os.pipe()
    try:
        limits = (_MEMORY_BYTES, 4 * (wait_s + _SPARE_S), lifeline)
        process = subprocess.Popen(
            python_command(
                "indexer.box.program", *map(str, limits), program, *map(str, command[1:])
            ),
            stdin=video,
            stdout=subprocess.PIPE,
            stderr=errors_out,
            pass_fds=[lifeline],
            env=bare_environment({}),
            cwd=FOLDER,
            # Ctrl-C in a terminal goes to its whole process group
            start_new_session=True,
        )
    except BaseException:
        os.close(errors_in)
        os.close(ours)
        raise
    finally:
        os.close(lifeline)
        os.close(errors_out)
    process.stderr = os.fdopen(errors_in, "rb")
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        os.close(ours)


class _Times:
    """When the frames are shown that `showinfo` tells of, as a process writes it to its standard
    error; read aside so that it never waits for us.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        self._times: SimpleQueue[Fraction | None] = SimpleQueue()
        self.last = ""  # that was said beside them
        threading.Thread(target=self._read, args=(process.stderr,), daemon=True).start()
        process.stderr = None

    def next(self) -> Fraction | None:
        """In microseconds; None: no more are told of."""
        return self._times.get()

    def _read(self, stream: IO[bytes]) -> None:
        unit_us: Fraction | None = None
        with stream:
            for line in iter(lambda: stream.readline(_LONGEST_LINE), b""):
                text = line.decode("utf-8", "replace")
                if (found := SHOWN.search(text)) and unit_us is not None:
                    self._times.put(int(found[1]) * unit_us)
                elif found := BASE.search(text):
                    unit_us = Fraction(int(found[1]), int(found[2]) or 1) * 1_000_000
                elif text.strip():
                    self.last = _plain(text)
        self._times.put(None)


class _Told:
    """What a process writes to its standard error, read aside so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        self._parts: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        process.stderr = None
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        left = _MAX_TOLD_CHARACTERS
        with stream:
            for line in stream:
                self._parts.append(line[:left].decode("utf-8", "replace"))
                left -= len(self._parts[-1])

    @property
    def text(self) -> str:
        """All of it, once the process has ended."""
        self._thread.join()
        return "".join(self._parts)

    @property
    def brief(self) -> str:
        """The first thing that was said, without the name of the part that said it; what follows is
        about the same, in more general words.
        """
        line = self.text.strip().partition("\n")[0].removeprefix(f"{_FILE}: ")
        line = line.partition("] ")[2] or line
        if line.startswith("Format not on whitelist"):
            return "it is another kind of file"
        return _plain(line)


def _plain(line: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in line)[:200].strip()


class _Watch:
    """Kills a process that says nothing for too long."""

    def __init__(self, process: subprocess.Popen[bytes], silence_s: float) -> None:
        self._process, self._silence_s = process, silence_s
        self._heard_s, self._ended = time.monotonic(), threading.Event()
        self.stopped = False
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self) -> None:
        self._heard_s = time.monotonic()

    def end(self) -> None:
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(max(0.1, self._heard_s + self._silence_s - time.monotonic())):
            if time.monotonic() - self._heard_s >= self._silence_s:
                self.stopped = self._process.poll() is None
                self._process.kill()
                return


def _program(name: str) -> str | None:
    """Its absolute path: one that is named from the current folder is never run."""
    found = shutil.which(name)
    return found if found is not None and os.path.isabs(found) else None  # noqa: PTH117
