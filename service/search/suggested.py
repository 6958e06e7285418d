"""Suggestions that were worked out once for a snapshot, and serve everybody who opens the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from service.search.suggestions import Embed, Suggestion, of_columns, of_words
from service.snapshot.snapshot import Snapshot

_TEXTS_AT_ONCE = 16  # so that somebody's search need not wait for all of them
_KEPT_TEXTS = 2_000

Found = tuple[Suggestion, ...]


class Suggested:
    """Of one lake. Safe from several threads."""

    def __init__(self) -> None:
        self._columns = _Once()
        self._words = _Once()
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def columns(self, snapshot: Snapshot) -> Found:
        return self._columns.of(snapshot, lambda: of_columns(snapshot))

    def words(self, snapshot: Snapshot, embed: Embed) -> Found:
        """:raises LakeError: as embed does."""
        return self._words.of(
            snapshot, lambda: of_words(snapshot, lambda texts: self._known(texts, embed))
        )

    def _known(self, texts: Sequence[str], embed: Embed) -> Vectors:
        """float32, (n, dim): the vectors of texts, those that are new embedded."""
        if len(self._vectors) > _KEPT_TEXTS:
            self._vectors.clear()
        new = [text for text in texts if text not in self._vectors]
        for start in range(0, len(new), _TEXTS_AT_ONCE):
            some = new[start : start + _TEXTS_AT_ONCE]
            self._vectors.update(zip(some, embed(some), strict=True))
        return np.stack([self._vectors[text] for text in texts])


class _Once:
    """What one snapshot gives. Who asks while it is worked out has nothing yet, and need not wait:
    that would hold a thread for each.
    """

    def __init__(self) -> None:
        self._working = threading.Lock()
        self._kept: tuple[int, Found] | None = None

    def of(self, snapshot: Snapshot, work_out: Callable[[], Found]) -> Found:
        kept = self._kept
        if kept is not None and kept[0] == snapshot.number:
            return kept[1]
        if not self._working.acquire(blocking=False):
            return ()
        try:
            found = work_out()
            self._kept = (snapshot.number, found)
        finally:
            self._working.release()
        return found
