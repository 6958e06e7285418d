"""Wrong keys, counted by the address they came from."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MAX_FAILURES = 10
WINDOW_S = 60.0
MAX_ADDRESSES = 10_000


class Attempts:
    """After MAX_FAILURES wrong keys within WINDOW_S, an address is told to wait."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, max_addresses: int = MAX_ADDRESSES
    ) -> None:
        """:param max_addresses: beyond it the address that failed least recently is forgotten."""
        self._clock = clock
        self._max = max_addresses
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._failures)

    def fail(self, address: str) -> int:
        """Count a wrong key; returns the seconds to wait, 0 while there are tries left.

        Tries made while waiting do not count, so that the wait ends when it was said to.
        """
        name, now = network_of(address), self._clock()
        with self._lock:
            times = self._failures.setdefault(name, deque())
            self._failures.move_to_end(name)
            while len(self._failures) > self._max:
                self._failures.popitem(last=False)
            while times and times[0] <= now - WINDOW_S:
                times.popleft()
            if len(times) >= MAX_FAILURES:
                return max(1, math.ceil(times[0] + WINDOW_S - now))
            times.append(now)
            return 0


def network_of(address: str) -> str:
    """One caller has a whole /64 of IPv6 addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
