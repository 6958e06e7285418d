"""A predicate as an expression of Milvus: what every row that fulfils it fulfils there.

Milvus's logic with NULL has changed between versions, so none of it is used: a predicate is turned
into conditions that are true of a row or not, joined by `and` and `or` alone. There a condition may
be left out, and more rows come, which are asked again here. So only that is said which a server and
Milvus Lite both take as SQL does. Values are literals: Milvus Lite takes no parameters.

Source: https://milvus.io/docs/boolean.md
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

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
    Sign,
    Value,
)

_SIGNS: dict[Sign, str] = {"=": "==", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPPOSITE: dict[Sign, Sign] = {"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_NEVER = "row_id < 0"
# An expression that grows longer is left out: asking whether something is unknown doubles it.
_LONGEST = 16_384
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def expression(predicate: Predicate, columns: Sequence[EngineColumn]) -> str | None:
    """None: nothing of it can be asked.

    :raises KeyError: if it asks of a column that is not among these.
    """
    return _Writer(columns).said(predicate, True)


class _Writer:
    def __init__(self, columns: Sequence[EngineColumn]) -> None:
        self._columns = {column.path: column for column in columns}
        self._known: dict[tuple[Predicate, bool | None], str | None] = {}

    def said(self, predicate: Predicate, wanted: bool | None) -> str | None:
        """What holds of every row of which the predicate is true, false or unknown (None)."""
        key = predicate, wanted
        if key not in self._known:
            found = self._written(predicate, wanted)
            self._known[key] = None if found is not None and len(found) > _LONGEST else found
        return self._known[key]

    def _written(self, predicate: Predicate, wanted: bool | None) -> str | None:
        match predicate:
            case Every(terms):
                return self._joined(terms, wanted, whole=True)
            case Either(terms):
                return self._joined(terms, wanted, whole=False)
            case Negated(term):
                return self.said(term, None if wanted is None else not wanted)
            case Is(term, sought):
                if wanted is None:
                    return _NEVER
                others = [each for each in (True, False, None) if each is not sought]
                if wanted:
                    return self.said(term, sought)
                return _any(self.said(term, each) for each in others)
            case IsNull(column):
                test = {True: "is null", False: "is not null"}
                return _NEVER if wanted is None else f"{self._named(column)} {test[wanted]}"
        named = self._named(predicate.column)
        if wanted is None:
            return f"{named} is null"
        match predicate:
            case Holds():
                return f"{named} == {str(wanted).lower()}"
            case Like(_, pattern):
                return _like(named, pattern, wanted)
            case OneOf(column, values):
                listed = [self._value(column, value) for value in values]
                if None in listed:
                    return None
                if self._columns[column].kind == "real":
                    # Milvus Lite finds no -0.0 among [0.0], though they are equal.
                    return self.said(Either(_each(column, values)), wanted)
                among = f"{named} in [{', '.join(map(str, listed))}]"
                return among if wanted else _known_and(named, f"not ({among})")
            case Compared(column, sign, value):
                literal = self._value(column, value)
                if literal is None:
                    return None
                said = _SIGNS[sign if wanted else _OPPOSITE[sign]]
                compared = f"{named} {said} {literal}"
                return _known_and(named, compared) if said == "!=" else compared

    def _joined(
        self, terms: Sequence[Predicate], wanted: bool | None, *, whole: bool
    ) -> str | None:
        """:param whole: True: of an AND; False: of an OR."""
        if wanted is not None:
            each = (self.said(term, wanted) for term in terms)
            return _all(each) if whole == wanted else _any(each)
        # Unknown: some are, and none decides it.
        undecided = (_any((self.said(term, whole), self.said(term, None))) for term in terms)
        return _all((*undecided, _any(self.said(term, None) for term in terms)))

    def _named(self, path: Path) -> str:
        return column_of(self._columns[path])

    def _value(self, path: Path, value: Value) -> str | None:
        """None: it has no literal that all take."""
        if isinstance(value, str):
            return _quoted(value)
        if isinstance(value, bool):
            return str(value).lower()
        if self._columns[path].kind == "real":
            return repr(float(value)) if math.isfinite(value) else None
        # A server reads the digits before it sees the minus, and these are too many.
        return None if value == -(2**63) else str(value)


def _each(column: Path, values: Iterable[Value]) -> tuple[Predicate, ...]:
    return tuple(Compared(column, "=", value) for value in values)


def _like(named: str, pattern: str, wanted: bool) -> str | None:
    """% alone: for a server _ is a byte, and Milvus Lite knows no escape."""
    if "_" in pattern or "\\" in pattern or (literal := _quoted(pattern)) is None:
        return None
    if not pattern.strip("%") and pattern:
        return f"{named} is not null" if wanted else _NEVER
    if "%" not in pattern:
        return f"{named} == {literal}" if wanted else _known_and(named, f"{named} != {literal}")
    like = f"{named} like {literal}"
    return like if wanted else _known_and(named, f"not ({like})")


def _known_and(named: str, condition: str) -> str:
    return f"({named} is not null and {condition})"


def _quoted(text: str) -> str | None:
    written = "".join(_ESCAPED.get(each, each) for each in text)
    # The other control characters have no escape that both kinds know.
    return None if any(each < " " or each == "\x7f" for each in written) else f'"{written}"'


def _all(terms: Iterable[str | None]) -> str | None:
    said = list(dict.fromkeys(term for term in terms if term is not None))
    if len(said) > 1:
        return f"({' and '.join(said)})"
    return said[0] if said else None


def _any(terms: Iterable[str | None]) -> str | None:
    said = list(dict.fromkeys(terms))
    if None in said:
        return None
    return f"({' or '.join(map(str, said))})" if len(said) > 1 else said[0]
