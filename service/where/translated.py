"""A `where` as an engine's predicate, as far as that goes.

What is asked of an engine only narrows its candidates: the whole `where` is asked of each of them
afterwards. So of conditions that are joined by AND those are left out that an engine cannot be
asked exactly: lists, tags and groups, ILIKE, two columns compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import pyarrow as pa

from indexer.engines.columns import EngineColumn, engine_columns
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
    Predicate,
    Sign,
    Value,
)
from indexer.errors import WhereError
from service.where.columns import Columns
from service.where.like import Wild, split
from service.where.syntax import Node, parse_tree
from service.where.values import Literal, Mismatch, number, time

_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_SIGNS: dict[str, Sign] = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_MIRRORED: dict[Sign, Sign] = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_MOST_VALUES = 500  # of an IN


class _NotThere(Exception):
    """An engine cannot be asked this."""


def translated(text: str, schema: pa.Schema, columns: Sequence[EngineColumn]) -> Predicate | None:
    """What every row that passes fulfils, as an engine may be asked; None: nothing is known.

    :param text: was understood by `Where.parse`.
    :param schema: of the lake's rows; columns: those that the engine has, which may be of an
        earlier schema.
    """
    now = [
        each
        for each in engine_columns(schema)
        if any(each.is_same(other) and other.is_whole for other in columns)
    ]
    try:
        waiting = [parse_tree(text, Columns(schema, text).has)]
    except WhereError:
        return None
    reader = _Translator(text, schema, now)
    terms: list[Predicate] = []
    while waiting:
        node = _bare(waiting.pop())
        if node.key == "and":
            waiting += [node.expression, node.this]
            continue
        try:
            terms.append(reader.predicate(node))
        except (_NotThere, Mismatch):
            continue
    if len(terms) > 1:
        return Every(tuple(terms))
    return terms[0] if terms else None


def _bare(node: Node) -> Node:
    while node.key == "paren":
        node = node.this
    return node


class _Translator:
    """Translates whole predicates: what it says of a row, `Where` says, NULL for NULL."""

    def __init__(self, text: str, schema: pa.Schema, columns: Sequence[EngineColumn]) -> None:
        self._text, self._schema, self._columns = text, schema, columns

    def predicate(self, node: Node) -> Predicate:
        """:raises _NotThere: if it cannot be asked; Mismatch: likewise."""
        node = _bare(node)
        if node.key in ("and", "or"):
            terms = tuple(map(self.predicate, _chain(node)))
            return Every(terms) if node.key == "and" else Either(terms)
        if node.key == "not":
            return Negated(self.predicate(node.this))
        if node.key in _SIGNS:
            return self._comparison(_SIGNS[node.key], node.this, node.expression)
        if node.key == "between":
            low = self._comparison(">=", node.this, node.args["low"])
            high = self._comparison("<=", node.this, node.args["high"])
            return Every((low, high))
        if node.key == "in":
            return self._among(node)
        if node.key == "is":
            return self._is(node)
        if node.key == "like":
            return self._like(node, "")
        if node.key == "escape" and node.this.key == "like":
            return self._like(node.this, node.expression.name)
        column = self._column(node)
        if column.kind != "truth":
            raise _NotThere
        return Holds(column.path)

    def _comparison(self, sign: Sign, left: Node, right: Node) -> Predicate:
        left, right = _bare(left), _bare(right)
        if left.key not in ("column", "dot"):
            left, right, sign = right, left, _MIRRORED[sign]
        column = self._column(left)
        if column.kind == "whole":
            return self._of_steps(column, sign, right)
        if column.kind == "truth" and sign not in ("=", "<>"):
            raise _NotThere
        return Compared(column.path, sign, self._value(column, right))

    def _of_steps(self, column: EngineColumn, sign: Sign, node: Node) -> Predicate:
        """The literal moves to the whole step with the same answer: x < 100.5 is x < 101."""
        exact = self._steps(column, node)
        if sign in ("=", "<>"):
            return Compared(column.path, sign, _whole(exact))
        bound = math.ceil(exact) if sign in ("<", ">=") else math.floor(exact)
        return Compared(column.path, sign, _whole(Fraction(bound)))

    def _among(self, node: Node) -> Predicate:
        if node.args.get("field") or not 0 < len(node.expressions) <= _MOST_VALUES:
            raise _NotThere
        column = self._column(_bare(node.this))
        values = tuple(self._value(column, _bare(each)) for each in node.expressions)
        return OneOf(column.path, values)

    def _is(self, node: Node) -> Predicate:
        wanted, inner = node.expression, _bare(node.this)
        if wanted.key == "null":
            if inner.key in ("column", "dot"):
                return IsNull(self._column(inner).path)
            return Is(self.predicate(inner), None)
        if wanted.key == "boolean":
            return Is(self.predicate(inner), bool(wanted.this))
        raise _NotThere

    def _like(self, node: Node, escape: str) -> Predicate:
        column, pattern = self._column(_bare(node.this)), _bare(node.expression)
        if column.kind != "text" or pattern.key != "literal" or not pattern.is_string:
            raise _NotThere
        parts = split(_sendable(pattern.name), escape)
        wild = {Wild.MANY: "%", Wild.ONE: "_"}
        said = "".join(wild[part] if isinstance(part, Wild) else _plain(part) for part in parts)
        like = Like(column.path, said)
        return Negated(like) if node.args.get("negate") else like

    def _column(self, node: Node) -> EngineColumn:
        if node.key not in ("column", "dot"):
            raise _NotThere
        if any(part.key != "identifier" for part in node.parts):
            raise _NotThere
        columns = Columns(self._schema, self._text)
        said = columns.find([part.name for part in node.parts]).said
        found = [
            each
            for each in self._columns
            if ".".join(each.path) == said and each.path[0] in columns.used
        ]
        if len(found) != 1:
            raise _NotThere
        return found[0]

    def _value(self, column: EngineColumn, node: Node) -> Value:
        if column.kind == "whole":
            return _whole(self._steps(column, node))
        if column.kind == "truth":
            if node.key != "boolean":
                raise _NotThere
            return bool(node.this)
        if column.kind == "text":
            if node.key != "literal" or not node.is_string:
                raise _NotThere
            return _sendable(node.name)
        value = _number(node).value
        if not isinstance(value, Fraction):
            raise _NotThere
        return float(value)

    def _steps(self, column: EngineColumn, node: Node) -> Fraction:
        """A number, or a time in steps of its column."""
        type_ = self._schema.field(column.path[0]).type
        for name in column.path[1:]:
            type_ = type_.field(name).type
        if pa.types.is_timestamp(type_):
            value, step = _time(node).value, _UNIT_NS[type_.unit]
        else:
            value, step = _number(node).value, 1
        if not isinstance(value, Fraction):
            raise _NotThere
        return value / step


def _chain(node: Node) -> list[Node]:
    """What a long AND or OR joins, which is one left-deep tree."""
    terms: list[Node] = []
    waiting = [node]
    while waiting:
        term = waiting.pop()
        if term.key == node.key:
            waiting += [term.expression, term.this]
        else:
            terms.append(term)
    return terms


def _number(node: Node) -> Literal:
    if node.key == "neg" and node.this.key == "literal" and not node.this.is_string:
        return number(f"-{node.this.name}")
    if node.key != "literal" or node.is_string:
        raise _NotThere
    return number(node.name)


def _time(node: Node) -> Literal:
    if node.key == "literal" and node.is_string:
        return time(node.name)
    if node.key == "cast" and node.this.key == "literal":
        return time(node.this.name)
    raise _NotThere


def _whole(exact: Fraction) -> int:
    if exact.denominator != 1 or not -(2**63) <= exact < 2**63:
        raise _NotThere
    return int(exact)


def _sendable(text: str) -> str:
    """Postgres takes no text with a zero byte, and UTF-8 no half of a pair."""
    if "\0" in text or (not text.isprintable() and any(0xD800 <= ord(c) < 0xE000 for c in text)):
        raise _NotThere
    return text


def _plain(text: str) -> str:
    return "".join(f"\\{each}" if each in "\\%_" else each for each in text)
