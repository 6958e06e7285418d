"""What a run made before its lake had a snapshot, and takes away again if none came.

A mistyped folder, or Ctrl-C while it is listed, leaves no shell of a lake behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from indexer.config import IndexConfig
from indexer.disk.entries import remove
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.errors import LakeLocked
from indexer.run.writing.commits import prepare_folder


class FirstRun:
    """Made before any folder is; `take_back` is for whoever holds the writer's lock, or made no
    more than the folders.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        folders = [*reversed(layout.root.absolute().parents), layout.root]
        self._new_folders = _not_there(folders)
        self._new_entries = _not_there(layout.entries())
        self._is_kept = False

    def keep(self) -> None:
        """What is there is worth going on from, though it is no lake yet."""
        self._is_kept = True

    def take_back(self) -> None:
        """Where there is no snapshot: remove what was not there before. A folder that holds
        something else by now stays.
        """
        if self._is_kept or self._layout.manifest.exists() or self._layout.snapshots():
            return
        for entry in self._new_entries:
            with suppress(OSError):
                remove(entry)
        for folder in reversed(self._new_folders):
            with suppress(OSError):
                folder.rmdir()


def _not_there(paths: list[Path]) -> list[Path]:
    return [path for path in paths if not os.path.lexists(path)]


@contextmanager
def folder_held(layout: Layout, config: IndexConfig) -> Iterator[FirstRun]:
    """The lake's folder, made if it is not there, for one writer;
    gone again if it was made and no snapshot came into it.
    """
    first_run = FirstRun(layout)
    with ExitStack() as held:
        try:
            prepare_folder(layout)
            held.enter_context(writer(layout, use_lock=config.use_lock))
        except LakeLocked:  # it is another run's
            raise
        except BaseException:
            first_run.take_back()
            raise
        held.callback(first_run.take_back)  # before the lock is let go
        prepare_folder(layout)  # another first run may just have taken it back
        yield first_run
