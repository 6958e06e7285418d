"""Photos that moved house: paths and URLs of a lake that began
with one prefix and begin with another now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from indexer.disk.manifest import SourceEntry
from indexer.disk.tables import Skipped


class Roots:
    """Old prefix -> new prefix, of whole names only: `/a` is the start of `/a/b`, never of `/ab`.

    `met` collects the old prefixes that something began with.
    """

    def __init__(self, roots: Mapping[str, str]) -> None:
        self._roots = {old.rstrip("/"): new.rstrip("/") for old, new in roots.items()}
        self.met: set[str] = set()
        # Sources that are a name alone, since nothing is ever listed from them again.
        self.imported: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self._roots)

    @property
    def unmet(self) -> list[str]:
        """The old prefixes that nothing began with so far."""
        return [old or "/" for old in self._roots if old not in self.met]

    def uri(self, uri: str) -> str:
        """Where a uri, or a source's name (`@` marks a list of files), is now."""
        if uri in self.imported:
            return uri
        mark, name = ("@", uri[1:]) if uri.startswith("@") else ("", uri)
        for old, new in self._roots.items():
            if name == old or name.startswith(f"{old}/"):
                self.met.add(old)
                return mark + new + name[len(old) :]
        return uri

    def source(self, entry: SourceEntry) -> SourceEntry:
        columns = entry.columns and self.uri(entry.columns)
        return replace(entry, uri=self.uri(entry.uri), columns=columns)

    def rows(self, table: pa.Table) -> tuple[pa.Table, pa.Array]:
        """A table's `uri` and `source` as they are now,
        and a bool array, (rows,): True where uri is another.
        """
        relocated = pa.array([False] * table.num_rows, pa.bool_())
        before = table["uri"]
        uris = before
        for old, new in self._roots.items():
            here = pc.and_(pc.starts_with(before, f"{old}/"), pc.invert(relocated))
            if pc.any(here).as_py():
                self.met.add(old)
            moved = pc.binary_join_element_wise(new, pc.utf8_slice_codeunits(before, len(old)), "")
            uris = pc.if_else(here, moved, uris)
            relocated = pc.or_(relocated, here)
        sources = pc.unique(table["source"])
        now = pa.array([source and self.uri(source) for source in sources.to_pylist()], pa.string())
        source_now = now.take(pc.index_in(table["source"], sources).combine_chunks())
        table = table.set_column(table.column_names.index("uri"), "uri", uris)
        return table.set_column(table.column_names.index("source"), "source", source_now), relocated

    def skipped(self, file: Skipped) -> Skipped:
        return file._replace(uri=self.uri(file.uri), source=self.uri(file.source))
