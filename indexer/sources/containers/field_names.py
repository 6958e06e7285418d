"""What the columns of a data file are called in its table by now.

A table may rename and drop columns without writing its files anew: they are found by the number
that the table gave them, or by the name that they were written under.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True, slots=True)
class FieldNames:
    """A table's columns, by what its files know of them. What is in neither map was dropped."""

    by_id: Mapping[int, str] = field(default_factory=dict)
    by_name: Mapping[str, str] = field(default_factory=dict)

    def of(self, schema: pa.Schema) -> dict[str, str]:
        """Name in the file -> name in the table, of the columns that the table has."""
        found: dict[str, str] = {}
        for column in schema:
            name = self._of(column)
            if name is not None:
                found[column.name] = name
        return found

    def _of(self, column: pa.Field) -> str | None:
        number = (column.metadata or {}).get(_FIELD_ID)
        if number is None or not self.by_id:
            return self.by_name.get(column.name)
        return self.by_id.get(int(number))
