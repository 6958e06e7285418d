"""A short way to read what was listed."""

from __future__ import annotations

from indexer.sources import ImageFile
from indexer.sources.bytes_of import BytesOf


def bytes_of(file: ImageFile, max_bytes: int) -> bytes:
    """As a run reads it."""
    return BytesOf().read(file.address, max_bytes, size_bytes=file.size_bytes)
