"""Decoder processes that a service's threads share,
so that no stranger's image is decoded in the service itself.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.cores import usable_cores
from indexer.embed.model_cache import cache_folder
from indexer.errors import UnreadableImage
from indexer.images import ReadImage
from indexer.images.decoder import Decoder, ReadSettings
from service.pictures.jobs import Job
from service.pictures.turns import Turns

# by default; each holds about 60 MB while idle, and what its image takes while it works
MOST_DECODERS = 4
IDLE_S = 300.0
ANY_SHAPE = InputShape(256, 256, "inside")  # of the settings; every request brings its own


@dataclass(frozen=True, slots=True)
class _Idle:
    decoder: Decoder
    since: float  # on the monotonic clock


class DecoderPool:
    """A few decoders behind a queue; safe to call from several threads.
    Processes start when they are needed.

    An image that crashes or hangs its decoder costs only itself: the next one gets a new process.
    """

    def __init__(
        self,
        limits: ReadLimits | None = None,
        *,
        decoders: int = 0,
        idle_s: float = IDLE_S,
        start: Callable[[ReadSettings], Decoder] = Decoder,
    ) -> None:
        """
        :param decoders: processes at most; 0: one a core, up to 4.
        :param idle_s: a process that had nothing to do for so long is ended, for its memory.
        :param start: makes a decoder, which starts its process with its first image.
        """
        self.size = decoders or min(usable_cores(), MOST_DECODERS)
        self._limits = limits or ReadLimits()
        self._idle_s = idle_s
        self._start = start
        self._turns = threading.BoundedSemaphore(self.size)
        # For callers to hold who decode what strangers send: their slow pictures leave one decoder
        # to all others.
        self.all_but_one = Turns(max(1, self.size - 1))
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []  # the last one used is the next one used: the others may end
        self._busy: set[Decoder] = set()
        self._sweep: threading.Timer | None = None
        self._closed = False
        self._settings = ReadSettings(ANY_SHAPE, self._limits, giants_lock=_giants_lock())

    def decode(
        self, name: str, image: bytes | Path, shape: InputShape, job: Job | None = None
    ) -> ReadImage:
        """Decode one image in a process of its own, waiting for a free one.

        :param name: how messages name it.
        :param image: an encoded image's bytes, or the path of a file that the decoder opens itself.
        :param shape: of the pixels that come back.
        :param job: what it is a part of; None: it stands alone.
        :raises UnreadableImage: with what is wrong with it; also if it crashed its decoder or took
            too long, and if its job was called off or has no time left.
        """
        path, data = (os.fsencode(image), None) if isinstance(image, Path) else (None, image)
        job = Job() if job is None else job
        with self._turns:
            job.check(name)
            decoder = self._take(name)
            # Whatever a decoder that its image took over does (not read, answer half), the request
            # ends.
            watchdog = threading.Timer(min(self._patience_s, job.left_s), decoder.stop)
            watchdog.daemon = True
            watchdog.start()
            try:
                with job.decoding(decoder.stop):
                    return decoder.decode(name, path, data, shape)
            except UnreadableImage:
                job.check(name)  # if that is why it was stopped, it is no fault of the image
                raise
            finally:
                watchdog.cancel()
                self._give(decoder)

    @property
    def _patience_s(self) -> float:
        """Longer than any honest decoder takes:
        it waits for the giants of the others, then for its own image.
        """
        return (self.size + 3) * self._limits.decode_timeout_s

    def close(self) -> None:
        """End all processes; images being decoded become UnreadableImage."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
            if self._sweep is not None:
                self._sweep.cancel()
        for decoder in busy:
            decoder.stop()
        for waiting in idle:
            waiting.decoder.close()

    def _take(self, name: str) -> Decoder:
        with self._lock:
            if self._closed:
                raise UnreadableImage(name, "the service is stopping", transient=True)
            decoder = self._idle.pop().decoder if self._idle else self._start(self._settings)
            self._busy.add(decoder)
        if not decoder.is_running:
            decoder.close()  # it died of something else than an image: it starts again
        return decoder

    def _give(self, decoder: Decoder) -> None:
        with self._lock:
            self._busy.discard(decoder)
            if not self._closed:
                self._idle.append(_Idle(decoder, time.monotonic()))
                self._sweep_later()
                return
        decoder.close()

    def _sweep_later(self) -> None:
        if self._sweep is None:
            self._sweep = threading.Timer(self._idle_s, self._end_idle)
            self._sweep.daemon = True
            self._sweep.start()

    def _end_idle(self) -> None:
        now = time.monotonic()
        with self._lock:
            ended = [idle for idle in self._idle if now - idle.since >= self._idle_s]
            self._idle = [idle for idle in self._idle if now - idle.since < self._idle_s]
            self._sweep = None
            if self._idle and not self._closed:
                self._sweep_later()
        for idle in ended:
            idle.decoder.close()


def decoders_of_one(processes: int) -> int:
    """How many decoders a process has, of several that serve together: all together as many as one
    alone, but two each, so that strangers' slow pictures leave one.
    """
    alone = min(usable_cores(), MOST_DECODERS)
    return max(-(-alone // processes), min(alone, 2))


def _giants_lock() -> str:
    """A file that the decoders of all services of this user lock while they decode a giant."""
    path = cache_folder() / "giants.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError:  # a cache folder that cannot be written: this service has a lock of its own
        file, name = tempfile.mkstemp(prefix="lakesift-giants-")
        os.close(file)
        return name
    return str(path)
