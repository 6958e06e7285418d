"""webdataset: tars of image files and what is known of each, `000000000012.jpg` and `000000000012.json`.

The one format that copies images: their bytes are read, and an image that is gone or has changed since it was indexed
is left out. The name is the row_id, so that two photos of one name in two folders stay two. The same input gives the
same tar: no time, owner or mode of a file goes into it.

Source: https://github.com/webdataset/webdataset (a sample: the members of one basename up to the first dot)
"""

from __future__ import annotations

import tarfile
from typing import BinaryIO

import orjson

from indexer.errors import ImageGone, ImageUnreachable
from service.export.chunk import FileFormat, Job
from service.export.item import Item, LeftOut

IMAGES = 1_000  # a tar of photos of 1 MB is 1 GB then, the size that WebDataset's authors advise


class _Tar:
    """Not a TarFile: that remembers every member it writes."""

    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._job = job
        self._file = file

    def add(self, item: Item) -> None:
        data = self._read(item)
        about = {**item.to_json(), **self._job.handover.to_json(), "decision": item.decision}
        name = f"{item.row_id:012d}"
        self._put(name + item.suffix, data)
        self._put(name + ".json", orjson.dumps(about))

    def finish(self) -> None:
        """The end: two empty blocks, and as many more as fill the last record."""
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.write(bytes(-self._file.tell() % tarfile.RECORDSIZE))

    def _read(self, item: Item) -> bytes:
        assert self._job.read_image is not None, "a format that copies is given a way to read"
        try:
            return self._job.read_image(item)
        except ImageGone as error:
            raise LeftOut(error.reason) from error
        except ImageUnreachable as error:
            raise LeftOut(f"it cannot be read now: {error.reason}", for_now=True) from error

    def _put(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._file.write(member.tobuf(tarfile.PAX_FORMAT))
        self._file.write(data)
        self._file.write(bytes(-len(data) % tarfile.BLOCKSIZE))


WEBDATASET = FileFormat("webdataset", _Tar, chunk=IMAGES, copies=True)
