"""How large images are, of sets that tell boxes in parts of them: as the lake knows it, else by
decoding the image.
"""

from __future__ import annotations

from collections.abc import Mapping

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.shared_decoder import SHARED
from indexer.sources import ImageFile
from indexer.sources.bytes_of import BytesOf

_SMALL = InputShape(32, 32, "inside")  # a JPEG is decoded at an eighth of its size for it


class Sizes:
    """The sizes of the images of one listing, as a person sees them, after EXIF's turn."""

    def __init__(self, *, careful: bool = False) -> None:
        """:param careful: as `BytesOf` has it."""
        self._bytes_of = BytesOf(careful=careful)
        self._known: dict[str, tuple[int, int]] = {}

    def begin(self) -> None:
        self._known = {}

    def remember(self, known: Mapping[str, tuple[int, int]]) -> None:
        self._known.update(known)

    def known(self, uri: str) -> tuple[int, int] | None:
        """Width and height in px; None where it was never found out."""
        return self._known.get(uri)

    def of(self, file: ImageFile) -> tuple[int, int] | None:
        """Width and height in px; None if the image cannot be read, which its own row tells.

        :raises UnreadableImage: if it cannot be read just now.
        """
        if file.uri not in self._known:
            try:
                data = self._bytes_of.read(
                    file.address, ReadLimits().max_bytes, size_bytes=file.size_bytes
                )
                read = SHARED.decode(file.uri, data, _SMALL)
            except UnreadableImage as error:
                if error.transient:
                    raise
                return None
            self._known[file.uri] = (read.width_px, read.height_px)
        return self._known[file.uri]
