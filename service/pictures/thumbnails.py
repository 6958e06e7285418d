"""Small copies of a row's image, made in a decoder process,
kept on disk under the sha256 of the image's bytes.

So lakes share them, and an image that moved keeps its own.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from pathlib import Path

from PIL import Image

from indexer.arrays import InputShape, Pixels
from indexer.errors import BadRequest, ImageUnreachable
from service.pictures.decoders import DecoderPool
from service.pictures.fetches import TOO_LATE, Shares
from service.pictures.originals import IndexedImage, Originals
from service.pictures.thumbnail_cache import ThumbnailCache

SIZES_PX = (128, 256, 512, 1024)  # longer side; a few sizes, so that what is kept fits many askers
SMALLEST_PX, LARGEST_PX = 32, SIZES_PX[-1]  # that may be asked for
LARGE_PX = 4096  # longer side of what stands in for an original that browsers do not show
# Measured on 40 photos at 256 px: JPEG 82 0.4 ms and 14.0 kB; WebP 75 3.1 ms and 9.2 kB. Making
# them is what people wait for, so JPEG; its quality 82 shows no blocks at this size.
QUALITY = 82
# part of every name in the cache and of every ETag; one more whenever other pixels come out
RECIPE = 2
# larger originals are held in memory only as many at once as keep the decoders busy
SMALL_BYTES = 16_000_000
DEFAULT_CACHE_BYTES = 2_000_000_000


class Thumbnails:
    """JPEGs of the images of any lake. Safe for several threads;
    two that want one picture at once make it once.
    """

    def __init__(
        self,
        cache_folder: Path,
        decoders: DecoderPool,
        *,
        max_cache_bytes: int = DEFAULT_CACHE_BYTES,
        originals: Originals | None = None,
        writers: int = 1,
    ) -> None:
        """:param cache_folder: pictures are kept in its folder `thumbnails`.
        :param max_cache_bytes: of all of them together; 0: none is kept.
        :param writers: as `ThumbnailCache` has it."""
        self.originals = originals or Originals()
        self._decoders = decoders
        self._cache = ThumbnailCache(cache_folder / "thumbnails", max_cache_bytes, writers=writers)
        self._making: dict[tuple[str, str], Future[bytes]] = {}
        self._lock = threading.Lock()
        # By site: those of a store that is slow keep no others waiting.
        self._large_ones = Shares(2 * decoders.size)

    def of(self, image: IndexedImage, size_px: int) -> bytes:
        """A JPEG of the image, upright,
        its longer side at least size_px where the image is so large.

        :raises ImageGone: if the image is not there, or not what was indexed.
        :raises ImageUnreachable: if it cannot be read now.
        :raises UnreadableImage: if it cannot be decoded here.
        :raises BadRequest: if size_px is not in 32..1024.
        """
        return self._made(image, snap(size_px))

    def large(self, image: IndexedImage) -> bytes:
        """As `of`, its longer side at most 4096 px: for formats that browsers do not show."""
        return self._made(image, LARGE_PX)

    def forget(self, hashes: Iterable[str]) -> None:
        """Delete what is kept of these images, by former recipes too.

        :param hashes: the sha256 of each.
        """
        for sha256 in hashes:
            for longer_px in (*SIZES_PX, LARGE_PX):
                for recipe in range(1, RECIPE + 1):
                    self._cache.drop(_name(sha256, longer_px, recipe))

    def _made(self, image: IndexedImage, longer_px: int) -> bytes:
        name = _name(image.sha256, longer_px)
        kept = self._cache.get(name)
        if kept is not None:
            return kept
        # By place too: of two equal images one may be gone, and that is no answer for the other.
        with self.originals.waiting(image):
            return self._once((name, image.uri), lambda: self._make(image, longer_px, name))

    def _once(self, key: tuple[str, str], make: Callable[[], bytes]) -> bytes:
        with self._lock:
            making = self._making.get(key)
            mine: Future[bytes] | None = None
            if making is None:
                making = mine = self._making[key] = Future()
        if mine is not None:
            try:
                mine.set_result(make())
            except BaseException as error:  # noqa: BLE001 - raised below, in every thread that waits
                mine.set_exception(error)
            finally:
                with self._lock:
                    del self._making[key]
        return making.result()

    def _make(self, image: IndexedImage, longer_px: int, name: str) -> bytes:
        kept = self._cache.get(name)  # another thread may have put it there a moment ago
        if kept is not None:
            return kept
        # Small ones are read as many at once as are asked for.
        with nullcontext() if 0 < image.size_bytes <= SMALL_BYTES else self._large_one(image):
            data = self.originals.read(image)
            read = self._decoders.decode(
                image.uri, data, InputShape(longer_px, longer_px, "inside")
            )
        jpeg = encode(read.pixels)
        if self._cache.put(name, jpeg):
            threading.Thread(target=self._cache.tidy, name="thumbnails", daemon=True).start()
        return jpeg

    @contextmanager
    def _large_one(self, image: IndexedImage) -> Iterator[None]:
        patience_s = self.originals.fetches.patience_s if image.site else None
        if not self._large_ones.take(image.site, patience_s):
            raise ImageUnreachable(image.uri, TOO_LATE)
        try:
            yield
        finally:
            self._large_ones.give(image.site)


def _name(sha256: str, longer_px: int, recipe: int = RECIPE) -> str:
    return f"{sha256}-{longer_px}-{recipe}"


def snap(size_px: int) -> int:
    """The size that is made for one who asks for this one: the next of 128, 256, 512, 1024.

    :raises BadRequest: if it is not in 32..1024.
    """
    if not SMALLEST_PX <= size_px <= LARGEST_PX:
        raise BadRequest("size", f"{size_px} is not in {SMALLEST_PX}..{LARGEST_PX}")
    return next(size for size in SIZES_PX if size >= size_px)


def encode(pixels: Pixels) -> bytes:
    """A JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
