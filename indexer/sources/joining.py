"""One image's columns: from its sidecars, then from the user's table, which has the last word."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from indexer.address import Address
from indexer.sources import ColumnValue, ImageFile, UnreadColumns
from indexer.sources.columns import MAX_VALUE_BYTES, ColumnTable
from indexer.sources.sidecars import last_word, mark, max_sidecar_bytes, read_sidecars

logger = logging.getLogger(__name__)


class Join:
    """The table of one source, and which of its rows a listing has met."""

    def __init__(self, root: str, table: ColumnTable | None) -> None:
        """:param root: the uri that relative paths of the table are
        below, without a "/" at its end.
        """
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
        # What was too large, and was said: columns of values, and limits of files.
        self._told: set[str | int] = set()

    @property
    def unmatched_rows(self) -> int:
        return int(len(self._met) - np.count_nonzero(self._met))

    def etag(self, image: str | Address, sidecar_marks: Iterable[str]) -> str | None:
        """The `columns_etag` of an image, None where nothing speaks of it.

        :param sidecar_marks: for each sidecar its name and what changes with its content.
        """
        parts = list(sidecar_marks)
        row = self._row(image) if self._table else None
        if self._table and row is not None:
            self._met[row] = True
            parts.append(self._table.mark(row))
        return mark(parts) if parts else None

    def values(self, file: ImageFile, read: Callable[[str, int], bytes]) -> dict[str, ColumnValue]:
        """
        :param read: gives at most so many bytes of a sidecar; raises OSError.
        :raises UnreadColumns: as `read_sidecars`; the user's table has spoken then, too.
        """
        return self.with_table(file, lambda: read_sidecars(file.sidecars, read, self._too_large))

    def with_table(
        self, file: ImageFile, own: Callable[[], Mapping[str, ColumnValue]]
    ) -> dict[str, ColumnValue]:
        """An image's own columns and those of the user's table.

        :param own: reads the former.
        :raises UnreadColumns: as `own` does, with the table's columns as well.
        """
        try:
            return self.beside_table(file, own())
        except UnreadColumns as error:
            values = self.beside_table(file, error.values)
            raise UnreadColumns(error.name, error.reason, values) from error

    def beside_table(
        self, file: ImageFile, values: Mapping[str, ColumnValue]
    ) -> dict[str, ColumnValue]:
        """An image's own columns and those of the user's table."""
        row = self._row(file.address) if self._table else None
        if self._table and row is not None:
            return last_word(values, self._table.values(row))
        return dict(values)

    def _row(self, image: str | Address) -> int | None:
        """The table's row of an image. An image of a container may be named as a file in a folder
        of the container's name, `a.tar/7.jpg`, or as the container itself names it.
        """
        assert self._table is not None
        if isinstance(image, str) or image.member is None:
            uri = image if isinstance(image, str) else image.uri
            return self._table.row_of(uri, self._root)
        row = self._table.row_of(f"{image.uri}/{image.member}", self._root)
        return (
            self._table.row_of(f"{self._root}/{image.member}", self._root) if row is None else row
        )

    def pass_over(self, sidecar: str, name: str) -> None:
        """A sidecar is too large to be one, which is told once for each kind."""
        limit = max_sidecar_bytes(name)
        if limit not in self._told:
            self._told.add(limit)
            logger.warning(
                "%s sidecars larger than %s bytes are passed over (first %s)",
                name[name.rindex(".") :],
                f"{limit:,}",
                sidecar,
            )

    def _too_large(self, column: str, sidecar: str) -> None:
        if column not in self._told:
            self._told.add(column)
            logger.warning(
                "values of %s that are larger than %s bytes are left empty (first in %s)",
                column,
                f"{MAX_VALUE_BYTES:,}",
                sidecar,
            )
