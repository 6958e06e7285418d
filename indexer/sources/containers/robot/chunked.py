"""Recordings that are records one behind the other, some of them chunks of more records: MCAP and
the bags of ROS 1. What differs between them is their `Grammar`.

They are read from the front, without their index: a recording that was never closed, since the
robot lost its power, has none. Topics are told before their messages, and again in the index.
"""

from __future__ import annotations

import struct
import threading
import weakref
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum, auto
from types import MappingProxyType
from typing import BinaryIO, NamedTuple, Protocol, TypeAlias

from indexer.sources.containers import DamagedContainer
from indexer.sources.containers.robot import Message, Topic
from indexer.sources.containers.robot.packing import MAX_CHUNK_BYTES, unpack

Read: TypeAlias = Callable[[int, int], bytes | memoryview]  # (place, length)

_CHUNKS = 2  # that are kept unpacked
_MAX_TOPIC_BYTES = 1 << 24  # of what a topic's messages are made of
_LOSSES_TOLD = 3
_SHORT_BYTES = 64  # a rest of a file, which may be the beginning of a record


class Kind(Enum):
    CHUNK = auto()
    TOPIC = auto()
    MESSAGE = auto()
    END = auto()  # of all messages
    OTHER = auto()


class Record(NamedTuple):
    """Where one record is, in a file or in an unpacked chunk."""

    kind: Kind
    body: int
    end: int
    code: int  # as its format numbers kinds of records
    fields: Mapping[bytes, bytes] = MappingProxyType({})  # of the header, where a record has one


class Packed(NamedTuple):
    compression: str
    size_bytes: int  # unpacked
    crc: int  # of the unpacked bytes; 0: not known
    data: bytes


class Grammar(Protocol):
    """How one format writes its records. It may remember what topics refer to."""

    begin: int  # where the first record is

    def check(self, read: Read) -> None:
        """:raises DamagedContainer: if the file is of another format."""

    def index(self, read: Read, size_bytes: int) -> int | None:
        """Where the records behind the messages begin, which tell topics again; None if there are
        none.
        """

    def record(self, read: Read, place: int) -> Record:
        """:raises ValueError: if none stands there."""

    def topic(self, record: Record, body: bytes) -> tuple[int, Topic] | None:
        """A topic by its number; None for what topics refer to. Raises as `message`."""

    def message(self, record: Record, body: bytes | memoryview) -> tuple[int, int, memoryview]:
        """The number of its topic, its time in ns, its data.

        :raises ValueError, struct.error, KeyError: if it makes no sense.
        """

    def chunk(self, record: Record, body: bytes) -> Packed: ...

    def chunk_place(self, record: Record, read: Read) -> int | None:
        """Where a chunk begins, if this is a record of the index that tells it.

        Raises as `message`.
        """


