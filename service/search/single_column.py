"""The column that a query's option names by its value: one with a single value a row."""

from __future__ import annotations

import pyarrow as pa

from indexer.errors import BadRequest
from service.alike.names import names_of_groups
from service.tags.tags import NO_TAGS
from service.where.columns import Columns
from service.where.values import Column, Mismatch


def single_column(option: str, name: str, schema: pa.Schema) -> tuple[str, Column]:
    """The lake's column that holds it, and the column or field that is meant.

    :param option: of the query, which errors name.
    :raises BadRequest: if there is none, or it holds several values.
    """
    columns = Columns(schema, tags=lambda: NO_TAGS)
    if name.lower() in names_of_groups(schema.names):
        raise BadRequest(
            option,
            f"{name} is known of groups, and is no column; ask for it in where, as group_size > 1",
        )
    try:
        found = columns.find_named(name)
    except Mismatch as error:
        raise BadRequest(option, str(error)) from None
    if pa.types.is_struct(found.type):
        names = " or ".join(f"{found.said}.{each.name}" for each in found.type)
        raise BadRequest(option, f"{found.said} is several values; name one: {names}")
    if pa.types.is_list(found.type):
        raise BadRequest(option, f"{found.said} is a list; name a column of single values")
    return columns.used.pop(), found
