"""What a decoder process runs: it loads all that any format needs, closes itself in, and answers
requests until its parent ends. Knows no paths and no names of images.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import socket
import sys
from dataclasses import asdict
from typing import Any

from PIL import Image

from indexer.arrays import InputShape
from indexer.box import close, die_with
from indexer.box.channel import GO_ON, Channel
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.files import read_opened
from indexer.images.pillow import formats
from indexer.images.reading import count_pixels, read_image
from indexer.images.working_memory import memory_cap
from indexer.read_image import ReadImage

GIANT_PIXELS = 40_000_000  # 160 MB as Pillow keeps RGB, and as much again while its mode changes
MAX_REQUEST_BYTES = 100_000  # of JSON
# What Pillow and Python load only when a picture needs it; in the box nothing can be loaded.
LOADED_LATE = (
    "PIL.ImageCms",
    "PIL.ImageColor",
    "PIL.ImageFilter",
    "PIL.ImagePalette",
    "PIL.TiffImagePlugin",
    "colorsys",
    "copy",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "encodings.utf_32",
    "encodings.utf_8_sig",
    "gzip",
    "mmap",
    "xml.etree.ElementTree",
)
NAME = "the image"  # in errors, whose reasons alone are answered


def main() -> None:
    """The first argument: the settings as JSON. Standard input is the parent's lifeline; standard
    output, the socket to it.
    """
    die_with(0)
    channel = Channel(socket.socket(fileno=os.dup(1)))
    # a library that prints must not garble the answers
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    settings = json.loads(sys.argv[1])
    _load_all()
    desk = Desk(
        channel,
        shape=_shape_from(settings["shape"]),
        limits=ReadLimits(**settings["limits"]),
        exact=settings["exact"],
        giants_wait=settings["giants_wait"],
    )
    # Libraries reserve memory for each core of the machine, whether they may use it or not.
    machine = os.cpu_count() or 1  # noqa: TID251 - likewise
    box = close(memory_cap(desk.limits, machine))
    try:
        desk.say(asdict(box))
        while True:
            desk.serve()
    except (EOFError, OSError):  # the parent has ended, or has no more time for this process
        return


def _load_all() -> None:
    """All modules that decoding may need."""
    formats()
    for module in LOADED_LATE:
        importlib.import_module(module)
    # What NumPy loads late differs from version to version, and every picture needs it.
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, "PNG")
    read_image(NAME, picture.getvalue(), InputShape(8, 8), ReadLimits())


class Desk:
    """Requests in, answers out."""

    def __init__(
        self,
        channel: Channel,
        *,
        shape: InputShape,
        limits: ReadLimits,
        exact: bool,
        giants_wait: bool,
    ) -> None:
        self.limits = limits
        self._channel = channel
        self._shape = shape
        self._exact = exact
        self._giants_wait = giants_wait

    def serve(self) -> None:
        """Answer one request.

        :raises EOFError, OSError: if there is nobody to answer.
        """
        request = json.loads(self._channel.receive(MAX_REQUEST_BYTES))
        shape = _shape_from(request["shape"]) if request["shape"] else self._shape
        try:
            image = self._read(self._data(request["is_file"]), shape)
        except UnreadableImage as error:
            self.say({"reason": error.reason, "transient": error.transient})
            return
        fields: dict[str, Any] = {
            name: getattr(image, name) for name in ReadImage.__slots__ if name != "pixels"
        }
        fields["captured_at"] = image.captured_at and image.captured_at.isoformat()
        self.say({**fields, "shape": image.pixels.shape})
        self._channel.send(image.pixels.tobytes())

    def _data(self, is_file: bool) -> bytes:
        if not is_file:
            return self._channel.receive(self.limits.max_bytes)
        descriptor = self._channel.receive_file()
        try:
            return read_opened(NAME, descriptor, self.limits)
        finally:
            os.close(descriptor)

    def _read(self, data: bytes, shape: InputShape) -> ReadImage:
        if self._giants_wait and self._is_giant(data):
            self.say({"waiting": True})
            if self._channel.receive(len(GO_ON)) != GO_ON:
                raise EOFError
        return read_image(NAME, data, shape, self.limits, self._exact)

    def _is_giant(self, data: bytes) -> bool:
        return count_pixels(NAME, data, self.limits, self._exact) > GIANT_PIXELS

    def say(self, answer: dict[str, Any]) -> None:
        self._channel.send(json.dumps(answer).encode())


def _shape_from(fields: dict[str, Any]) -> InputShape:
    return InputShape(**{**fields, "fill": tuple(fields["fill"])})


if __name__ == "__main__":
    main()
