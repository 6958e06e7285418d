"""Where the images lie that a file of labels names: in which folder, in which system's spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeAlias

from indexer.sources.labelled.reading.files import Files, joined, parent
from indexer.sources.names import is_url

_TRIED = 50  # names that tell which folder it is
_TRIED_ON_THE_WEB = 5
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")

# From a name to what it may mean here, the likeliest first; never empty.
Spell: TypeAlias = Callable[[str], list[str]]


def spellings(name: str) -> list[str]:
    """What a name of a file may mean here, the likeliest first; never empty."""
    if is_url(name) and not name.startswith("file://"):
        return [name]
    plain = name.removeprefix("file://")
    if not _DRIVE.match(plain):
        turned = plain.replace("\\", "/")
        return [plain] if turned == plain else [plain, turned]
    # From its last two folders on: more would be another disk's own.
    return last_parts(plain[3:].replace("\\", "/"))


def last_parts(path: str) -> list[str]:
    """The ends of a path that is another machine's, the longest first."""
    parts = [part for part in path.split("/") if part] or [path]
    return ["/".join(parts[-count:]) for count in (3, 2, 1) if count <= len(parts)]


class Folders:
    """Finds the images of a file of labels.

    Names are below the file's own folder, or below one that is usual beside it: `images/`, `data/`,
    or for `annotations/instances_val2017.json` `../val2017/`. The folder in which most of the first
    names are counts. A name of Windows is understood; one of another machine's disk, as
    `C:\\data\\images\\7.jpg`, by its last parts.
    """

    def __init__(
        self, files: Files, document: str, names: Sequence[str], spell: Spell = spellings
    ) -> None:
        """
        :param document: the file of labels.
        :param names: of the images, as it has them.
        :raises SourceError: if a store does not say what is there.
        """
        self._files, self._spell = files, spell
        folders = _usual(document)
        is_web = _is_web(document)
        asks_web = is_web or any(map(_is_web, names))
        first = names[: _TRIED_ON_THE_WEB if is_web else _TRIED]
        if asks_web:
            every = (self._candidates(folder, name) for folder in folders for name in first)
            files.look_up(chain.from_iterable(every))
        counts = [
            sum(self._there(folder, name) is not None for name in first) for folder in folders
        ]
        self._folder = folders[counts.index(max(counts))]
        self.any_there = max(counts) > 0
        if asks_web:
            every = (self._candidates(self._folder, name) for name in names)
            files.look_up(chain.from_iterable(every))

    def path_of(self, name: str) -> str:
        """The image's own name, whether or not anything is there."""
        there = self._there(self._folder, name)
        return self._candidates(self._folder, name)[0] if there is None else there

    def _there(self, folder: str, name: str) -> str | None:
        """The first spelling of a name under which a file is there."""
        for candidate in self._candidates(folder, name):
            try:
                if self._files.is_file(candidate):
                    return candidate
            except ValueError:  # a NUL
                return None
        return None

    def _candidates(self, folder: str, name: str) -> list[str]:
        return [joined(folder, spelling) for spelling in self._spell(name)]


def _usual(document: str) -> list[str]:
    folder = parent(document)
    stem = document.rpartition("/")[2].rpartition(".")[0]
    split = stem.rpartition("_")[2]
    inner = ["", "images", "data", split, stem, f"images/{split}"]
    return list(
        dict.fromkeys(joined(folder, f"{up}{name}") for up in ("", "../") for name in inner)
    )


def _is_web(name: str) -> bool:
    return name.lower().startswith(("http://", "https://"))
