"""Searches that people saved by name, beside the lake: all users of it have them.

`searches/searches.json` holds all of them: name -> query, who saved it and when. It is replaced
under a lock of its own, old or new and never half, so that two writers lose nothing.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from indexer.disk.durable import make_folder, replace_file
from indexer.disk.entries import read_file, reason_of
from indexer.disk.locks import held
from indexer.errors import BadRequest, LakeDamaged, LakeError, UnknownSearch
from indexer.fields import Fields
from service.search.query import Query
from service.tags.names import MAX_CHARS, UNNAMED, check_by, key_of, tag_name

MAX_SEARCHES = 1_000
MAX_BYTES = 100_000  # of one query as JSON
LOCK_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A query under a name."""

    name: str
    query: Mapping[str, Any]  # as `POST /v1/search` takes it, without lake and cursor
    by: str
    at: str  # ISO 8601 with the offset

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "query": dict(self.query), "by": self.by, "at": self.at}

    @property
    def asked(self) -> Query:
        """:raises BadRequest: if it is no query that this version understands."""
        return Query.from_json(self.query)


class SavedSearches:
    """Those of one lake; each call sees what the last writer left."""

    def __init__(self, folder: str | Path) -> None:
        """:param folder: `searches` in the lake's; the first search that is saved makes it."""
        self.folder = Path(folder)
        self.path = self.folder / "searches.json"

    def all(self) -> list[SavedSearch]:
        """By the alphabet.

        :raises LakeDamaged: if the file cannot be understood.
        """
        try:
            fields = Fields.parse(read_file(self.path)).inner("searches").rest()
            found = [_saved(name, Fields(said, name)) for name, said in fields.items()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError, BadRequest) as error:
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            way_out = "repair it, or move it away to begin anew"
            raise LakeDamaged(str(self.path), f"{reason}; {way_out}") from None
        return sorted(found, key=lambda each: (each.name.casefold(), each.name))

    def get(self, name: str) -> SavedSearch:
        """
        :raises UnknownSearch: if there is none of this name.
        """
        every = self.all()
        for each in every:
            if key_of(each.name) == key_of(name):
                return each
        near = difflib.get_close_matches(name[:MAX_CHARS], [each.name for each in every], n=1)
        raise UnknownSearch(str(self.folder.parent), name, near[0] if near else None)

    def save(self, name: str, query: Query | Mapping[str, Any], by: str = UNNAMED) -> SavedSearch:
        """Save a query, in place of the one that has this name.

        :param query: what JSON can say; images from outside the lake it cannot.
        :raises BadRequest: if the name is none, the query is none or too long, or there are too
            many.
        :raises LakeError: if the lake cannot be written.
        """
        name, by = tag_name(name, of="saved search"), check_by(by)
        document = query.to_json() if isinstance(query, Query) else dict(query)
        Query.from_json(document)
        size = len(json.dumps(document).encode())
        if size > MAX_BYTES:
            raise BadRequest("query", f"it has {size:,} bytes, {MAX_BYTES:,} are allowed")
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        new = SavedSearch(name, document, by, at)
        with self._changing() as searches:
            searches[key_of(name)] = new
            if len(searches) > MAX_SEARCHES:
                raise BadRequest("name", f"{MAX_SEARCHES:,} searches are saved; delete one first")
        return new

    def delete(self, name: str) -> SavedSearch:
        """
        :returns: what it was.
        :raises UnknownSearch: if there is none of this name.
        """
        gone = self.get(name)
        with self._changing() as searches:
            searches.pop(key_of(name), None)
        return gone

    @contextmanager
    def _changing(self) -> Iterator[dict[str, SavedSearch]]:
        """All of them by key, to be changed: written when the block ends well."""
        try:
            make_folder(self.folder)
        except OSError as error:
            raise self._unwritable(error) from None
        no_locking = (
            f"{self.folder} lies on a file system without locks, so searches cannot be saved "
            "safely; move the lake to a local disk"
        )
        with held(self.folder / "searches.lock", no_locking, wait_s=LOCK_WAIT_S):
            searches = {key_of(each.name): each for each in self.all()}
            yield searches
            self._write(searches.values())

    def _write(self, searches: Iterable[SavedSearch]) -> None:
        said = {
            each.name: {"query": dict(each.query), "by": each.by, "at": each.at}
            for each in searches
        }
        data = json.dumps({"format": 1, "searches": said}, ensure_ascii=False, indent=1)
        try:
            replace_file(self.path, data.encode() + b"\n")
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> LakeError:
        return LakeError(
            f"{self.folder} cannot be written ({reason_of(error)}); searches are saved in the "
            "lake's folder, and nothing was changed: see to it and try again"
        )


def _saved(name: str, fields: Fields) -> SavedSearch:
    """:raises ValueError, BadRequest: if it is none."""
    query = fields.inner("query").rest()
    by, at = check_by(fields.text("by")), fields.text("at")
    fields.end()
    return SavedSearch(tag_name(name), query, by, at)
