"""One image's columns: from its sidecars, then from the user's table, which has the last word."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from indexer.sources import ColumnValue, ImageFile
from indexer.sources.columns import ColumnTable
from indexer.sources.sidecars import mark, read_sidecars


class Join:
    """The table of one source, and which of its rows a listing has met."""

    def __init__(self, root: str, table: ColumnTable | None) -> None:
        """:param root: the uri that relative paths of the table are below, without a "/" at its end."""
        self._root = root
        self._table = table
        self.begin()

    @property
    def table_path(self) -> str | None:
        """Absolute; what `open_source` takes as `columns` again."""
        return self._table.path if self._table else None

    def begin(self) -> None:
        """A new listing starts: no row has met its image yet."""
        self._met = np.zeros(len(self._table) if self._table else 0, np.bool_)

    @property
    def unmatched_rows(self) -> int:
        return int(len(self._met) - np.count_nonzero(self._met))

    def etag(self, uri: str, sidecar_marks: Iterable[str]) -> str | None:
        """The `columns_etag` of an image, None where nothing speaks of it.

        :param sidecar_marks: for each sidecar its name and what changes with its content.
        """
        parts = list(sidecar_marks)
        row = self._table.row_of(uri, self._root) if self._table else None
        if self._table and row is not None:
            self._met[row] = True
            parts.append(self._table.mark(row))
        return mark(parts) if parts else None

    def values(self, file: ImageFile, read: Callable[[str, int], bytes]) -> dict[str, ColumnValue]:
        """:param read: gives at most so many bytes of a sidecar; raises OSError."""
        values = read_sidecars(file.sidecars, read)
        row = self._table.row_of(file.uri, self._root) if self._table else None
        if self._table and row is not None:
            values.update(self._table.values(row))
        return values
