"""How a bag of ROS 1 writes its records: https://wiki.ros.org/Bags/Format/2.0."""

from __future__ import annotations

import struct

from indexer.sources.containers import DamagedContainer
from indexer.sources.containers.robot import Topic
from indexer.sources.containers.robot.chunked import Kind, Packed, Read, Record

_MAGIC = b"#ROSBAG V2.0\n"
_LENGTH = struct.Struct("<I")
_TIME = struct.Struct("<II")  # seconds, nanoseconds
_MAX_HEADER_BYTES = 1 << 20
_BAG_HEADER = 3
_KINDS = {2: Kind.MESSAGE, 5: Kind.CHUNK, 6: Kind.END, 7: Kind.TOPIC}


class BagGrammar:
    """A connection is a topic."""

    begin = len(_MAGIC)

    def check(self, read: Read) -> None:
        if read(0, len(_MAGIC)) != _MAGIC:
            raise DamagedContainer("it is no bag of ROS 1 (version 2.0), or an empty one")

    def index(self, read: Read, size_bytes: int) -> int | None:
        header = _fields(read, self.begin)
        place: int = struct.unpack("<Q", header[b"index_pos"])[0]
        return place if self.begin < place <= size_bytes else None

    def record(self, read: Read, place: int) -> Record:
        fields = _fields(read, place)
        body = place + _LENGTH.size * 2 + _LENGTH.unpack(read(place, _LENGTH.size))[0]
        length = _LENGTH.unpack(read(body - _LENGTH.size, _LENGTH.size))[0]
        code = fields[b"op"][0]
        return Record(_KINDS.get(code, Kind.OTHER), body, body + length, code, fields)

    def topic(self, record: Record, body: bytes) -> tuple[int, Topic] | None:
        name = record.fields[b"topic"].decode(errors="replace")
        kind = _split(body)[b"type"].decode(errors="replace")
        return _LENGTH.unpack(record.fields[b"conn"])[0], Topic(name, kind, "ros1")

    def message(self, record: Record, body: bytes | memoryview) -> tuple[int, int, memoryview]:
        seconds, nanoseconds = _TIME.unpack(record.fields[b"time"])
        connection: int = _LENGTH.unpack(record.fields[b"conn"])[0]
        return connection, seconds * 1_000_000_000 + nanoseconds, memoryview(body)

    def chunk(self, record: Record, body: bytes) -> Packed:
        compression = record.fields[b"compression"].decode(errors="replace")
        return Packed(compression, _LENGTH.unpack(record.fields[b"size"])[0], 0, body)

    def chunk_place(self, record: Record, read: Read) -> int | None:
        if b"chunk_pos" not in record.fields:
            return None
        return int(struct.unpack("<Q", record.fields[b"chunk_pos"])[0])


def _fields(read: Read, place: int) -> dict[bytes, bytes]:
    """The header of the record at a place."""
    length = _LENGTH.unpack(read(place, _LENGTH.size))[0]
    if length > _MAX_HEADER_BYTES:
        raise ValueError(f"a header of {length:,} bytes")
    data = bytes(read(place + _LENGTH.size, length))
    if len(data) < length:
        raise ValueError("a header that ends early")
    return _split(data)


def _split(data: bytes) -> dict[bytes, bytes]:
    """`name=value`, each behind its length."""
    fields: dict[bytes, bytes] = {}
    place = 0
    while place < len(data):
        begin = place + _LENGTH.size
        place = begin + _LENGTH.unpack_from(data, place)[0]
        if place > len(data):
            raise ValueError("a field that ends early")
        name, _, value = data[begin:place].partition(b"=")
        fields[name] = value
    return fields
