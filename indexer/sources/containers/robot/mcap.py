"""How MCAP writes its records: https://mcap.dev/spec."""

from __future__ import annotations

import struct
from io import BytesIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Schema

from indexer.sources.containers import DamagedContainer
from indexer.sources.containers.robot import Topic
from indexer.sources.containers.robot.chunked import Kind, Packed, Read, Record

_MAGIC = b"\x89MCAP0\r\n"
_HEAD = struct.Struct("<BQ")  # opcode, length of what follows
_MESSAGE = struct.Struct("<HIQQ")  # channel, number, log time, publish time
_CHUNK_INDEX = struct.Struct("<QQQ")  # first time, last time, where the chunk begins
_FOOTER = struct.Struct("<BQQQI")  # opcode, length, where the summary begins, two more
_KINDS: dict[int, Kind] = {
    Opcode.CHUNK: Kind.CHUNK,
    Opcode.SCHEMA: Kind.TOPIC,
    Opcode.CHANNEL: Kind.TOPIC,
    Opcode.MESSAGE: Kind.MESSAGE,
    Opcode.DATA_END: Kind.END,
    Opcode.FOOTER: Kind.END,
}


class McapGrammar:
    """A channel is a topic, and refers to a schema."""

    begin = len(_MAGIC)

    def __init__(self) -> None:
        self._types: dict[int, str] = {0: ""}  # by the number of the schema

    def check(self, read: Read) -> None:
        if read(0, len(_MAGIC)) != _MAGIC:
            raise DamagedContainer("it is no MCAP, or an empty one")

    def index(self, read: Read, size_bytes: int) -> int | None:
        end = _FOOTER.size + len(_MAGIC)
        if size_bytes < end or read(size_bytes - len(_MAGIC), len(_MAGIC)) != _MAGIC:
            return None
        opcode, _, summary, _, _ = _FOOTER.unpack(read(size_bytes - end, _FOOTER.size))
        if opcode != Opcode.FOOTER:
            return None
        return int(summary) or size_bytes

    def record(self, read: Read, place: int) -> Record:
        opcode, length = _HEAD.unpack(read(place, _HEAD.size))
        if opcode == 0:
            raise ValueError("no record begins with 0")
        body = place + _HEAD.size
        return Record(_KINDS.get(opcode, Kind.OTHER), body, body + length, opcode)

    def topic(self, record: Record, body: bytes) -> tuple[int, Topic] | None:
        try:
            stream = ReadDataStream(BytesIO(body))
            if record.code == Opcode.SCHEMA:
                schema = Schema.read(stream)
                self._types[schema.id] = schema.name
                return None
            channel = Channel.read(stream)
        except EndOfFile as error:
            raise ValueError("a topic that ends early") from error
        kind = self._types[channel.schema_id]
        return channel.id, Topic(channel.topic, kind, channel.message_encoding)

    def message(self, record: Record, body: bytes | memoryview) -> tuple[int, int, memoryview]:
        channel, _, time_ns, _ = _MESSAGE.unpack_from(body)
        return channel, time_ns, memoryview(body)[_MESSAGE.size :]

    def chunk(self, record: Record, body: bytes) -> Packed:
        try:
            chunk = Chunk.read(ReadDataStream(BytesIO(body)))
        except EndOfFile as error:
            raise ValueError("a chunk that ends early") from error
        return Packed(
            chunk.compression, chunk.uncompressed_size, chunk.uncompressed_crc, chunk.data
        )

    def chunk_place(self, record: Record, read: Read) -> int | None:
        if record.code != Opcode.CHUNK_INDEX:
            return None
        return int(_CHUNK_INDEX.unpack(read(record.body, _CHUNK_INDEX.size))[2])
