"""The one reader of an address's bytes: for indexing, pictures, exports and new images alike.

It reads files and objects, whole or from an offset, members of archives, rows of tables, messages
of recordings, frames of videos, and parts of all these pictures. For every other place it says so,
and guesses nothing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.errors import SourceError, UnreadableImage
from indexer.images.files import check_size, read_bytes
from indexer.sources.containers.frames import Frames
from indexer.sources.containers.kinds import Containers, kind_of
from indexer.sources.regions import Regions
from indexer.sources.store import Stores, store_reason


class BytesOf:
    """Reads what addresses name, and keeps the stores open that it needed. Safe for threads."""

    def __init__(
        self, *, careful: bool = False, frames: Frames | None = None, seeks: Path | None = None
    ) -> None:
        """
        :param careful: True: a lake names the places, and not the user (`guard`).
        :param frames: those of a video that are listed; all can be read.
        :param seeks: the folder where seek indexes of compressed tars are kept; None: they are not.
        """
        self.stores = Stores(careful=careful)
        self.containers = Containers(self.stores, frames)
        self.seeks = self.containers.packed.folder = seeks
        self._regions = Regions()

    def read(
        self,
        address: Address,
        max_bytes: int,
        *,
        size_bytes: int = 0,
        seeks: Path | None = None,
    ) -> bytes:
        """The image's bytes, complete. A part of a picture is a PNG.

        :param max_bytes: of the image, not of the file that it may be a part of; of a part of a
            picture those of the picture.
        :param size_bytes: as a listing tells it, which saves a request; 0: it is not known.
        :param seeks: of the lake whose row it is: the folder of its seek indexes, which are read.
        :raises UnreadableImage: if it is gone, not permitted, out of reach, not a plain file,
            empty, larger than max_bytes, cut short, or at a place that is not read here.
        """
        if reason := why_unreadable(address):
            raise UnreadableImage(str(address), reason)
        if address.region is not None:
            picture = replace(address, region=None)
            whole = self.read(picture, max_bytes, size_bytes=size_bytes, seeks=seeks)
            return self._regions.cut(address, whole)
        limits = ReadLimits(max_bytes=max_bytes)
        if address.is_inside:
            return self.containers.read(address, limits, seeks)
        path = address.path
        if path is not None:
            return read_bytes(str(address), path, limits, address.span)
        return self._read_remote(address, limits, size_bytes)

    def _read_remote(self, address: Address, limits: ReadLimits, size_bytes: int) -> bytes:
        name, span = str(address), address.span
        if span or size_bytes:
            check_size(name, span[1] if span else size_bytes, limits)
        try:
            store = self.stores.of(address.uri)
        except SourceError as error:
            raise UnreadableImage(name, error.reason, transient=True) from error
        try:
            path = store.path_of(address.uri)
            if span:
                data = store.exactly(path, *span)
            # A range of an empty object is an error; 0 may also stand for a size that the store
            # did not tell.
            elif size_bytes:
                data = store.part(path, 0, limits.max_bytes + 1)
            else:
                data = store.whole(path)
        # Each store raises its own library's errors, and none may stop a run.
        except Exception as error:
            is_gone = isinstance(error, FileNotFoundError)
            raise UnreadableImage(name, store_reason(error), transient=not is_gone) from error
        check_size(name, len(data), limits)
        # It was written anew since it was listed, or cut on its way. The next sync lists it again.
        if store.is_s3 and size_bytes and not span and len(data) != size_bytes:
            what = f"the store gave {len(data):,} bytes of it where {size_bytes:,} were listed"
            raise UnreadableImage(name, what, transient=True) from OSError(what)
        return data


def why_unreadable(address: Address) -> str | None:
    """Why this kind of place cannot be read here; None if it can."""
    kind = kind_of(address.uri) if address.stream is not None else None
    if kind is not None and not kind.has_streams:
        return "it is a moment of a stream, and moments of such a file cannot be read yet"
    return None
