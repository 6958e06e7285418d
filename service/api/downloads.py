"""A file that is made for one answer: in memory while small, then in a temporary file; whole before it is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import BinaryIO, cast

from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from indexer.errors import NotWritten

IN_MEMORY_BYTES = 8_000_000
BLOCK_BYTES = 1 << 20


def download(make: Callable[[BinaryIO], int], name: str, media_type: str) -> Response:
    """:param make: writes the file, and returns how many images it had to leave out.

    :raises NotWritten: if the server's disk is full.
    """
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115 - closed when it was sent
    try:
        left_out = make(file)
        size = file.tell()
        file.seek(0)
    except OSError as error:
        file.close()
        raise NotWritten("the download", error.strerror or str(error)) from error
    except BaseException:
        file.close()
        raise
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Left-Out": str(left_out),
    }
    blocks = iter(lambda: file.read(BLOCK_BYTES), b"")
    return StreamingResponse(
        blocks, media_type=media_type, headers=headers, background=BackgroundTask(file.close)
    )
