"""Older snapshots kept open, those used last,
and the mark that keeps `vacuum` off all that is in use.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from indexer.disk.locks import Reading
from service.snapshot.part import Part
from service.snapshot.snapshot import Snapshot

KEPT = 3


class OlderSnapshots:
    """The KEPT snapshots used last, beside the current one. Safe from several threads."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._kept: OrderedDict[int, Snapshot] = OrderedDict()  # the one used last at the end
        self._lock = threading.Lock()

    def get(self, number: int) -> Snapshot | None:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
            return self._kept.get(number)

    def put(self, snapshot: Snapshot) -> None:
        """Keep one more; the one that was not used for longest may go.
        `hold` then tells `vacuum`.
        """
        with self._lock:
            self._kept[snapshot.number] = snapshot
            self._kept.move_to_end(snapshot.number)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def change(self, each: Callable[[Snapshot], Snapshot]) -> None:
        with self._lock:
            for number, snapshot in self._kept.items():
                self._kept[number] = each(snapshot)

    def parts(self) -> list[Part]:
        """Of all of them; what they have open can be shared."""
        with self._lock:
            return [part for snapshot in self._kept.values() for part in snapshot.parts]

    def hold(self, *numbers: int) -> None:
        """Tell `vacuum` that these snapshots and the kept ones are in use, and no others."""
        with self._lock:
            self._reading.hold(list({*self._kept, *numbers}))
