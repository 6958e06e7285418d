"""Bytes that a store may be slow to give, or never gives: nobody waits for long, and those who wait
for it keep no others waiting. Knows no stores and no images.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from indexer.errors import ImageUnreachable

MOST = 48
PATIENCE_S = 60.0
SLOWEST_BYTES_PER_S = 1_000_000  # of what is larger; a link at home is as fast
# Fetches of one site that were given up and still run: then the site is not asked for a while.
HANGING, REST_S = 4, 30.0
TOO_LATE = "its server did not answer in time"
TOO_MANY = "too many images are waited for at once"


class Shares:
    """So many at once of each key. Safe from several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()
        self._changed = threading.Condition()

    def take(self, key: str, timeout_s: float | None = None) -> bool:
        """Wait for a share, at most so long. True: there is one, and it is to be given back."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._taken[key] < self._most, timeout_s):
                return False
            self._taken[key] += 1
            return True

    def give(self, key: str) -> None:
        with self._changed:
            _less(self._taken, key)
            self._changed.notify_all()


class Fetches:
    """Fetches for the threads of one process. Safe from several threads."""

    def __init__(
        self,
        most: int = MOST,
        *,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        :param most: threads that wait for bytes at once; two thirds of them for one site, which is
            asked for a third at once.
        :param patience_s: for a fetch, and a second more for each megabyte.
        """
        self.patience_s = patience_s
        self._most, self._most_of_site = max(1, most), max(1, 2 * most // 3)
        self._running = Shares(max(1, most // 3))
        self._waiting: Counter[str] = Counter()
        self._hanging: Counter[str] = Counter()
        self._gave_up: dict[str, float] = {}  # site -> when, last
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._clock = clock

    @contextmanager
    def waiting(self, name: str, site: str) -> Iterator[None]:
        """Be one of those who wait for this site; within itself it is the same place.

        :param name: of the image, for messages.
        :raises ImageUnreachable: if there are too many, at once.
        """
        if getattr(self._mine, "waits", False):
            yield
            return
        with self._lock:
            if self._rests(site):
                raise ImageUnreachable(name, TOO_LATE)
            if self._waiting.total() >= self._most or self._waiting[site] >= self._most_of_site:
                raise ImageUnreachable(name, TOO_MANY)
            self._waiting[site] += 1
        self._mine.waits = True
        try:
            yield
        finally:
            self._mine.waits = False
            with self._lock:
                _less(self._waiting, site)

    def fetch(self, name: str, site: str, read: Callable[[], bytes], size_bytes: int) -> bytes:
        """What read gives, called in a thread that can be left alone.

        :param size_bytes: of the image, 0 where it is not known.
        :raises ImageUnreachable: if it takes too long; else whatever read raises.
        """
        deadline = self._clock() + self.patience_s + size_bytes / SLOWEST_BYTES_PER_S
        if not self._running.take(site, deadline - self._clock()):
            raise ImageUnreachable(name, TOO_LATE)
        fetch = _Fetch()
        work = threading.Thread(
            target=self._run, args=(site, read, fetch), name="fetch", daemon=True
        )
        work.start()
        try:
            return fetch.answer.result(max(0.0, deadline - self._clock()))
        except TimeoutError:
            self._leave(site, fetch, name)
            return fetch.answer.result()  # it came at the last moment, or that is what read raised

    def _run(self, site: str, read: Callable[[], bytes], fetch: _Fetch) -> None:
        try:
            fetch.answer.set_result(read())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            fetch.answer.set_exception(error)
        self._running.give(site)
        with self._lock:
            if fetch.is_left:
                _less(self._hanging, site)

    def _leave(self, site: str, fetch: _Fetch, name: str) -> None:
        """:raises ImageUnreachable: if it has not come yet."""
        with self._lock:
            if fetch.answer.done():
                return
            fetch.is_left = True
            self._hanging[site] += 1
            self._gave_up[site] = self._clock()
        raise ImageUnreachable(name, TOO_LATE)

    def _rests(self, site: str) -> bool:
        if site not in self._hanging:
            self._gave_up.pop(site, None)
            return False
        return self._hanging[site] >= HANGING and self._clock() - self._gave_up[site] < REST_S


@dataclass(eq=False, slots=True)
class _Fetch:
    answer: Future[bytes] = field(default_factory=Future)
    is_left: bool = False  # nobody waits for it any more


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
