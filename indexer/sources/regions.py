"""Parts of pictures, as images of their own: cut out of the upright picture, and written as PNG.

PNG loses nothing, and one build of zlib writes the same bytes for the same pixels. The picture is
decoded in a decoder process, and kept for the parts that follow.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict

from PIL import Image

from indexer.address import Address
from indexer.arrays import InputShape, Pixels
from indexer.errors import UnreadableImage
from indexer.images import hash_bytes
from indexer.images.shared_decoder import SHARED

_MAX_SIDE_PX = 16_384
_WHOLE = InputShape(_MAX_SIDE_PX, _MAX_SIDE_PX, "inside")
_KEPT = 2  # pictures, as two sources may be read at once
_MAX_KEPT_BYTES = 100_000_000  # a larger picture is decoded anew for each of its parts


class Regions:
    """Cuts parts out of pictures. Safe for several threads, which take turns at decoding."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[str, Pixels] = OrderedDict()
        self._turn = threading.Lock()

    def cut(self, address: Address, whole: bytes) -> bytes:
        """The part that an address names, as PNG; what of it lies off the picture is not in it.

        :param whole: the bytes of the picture, as they lie in its file.
        :raises UnreadableImage: if the picture cannot be decoded, has more than 16,384 px a side,
            or has nothing at this place.
        """
        assert address.region is not None
        left, top, width, height = address.region
        part = self._picture(address, whole)[top : top + height, left : left + width]
        if not part.size:
            raise UnreadableImage(str(address), "its picture has nothing at this place")
        written = io.BytesIO()
        Image.fromarray(part).save(written, "PNG", compress_level=1)
        return written.getvalue()

    def _picture(self, address: Address, whole: bytes) -> Pixels:
        key = hash_bytes(whole)
        with self._turn:
            pixels = self._pictures.pop(key, None)
            if pixels is None:
                pixels = _decoded(address, whole)
            if pixels.nbytes <= _MAX_KEPT_BYTES:
                self._pictures[key] = pixels
            while len(self._pictures) > _KEPT:
                self._pictures.popitem(last=False)
            return pixels


def _decoded(address: Address, whole: bytes) -> Pixels:
    read = SHARED.decode(str(address), whole, _WHOLE)
    if max(read.width_px, read.height_px) > _MAX_SIDE_PX:
        reason = f"its picture has more than {_MAX_SIDE_PX:,} px a side, too many to cut a part out"
        raise UnreadableImage(str(address), reason)
    return read.pixels
