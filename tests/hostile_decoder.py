"""What a decoder might do once an image has taken it over; run as indexer.decoder is.

The image's name says what: see WAYS.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

WHOLE = {"shape": [2, 2, 3], "sha256": "0" * 64, "phash": 0, "width_px": 2, "height_px": 2, "format": "png"}
TAGS = {"captured_at": None, "camera": None, "place": None}


def _wait() -> None:
    threading.Event().wait()


def _answer(out: Connection, fields: object, pixels: bytes = bytes(12)) -> None:
    out.send_bytes(json.dumps(fields).encode())
    out.send_bytes(pixels)


def _half(out: Connection) -> None:
    """A message of 1,000 bytes is announced, 3 come."""
    os.write(out.fileno(), struct.pack("!i", 1000) + b"abc")
    _wait()


def _endless(out: Connection) -> None:
    while True:
        out.send_bytes(b'{"waiting": true}')


def _lives_on(out: Connection) -> None:
    with suppress(OSError):
        out.send_bytes(bytes(1_000_000))
    _wait()


WAYS: dict[str, Callable[[Connection], None]] = {
    "honest": lambda out: _answer(out, {**WHOLE, **TAGS}),
    "no json": lambda out: out.send_bytes(b"\xff\xfe"),
    "no object": lambda out: _answer(out, [1, 2]),
    "a number": lambda out: _answer(out, 7),
    "other fields": lambda out: _answer(out, {**WHOLE, **TAGS, "surprise": 1}),
    "fewer fields": lambda out: _answer(out, {"shape": [2, 2, 3]}),
    "wrong shape": lambda out: _answer(out, {**WHOLE, **TAGS, "shape": [-1, 5]}),
    "fewer pixels": lambda out: _answer(out, {**WHOLE, **TAGS}, bytes(11)),
    "a long answer": lambda out: out.send_bytes(bytes(1_000_000)),
    "a long answer, and lives on": _lives_on,
    "more pixels": lambda out: _answer(out, {**WHOLE, **TAGS}, bytes(8 * 8 * 3 + 1)),
    "half an answer": _half,
    "endless": _endless,
    "silence": lambda out: _wait(),
}


def main() -> None:
    requests, answers = Connection(0, writable=False), Connection(1, readable=False)
    while True:
        name = json.loads(requests.recv_bytes())["uri"]
        requests.recv_bytes()
        WAYS[name](answers)


if __name__ == "__main__":
    main()
