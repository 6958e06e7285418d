"""A predicate as SQL with named values, which are sent beside it."""

from __future__ import annotations

from indexer.engines.columns import EngineColumn
from indexer.engines.names import column_of
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
