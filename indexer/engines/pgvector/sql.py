"""A predicate as SQL with named values, and the names of tables and columns.

Nothing that a lake says gets into a statement: its name and its columns' names are hashed into
names of ours, and values are sent beside it.
"""

from __future__ import annotations

import hashlib
import json
import re

from indexer.engines.columns import EngineColumn
from indexer.engines.predicate import (
    Compared,
    Either,
    Every,
    Holds,
    Is,
    IsNull,
    Like,
    Negated,
    OneOf,
    Path,
    Predicate,
    Value,
)

_IS = {True: "IS TRUE", False: "IS FALSE", None: "IS NULL"}
TYPES = {"whole": "bigint", "real": "double precision", "text": "text", "truth": "boolean"}


def table_of(lake: str) -> str:
    """lakesift_, what is plain of the lake's name, and a hash of the whole: at most 50 characters,
    none of which needs quotes.
    """
    plain = re.sub(r"[^a-z0-9]+", "_", lake.lower()).strip("_")[:30]
    digest = hashlib.sha256(lake.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"lakesift_{plain}_{digest}" if plain else f"lakesift_{digest}"


def column_of(column: EngineColumn) -> str:
    """Its name in the table: another one, where its type is another."""
    said = json.dumps([list(column.path), column.type]).encode()
    return f"c_{hashlib.sha256(said).hexdigest()[:16]}"


class Condition:
    """A predicate's text, and the values that it names."""

    def __init__(self, predicate: Predicate, columns: list[EngineColumn]) -> None:
        """:raises KeyError: if it asks of a column that is not among these."""
        self.values: dict[str, Value] = {}
        self._columns = {column.path: column for column in columns}
        self.sql = self._written(predicate)

    def _written(self, predicate: Predicate) -> str:
        match predicate:
            case Every(terms):
                return f"({' AND '.join(map(self._written, terms))})"
            case Either(terms):
                return f"({' OR '.join(map(self._written, terms))})"
            case Negated(term):
                return f"(NOT {self._written(term)})"
            case Is(term, wanted):
                return f"({self._written(term)} {_IS[wanted]})"
            case IsNull(column):
                return f"({self._named(column)} IS NULL)"
            case Holds(column):
                return self._named(column)
            case Like(column, pattern):
                # The backslash is sent as a value, too: how one is written depends on the server.
                said, escape = self._value(pattern), self._value("\\")
                return f"({self._named(column)} LIKE {said}::text ESCAPE {escape}::text)"
            case OneOf(column, values):
                of_type = TYPES[self._columns[column].kind]
                listed = ", ".join(f"{self._value(value)}::{of_type}" for value in values)
                return f"({self._named(column)} IN ({listed}))"
            case Compared(column, sign, value):
                of_type = TYPES[self._columns[column].kind]
                return f"({self._named(column)} {sign} {self._value(value)}::{of_type})"

    def _named(self, path: Path) -> str:
        column = self._columns[path]
        # Texts are compared by their bytes, whatever the database's language.
        return column_of(column) + (' COLLATE "C"' if column.kind == "text" else "")

    def _value(self, value: Value) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"
