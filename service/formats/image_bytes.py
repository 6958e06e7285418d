"""Reads the bytes of an item's image, for formats that copy images.

They are the bytes that were indexed; else there is a reason why not.
"""

from __future__ import annotations

from collections.abc import Callable

from indexer.errors import ImageUnreachable, UnreadableImage
from indexer.sources.guard import Reach
from service.formats.item import Item
from service.pictures.originals import IndexedImage, Originals


def reader_of(originals: Originals, reach: Reach) -> Callable[[Item], bytes]:
    """A function that reads an item's image; it raises ImageGone or ImageUnreachable.

    The items must have every column of their row, as those of `Item.of` have.

    :param reach: of the lake that the items are of.
    """

    def read(item: Item) -> bytes:
        try:
            row = {**item.columns, "row_id": item.row_id}
            image = IndexedImage.of(row, reach)
        except UnreadableImage as error:
            raise ImageUnreachable(error.uri, error.reason) from error
        return originals.read(image)

    return read
