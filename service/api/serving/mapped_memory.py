"""Keeps what very large lakes' mapped files take of memory small: looks at it when it is told to,
in a thread of its own, and gives pages back where they are many. Knows no HTTP.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from service.snapshot.mapped import give_back, is_much
from service.snapshot.snapshot import Snapshot

END_WITHIN_S = 3.0

log = logging.getLogger(__name__)


class MappedMemory:
    """Told of lakes that were read; costs the reader nothing."""

    def __init__(self) -> None:
        self._read: dict[Path, Snapshot] = {}  # by the lake's folder
        self._lock = threading.Lock()
        self._wakes = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mapped", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._wakes.set()
        if self._thread.is_alive():
            self._thread.join(END_WITHIN_S)

    def was_read(self, snapshot: Snapshot) -> None:
        """Much of it was read."""
        with self._lock:
            self._read[snapshot.layout.root] = snapshot
        self._wakes.set()

    def _watch(self) -> None:
        while True:
            self._wakes.wait()
            self._wakes.clear()
            if self._stopping.is_set():
                return
            self._look()

    def _look(self) -> None:
        """On its own, so that no snapshot is held while nothing is asked: its files may be deleted
        meanwhile.
        """
        with self._lock:
            read, self._read = self._read, {}
        try:
            if is_much():
                for snapshot in read.values():
                    give_back(snapshot)
        except OSError:
            # A system that refuses keeps them until it needs the room.
            log.exception("the pages of mapped files were not given back")
