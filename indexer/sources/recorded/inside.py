"""Files that a set's own tables name: inside its folder, or not at all."""

from __future__ import annotations

import os

from indexer.errors import SourceError
from indexer.sources.local import os_reason, read_start
from indexer.sources.names import uri_of


def inside(root: bytes, name: str) -> bytes | None:
    """The path of a file that a table names; None for a name that leads out of the set.

    :param name: relative to root, with `/`.
    """
    parts = name.split("/")
    if not name or "\0" in name or name.startswith("/") or ".." in parts:
        return None
    return os.path.join(root, name.encode("utf-8", "surrogateescape"))  # noqa: PTH118


def read_small(path: bytes, most_bytes: int) -> bytes:
    """A small file of a set, whole.

    :raises SourceError: if it is not there, cannot be read, or is larger than it can be.
    """
    name = uri_of(path)[0]
    try:
        data = read_start(path, most_bytes + 1)
    except OSError as error:
        raise SourceError(name, f"it cannot be read: {os_reason(error)}") from error
    if len(data) > most_bytes:
        raise SourceError(name, f"it has more than {most_bytes:,} bytes")
    return data
