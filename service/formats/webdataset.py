"""webdataset: tars of image files, each with a file of what is known of it.

They are named by the image's row_id: `000000000012.jpg` and `000000000012.json`.

The one format that copies images: their bytes are read, and an image that is gone or has changed
since it was indexed is left out. The name is the row_id, so that two photos of one name in two
folders stay two. The same input gives the same tar: no time, owner or mode of a file goes into it.

Source: https://github.com/webdataset/webdataset (a sample: the members of one basename up to the
first dot)
"""

from __future__ import annotations

import tarfile
from typing import BinaryIO

import orjson

from service.formats.chunk import Job
from service.formats.item import Item


class Writer:
    """Not a TarFile: that remembers every member it writes."""

    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._job = job
        self._file = file

    def add(self, item: Item) -> None:
        data = self._job.bytes_of(item)
        about = {**item.to_json(), **self._job.handover.to_json(), "decision": item.decision}
        name = f"{item.row_id:012d}"
        self._put(name + item.suffix, data)
        self._put(name + ".json", orjson.dumps(about))

    def finish(self) -> None:
        """The end: two empty blocks, and as many more as fill the last record."""
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.write(bytes(-self._file.tell() % tarfile.RECORDSIZE))

    def _put(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._file.write(member.tobuf(tarfile.PAX_FORMAT))
        self._file.write(data)
        self._file.write(bytes(-len(data) % tarfile.BLOCKSIZE))
