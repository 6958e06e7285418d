"""What the other topics of a recording said when an image was logged: a field of the message that
is nearest in time.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from indexer.disk.rows import beside
from indexer.sources import ColumnValue
from indexer.sources.containers.robot import Message, Topic
from indexer.sources.containers.robot.decoding import SENSELESS, fields_of
from indexer.sources.sidecars import TAKEN, is_too_large

# The columns that every image of a recording has.
_OURS = TAKEN | {"topic", "frame_id", "log_time", "still_frames", "still_s"}


class Telemetry:
    """The fields that a user wants joined, as the messages come by."""

    def __init__(self, wanted: Sequence[str], within_us: int) -> None:
        """
        :param wanted: topics and their fields, as /battery/percentage.
        :param within_us: what is farther from an image says nothing of it.
        """
        self._wanted, self._within_us = wanted, within_us
        self._times: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._values: dict[tuple[str, str], list[ColumnValue]] = defaultdict(list)
        self._topics: set[str] = set()
        self._why_not: dict[str, str] = {}

    def wants(self, topic: Topic) -> bool:
        self._topics.add(topic.name)
        return any(_path(wanted, topic.name) for wanted in self._wanted)

    def take(self, message: Message) -> None:
        """Keep the wanted fields of a message; one without them is passed over."""
        name = message.topic.name
        paths = {w: path for w in self._wanted if (path := _path(w, name))}
        try:
            fields: Any = fields_of(message) if paths else None
        except SENSELESS as error:
            for wanted in paths:
                self._why_not[wanted] = f"{message.topic.type} cannot be read: {error}"
            return
        for wanted, path in paths.items():
            try:
                value = _plain(_at(fields, path))
            except SENSELESS:
                self._why_not[wanted] = f"{message.topic.type} has no such single value"
                continue
            self._times[wanted, name].append(message.time_us)
            self._values[wanted, name].append(value)

    def columns(self, times_us: Sequence[int]) -> dict[str, list[ColumnValue]]:
        """By column, one value for each image; None where nothing was said near it.

        :param times_us: of the images, in any order.
        """
        return {column_of(wanted): self._nearest(wanted, times_us) for wanted in self._wanted}

    def missing(self) -> list[str]:
        """What no message of the recording had, each with a reason."""
        found = {wanted for wanted, _ in self._times}
        there = ", ".join(sorted(self._topics)[:20]) or "none"
        return [
            f"{wanted}: {self._why_not.get(wanted) or f'no topic is of that name; there are {there}'}"
            for wanted in self._wanted
            if wanted not in found
        ]

    def _nearest(self, wanted: str, times_us: Sequence[int]) -> list[ColumnValue]:
        topics = [name for each, name in self._times if each == wanted]
        if not topics:
            return [None] * len(times_us)
        # /odom/pose/x is the field x of /odom/pose rather than pose.x of /odom.
        said = wanted, max(topics, key=len)
        order = np.argsort(np.array(self._times[said], np.int64), kind="stable")
        times = np.array(self._times[said], np.int64)[order]
        images = np.array(times_us, np.int64)
        after = np.searchsorted(times, images).clip(0, len(times) - 1)
        before = (after - 1).clip(0)
        is_before = np.abs(images - times[before]) <= np.abs(times[after] - images)
        nearest = np.where(is_before, before, after)
        is_near = np.abs(times[nearest] - images) <= self._within_us
        values = self._values[said]
        return [
            values[order[place]] if near else None
            for place, near in zip(nearest, is_near, strict=True)
        ]


def column_of(wanted: str) -> str:
    """The column of a joined field: /battery/percentage is battery_percentage."""
    return beside(wanted.strip("/").replace("/", "_"), _OURS, "own_")


def _path(wanted: str, topic: str) -> list[str]:
    """The field's way from a topic's message on; empty if it is of another topic."""
    begin = topic.rstrip("/") + "/"
    return wanted.removeprefix(begin).split("/") if wanted.startswith(begin) else []


def _at(fields: Any, path: Sequence[str]) -> Any:
    for name in path:
        if isinstance(fields, dict):
            fields = fields[name]
        elif name.isdigit():
            fields = fields[int(name)]
        else:
            fields = getattr(fields, name)
    return fields


def _plain(value: Any) -> ColumnValue:
    """
    :raises TypeError: if it is no single value.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str) and is_too_large(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError("it is no single value")
