"""What a row of somebody's table becomes in a lake: its image's address, and its columns.

A table that lakesift wrote has a lake's own columns, and they are taken as they are. Of any other
table nothing is known of the images but where they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.address import ADDRESS_COLUMNS, Address
from indexer.arrays import RowMask
from indexer.disk.rows import ROW_SCHEMA, Spellings, beside, wrong_values
from indexer.errors import BadRequest, SourceError, UnreadableImage
from indexer.sources.columns import CAPTION, RESERVED_COLUMNS, ROW_NUMBER, key_texts, without_large
from indexer.sources.names import is_url, uri_of
from indexer.sources.plain_columns import PlainColumns
from indexer.vector_files.tables import OURS, VectorTable

# The first found names the images. Where both are there, as in what is made of shards, image_path
# is a sample's key.
NAMES = (
    "uri",
    "url",
    "image_url",
    "path",
    "file",
    "filename",
    "file_name",
    "image_path",
    "image",
)
# Beside the columns of a lake in a table that lakesift wrote, for other tools alone.
FOR_OTHERS = ("image_path", "url")
_TAKEN = RESERVED_COLUMNS | {ROW_NUMBER}


@dataclass(slots=True)
class RowMaker:
    """Makes a lake's rows of one table's."""

    table: VectorTable
    uri: str  # the column that names the images
    base: bytes  # the folder that relative paths start at
    source: str
    spellings: Spellings
    _left_out: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        table: VectorTable,
        uri: str | None,
        images: Path | None,
        source: str,
        spellings: Spellings,
    ) -> RowMaker:
        """
        :param uri: the column that names the images; None: found by its name.
        :param images: where relative paths start; None: at the source.
        :raises BadRequest: if there is no such column; SourceError: if none is found.
        """
        base = table.file.parent if images is None else images
        name = _uri_column(table, uri)
        return cls(table, name, os.path.abspath(os.fsencode(base)), source, spellings)  # noqa: PTH100

    @property
    def is_ours(self) -> bool:
        return is_ours(self.table.schema) and self.uri == "uri"

    def places(self) -> Iterator[tuple[list[Address | None], pa.Table]]:
        """The addresses of all rows, a few thousand at a time, without their vectors."""
        names = self._address_columns if self.is_ours else [self.uri]
        for table in self.table.columns(names):
            yield self.addresses(table), table

    def addresses(self, table: pa.Table) -> list[Address | None]:
        """None where a row names no image.

        :raises SourceError: if they are no texts.
        """
        if self.is_ours:
            here = table.select(
                [name for name in self._address_columns if name in table.schema.names]
            )
            return [_stored(row) for row in self._cast(here).to_pylist()]
        texts = key_texts(table[self.uri])
        if texts is None:
            raise SourceError(
                str(self.table.file),
                f"the column {self.uri} holds no paths or URLs; name another with --uri",
            )
        return [self._address(text) for text in texts.to_pylist()]

    @property
    def _address_columns(self) -> list[str]:
        return [name for name in ADDRESS_COLUMNS if name in self.table.schema.names]

    def _address(self, text: str) -> Address | None:
        text = text.removeprefix("file://")
        if not text.strip():
            return None
        if is_url(text):
            return Address(text)
        path = os.path.normpath(os.path.join(self.base, text.encode()))  # noqa: PTH118
        return Address(*uri_of(path))

    def rows(
        self, table: pa.Table, addresses: Sequence[Address | None], keep: RowMask, first_id: int
    ) -> pa.Table:
        """The rows that are kept, as a lake's segment has them; the first one's row_id is first_id.

        :raises SourceError: if a column of ours holds what no row can.
        """
        kept = table.filter(pa.array(keep))
        known = self._known(kept) if self.is_ours else self._new(addresses, keep)
        known |= {
            "row_id": pa.array(np.arange(first_id, first_id + kept.num_rows)),
            "source": pa.array([self.source] * kept.num_rows, pa.string()),
        }
        own = self._own(kept)
        if CAPTION in own:
            known[CAPTION] = own.pop(CAPTION)
        arrays = [
            known[each.name] if each.name in known else pa.nulls(kept.num_rows, each.type)
            for each in ROW_SCHEMA
        ]
        fields = [*ROW_SCHEMA, *(pa.field(name, column.type) for name, column in own.items())]
        made = pa.table([*arrays, *own.values()], schema=pa.schema(fields))
        if wrong := wrong_values(made):
            raise SourceError(str(self.table.file), f"{wrong}, which no row of a lake can have")
        return made

    def _known(self, kept: pa.Table) -> dict[str, Any]:
        names = [name for name in ROW_SCHEMA.names if name in kept.schema.names]
        columns = self._cast(kept.select(names))
        known = dict(zip(names, columns.columns, strict=True))
        # Which columns a source gave is its own business: this one is never asked again.
        known.pop("columns_etag", None)
        return known

    def _cast(self, table: pa.Table) -> pa.Table:
        schema = pa.schema(
            [ROW_SCHEMA.field(name).with_nullable(True) for name in table.schema.names]
        )
        try:
            return table.cast(schema)
        except (pa.ArrowException, ValueError) as error:
            reason = f"its columns are no lake's, though it says so ({str(error).splitlines()[0]})"
            raise SourceError(str(self.table.file), reason) from error

    def _new(self, addresses: Sequence[Address | None], keep: RowMask) -> dict[str, Any]:
        here = [address for address, kept in zip(addresses, keep, strict=True) if kept and address]
        return {
            "uri": pa.array([address.uri for address in here], pa.string()),
            "path_bytes": pa.array([address.path_bytes for address in here], pa.binary()),
            # as of a file whose store does not say it
            "size_bytes": pa.array(np.zeros(len(here), np.int64)),
        }

    def _own(self, kept: pa.Table) -> dict[str, Any]:
        """The table's other columns under their names in the lake, `caption` among them."""
        beside_ours = {*ROW_SCHEMA.names, *FOR_OTHERS} if self.is_ours else {self.uri}
        wanted = [n for n in kept.schema.names if n not in beside_ours | self._left_out]
        names = dict.fromkeys(wanted)
        for name in names:
            bare = name.removeprefix("own_") if self.is_ours else name
            if bare != name and shown(bare) == name:
                names[name] = bare
            else:
                names[name] = CAPTION if name.lower() == CAPTION else beside(name, _TAKEN, "own_")
        file = str(self.table.file)
        plain = PlainColumns(file).of(wanted, [kept[name] for name in wanted])
        self._left_out |= set(wanted) - plain.keys()  # told once, not for every few thousand rows
        own = {str(names[name]): column for name, column in plain.items()}
        typed = {
            name: _typed(without_large(file, name, column), as_text=name == CAPTION)
            for name, column in own.items()
        }
        return self.spellings.of(typed)


