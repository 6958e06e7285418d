"""What a run asks for and gets back: an image to embed, and what came of it.

All of it are plain values that can be pickled, so that whoever runs them may do so elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol

from indexer.address import Address
from indexer.arrays import Vectors
from indexer.read_image import SAYABLE
from indexer.run.embedding.unread import Unread
from indexer.sources import UNREAD, ColumnValue, ImageFile, Source, UnreadColumns

AHEAD = 32  # tasks whose sidecars are being read while an earlier one is waited for


@dataclass(frozen=True, slots=True)
class Task:
    """One image to index."""

    address: Address
    columns: Mapping[str, Any]  # of its row, as far as they are known before it is read
    refused: str | None = None  # why it cannot be read, where its listing says so

    @classmethod
    def of(cls, file: ImageFile, source: str, columns: Mapping[str, ColumnValue]) -> Task:
        """
        :param source: the uri of the source that lists it.
        :param columns: the source's own, and the caption.
        """
        return cls(file.address, {**columns, **file_columns(file, source)}, file.refused)

    @property
    def size_bytes(self) -> int:
        """As listed; 0 where that is not known."""
        return int(self.columns.get("size_bytes") or 0)


@dataclass(frozen=True, slots=True)
class Embedded:
    task: Task
    image: Mapping[str, Any]  # the columns that are read from the image itself
    vector: Vectors  # (dim,), unit length

    @property
    def row(self) -> dict[str, Any]:
        """The image's row, whole but for its row_id. Every row is built here."""
        columns = self.task.columns
        said = {name: columns[name] for name in SAYABLE if columns.get(name) is not None}
        return {**columns, **self.task.address.columns(), **self.image, **said}


@dataclass(frozen=True, slots=True)
class Failed:
    task: Task
    reason: str
    transient: bool = False  # True: the file itself may be fine (permissions, network)


Result = Embedded | Failed


class Runner(Protocol):
    """Reads and embeds images: here, or on other machines."""

    def run(self, tasks: Iterable[Task]) -> Iterator[list[Result]]:
        """One result for each task, in the order of the tasks, a batch at a time.

        Row ids are given in this order. An image that cannot be read or embedded is a `Failed`.

        :raises LakeError: for what is no image's fault; it ends the run.
        """


def file_columns(file: ImageFile, source: str) -> dict[str, Any]:
    """The columns of a row that say what is known of its file, beside its address."""
    return {
        "source": source,
        "size_bytes": file.size_bytes,
        "modified": file.modified_us,
        "etag": file.etag,
        "columns_etag": file.columns_etag,
    }


def with_columns(
    files: Iterable[tuple[ImageFile, Source]],
    readers: ThreadPoolExecutor,
    unread: Unread | None = None,
) -> Iterator[Task]:
    """A task for each file, in their order; sidecars are read a few files ahead.

    :param unread: is told of those whose columns cannot be read; their rows say so.
    """
    unread = unread or Unread()
    waiting: deque[tuple[ImageFile, Source, Future[Mapping[str, ColumnValue]] | None]] = deque()
    for file, source in files:
        reading = readers.submit(source.columns, file) if file.columns_etag is not None else None
        waiting.append((file, source, reading))
        while waiting and (waiting[0][2] is None or len(waiting) > AHEAD):
            yield _task(*waiting.popleft(), unread)
    for each in waiting:
        yield _task(*each, unread)


def _task(
    file: ImageFile,
    source: Source,
    reading: Future[Mapping[str, ColumnValue]] | None,
    unread: Unread,
) -> Task:
    try:
        return Task.of(file, source.uri, reading.result() if reading else {})
    except UnreadColumns as error:
        unread.add(error)
        return Task.of(replace(file, columns_etag=UNREAD), source.uri, error.values)
