"""The decoding that is done for one asker: it gets so much time, and may be called off.
Knows no decoders and no requests.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from indexer.errors import UnreadableImage

Stop = Callable[[], None]


class Job:
    """Safe from several threads."""

    def __init__(
        self,
        limit_s: float = math.inf,
        *,
        asker: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        :param limit_s: seconds of decoders that all its images get together.
        :param asker: whose turn it is, where several wait.
        """
        self.asker = asker
        self._limit_s = limit_s
        self._clock = clock
        self._spent_s = 0.0
        self._is_off = False
        self._stops: list[Stop] = []
        self._lock = threading.Lock()

    @property
    def left_s(self) -> float:
        return max(0.0, self._limit_s - self._spent_s)

    def call_off(self) -> None:
        """Nobody waits for it any more: what runs is stopped, and nothing more begins."""
        with self._lock:
            self._is_off = True
            stops, self._stops = self._stops, []
        for stop in stops:
            stop()

    def check(self, name: str) -> None:
        """:param name: of the image that is next.
        :raises UnreadableImage: if the job was called off, or its time is over.
        """
        if self._is_off:
            raise UnreadableImage(name, "whoever sent it has gone", transient=True)
        if not self.left_s:
            reason = (
                f"{self._limit_s:g} s of decoding are over, which is all that the images of one "
                "request get; send fewer at once"
            )
            raise UnreadableImage(name, reason, transient=True)

    @contextmanager
    def stopped_by(self, stop: Stop) -> Iterator[None]:
        """Have `stop` called, from any thread, if the job is called off meanwhile or was before."""
        with self._lock:
            is_off = self._is_off
            if not is_off:
                self._stops.append(stop)
        if is_off:
            stop()
        try:
            yield
        finally:
            with self._lock:
                if stop in self._stops:
                    self._stops.remove(stop)

    @contextmanager
    def decoding(self, stop: Stop) -> Iterator[None]:
        """As `stopped_by`, and the time counts."""
        began = self._clock()
        try:
            with self.stopped_by(stop):
                yield
        finally:
            with self._lock:
                self._spent_s += self._clock() - began
