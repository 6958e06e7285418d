"""From a message to the image in it.

A compressed image is its own bytes. A raw one is written as PNM, the plainest format there is: a
line that says how large it is, then the samples. So one picture always has the same bytes, and the
same sha256, whatever recording it is in; no compressor has a say in it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from indexer.arrays import InputShape
from indexer.errors import UnreadableImage
from indexer.sources.containers.robot import Message
from indexer.sources.containers.robot.decoding import SENSELESS, fields_of, general_name
from indexer.sources.containers.stillness import CELLS, Cells

_SMALL = InputShape(CELLS, CELLS, "squash", "bilinear")
_PNG = b"\x89PNG\r\n\x1a\n"
_DEPTH_HEADER_BYTES = 12  # what image_transport writes before the PNG of a depth picture
_VIDEO = ("h264", "h.264", "h265", "h.265", "hevc", "vp8", "vp9", "av1", "avc")


class _Samples(NamedTuple):
    """How the pixels of a raw image lie in its message."""

    channels: int
    kept: tuple[int, ...]  # in the order of a file
    bytes_each: int = 1


_GREY, _RGB, _BGR = (0,), (0, 1, 2), (2, 1, 0)
_RAW = {
    "mono8": _Samples(1, _GREY),
    "8UC1": _Samples(1, _GREY),
    "mono16": _Samples(1, _GREY, 2),
    "16UC1": _Samples(1, _GREY, 2),
    "rgb8": _Samples(3, _RGB),
    "bgr8": _Samples(3, _BGR),
    "8UC3": _Samples(3, _BGR),
    # Nothing of a camera's picture is transparent.
    "rgba8": _Samples(4, _RGB),
    "bgra8": _Samples(4, _BGR),
    "8UC4": _Samples(4, _BGR),
}


@dataclass(frozen=True, slots=True)
class Frame:
    """The image of one message."""

    frame_id: str
    size_bytes: int  # of `file()`
    file: Callable[[], bytes]  # the image as a file
    refused: str | None = None  # why there is none


def holds_images(type_name: str) -> bool:
    """Whether messages of a type are images that can be read here."""
    return general_name(type_name) in _READERS


def cells_of(name: str, frame: Frame) -> Cells | None:
    """What runs of still images are told by; None for one that cannot be read.

    It is decoded in a box, as every image is.
    """
    from indexer.images.shared_decoder import SHARED

    try:
        return SHARED.decode(name, frame.file(), _SMALL).pixels.ravel()
    except UnreadableImage:
        return None


def frame_of(message: Message) -> Frame:
    """The image of a message, not yet written; one that cannot be read is a refusal."""
    try:
        return _READERS[general_name(message.topic.type)](_decoded(message))
    except SENSELESS as error:
        return _refused("", f"it is no message of the type {message.topic.type} ({error})")


def _decoded(message: Message) -> Mapping[str, Any]:
    if message.topic.encoding == "protobuf" and message.topic.type == "foxglove.CompressedImage":
        return _of_protobuf(bytes(message.data))
    return fields_of(message)


def _of_protobuf(data: bytes) -> dict[str, Any]:
    """The texts and bytes of foxglove.CompressedImage, by its .proto."""
    names = {2: "data", 3: "format", 4: "frame_id"}
    fields: dict[str, Any] = {"data": b"", "format": b"", "frame_id": b""}
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind, number = key & 7, key >> 3
        if kind == 2:
            length, place = _varint(data, place)
            end = place + length
            if number in names:
                fields[names[number]] = data[place:end]
        elif kind == 0:
            _, end = _varint(data, place)
        elif kind in (1, 5):
            end = place + (8 if kind == 1 else 4)
        else:
            raise ValueError("a field of an unknown kind")
        if end > len(data):
            raise ValueError("it ends within a field")
        place = end
    return fields | {name: fields[name].decode() for name in ("format", "frame_id")}


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise ValueError("a number that does not end")


def _raw(fields: Mapping[str, Any]) -> Frame:
    """A sensor_msgs/Image."""
    frame_id, encoding = _frame_id(fields), str(fields["encoding"])
    width, height, step = (int(fields[name]) for name in ("width", "height", "step"))
    samples = _RAW.get(encoding)
    if samples is None:
        kind = "is a Bayer mosaic" if encoding.startswith("bayer") else "is not read"
        return _refused(frame_id, f"its encoding {encoding!r} {kind}; read are {', '.join(_RAW)}")
    data = np.asarray(fields["data"], np.uint8)
    row_bytes = width * samples.channels * samples.bytes_each
    if not width or not height:
        return _refused(frame_id, f"it is {width} x {height} pixels large")
    if step < row_bytes or len(data) < step * (height - 1) + row_bytes:
        return _refused(
            frame_id,
            f"{width} x {height} pixels of {encoding} do not fit into its {len(data):,} bytes "
            f"(step {step:,})",
        )
    magic, largest = ("P5" if len(samples.kept) == 1 else "P6"), 256**samples.bytes_each - 1
    header = f"{magic}\n{width} {height}\n{largest}\n".encode()
    is_big = bool(fields["is_bigendian"])

    def file() -> bytes:
        rows = np.lib.stride_tricks.as_strided(data, (height, row_bytes), (step, 1))
        pixels = rows.reshape(height, width, samples.channels, samples.bytes_each)
        kept = pixels[:, :, samples.kept]
        return header + (kept if is_big else kept[..., ::-1]).tobytes()

    pixel_bytes = len(samples.kept) * samples.bytes_each
    return Frame(frame_id, len(header) + width * height * pixel_bytes, file)


def _compressed(fields: Mapping[str, Any]) -> Frame:
    """A sensor_msgs/CompressedImage, or one of Foxglove's."""
    frame_id, kind, data = _frame_id(fields), str(fields["format"]), fields["data"]
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error as error:
            return _refused(frame_id, f"its data is no base64 ({error})")
    data = memoryview(data)
    if "compressedDepth" in kind:
        data = data[_DEPTH_HEADER_BYTES:]
        if data[: len(_PNG)] != _PNG:
            return _refused(frame_id, f"its depth is not kept as PNG ({kind})")
    elif kind.lower().startswith(_VIDEO):
        return _refused(frame_id, f"it is a piece of a video ({kind}), and no image by itself")
    if not len(data):
        return _refused(frame_id, "there are no bytes of an image in it")
    return Frame(frame_id, len(data), lambda: bytes(data))


def _frame_id(fields: Mapping[str, Any]) -> str:
    header = fields.get("header")
    return str(fields.get("frame_id", "") if header is None else header.frame_id)


def _refused(frame_id: str, why: str) -> Frame:
    return Frame(frame_id, 0, bytes, why)


_READERS: dict[str, Callable[[Mapping[str, Any]], Frame]] = {
    "sensor_msgs/msg/Image": _raw,
    "sensor_msgs/msg/CompressedImage": _compressed,
    "foxglove_msgs/msg/CompressedImage": _compressed,
    "foxglove.CompressedImage": _compressed,
}
