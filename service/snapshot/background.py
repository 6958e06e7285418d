"""Reading every byte of a large lake while it answers:
each segment once, in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, check_files


class BackgroundCheck:
    """Finds segments whose bytes are not what was committed.
    Segments never change, so each is read once.
    """

    def __init__(self, layout: Layout, found: Callable[[Mapping[str, str]], None]) -> None:
        """:param found: told at once of each damaged segment, and of damaged codes and groups: the
        id and a sentence.
        """
        self.damaged: dict[str, str] = {}  # all found so far
        self._layout = layout
        self._found = found
        self._checked: set[str] = set()
        self._reading = threading.Lock()
        self._stopping = threading.Event()

    def look_at(self, manifest: Manifest) -> None:
        """Check the segments of this snapshot that were not checked yet."""
        threading.Thread(
            target=self._check, args=(manifest,), name="lake-check", daemon=True
        ).start()

    def stop(self) -> None:
        """Start no further segment."""
        self._stopping.set()

    def _check(self, manifest: Manifest) -> None:
        with self._reading:
            for entry in manifest.segments:
                if self._stopping.is_set():
                    return
                if entry.id in self._checked:
                    continue
                self._look(replace(manifest, segments=(entry,), groups=None))
                self._checked.add(entry.id)
            groups = manifest.groups
            if groups is not None and groups.id not in self._checked:
                self._look(replace(manifest, segments=()))
                self._checked.add(groups.id)

    def _look(self, alone: Manifest) -> None:
        opened = check_files(self._layout, replace(alone, tombstones=(), skipped=()), deep=True)
        damaged = {**opened.out_of_service, **opened.damaged_codes}
        if damaged:
            self.damaged |= damaged
            self._found(damaged)
