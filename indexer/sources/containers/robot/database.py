"""A bag of ROS 2 in a database, as `ros2 bag record` wrote it before MCAP: one `.db3` each."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from urllib.parse import quote

from indexer.sources.containers import DamagedContainer
from indexer.sources.containers.robot import Message, Topic

# The message of an error may quote what is no UTF-8.
_ERRORS = (sqlite3.Error, UnicodeDecodeError)
_TABLES = {"topics", "messages"}
_MESSAGES = "SELECT id, topic_id, timestamp, data FROM messages"


class Database:
    """An opened `.db3`. Safe for several threads."""

    def __init__(self, path: bytes) -> None:
        """
        :raises DamagedContainer: if it is no database. OSError, if it is not there.
        """
        os.stat(path)  # noqa: PTH116 - pathlib knows no bytes
        self._turn = threading.Lock()
        # What is still in the log beside a database that was not closed is not seen.
        log = path + b"-wal"
        self._is_open = os.path.exists(log) and os.path.getsize(log) > 0  # noqa: PTH110, PTH202
        uri = f"file:{quote(path)}?mode=ro&immutable=1"
        try:
            self._rows = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._closing = weakref.finalize(self, self._rows.close)
            self._rows.execute("PRAGMA trusted_schema = OFF")
            tables = self._rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            self._is_bag = {name for (name,) in tables} >= _TABLES
            self._topics = dict(self._read_topics()) if self._is_bag else {}
        except _ERRORS as error:
            raise DamagedContainer(f"SQLite cannot read it ({error})") from error

    def close(self) -> None:
        self._closing()

    def messages(self, wants: Callable[[Topic], bool]) -> Iterator[Message]:
        wanted = [number for number, topic in self._topics.items() if wants(topic)]
        if not wanted:
            return
        marks = ", ".join("?" * len(wanted))
        try:
            found = self._rows.execute(
                f"{_MESSAGES} WHERE id >= 0 AND topic_id IN ({marks}) ORDER BY id", wanted
            )
            for row in found:
                yield self._message(*row)
        except _ERRORS as error:
            raise DamagedContainer(f"SQLite cannot read all of it ({error})") from error
        if self._is_open:
            raise DamagedContainer(
                "it was not closed, and what is still in the log beside it (.db3-wal) is not read: "
                "open it once by `sqlite3 FILE 'PRAGMA wal_checkpoint(TRUNCATE)'`"
            )

    def at(self, chunk: int | None, place: int) -> Message:
        with self._turn:
            try:
                row = self._rows.execute(f"{_MESSAGES} WHERE id = ?", [place]).fetchone()
            except (*_ERRORS, OverflowError) as error:
                raise DamagedContainer(f"SQLite cannot read it ({error})") from error
        if row is None or row[1] not in self._topics:
            raise DamagedContainer("it has no such message any more")
        return self._message(*row)

    def _read_topics(self) -> Iterator[tuple[int, Topic]]:
        rows = self._rows.execute("SELECT id, name, type, serialization_format FROM topics")
        for number, name, kind, encoding in rows:
            yield number, Topic(str(name), str(kind), str(encoding))

    def _message(self, number: int, topic: int, time_ns: object, data: object) -> Message:
        time_ns = time_ns if isinstance(time_ns, int) else 0
        kept = data if isinstance(data, bytes) else b""
        return Message(self._topics[topic], time_ns, None, number, kept)
