"""Which row a name means that a person or a tool has for an image.

A uri means its row. What is no uri here may be another spelling of one: `./a`, `a//b`, `a\\b` as
Windows has it, `file:///a%20b`, a letter and its accent as one character or as two. It is taken
where all that it may be is one row. So is a file name alone, where one row has it. An image inside
another file may go by the name that `filter export --extract` gave it, below any folder. What may
be several rows is none.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from urllib.parse import unquote_to_bytes

from indexer.errors import BadRequest
from indexer.sources.names import is_url, uri_of
from service.formats.extracted_name import ExtractedName, below_container
from service.relevance.scoring.scored_rows import row_by_uri
from service.snapshot.snapshot import Snapshot


class AmbiguousName(BadRequest):
    """More than one row may be meant."""

    def __init__(self, field: str, reason: str, row_ids: Iterable[int]) -> None:
        super().__init__(field, reason)
        self.row_ids = frozenset(row_ids)


class RowNames:
    """The rows of some snapshots by every name they may go by.

    Reads only what a name needs: the uris with the first that is none of them, and their file names
    with the first that stands alone.
    """

    def __init__(
        self, rows: Mapping[str, int], shared: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        """
        :param rows: uri -> row_id.
        :param shared: those uris of rows that several row_ids have, with all of them.
        """
        self._rows = rows
        self._shared = shared or {}

    @classmethod
    def of(cls, snapshots: Sequence[Snapshot]) -> RowNames:
        """:param snapshots: where two have a uri, the last one's row is meant."""
        return cls(*row_by_uri(snapshots))

    def find(self, uri: str) -> int | None:
        """The row of a uri however it is spelt, None if there is none.

        :raises AmbiguousName: if it may be several.
        """
        if uri in self._rows:
            return self._the_one({uri})
        maybe = spellings(uri)
        found = {each for each in maybe if each in self._rows}
        if not uri.isascii() or "%" in uri:
            found.update(uri for each in maybe for uri in self._composed.get(_composed(each), ()))
        if not found:
            found.update(uri for each in maybe for uri in self._named_as_extracted(each))
        return self._the_one(found)

    def find_plain(self, name: str, root: str | None = None) -> int | None:
        """The row of an image by its file name alone, None if there is none.

        :param root: only images below this folder or URL are meant; None: all.
        :raises AmbiguousName: if several have it.
        """
        top = None if root is None else f"{root.rstrip('/')}/"
        there = self._of_plain.get(name)
        if there is None:
            spelt = {_composed(name), _composed(_unquoted(name)), _composed(_any_suffix(name))}
            there = [uri for plain in spelt for uri in self._of_composed.get(plain, ())]
        return self._the_one({uri for uri in there if top is None or uri.startswith(top)})

    def _the_one(self, uris: Iterable[str]) -> int | None:
        found = {row for uri in uris for row in self._shared.get(uri, (self._rows[uri],))}
        if len(found) > 1:
            rows = sorted(found)
            which = ", ".join(map(str, rows[:3])) + (", ..." if len(rows) > 3 else "")
            reason = f"it may be any of {len(rows):,} images (rows {which}); say which"
            raise AmbiguousName("uri", reason, rows)
        return next(iter(found), None)

    def _named_as_extracted(self, path: str) -> Sequence[str]:
        name = below_container(path)
        if name is None:
            return ()
        return [
            uri
            for key in (name, _any_suffix(name))
            for uri in self._extracted.get(_composed(key), ())
        ]

    @cached_property
    def _extracted(self) -> dict[str, list[str]]:
        """The uris of parts of files by their names as files, composed; `.*` is of a part that has
        the suffix of its image's format.
        """
        found: dict[str, list[str]] = defaultdict(list)
        for uri in self._rows:
            if name := ExtractedName.of(uri):
                found[_composed(name.file(".*"))].append(uri)
        return dict(found)

    @cached_property
    def _composed(self) -> dict[str, list[str]]:
        """The uris that can be composed in two ways, by the composed one."""
        found: dict[str, list[str]] = defaultdict(list)
        for uri in self._rows:
            if not uri.isascii():
                found[_composed(uri)].append(uri)
        return dict(found)

    @cached_property
    def _of_plain(self) -> dict[str, list[str]]:
        """The uris by their file names."""
        found: dict[str, list[str]] = defaultdict(list)
        for uri in self._rows:
            plain = uri.rpartition("/")[2]
            found[plain].append(uri)
            part = ExtractedName.of(uri)
            own = plain if part is None else part.file(".*").rpartition("/")[2]
            if own != plain:
                found[own].append(uri)
        return dict(found)

    @cached_property
    def _of_composed(self) -> dict[str, list[str]]:
        """The uris by their file names, composed."""
        found: dict[str, list[str]] = defaultdict(list)
        for plain, uris in self._of_plain.items():
            found[_composed(plain)] += uris
        return dict(found)


def spellings(uri: str) -> set[str]:
    """What else an address may be in a lake that has it not.

    A path's `.`, `..` and `//` are taken out; a key of a store is no path, and loses only the `./`
    that tools put there. Of URLs only `file:` is decoded: elsewhere `%2F` is another key than `/`.
    """
    found = {uri, uri.replace("\\", "/")}
    if re.match("file:/", uri, re.IGNORECASE):
        path = re.sub("^file:(//(localhost)?(?=/))?", "", uri, flags=re.IGNORECASE)
        found = {path, path.replace("\\", "/")}
    if not is_url(uri) or re.match("file:/", uri, re.IGNORECASE):
        found |= {_unquoted(each) for each in found}
    return {_normal(each) for each in found}


def _normal(uri: str) -> str:
    if is_url(uri):
        return re.sub(r"(?<=[^:/]/)(\./)+", "", uri)
    path = posixpath.normpath(uri)
    return f"/{path.lstrip('/')}" if path.startswith("/") else path


def _unquoted(text: str) -> str:
    """With %XX as the bytes they stand for, where those are UTF-8; a lake writes others so, too."""
    return uri_of(unquote_to_bytes(text))[0] if "%" in text else text


def _any_suffix(name: str) -> str:
    """As a part of a file is listed that has no suffix of its own."""
    return re.sub(r"\.[^./]*$", ".*", name)


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
