"""A bucket of any size that is not there: names and images are made when they are asked for.

It speaks as much of S3 as a listing needs, so that what is measured is the real way in.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem

PAGE_OBJECTS = 1_000  # as S3 gives them
_LONG_AGO = datetime(2020, 9, 13, tzinfo=UTC)


def register(objects: int) -> str:
    """Make `generated://bucket/` a source of so many images. Returns its URL."""
    GeneratedStore.objects = objects
    fsspec.register_implementation("generated", GeneratedStore, clobber=True)
    return "generated://bucket/"


class GeneratedStore(AbstractFileSystem):  # type: ignore[misc]
    protocol = "generated"
    async_impl = True  # calls need no turns
    cachable = False
    objects = 0

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def info(self, path: str, **_: object) -> dict[str, object]:
        if "/" in path:
            raise FileNotFoundError(path)
        return {"name": path, "size": 0, "type": "directory"}

    def call_s3(self, method: str, **wanted: Any) -> Mapping[str, Any]:
        assert method == "list_objects_v2", method
        first = int(wanted.get("ContinuationToken", 0))
        end = min(first + int(wanted.get("MaxKeys", PAGE_OBJECTS)), self.objects)
        page = {"Contents": [_object(number) for number in range(first, end)]}
        more = {"IsTruncated": end < self.objects, "NextContinuationToken": str(end)}
        return {**page, **more}

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: object
    ) -> bytes:
        return image(int(path.rpartition("/")[2].removesuffix(".png")))[start:end]


def image(number: int) -> bytes:
    """A PNG of 8 x 8 px, of one length whatever the number, no two alike."""
    row = b"\0" + struct.pack(">Q", number) * 3  # filter "none", then 8 RGB pixels
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * 8, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


IMAGE_BYTES = len(image(0))


def _object(number: int) -> dict[str, object]:
    return {
        "Key": f"{number // 10_000:05d}/{number:010d}.png",
        "Size": IMAGE_BYTES,
        "ETag": f'"{number:032x}"',
        "LastModified": _LONG_AGO,
    }
