"""Rows with what they are called: a list of tags as one more column, once somebody tagged."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.disk.rows import LIST
from indexer.errors import LakeDamaged
from service.tags.book import TagBook
from service.tags.names import shown_as
from service.tags.tags import NO_TAGS, Tags


def tags_or_none(book: TagBook) -> Tags:
    """For what is shown beside rows, which a damaged log of tags shall not hide."""
    with suppress(LakeDamaged):
        return book.tags()
    return NO_TAGS


def with_tags(table: pa.Table, tags: Tags, schema: pa.Schema) -> pa.Table:
    """
    :param table: rows with their row_id.
    :param schema: of all columns that the lake has.
    :returns: them with their tags as the last column, NULL where there are none; as it is where
        nobody tagged.
    """
    if not tags.names:
        return table
    chunks = [np.from_dlpack(chunk) for chunk in table["row_id"].chunks]
    codes = tags.codes(np.concatenate([np.empty(0, np.int64), *chunks]))
    indices = pa.array(codes, mask=codes < 0)
    lists = pa.array([list(names) for names in tags.sets], LIST).take(indices)
    return table.append_column(pa.field(shown_as(schema.names), LIST), lists)


def schema_with_tags(schema: pa.Schema, tags: Tags) -> pa.Schema:
    """Of what `with_tags` gives."""
    if not tags.names:
        return schema
    return schema.append(pa.field(shown_as(schema.names), LIST))


def add_tags(rows: Sequence[dict[str, Any]], book: TagBook, schema: pa.Schema) -> None:
    """As `with_tags`, of rows as Python values."""
    tags = tags_or_none(book)
    if not tags.names:
        return
    name = shown_as(schema.names)
    codes = tags.codes(np.array([row["row_id"] for row in rows], np.int64)).tolist()
    for row, code in zip(rows, codes, strict=True):
        row[name] = None if code < 0 else list(tags.sets[code])
