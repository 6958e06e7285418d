"""Keeps how far an export is, in a small file beside it: `kept.csv.lakesift.json`.

The file names a chunk before the chunk is put in its place, so that a run that goes on knows its
own files from others'. A chunk that is named and is not there, or has another size, is written
anew.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from indexer.disk.durable import replace_file
from indexer.disk.entries import NotPlain, read_file
from indexer.errors import BadRequest, LakeDamaged, NotWritten

SUFFIX = ".lakesift.json"


@dataclass(slots=True)
class Written:
    """A chunk of an export."""

    name: str
    first: int | None  # row_id of the first item given; None: there was none
    given: int = 0
    entries: int = 0  # a folder's, all the way down; a file's bytes
    skipped: list[tuple[str, str]] = field(default_factory=list)  # uri, reason
    whole: bool = False

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Written:
        return cls(
            **{**document, "skipped": [(uri, reason) for uri, reason in document["skipped"]]}
        )


class State:
    """What an export has written. `about` is what must be the same for it to go on."""

    def __init__(self, out: Path, about: Mapping[str, Any]) -> None:
        """:raises LakeDamaged: if the state file cannot be read."""
        self._out = out
        self._path = out.with_name(out.name + SUFFIX)
        self._about = {**about}
        self._before: dict[str, Any] | None = None
        self._chunks: list[Written] = []
        self._read()

    def _read(self) -> None:
        try:
            document = json.loads(read_file(self._path))
            # exports of earlier versions extracted nothing, and knew no tags
            document = {"extract": None, "tags": None, **document}
            self._before = {name: document[name] for name in self._about}
            self._chunks = [Written.from_json(chunk) for chunk in document["chunks"]]
            for chunk in self._chunks:
                self._check_name(chunk.name)
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, NotPlain) as error:
            way_out = "remove it, and the export's files, to begin anew"
            raise LakeDamaged(
                str(self._path), f"it does not say how far the export is; {way_out}"
            ) from error

    def _check_name(self, name: str) -> None:
        """What `begin` may remove is what an export to this place writes:
        not `..`, nor another file beside it.

        :raises ValueError: if it is something else.
        """
        stem, suffix = (
            re.escape(self._out.name.removesuffix(self._out.suffix)),
            re.escape(self._out.suffix),
        )
        own = re.escape(self._out.name)
        if not re.fullmatch(rf"{own}|{stem}-[0-9]{{5,}}{suffix}|{own}-[0-9]{{5,}}", name):
            raise ValueError(f"{name!r} is no chunk of this export")

    def begin(self, *, overwrite: bool) -> None:
        """Take up what is there if it is of this export, or clear it away if the caller wants that.

        :raises BadRequest: if the place holds another export, and overwrite is False.
        :raises NotWritten: if a folder to be removed holds what the export did not write.
        """
        if self._before is None or (self._before == self._about and not overwrite):
            return
        if not overwrite:
            raise BadRequest("out", self._another())
        for chunk in self._chunks:
            self._remove(chunk)
        self._chunks = []
        self._path.unlink()

    def _another(self) -> str:
        before = self._before or {}
        differ = [name for name in self._about if before.get(name) != self._about[name]]
        told = ", ".join(
            f"{name} {_told(before[name])} and not {_told(self._about[name])}" for name in differ
        )
        return f"{self._out} holds another export ({told}); choose another place, or overwrite it"

    def _remove(self, chunk: Written) -> None:
        path = self._out.with_name(chunk.name)
        if path.is_dir() and not path.is_symlink():
            if chunk.whole and entries_of(path) != chunk.entries:
                raise NotWritten(
                    str(path), "it holds files that no export wrote; move it away first"
                )
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def whole(self, number: int) -> Written | None:
        """The chunk of this number, counted from 1, if it needs no writing."""
        if number > len(self._chunks):
            return None
        chunk = self._chunks[number - 1]
        path = self._out.with_name(chunk.name)
        if not chunk.whole or not path.exists():
            return None
        # A folder was renamed whole; by now it may hold labels too.
        return chunk if path.is_dir() or path.stat().st_size == chunk.entries else None

    def knows(self, number: int) -> bool:
        return number <= len(self._chunks)

    def put(self, number: int, chunk: Written) -> None:
        """Set down that this is the chunk of this number; those before it are known."""
        self._chunks[number - 1 : number] = [chunk]
        document = {"format": 1, **self._about, "chunks": [asdict(known) for known in self._chunks]}
        replace_file(
            self._path, json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
        )


def entries_of(path: Path) -> int:
    """A file's bytes; how many files and folders a folder holds, all the way down."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(len(folders) + len(files) for _, folders, files in os.walk(path))


def _told(value: Any) -> str:
    return "none" if value is None else str(value)
