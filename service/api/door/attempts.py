"""Wrong keys, counted by the address they came from."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.api.serving.shared_arrays import SharedArrays, number_of

MAX_FAILURES = 10
WINDOW_S = 60.0
MAX_ADDRESSES = 10_000


class Attempts:
    """After MAX_FAILURES wrong keys within WINDOW_S, an address is told to wait."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_addresses: int = MAX_ADDRESSES,
        arrays: SharedArrays | None = None,
    ) -> None:
        """:param clock: one that all workers share, as the system's monotonic one.
        :param max_addresses: beyond it the address that failed least recently is forgotten.
        :param arrays: where several workers count together; None: this process counts alone.
        """
        self._clock = clock
        self._arrays = arrays or SharedArrays()
        # A row an address: a number that stands for it, how many failures are remembered, when they
        # were, and its place in the order of last failures (0: it is free).
        shared, rows = self._arrays.array, max_addresses
        self._names: NDArray[np.uint64] = shared("attempts", np.uint64, (rows,))
        self._counts: NDArray[np.int64] = shared("attempts-counts", np.int64, (rows,))
        self._times: NDArray[np.float64] = shared(
            "attempts-times", np.float64, (rows, MAX_FAILURES)
        )
        self._last: NDArray[np.int64] = shared("attempts-last", np.int64, (rows,))

    def __len__(self) -> int:
        return int(np.count_nonzero(self._names))

    def fail(self, address: str) -> int:
        """Count a wrong key; returns the seconds to wait, 0 while there are tries left.

        Tries made while waiting do not count, so that the wait ends when it was said to.
        """
        name, now = number_of(network_of(address)), self._clock()
        with self._arrays.locked():
            row = self._row_of(name)
            self._last[row] = self._last.max() + 1
            times = self._times[row, : self._counts[row]]
            times = times[times > now - WINDOW_S].copy()
            if len(times) >= MAX_FAILURES:
                return max(1, math.ceil(float(times[0]) + WINDOW_S - now))
            self._times[row, : len(times)] = times
            self._times[row, len(times)] = now
            self._counts[row] = len(times) + 1
            return 0

    def _row_of(self, name: np.uint64) -> int:
        """The address's row: its own, a free one, or that of whoever failed least recently."""
        own = np.flatnonzero(self._names == name)
        if len(own):
            return int(own[0])
        row = int(np.argmin(self._last))
        self._names[row], self._counts[row] = name, 0
        return row


def network_of(address: str) -> str:
    """One caller has a whole /64 of IPv6 addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