def shown(name: str) -> str:
    """A lake's column in a table for other tools, whose own names it does not take."""
    return beside(name, FOR_OTHERS, "own_")


def is_ours(schema: pa.Schema) -> bool:
    """Whether lakesift wrote a table of this schema."""
    return OURS in (schema.metadata or {})


def _uri_column(table: VectorTable, wanted: str | None) -> str:
    names, file = table.schema.names, str(table.file)
    there = ", ".join(names)
    if wanted is not None:
        if wanted not in names:
            raise BadRequest("--uri", f"{file} has no column {wanted!r}; there are {there}")
        return wanted
    by_lower = {name.lower(): name for name in reversed(names)}
    for name in NAMES:
        found = by_lower.get(name)
        if found is not None and not pa.types.is_nested(table.schema.field(found).type):
            return str(found)
    looked = ", ".join(NAMES)
    raise SourceError(
        file,
        f"no column names the images (name it with --uri); looked for {looked}; there are {there}",
    )


def _stored(row: dict[str, Any]) -> Address | None:
    try:
        return Address.of(row) if row["uri"] else None
    except UnreadableImage:
        return None


def _typed(column: Any, *, as_text: bool) -> Any:
    """As a lake's own column may be: text, numbers, true or false, times without a zone."""
    kind = column.type
    if as_text or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us"))
    return column
