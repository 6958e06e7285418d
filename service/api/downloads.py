"""A file that is made for one answer: in memory while small,
then in a temporary file; whole before it is sent.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, cast
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from indexer.errors import NotWritten

IN_MEMORY_BYTES = 8_000_000
BLOCK_BYTES = 1 << 20
REASONS_SHOWN = 3
MAX_REASON_CHARS = 400
# Of ASCII, what a header shows as it is: all that is printed, but for the encoding's own sign.
PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def download(make: Callable[[BinaryIO], Sequence[str]], name: str, media_type: str) -> Response:
    """:param make: writes the file, and returns for each image that it had to leave out why.

    :raises NotWritten: if the server's disk is full.
    """
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115 - closed when it was sent
    try:
        reasons = make(file)
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
        "Left-Out": str(len(reasons)),
    }
    if reasons:
        headers["Left-Out-Because"] = quote(because(reasons), safe=PLAIN)
    return _Sent(file, media_type=media_type, headers=headers)


def because(reasons: Sequence[str]) -> str:
    """Why images were left out: the reason; of several those of most images, with numbers."""
    found = Counter(reasons).most_common()
    if len(found) == 1:
        return _short(found[0][0])
    told = [f"{number:,}: {_short(reason)}" for reason, number in found[:REASONS_SHOWN]]
    others = sum(number for _, number in found[REASONS_SHOWN:])
    return "; ".join([*told, *([f"{others:,}: other reasons"] if others else [])])


def _short(reason: str) -> str:
    return reason if len(reason) <= MAX_REASON_CHARS else f"{reason[: MAX_REASON_CHARS - 1]}…"


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
