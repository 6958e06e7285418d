"""Recordings as the writers of `mcap` and `rosbags` make them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as BagWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Bag2Writer
from rosbags.typesys import Stores, get_typestore

ROS1 = get_typestore(Stores.ROS1_NOETIC)
ROS2 = get_typestore(Stores.ROS2_HUMBLE)
START_NS = 1_700_000_000_000_000_000
CAMERA, RAW = "/camera/front", "/camera/raw"
IMAGE, COMPRESSED, TEXT = (
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage",
    "std_msgs/msg/String",
)


class Sent(NamedTuple):
    """One message to be recorded."""

    topic: str
    time_ns: int  # since START_NS
    type: str
    fields: dict[str, Any]
    frame_id: str = "front"


def photo(time_ns: int, data: bytes, topic: str = CAMERA, kind: str = "png") -> Sent:
    fields = {"format": kind, "data": np.frombuffer(data, np.uint8)}
    return Sent(topic, time_ns, COMPRESSED, fields)


def raw(
    time_ns: int,
    pixels: np.ndarray[Any, Any],
    encoding: str,
    *,
    topic: str = RAW,
    padding: int = 0,
    is_bigendian: int = 0,
) -> Sent:
    """:param pixels: (height, width, bytes of a pixel), uint8."""
    height, width, size = pixels.shape
    rows = np.zeros((height, width * size + padding), np.uint8)
    rows[:, : width * size] = pixels.reshape(height, -1)
    fields = {"height": height, "width": width, "encoding": encoding, "data": rows.reshape(-1)}
    fields |= {"is_bigendian": is_bigendian, "step": width * size + padding}
    return Sent(topic, time_ns, IMAGE, fields)


def text(time_ns: int) -> Sent:
    return Sent("/chatter", time_ns, TEXT, {"data": "hello"})


def speed(time_ns: int, metres_a_second: float) -> Sent:
    return Sent("/speed", time_ns, "std_msgs/msg/Float32", {"data": metres_a_second})


def pose(time_ns: int, x: float, topic: str = "/odom") -> Sent:
    position = ROS2.types["geometry_msgs/msg/Point"](x, 0.0, 0.0)
    turn = ROS2.types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    fields = {"pose": ROS2.types["geometry_msgs/msg/Pose"](position, turn)}
    return Sent(topic, time_ns, "geometry_msgs/msg/PoseStamped", fields)


def in_ros1(sent: Sent) -> bytes:
    return bytes(ROS1.serialize_ros1(_message(ROS1, sent, seq=7), sent.type))


def in_ros2(sent: Sent) -> bytes:
    return bytes(ROS2.serialize_cdr(_message(ROS2, sent), sent.type))


def _message(types: Any, sent: Sent, **header: Any) -> Any:
    fields = dict(sent.fields)
    if any(name == "header" for name, _ in types.fielddefs[sent.type][1]):
        seconds, nanoseconds = divmod(START_NS + sent.time_ns, 10**9)
        stamp = types.types["builtin_interfaces/msg/Time"](seconds, nanoseconds)
        of = types.types["std_msgs/msg/Header"]
        fields["header"] = of(stamp=stamp, frame_id=sent.frame_id, **header)
    return types.types[sent.type](**fields)


def mcap_of(
    sent: Sequence[Sent],
    compression: CompressionType = CompressionType.ZSTD,
    *,
    is_ros1: bool = False,
    **options: Any,
) -> bytes:
    """:param options: of mcap's writer."""
    out = io.BytesIO()
    writer = McapWriter(out, compression=compression, **options)
    writer.start("ros1" if is_ros1 else "ros2")
    channels: dict[str, int] = {}
    for each in sent:
        if each.topic not in channels:
            types, name = (ROS1, each.type.replace("/msg", "")) if is_ros1 else (ROS2, each.type)
            definition = types.generate_msgdef(each.type)[0].encode()
            schema = writer.register_schema(name, "ros1msg" if is_ros1 else "ros2msg", definition)
            encoding = "ros1" if is_ros1 else "cdr"
            channels[each.topic] = writer.register_channel(each.topic, encoding, schema)
        data = in_ros1(each) if is_ros1 else in_ros2(each)
        time_ns = START_NS + each.time_ns
        writer.add_message(channels[each.topic], time_ns, data, time_ns)
    writer.finish()  # type: ignore[no-untyped-call]
    return out.getvalue()


def foxglove_mcap_of(messages: Sequence[bytes], encoding: str) -> bytes:
    """Messages of foxglove.CompressedImage, one a second."""
    out = io.BytesIO()
    writer = McapWriter(out)
    writer.start("")
    kind = "jsonschema" if encoding == "json" else "protobuf"
    schema = writer.register_schema("foxglove.CompressedImage", kind, b"")
    channel = writer.register_channel(CAMERA, encoding, schema)
    for number, message in enumerate(messages):
        time_ns = START_NS + number * 10**9
        writer.add_message(channel, time_ns, message, time_ns)
    writer.finish()  # type: ignore[no-untyped-call]
    return out.getvalue()


def foxglove_json(data: str) -> bytes:
    return json.dumps({"frame_id": "front", "format": "png", "data": data}).encode()


def bag_of(
    path: Path,
    sent: Sequence[Sent],
    compression: BagWriter.CompressionFormat | None = None,
    chunk_bytes: int = 1 << 20,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    writer = BagWriter(path)
    writer.chunk_threshold = chunk_bytes
    if compression is not None:
        writer.set_compression(compression)
    with writer:
        known: dict[str, Any] = {}
        for each in sent:
            if each.topic not in known:
                known[each.topic] = writer.add_connection(each.topic, each.type, typestore=ROS1)
            writer.write(known[each.topic], START_NS + each.time_ns, in_ros1(each))
    return path


def ros2_bag_of(
    folder: Path,
    sent: Sequence[Sent],
    storage: StoragePlugin = StoragePlugin.SQLITE3,
    *,
    packs_messages: bool = False,
) -> Path:
    """The one file of a bag."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    writer = Bag2Writer(folder, version=9, storage_plugin=storage)
    if packs_messages:
        writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        known: dict[str, Any] = {}
        for each in sent:
            if each.topic not in known:
                known[each.topic] = writer.add_connection(each.topic, each.type, typestore=ROS2)
            writer.write(known[each.topic], START_NS + each.time_ns, in_ros2(each))
    [path] = [path for path in folder.iterdir() if path.suffix != ".yaml"]
    return path
