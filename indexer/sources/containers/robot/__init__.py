"""Recordings of robots: MCAP, and the bags of ROS 1 and ROS 2. Some of their topics hold images.

A recording is a file of messages. Each was sent on a topic and has the time when it was logged;
most formats pack some of them into a chunk, which may be compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol


class Topic(NamedTuple):
    """What the messages of one name are."""

    name: str
    type: str  # as its recording calls it: sensor_msgs/msg/Image
    encoding: str  # cdr, ros1, protobuf or json


class Message(NamedTuple):
    """One message, and where it is."""

    topic: Topic
    time_ns: int  # when it was logged, from the beginning of 1970
    chunk: int | None  # where its chunk begins in the file; None where there are no chunks
    place: int  # where it begins in the unpacked chunk or the file; in a database its row's id
    data: bytes | memoryview

    @property
    def time_us(self) -> int:
        return max(self.time_ns, 0) // 1_000


class Recording(Protocol):
    """An opened recording, of any format. Safe for several threads."""

    def messages(self, wants: Callable[[Topic], bool]) -> Iterator[Message]:
        """Those of some topics, in the file's order.

        :raises DamagedContainer: after all that can be read.
        """

    def at(self, chunk: int | None, place: int) -> Message:
        """The message of a place that `messages` told.

        :raises DamagedContainer: if none can be read there.
        """

    def close(self) -> None: ...
