"""What an export makes, as one download: a folder as a zip, copies of images piece by piece.

A link of a folder stays a link in its zip, as `zip -y` has it: it leads to the image on the machine
that the lake is on. The same folder gives the same bytes.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from service.formats.batch import Batch
from service.formats.chunk import Chunk, Job
from service.formats.format_list import Format
from service.formats.item import Item, LeftOut

PIECE_BYTES = 1 << 20  # sent at once, about
NEVER = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can tell
FILE_MODE, LINK_MODE, FOLDER_MODE = 0o100644, 0o120777, 0o040755


def zip_folder(folder: Path, file: BinaryIO, name: str) -> None:
    """Write all that lies in a folder, below a folder of this name, into a zip.

    :raises OSError: if the file cannot be written.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            inside = f"{name}/{path.relative_to(folder).as_posix()}"
            if path.is_symlink():
                entry = _entry(inside, LINK_MODE)
                packed.writestr(entry, bytes(path.readlink()))
            elif path.is_dir():
                packed.writestr(_entry(f"{inside}/", FOLDER_MODE), b"")
            else:
                with path.open("rb") as source, packed.open(_entry(inside, FILE_MODE), "w") as into:
                    while piece := source.read(PIECE_BYTES):
                        into.write(piece)


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, NEVER)
    entry.external_attr = mode << 16
    entry.create_system = 3  # Unix, whose modes these are
    entry.compress_type = zipfile.ZIP_DEFLATED if stat.S_ISREG(mode) else zipfile.ZIP_STORED
    return entry


def pieces_of(form: Format, job: Job, items: Iterable[Batch | Item]) -> Iterator[bytes]:
    """The bytes of a file with copies of images as they are made, so that nothing of it is kept.

    An image that is gone, or cannot be read now, is left out.

    :param form: one that copies images.
    """
    taken = _Taken()
    chunk: Chunk = form.new(job, cast(BinaryIO, taken))
    for piece in items:
        for item in (piece,) if isinstance(piece, Item) else piece.items():
            try:
                chunk.add(item)
            except LeftOut:
                continue
            if taken.waiting >= PIECE_BYTES:
                yield taken.take()
    chunk.finish()
    yield taken.take()


class _Taken:
    """A file that is only written to, whose bytes somebody takes away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._end = 0
        self.waiting = 0  # bytes that nobody took yet

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._end += len(data)
        self.waiting += len(data)
        return len(data)

    def tell(self) -> int:
        return self._end

    def take(self) -> bytes:
        found, self._parts, self.waiting = b"".join(self._parts), [], 0
        return found
