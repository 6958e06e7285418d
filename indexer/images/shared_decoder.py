"""One decoder for images that a program hands over one after another: a search by image, a gate.

Its process starts with the first image, and ends when nothing came for a while, or with the
program. Whoever decodes many at once has decoders of its own.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.images.decoder import Decoder, ReadSettings
from indexer.read_image import ReadImage

ANY_SHAPE = InputShape(256, 256, "inside")  # of the settings; every image brings its own
IDLE_S = 300.0  # a process takes half a second to start, and holds about 60 MB


class SharedDecoder:
    """Safe for several threads, which take turns; it lets go of its process in a forked child."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._decoder: Decoder | None = None
        self._used_at = 0.0
        self._sweep: threading.Timer | None = None

    def decode(self, name: str, data: bytes, shape: InputShape) -> ReadImage:
        """Decode one image under the default caps.

        :param name: how messages name it.
        :raises UnreadableImage: with what is wrong with it; also if it crashed its decoder or took
            too long.
        """
        with self._lock, self._used() as decoder:
            return decoder.decode(name, None, data, shape)

    def start(self) -> None:
        """Let its process start while something else is done: it will be needed."""
        with self._lock, self._used() as decoder, suppress(OSError):  # `decode` will say so
            decoder.start()

    @contextmanager
    def _used(self) -> Iterator[Decoder]:
        if self._decoder is None:
            self._decoder = Decoder(ReadSettings(ANY_SHAPE, ReadLimits()))
        elif not self._decoder.is_running:
            self._decoder.close()  # it died of something else than an image: it starts again
        try:
            yield self._decoder
        finally:
            self._used_at = time.monotonic()
            if self._sweep is None:
                self._sweep_in(self._idle_s)

    def end(self) -> None:
        """End its process; the next image starts another."""
        with self._lock:
            self._end()

    def _sweep_in(self, wait_s: float) -> None:
        self._sweep = threading.Timer(wait_s, self._end_if_idle)
        self._sweep.daemon = True
        self._sweep.start()

    def _end_if_idle(self) -> None:
        with self._lock:
            left_s = self._used_at + self._idle_s - time.monotonic()
            if left_s > 0:
                self._sweep_in(left_s)
            else:
                self._end()

    def _end(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None

    def end_with_program(self) -> None:
        """As `end`; a thread that is at an image still does not hold the program up."""
        if self._lock.acquire(timeout=1.0):
            try:
                self._end()
            finally:
                self._lock.release()
        elif (decoder := self._decoder) is not None:
            decoder.stop()

    def leave_to_parent(self) -> None:
        """In a child that was forked: the process goes on for the parent, and this side lets go."""
        decoder = self._decoder
        self._forget()
        if decoder is not None:
            decoder.let_go()


SHARED = SharedDecoder()
atexit.register(SHARED.end_with_program)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SHARED.leave_to_parent)
