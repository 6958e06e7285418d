"""How many images are read, or containers looked into, at once from where that means waiting: more
for as long as more comes of it, half as many when a store says that it is asked too much.

Additive increase and multiplicative decrease let those who share a store end at equal shares
(Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance in
Computer Networks", 1989). A limit that nobody had to wait for says nothing, and stays (as TCP's
window does, RFC 7661): a slow model makes no store faster.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Lock
from types import TracebackType

LEAST, FIRST, MOST = 2, 8, 64
MEASURED_READS = 4  # a rate is that of so many reads for each one that may be on its way, ...
LEAST_READS = 32  # ... and of at least so many
HELD_RATES = 16  # after a step that brought too little, or a step back, so many are waited out


class Rule:
    """The limit, as it follows from the rates that were measured. Knows no clock and no thread.

    A step is an eighth of the limit. It is kept if the rate grew by half of that at least, else
    taken back.
    """

    def __init__(self) -> None:
        self.limit = FIRST
        self._before: tuple[int, float] | None = None  # the limit and rate before the last step
        self._held = 0  # rates to be waited out before the next step

    def measured(self, rate: float) -> None:
        """:param rate: of reads at this limit, while more waited for their turn."""
        if self._before is not None:
            limit, before = self._before
            self._before = None
            if rate < before * (1 + (self.limit - limit) / (2 * limit)):
                self.limit, self._held = limit, HELD_RATES
                return
        if self._held:
            self._held -= 1
        elif self.limit < MOST:
            self._before = self.limit, rate
            self.limit = min(self.limit + max(1, self.limit // 8), MOST)

    def slow_down(self) -> None:
        """A store says that it is asked too much."""
        self.limit = max(self.limit // 2, LEAST)
        self._before, self._held = None, HELD_RATES


class Pace:
    """Use it as a context manager around each read; it waits for its turn. Safe for threads.

    Those who wait go in the order in which they came: a video's frames, and what a packed tar
    holds, cost much less one after the other.
    """

    def __init__(self, fixed: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        """:param fixed: reads at once, always; 0: as the rule says."""
        self._fixed = fixed
        self._rule = Rule()
        self._clock = clock
        self._turn = Lock()
        self._line: deque[Condition] = deque()  # one for each who waits
        self._going = 0
        self._deaf_until = 0  # reads done, before which it is not told to slow down again
        self._begin()

    @property
    def most(self) -> int:
        """Threads that reading takes."""
        return self._fixed or MOST

    @property
    def limit(self) -> int:
        return self._fixed or self._rule.limit

    def __enter__(self) -> None:
        with self._turn:
            if self._going < self.limit:  # then nobody waits
                self._going += 1
                return
            self._waited = True
            mine = Condition(self._turn)
            self._line.append(mine)
            # Who lets it in counts it as going.
            mine.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turn:
            self._going -= 1
            self._done += 1
            if self._done >= max(LEAST_READS, MEASURED_READS * self.limit):
                seconds = self._clock() - self._since
                if self._waited and seconds > 0:
                    self._rule.measured(self._done / seconds)
                self._begin()
            self._let_in()

    def slow_down(self) -> None:
        """A store says that it is asked too much. Those who were told at once count once: until as
        many reads have ended as were on their way, nothing is heard.
        """
        with self._turn:
            if self._done >= self._deaf_until:
                self._rule.slow_down()
                self._begin()
                self._deaf_until = self._going

    def _let_in(self) -> None:
        while self._line and self._going < self.limit:
            self._going += 1
            self._line.popleft().notify()

    def _begin(self) -> None:
        self._since, self._done, self._waited = self._clock(), 0, False
        self._deaf_until = 0
