"""A file that is made for one answer: in memory while small,
then in a temporary file; whole before it is sent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, cast

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

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
    return _Sent(file, media_type=media_type, headers=headers)


def stream(pieces: Iterator[bytes], name: str, media_type: str) -> Response:
    """A file that is sent as it is made: nothing of it is kept here.

    :param pieces: taken in a thread of their own, no faster than the caller takes them.
    """
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


class _Sent(StreamingResponse):
    """Sends a file and closes it, also where the caller goes away in the middle."""

    def __init__(self, file: BinaryIO, *, media_type: str, headers: Mapping[str, str]) -> None:
        blocks = iter(lambda: file.read(BLOCK_BYTES), b"")
        super().__init__(blocks, media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
