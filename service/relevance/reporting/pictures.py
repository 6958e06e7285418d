"""The small pictures of a report, as JPEGs; or, of an image that cannot be shown, why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import TypeAlias

from indexer.embed.model_cache import cache_folder
from indexer.errors import ImageGone, ImageUnreachable, UnreadableImage
from service.pictures.decoders import DecoderPool
from service.pictures.originals import ROW_COLUMNS, IndexedImage
from service.pictures.thumbnails import SIZES_PX, Thumbnails
from service.snapshot.snapshot import Snapshot

Picture: TypeAlias = bytes | str  # a JPEG, or the reason why there is none
Thumbnail: TypeAlias = Callable[[IndexedImage, int], bytes]
MOST_BYTES = 1_300_000  # of all pictures; a third more as text, so that the file stays below 2 MB
THREADS = 4
NOT_INDEXED = "it is not in the lake any more"
TOO_LARGE = "there was no room left for it in this file"


@contextmanager
def own_thumbnails() -> Iterator[Thumbnail]:
    """Thumbnails of our own decoder processes, where no service runs that has some."""
    with closing(DecoderPool()) as decoders:
        yield Thumbnails(cache_folder(), decoders).of


def pictures(
    snapshot: Snapshot, row_ids: Sequence[int], thumbnail: Thumbnail
) -> Mapping[int, Picture]:
    """Of each row a JPEG of 256 px, or all of 128 px where those would be too large together."""
    for size_px in (SIZES_PX[1], SIZES_PX[0]):
        with ThreadPoolExecutor(THREADS) as threads:
            made = list(threads.map(partial(_picture, snapshot, thumbnail, size_px), row_ids))
        if sum(len(picture) for picture in made if isinstance(picture, bytes)) <= MOST_BYTES:
            break
    found: dict[int, Picture] = {}
    left = MOST_BYTES
    for row_id, picture in zip(row_ids, made, strict=True):
        if isinstance(picture, bytes):
            left -= len(picture)
        found[row_id] = picture if left >= 0 else TOO_LARGE
    return found


def _picture(snapshot: Snapshot, thumbnail: Thumbnail, size_px: int, row_id: int) -> Picture:
    place = snapshot.find(row_id)
    if place is None:
        return NOT_INDEXED
    row = place[0].columns(ROW_COLUMNS).slice(place[1], 1).to_pylist()[0]
    try:
        return thumbnail(IndexedImage.of(row, snapshot.reach), size_px)
    except (ImageGone, ImageUnreachable, UnreadableImage) as error:
        return error.reason