class Chunked:
    """An opened recording of either format. Safe for several threads."""

    def __init__(self, grammar: Grammar, opened: BinaryIO, size_bytes: int) -> None:
        self._grammar, self._opened, self._size_bytes = grammar, opened, size_bytes
        self._topics: dict[int, Topic] = {}
        self._index_is_read = self._is_walked = False
        self._chunk_places: list[int] = []
        self._chunks: OrderedDict[int, memoryview] = OrderedDict()
        self._turn = threading.Lock()
        self._closing = weakref.finalize(self, opened.close)

    def close(self) -> None:
        self._closing()

    def messages(self, wants: Callable[[Topic], bool]) -> Iterator[Message]:
        lost = []
        for what in self._walk():
            if isinstance(what, str):
                lost.append(what)
            elif wants(what.topic):
                yield what
        if lost:
            more = f"; and {len(lost) - _LOSSES_TOLD:,} more" if lost[_LOSSES_TOLD:] else ""
            raise DamagedContainer("; ".join(lost[:_LOSSES_TOLD]) + more)

    def at(self, chunk: int | None, place: int) -> Message:
        with self._turn:
            try:
                read = self._read if chunk is None else _reading(self._unpacked(chunk))
                record = self._grammar.record(read, place)
                if record.kind is not Kind.MESSAGE:
                    raise ValueError("another record stands at its place")
                number, time_ns, data = self._grammar.message(record, _body(read, record))
            except NONSENSE as error:
                raise DamagedContainer(f"its message cannot be read ({error})") from error
            topic = self._topics.get(number) or self._look_for(number)
            if topic is None:
                raise DamagedContainer("nothing says what its topic is")
            return Message(topic, time_ns, chunk, place, data)

    def _walk(self) -> Iterator[Message | str]:
        """Every message from the first on, and each loss on the way, as a sentence's part."""
        self._grammar.check(self._read)
        place, index = self._grammar.begin, self._index()
        end = self._size_bytes if index is None else index
        while place < end:
            try:
                record = self._grammar.record(self._read, place)
                if index is not None and record.end > index:
                    raise ValueError("a record that does not end before the index")
            except NONSENSE as error:
                what = "it is damaged" if end - place > _SHORT_BYTES else "it is cut short"
                yield f"{what}: no record can be read at byte {place:,} ({error})"
                following = self._chunk_behind(place)
                if following is None:
                    return
                place = following
                continue
            if record.kind is Kind.END:
                return
            try:
                yield from self._in_record(record, place)
            except NONSENSE as error:
                yield f"the record at byte {place:,} is damaged ({error})"
            place = record.end
        if place > self._size_bytes:
            yield f"it is cut short: it ends at byte {self._size_bytes:,}, within a record"
        elif index is None:
            yield f"it was not closed: it ends at byte {place:,} without an index"

    def _in_record(self, record: Record, place: int) -> Iterator[Message | str]:
        if record.kind is Kind.CHUNK:
            yield from self._in_chunk(place)
        elif record.end > self._size_bytes:
            return
        elif record.kind is Kind.TOPIC:
            self._take_topic(record, self._read)
        elif record.kind is Kind.MESSAGE:
            yield from self._message(record, self._read, None, place)

    def _in_chunk(self, chunk: int) -> Iterator[Message | str]:
        records = self._unpacked(chunk)
        read, place = _reading(records), 0
        while place < len(records):
            record = self._grammar.record(read, place)
            if record.end > len(records):  # of a chunk that is cut short, which is told
                return
            if record.kind is Kind.TOPIC:
                self._take_topic(record, read)
            elif record.kind is Kind.MESSAGE:
                yield from self._message(record, read, chunk, place)
            place = record.end

    def _message(
        self, record: Record, read: Read, chunk: int | None, place: int
    ) -> Iterator[Message | str]:
        number, time_ns, data = self._grammar.message(record, _body(read, record))
        topic = self._topics.get(number) or self._in_index(number)
        if topic is None:
            yield f"nothing says what the message at byte {chunk or place:,} is"
        else:
            yield Message(topic, time_ns, chunk, place, data)

    def _take_topic(self, record: Record, read: Read) -> None:
        if record.end - record.body > _MAX_TOPIC_BYTES:
            raise ValueError(f"a topic of {record.end - record.body:,} bytes")
        if told := self._grammar.topic(record, bytes(_body(read, record))):
            number, topic = told
            self._topics[number] = topic

    def _unpacked(self, chunk: int) -> memoryview:
        """
        :raises ValueError: if there is none, or it cannot be unpacked.
        """
        if chunk in self._chunks:
            self._chunks.move_to_end(chunk)
            return self._chunks[chunk]
        record = self._grammar.record(self._read, chunk)
        if record.kind is not Kind.CHUNK:
            raise ValueError("no chunk stands at its place")
        packed = self._grammar.chunk(record, bytes(_body(self._read, record)))
        data = unpack(packed.data, packed.compression, packed.size_bytes)
        is_whole = record.end <= self._size_bytes
        if is_whole and len(data) != packed.size_bytes:
            raise ValueError(f"it has {len(data):,} bytes where it says {packed.size_bytes:,}")
        if is_whole and packed.crc and zlib.crc32(data) != packed.crc:
            raise ValueError("its bytes are not those that were written (checksum)")
        self._chunks[chunk] = memoryview(data)
        while len(self._chunks) > _CHUNKS:
            self._chunks.popitem(last=False)
        return self._chunks[chunk]

    def _chunk_behind(self, place: int) -> int | None:
        """The first chunk behind a place, as the index tells it."""
        self._read_index()
        number = bisect_right(self._chunk_places, place)
        return self._chunk_places[number] if number < len(self._chunk_places) else None

    def _look_for(self, number: int) -> Topic | None:
        """A topic that no record so far told: the index tells it, or else a chunk before."""
        if topic := self._in_index(number):
            return topic
        if not self._is_walked:
            for _ in self._walk():
                if number in self._topics:
                    break
            else:
                self._is_walked = True
        return self._topics.get(number)

    def _in_index(self, number: int) -> Topic | None:
        self._read_index()
        return self._topics.get(number)

    def _read_index(self) -> None:
        """What it tells of topics and chunks; a damaged one tells what stands before."""
        if self._index_is_read:
            return
        self._index_is_read = True
        place = self._index()
        with suppress(*NONSENSE):
            while place is not None and place < self._size_bytes:
                record = self._grammar.record(self._read, place)
                if record.kind is Kind.TOPIC:
                    self._take_topic(record, self._read)
                elif chunk := self._grammar.chunk_place(record, self._read):
                    self._chunk_places.append(chunk)
                place = record.end
        self._chunk_places.sort()

    def _index(self) -> int | None:
        """Where the index begins; None if there is none, as before a recording is closed."""
        try:
            return self._grammar.index(self._read, self._size_bytes)
        except NONSENSE:
            return None

    def _read(self, place: int, length: int) -> bytes:
        self._opened.seek(place)
        return self._opened.read(length)


def _reading(records: memoryview) -> Read:
    return lambda place, length: records[place : place + length]


def _body(read: Read, record: Record) -> bytes | memoryview:
    length = record.end - record.body
    if length > MAX_CHUNK_BYTES:
        raise ValueError(
            f"a record of {length:,} bytes, where at most {MAX_CHUNK_BYTES:,} are read"
        )
    return read(record.body, length)


NONSENSE = (ValueError, KeyError, IndexError, OverflowError, struct.error)
