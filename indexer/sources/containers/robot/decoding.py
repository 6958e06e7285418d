"""The fields of a message. Its types are those that `rosbags` brings, and no others: code is never
made of what a recording says of its types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from indexer.sources.containers.robot import Message
from indexer.sources.containers.robot.packing import MAX_CHUNK_BYTES, unpack

_ZSTD = b"\x28\xb5\x2f\xfd"  # how a message of ROS 2 begins that was compressed by itself
_FOXGLOVE = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
# What `fields_of` and whoever looks into the fields may raise for a message that makes no sense.
SENSELESS = (
    SerdeError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)


def general_name(type_name: str) -> str:
    """A type by its name in ROS 2; ROS 1 leaves out what it is."""
    package, slash, name = type_name.partition("/")
    return f"{package}/msg/{name}" if slash and "/" not in name else type_name


def fields_of(message: Message) -> Mapping[str, Any]:
    """The fields of a message of ROS, or in JSON.

    :raises SENSELESS: if it makes no sense, or its type or encoding is not known here.
    """
    encoding, data, kind = message.topic.encoding, message.data, general_name(message.topic.type)
    if encoding == "json":
        return dict(json.loads(bytes(data)))
    if encoding == "cdr":
        if data[: len(_ZSTD)] == _ZSTD:
            data = unpack(bytes(data), "zstd", MAX_CHUNK_BYTES)
        return vars(_types().deserialize_cdr(data, _known(_types(), kind)))
    if encoding == "ros1":
        return vars(_types_of_ros1().deserialize_ros1(data, _known(_types_of_ros1(), kind)))
    raise ValueError(f"its encoding {encoding!r} is not read")


def _known(types: Typestore, kind: str) -> str:
    if kind not in types.fielddefs:
        raise ValueError("it is none of ROS's own types")
    return kind


@cache
def _types() -> Typestore:
    return _with_foxglove(get_typestore(Stores.ROS2_HUMBLE))


@cache
def _types_of_ros1() -> Typestore:
    return _with_foxglove(get_typestore(Stores.ROS1_NOETIC))


def _with_foxglove(types: Typestore) -> Typestore:
    types.register(get_types_from_msg(_FOXGLOVE, "foxglove_msgs/msg/CompressedImage"))
    return types
