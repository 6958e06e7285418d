"""What a decoder might do once an image has taken it over.

It is run as indexer.images.decoder_process is. The image's bytes say what: see WAYS.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from indexer.box import Box
from indexer.box.channel import LENGTH, Channel

WHOLE = {
    "shape": [8, 8, 3],
    "sha256": "0" * 64,
    "phash": 0,
    "width_px": 2,
    "height_px": 2,
    "format": "png",
}
TAGS = {"captured_at": None, "camera": None, "place": None, "quality": [0.0, 0.5, 0.0, 0.0]}


def _wait() -> None:
    threading.Event().wait()


def _answer(out: Channel, fields: object, pixels: bytes = bytes(192)) -> None:
    out.send(json.dumps(fields).encode())
    out.send(pixels)


def _half(out: Channel) -> None:
    """A message of 1,000 bytes is announced, 3 come."""
    os.write(1, LENGTH.pack(1000) + b"abc")
    _wait()


def _endless(out: Channel) -> None:
    while True:
        out.send(b'{"waiting": true}')


def _lives_on(out: Channel) -> None:
    with suppress(OSError):
        out.send(bytes(1_000_000))
    _wait()


WAYS: dict[str, Callable[[Channel], None]] = {
    "honest": lambda out: _answer(out, {**WHOLE, **TAGS}),
    "no json": lambda out: out.send(b"\xff\xfe"),
    "no object": lambda out: _answer(out, [1, 2]),
    "a number": lambda out: _answer(out, 7),
    "other fields": lambda out: _answer(out, {**WHOLE, **TAGS, "surprise": 1}),
    "fewer fields": lambda out: _answer(out, {"shape": [2, 2, 3]}),
    "wrong shape": lambda out: _answer(out, {**WHOLE, **TAGS, "shape": [-1, 5]}),
    "deep json": lambda out: out.send(b"[" * 90_000),
    "a name for a width": lambda out: _answer(out, {**WHOLE, **TAGS, "width_px": "2"}),
    "no height": lambda out: _answer(out, {**WHOLE, **TAGS, "height_px": 0}),
    "a hash of 70 bits": lambda out: _answer(out, {**WHOLE, **TAGS, "phash": 2**70}),
    "a path for a sha256": lambda out: _answer(out, {**WHOLE, **TAGS, "sha256": "../" * 20}),
    "a place off the earth": lambda out: _answer(out, {**WHOLE, **TAGS, "place": [1e999, 0]}),
    "no quality": lambda out: _answer(out, {**WHOLE, **TAGS, "quality": None}),
    "a text for a quality": lambda out: _answer(out, {**WHOLE, **TAGS, "quality": "0123"}),
    "a quality too few": lambda out: _answer(out, {**WHOLE, **TAGS, "quality": [0.0, 0.0, 0.0]}),
    "blinding": lambda out: _answer(out, {**WHOLE, **TAGS, "quality": [0.0, 1.5, 0.0, 0.0]}),
    "endless contrast": lambda out: _answer(out, {**WHOLE, **TAGS, "quality": [0.0, 0, 1e999, 0]}),
    "half a surrogate": lambda out: _answer(out, {**WHOLE, **TAGS, "camera": "\ud800"}),
    "no pixels": lambda out: _answer(out, {**WHOLE, **TAGS, "shape": [0, 2, 3]}, b""),
    "another shape": lambda out: _answer(out, {**WHOLE, **TAGS, "shape": [2, 2, 3]}, bytes(12)),
    "escapes": lambda out: out.send(
        json.dumps({"reason": "\x1b[2Jno\nway\ud800", "transient": False}).encode()
    ),
    "fewer pixels": lambda out: _answer(out, {**WHOLE, **TAGS}, bytes(191)),
    "a long answer": lambda out: out.send(bytes(1_000_000)),
    "a long answer, and lives on": _lives_on,
    "more pixels": lambda out: _answer(out, {**WHOLE, **TAGS}, bytes(8 * 8 * 3 + 1)),
    "half an answer": _half,
    "endless": _endless,
    "silence": lambda out: _wait(),
}


def main() -> None:
    parent = Channel(socket.socket(fileno=os.dup(1)))
    box = Box(memory_cap_bytes=None, no_new_privs=False, landlock_abi=None, seccomp=False)
    parent.send(json.dumps(asdict(box)).encode())
    while True:
        parent.receive(10_000)
        WAYS[parent.receive(100).decode()](parent)


if __name__ == "__main__":
    main()
