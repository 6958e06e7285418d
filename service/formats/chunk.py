"""What an export writes at a time: one chunk, which is a file or a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from indexer.disk.durable import fsync_folder
from indexer.errors import ImageGone, ImageUnreachable
from service.formats.item import Handover, Item, LeftOut

if TYPE_CHECKING:
    import pyarrow as pa


class Chunk(Protocol):
    """One file, or one folder, in the making. Holds no more of its items than it must."""

    def add(self, item: Item) -> None:
        """:raises LeftOut: if this image cannot be handed over so; nothing of it was written."""

    def finish(self) -> None:
        """Write what comes after the last item. Files are closed by whoever opened them."""


class Folder:
    """A new folder, and the files in it that are being written."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path = path
        self._files: list[BinaryIO] = []
        self._opened = ExitStack()

    def open(self, name: str) -> BinaryIO:
        file = self._opened.enter_context((self.path / name).open("wb"))
        self._files.append(file)
        return file

    def flush(self) -> None:
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        fsync_folder(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()


@dataclass(frozen=True, slots=True)
class Job:
    """What all chunks of an export share."""

    handover: Handover
    root: str | None = None  # what an annotation tool has for its top folder
    schema: pa.Schema | None = None  # the types of the items' columns
    read_image: Callable[[Item], bytes] | None = None
    raw_cells: bool = False  # in csv: texts as they are, formulas or not

    def bytes_of(self, item: Item) -> bytes:
        """Of the item's image, as they were indexed.

        :raises LeftOut: if they cannot be read, or are others by now.
        """
        assert self.read_image is not None, "a format that copies is given a way to read"
        try:
            return self.read_image(item)
        except ImageGone as error:
            raise LeftOut(error.reason) from error
        except ImageUnreachable as error:
            raise LeftOut(f"it cannot be read now: {error.reason}", for_now=True) from error
