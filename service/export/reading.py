"""The bytes of an item's image, as `webdataset` wants them: those that were indexed, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable

from service.export.item import Item
from service.originals import IndexedImage, Originals


def reader_of(originals: Originals) -> Callable[[Item], bytes]:
    """Reads the images of items that carry their row's every column, as those of `Item.of` do.

    What it gives raises ImageGone or ImageUnreachable.
    """

    def read(item: Item) -> bytes:
        return originals.read(IndexedImage.of({**item.columns, "row_id": item.row_id, "uri": item.uri}))

    return read
