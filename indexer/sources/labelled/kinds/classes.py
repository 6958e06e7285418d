"""Folders of classes, as ImageNet's: the folder that an image lies in below the root is its class.

Below `train/`, `val/` and the like the next folder is. Any tree of folders looks like this, so it
is read so only where the user says it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.labelled import SPLITS, Said
from indexer.sources.labelled.reading.files import Folder
from indexer.sources.sidecars import mark


class Classes:
    """The images of a folder, each with the class that its own folder says."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._root = folder.uri.rstrip("/") + "/"

    def images(self, listing: Listing) -> Iterator[ImageFile]:
        return self._folder.files(listing)

    def mark(self, file: ImageFile) -> str | None:
        said = self.said(file)
        return None if said is None else mark((said.labels, said.split))

    def said(self, file: ImageFile) -> Said | None:
        if not file.uri.startswith(self._root):
            return None
        *folders, _ = file.uri[len(self._root) :].split("/")
        is_split = len(folders) > 1 and folders[0].lower() in SPLITS
        split = SPLITS[folders.pop(0).lower()] if is_split else None
        return Said.of(folders[:1], split=split) if folders else None

    def beside(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return self._folder.columns(file)

    def sites(self, most: int) -> list[str]:
        return []
