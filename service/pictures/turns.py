"""Turns at something scarce, fairly: whoever was served longest ago is next.
Knows no images.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from service.pictures.jobs import Job

REMEMBERED = 1_000  # askers; one who was forgotten counts as new, and new ones come first


@dataclass(eq=False, slots=True)
class _Waiting:
    asker: str
    done: threading.Event = field(default_factory=threading.Event)  # it was served, or called off


class Turns:
    """So many at once. Safe from several threads."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._queue: list[_Waiting] = []  # in order of arrival
        self._served: OrderedDict[str, None] = OrderedDict()  # longest ago first
        self._lock = threading.Lock()

    def take(self, job: Job, timeout_s: float) -> bool:
        """Wait for a turn, at most so long. True: there is one, and it is to be given back.

        Of the turns that one asker waits for, those of others come between. A job that is called
        off waits no longer.
        """
        waiting = _Waiting(job.asker)
        with self._lock:
            self._queue.append(waiting)
            self._serve()
        with job.stopped_by(waiting.done.set):
            waiting.done.wait(timeout_s)
        with self._lock:
            if waiting in self._queue:  # it was not served
                self._queue.remove(waiting)
                return False
            return True

    def give(self) -> None:
        with self._lock:
            self._free += 1
            self._serve()

    def _serve(self) -> None:
        while self._free and self._queue:
            order = {asker: number for number, asker in enumerate(self._served)}
            chosen = min(self._queue, key=lambda waiting: order.get(waiting.asker, -1))
            self._queue.remove(chosen)
            self._served[chosen.asker] = None
            self._served.move_to_end(chosen.asker)
            while len(self._served) > REMEMBERED:
                self._served.popitem(last=False)
            self._free -= 1
            chosen.done.set()
