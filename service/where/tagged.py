"""Tags as a column of a `where`: a list of texts that is NULL where a row has none.

`tag = 'night'` is true where the list has it, so that a row may pass `tag = 'night' AND tag =
'tram'`. What is asked of tags is asked of the few sets of tags that rows have; a row then only
looks up the number of its set. Upper and lower case are alike, as they are in tags' names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from indexer.arrays import Positions
from service.tags.names import key_of
from service.tags.tags import Tags
from service.where.values import Column, Kind, Literal, Mismatch, Operand

_pc: Any = pc

# The number of a row's set, beside its columns; no name that a user gives a column.
CODES = "\x1ftags"
ROW_ID = "row_id"  # what the number is looked up by


@dataclass(frozen=True)
class TagColumn(Column):
    """The tags; `expression` is the number of a row's set of them, NULL where it has none."""

    tags: Tags

    @classmethod
    def of(cls, said: str, tags: Tags) -> TagColumn:
        return cls(said, Kind.LIST, pa.list_(pa.string()), pc.field(CODES), tags)

    def has_any(self, fits: Callable[[str], bool]) -> pc.Expression:
        """True where a tag fits, false where none does, NULL where there is none at all."""
        numbers = pa.array(self.tags.numbers_of(fits), pa.int32())
        found = pc.is_in(self.expression, value_set=numbers)
        unknown = pc.scalar(pa.scalar(None, pa.bool_()))
        result: pc.Expression = _pc.if_else(pc.is_valid(self.expression), found, unknown)
        return result

    def is_one_of(self, items: Iterable[Operand]) -> pc.Expression:
        """As SQL's IN, for each tag; NULL among the items makes what is not found unknown.

        :raises Mismatch: if an item is no text that is written out.
        """
        keys: set[str] = set()
        has_null = False
        for item in items:
            if item.kind is Kind.NULL:
                has_null = True
            elif isinstance(item, Literal) and isinstance(item.value, str):
                keys.add(key_of(item.value))
            else:
                raise Mismatch(f"{self.said} is compared with texts in single quotes alone")
        found = self.has_any(lambda name: key_of(name) in keys)
        if not has_null:
            return found
        return found | pc.scalar(pa.scalar(None, pa.bool_()))


def compare_tags(sign: str, left: Operand, right: Operand) -> pc.Expression:
    """:raises Mismatch: if they are not asked for a text."""
    column, other = (left, right) if isinstance(left, TagColumn) else (right, left)
    assert isinstance(column, TagColumn)
    if sign not in ("=", "<>"):
        raise Mismatch(f"{column.said} is a list of tags, which have no order; {_FORMS}")
    found = column.is_one_of([other])
    return found if sign == "=" else ~found


_FORMS = "ask it as tag = 'night', tag IN ('a', 'b'), tag LIKE 'n%' or tag IS NULL"


def with_codes(table: pa.Table, tags: Tags) -> pa.Table:
    """
    :param table: rows with their row_id.
    :returns: them with one more column, CODES.
    """
    chunks: list[Positions] = [
        np.asarray(np.from_dlpack(chunk), np.int64) for chunk in table[ROW_ID].chunks
    ]
    codes = [tags.codes(chunk) for chunk in chunks]
    column = pa.chunked_array([pa.array(each, mask=each < 0) for each in codes], pa.int32())
    return table.append_column(CODES, column)
