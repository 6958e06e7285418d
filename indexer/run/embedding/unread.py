"""Images whose columns could not be read just now: they are counted, and read again by the next
sync.
"""

from __future__ import annotations

from indexer.report import SyncReport
from indexer.sources import UnreadColumns
from indexer.words import count


class Unread:
    """Those of one run."""

    def __init__(self) -> None:
        self._images = 0
        self._first: UnreadColumns | None = None

    def add(self, error: UnreadColumns) -> None:
        self._images += 1
        self._first = self._first or error

    def note(self, report: SyncReport) -> None:
        if self._first is None:
            return
        of = count(self._images, "image", "images")
        report.notes.append(
            f"columns of {of} could not be read just now (first {self._first}); those that they had "
            "are kept, and the next sync reads them again"
        )
