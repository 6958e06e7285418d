"""Fills a chunk with items, one at a time or in bulk, and tells how far it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from indexer.report import Progress
from service.formats.batch import Batch, InBulk, LeftOutItem
from service.formats.chunk import Chunk
from service.formats.extracting import Extracting
from service.formats.item import Item, LeftOut
from service.formats.state import Written


class Watched:
    """Progress of which nothing is drawn before the first image: a refusal stands alone."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._total = total
        self._begun = False

    def advance(self, done: int, skipped: int = 0) -> None:
        if not self._begun:
            self._begun = True
            self._progress.stage("exporting", self._total)
        self._progress.advance(done, skipped)


def fill(
    chunk: Chunk,
    pieces: Iterable[Batch | Item],
    made: Written,
    progress: Progress | Watched,
    extracting: Extracting | None = None,
) -> None:
    """Write all items; what is left out, and whether that is for good, goes into `made`."""
    made.whole = True

    def add(item: Item) -> list[LeftOutItem]:
        try:
            chunk.add(item if extracting is None else extracting.whole(item))
        except LeftOut as error:
            return [(item.uri, error)]
        return []

    def written(count: int, left_out: Sequence[LeftOutItem]) -> None:
        made.given += count
        for uri, error in left_out:
            made.skipped.append((uri, str(error)))
            made.whole = made.whole and not error.for_now
        progress.advance(count, len(left_out))

    for piece in pieces:
        if isinstance(piece, Item):
            written(1, add(piece))
        elif extracting is None and isinstance(chunk, InBulk):
            written(len(piece), chunk.add_all(piece))
        else:
            for item in piece.items():
                written(1, add(item))
    chunk.finish()
