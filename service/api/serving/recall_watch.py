"""What searches of a few groups and on engines miss, measured on real traffic: one in a hundred is
done again, exactly, when nothing else is under way. Knows no HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from indexer.engines.engine import Recalled
from service.search.comparing import compare, compare_near
from service.search.understood import Understood
from service.snapshot.snapshot import Snapshot

EVERY = 100  # searches of few groups; the first of them is one
# Searches of few groups: of ten million rows ten of them read some 0.2 to 2 GB.
TOLD_EVERY = 10
LOOK_EVERY_S = 0.05
PATIENCE_S = 30.0  # for a moment without requests; then the search is let go
END_WITHIN_S = 3.0

# Told of one search: its lake, what it was made of, rows found and rows that there were to find.
Told: TypeAlias = Callable[[str, str, int, int], None]
# Told of one search on an engine: its lake, and what of the nearest was found.
ToldOfEngine: TypeAlias = Callable[[str, Sequence[Recalled]], None]

log = logging.getLogger(__name__)


class RecallWatch:
    """Takes searches as they are answered, and does a few of them again in a thread of its own.

    One waits at a time; those that come meanwhile are passed over.
    """

    def __init__(
        self,
        tell: Told,
        is_idle: Callable[[], bool],
        every: int = EVERY,
        was_read: Callable[[Snapshot], None] = lambda snapshot: None,
        tell_of_engine: ToldOfEngine = lambda lake, measured: None,
    ) -> None:
        """
        :param is_idle: whether no request is under way.
        :param was_read: told of a snapshot when much of its files was read: by some searches
            of few groups, or by one of every row.
        """
        self._tell, self._is_idle, self._every = tell, is_idle, every
        self._was_read = was_read
        self._tell_of_engine = tell_of_engine
        self._seen = 0
        self._waiting: tuple[str, Understood] | None = None
        self._lock = threading.Lock()
        self._wakes = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="recall", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._wakes.set()
        if self._thread.is_alive():
            self._thread.join(END_WITHIN_S)

    def answered(self, lake: str, asked: Understood) -> None:
        """A search was answered; costs nothing where it was exact."""
        if asked.searched is None or not asked.searched.is_near or asked.query.offset:
            return
        with self._lock:
            is_due = self._seen % self._every == 0
            self._seen += 1
            if is_due and self._waiting is None:
                self._waiting = (lake, asked)
                self._wakes.set()
            is_much = self._seen % TOLD_EVERY == 0 and asked.near is None
        if is_much:
            self._was_read(asked.snapshot)

    def _watch(self) -> None:
        while True:
            self._wakes.wait()
            self._wakes.clear()
            if self._stopping.is_set():
                return
            self._look()

    def _look(self) -> None:
        """On its own, so that no snapshot is held while nothing is asked."""
        with self._lock:
            waiting = self._waiting
        try:
            if waiting is not None and self._comes_to_rest():
                self._check(*waiting)
        # The next one may go well; without this thread none would be measured again.
        except Exception:
            log.exception("measuring the recall of a search failed")
        with self._lock:
            self._waiting = None

    def _comes_to_rest(self) -> bool:
        for _ in range(int(PATIENCE_S / LOOK_EVERY_S)):
            if self._is_idle():
                return not self._stopping.is_set()
            if self._stopping.wait(LOOK_EVERY_S):
                return False
        return False

    def _check(self, lake: str, asked: Understood) -> None:
        if asked.near is not None:
            measured = compare_near(asked)
            self._was_read(asked.snapshot)
            self._tell_of_engine(lake, measured)
            return
        found, wanted = compare(asked)
        self._was_read(asked.snapshot)
        assert asked.searched is not None
        self._tell(lake, asked.searched.kind or "mixed", found, wanted)
