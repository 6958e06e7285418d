"""The container of robot logs: each message of a topic with images is an image of the recording.

Its address is the topic, as the stream, and the time when it was logged, in microseconds from the
beginning of 1970. Of several messages of one topic in one microsecond, the second one is the member
`2`, the third `3`. Where its chunk and its place in it are is kept as row group and row, so that a
thumbnail unpacks one chunk.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.disk.manifest import Moments
from indexer.errors import UnreadableImage
from indexer.images.files import check_size
from indexer.sources import ColumnValue
from indexer.sources.containers import STOPPED, DamagedContainer, Member
from indexer.sources.containers.kept import Kept
from indexer.sources.containers.robot import Message, Recording, Topic
from indexer.sources.containers.stillness import Run, Stillness
from indexer.sources.opened import open_file
from indexer.sources.store import Stores, store_reason

if TYPE_CHECKING:
    from indexer.sources.containers.robot.telemetry import Telemetry

logger = logging.getLogger(__name__)

Open: TypeAlias = Callable[[Address, Stores], Recording]

_ALL = Moments()
_OPEN = 4  # recordings that are kept open
_YEAR_10000_US = 253_402_300_800_000_000
_MISSING = "robot logs need more packages: pip install 'lakesift[robot]'"
PACKED = "it is a compressed recording, which is not read in place: unpack it (`zstd -d`, `gunzip`)"


class RobotLog:
    """Images of one format's recordings."""

    def __init__(self, open_recording: Open, stores: Stores) -> None:
        self._open_recording, self._stores = open_recording, stores
        self._kept: Kept[Recording] = Kept(stores, _OPEN)

    def members(
        self, file: Address, moments: Moments = _ALL, should_stop: Callable[[], bool] = bool
    ) -> Iterator[Member]:
        """
        :param moments: which images are listed, and what of other topics is joined to them.
        :param should_stop: True: nobody waits for the rest.
        """
        recording = self._opened(file)
        # Only now: their packages may be missing, which was told just before.
        from indexer.sources.containers.robot.telemetry import Telemetry

        telemetry = Telemetry(moments.join, moments.within_us)
        found: list[tuple[Member, Run | None]] = []
        damage = None
        try:
            found.extend(_frames(file, recording, telemetry, moments, should_stop))
        except DamagedContainer as error:
            damage = error
        finally:
            recording.close()
        if found:
            for missing in telemetry.missing():
                logger.warning("%s: nothing is joined for %s", file.uri, missing)
        yield from _joined(found, telemetry)
        if damage is not None:
            raise damage

    def columns(self, member: Address, sidecars: tuple[str, ...]) -> dict[str, ColumnValue]:
        told: dict[str, ColumnValue] = json.loads(sidecars[0]) if sidecars else {}
        return {"topic": member.stream, "log_time": _time(member.time_us or 0), **told}

    def read(self, member: Address, limits: ReadLimits) -> bytes:
        name, file = str(member), Address(member.uri, member.path_bytes)
        try:
            recording = self._kept.of(file.uri, file, lambda: self._opened(file))
            message = recording.at(member.row_group, member.row_index or 0)
        except DamagedContainer as error:
            raise UnreadableImage(name, f"its recording cannot be read: {error}") from error
        except UnreadableImage:
            raise
        # each store raises its own library's errors
        except Exception as error:
            gone = isinstance(error, FileNotFoundError)
            raise UnreadableImage(name, store_reason(error), transient=not gone) from error
        if (message.topic.name, message.time_us) != (member.stream, member.time_us):
            raise UnreadableImage(name, "vanished: its recording has another message there now")
        from indexer.sources.containers.robot.images import frame_of

        frame = frame_of(message)
        if frame.refused:
            raise UnreadableImage(name, frame.refused)
        check_size(name, frame.size_bytes, limits)
        return frame.file()

    def _opened(self, file: Address) -> Recording:
        """
        :raises DamagedContainer: if it is no recording, or the packages that read it are missing.
        """
        try:
            return self._open_recording(file, self._stores)
        except ImportError as error:
            raise DamagedContainer(_MISSING) from error


def open_mcap(file: Address, stores: Stores) -> Recording:
    from indexer.sources.containers.robot.chunked import Chunked
    from indexer.sources.containers.robot.mcap import McapGrammar

    return Chunked(McapGrammar(), *open_file(file, stores))


def open_bag(file: Address, stores: Stores) -> Recording:
    from indexer.sources.containers.robot.bag import BagGrammar
    from indexer.sources.containers.robot.chunked import Chunked

    return Chunked(BagGrammar(), *open_file(file, stores))


def open_database(file: Address, stores: Stores) -> Recording:
    from indexer.sources.containers.robot.database import Database

    if file.path is None:
        raise DamagedContainer(
            "a database is not read from a store: make it an MCAP by `ros2 bag convert`, or copy it"
        )
    opened, _ = open_file(file, stores)
    opened.close()
    return Database(file.path)


def _frames(
    file: Address,
    recording: Recording,
    telemetry: Telemetry,
    moments: Moments,
    should_stop: Callable[[], bool],
) -> Iterator[tuple[Member, Run | None]]:
    """Its images, those of one topic so far apart, and which run each begins, where runs are asked
    for; all that it says of other topics is taken.

    :raises DamagedContainer: after all that can be read.
    """
    from indexer.sources.containers.robot.images import cells_of, frame_of, holds_images

    def wants(topic: Topic) -> bool:
        return telemetry.wants(topic) or holds_images(topic.type)

    taken: dict[tuple[str, int], int] = {}
    last_us: dict[str, int] = {}
    stillness: dict[str, Stillness] = {}
    for message in recording.messages(wants):
        if should_stop():
            raise DamagedContainer(STOPPED)
        telemetry.take(message)
        name, time_us = message.topic.name, message.time_us
        if not holds_images(message.topic.type):
            continue
        # A clock may have been set back.
        if name in last_us and abs(time_us - last_us[name]) < moments.every_us:
            continue
        last_us[name] = time_us
        number = taken[name, time_us] = taken.get((name, time_us), 0) + 1
        frame, run = frame_of(message), None
        place = _address(file, message, number)
        if moments.still_permille:
            of_topic = stillness.setdefault(name, Stillness(moments.still_permille))
            run = of_topic.add(time_us, None if frame.refused else cells_of(str(place), frame))
            if run is None:
                continue
        sidecars = (frame.frame_id,)
        yield Member(place, frame.size_bytes, sidecars, refused=frame.refused), run


def _joined(images: list[tuple[Member, Run | None]], telemetry: Telemetry) -> Iterator[Member]:
    """The images with what was said near them."""
    columns = telemetry.columns([image.address.time_us or 0 for image, _ in images])
    for number, (image, run) in enumerate(images):
        said = {name: values[number] for name, values in columns.items()}
        length = {} if run is None else run.columns()
        told = json.dumps({"frame_id": image.sidecars[0], **length, **said})
        yield replace(image, sidecars=(told,), columns_mark=told)


def _address(file: Address, message: Message, number: int) -> Address:
    return replace(
        file,
        member=None if number == 1 else str(number),
        row_group=message.chunk,
        row_index=message.place,
        stream=message.topic.name,
        time_us=message.time_us,
    )


def _time(time_us: int) -> datetime | None:
    if time_us >= _YEAR_10000_US:
        return None
    return datetime(1970, 1, 1) + timedelta(microseconds=time_us)
