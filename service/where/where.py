"""Understands a `where`, a SQL boolean expression over the rows' columns, and asks rows of it.

The SQL itself is never run: it becomes an expression of pyarrow's.

FORMS is the one table of what is allowed: a syntax node's key, the parts it may have, and the
function to a pyarrow expression. Syntax is in syntax.py, values in values.py, what comparing means
in compare.py and like.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.errors import WhereError
from service.alike.live import LiveGroups
from service.tags.tags import Tags
from service.where import compare as compare
from service.where import patience
from service.where.columns import Columns
from service.where.grouped import with_groups
from service.where.like import like
from service.where.syntax import ALLOWED, Node, parse_tree
from service.where.tagged import ROW_ID, TagColumn, with_codes
from service.where.values import Column, Kind, Literal, Mismatch, Operand, column, number, time


@dataclass(frozen=True)
class Where:
    """A predicate that was understood, ready to be asked of rows."""

    text: str
    columns: frozenset[str]  # top-level columns it needs
    # == of expressions is an expression
    expression: pc.Expression = field(compare=False, repr=False)
    # as they were when it was understood; None: it does not ask for them
    tags: Tags | None = field(default=None, compare=False, repr=False)
    # what it asks for, as it is called: tags and groups, too
    asked: frozenset[str] = frozenset()
    # of near-identical images; None: it does not ask for them
    groups: LiveGroups | None = field(default=None, compare=False, repr=False)

    @classmethod
    def parse(
        cls,
        text: str,
        schema: pa.Schema,
        tags: Callable[[], Tags] | None = None,
        groups: Callable[[], LiveGroups | None] | None = None,
    ) -> Where:
        """Understand a SQL boolean expression over a schema's columns.

        Column names are SQL's: "quoted" or plain; the exact spelling wins, else upper and lower
        case are alike. Fields of struct columns are place.latitude. A time literal without a zone
        means UTC beside a column that has a zone.

        :param tags: called if it asks for `tag`; None: it may not.
        :param groups: likewise for `group`, `group_size` and `is_best`.
        :raises WhereError: on anything not understood, naming it and what is allowed.
        """
        columns = Columns(schema, text, tags, groups)
        return cls._read(text, columns, parse_tree(text, columns.has))

    @classmethod
    def _read(cls, text: str, columns: Columns, node: Node) -> Where:
        try:
            expression = _Reader(columns).predicate(node)
        except Mismatch as error:
            raise WhereError(text, str(error)) from None
        used, tags, groups = frozenset(columns.used), columns.tags_used, columns.groups_used
        asked = used | columns.asked_of_groups
        asked |= frozenset() if tags is None else {columns.name_of_tags}
        needed = used if tags is None and groups is None else used | {ROW_ID}
        return cls(text, needed, expression, tags, asked, groups)

    @classmethod
    def terms(
        cls,
        text: str,
        schema: pa.Schema,
        tags: Callable[[], Tags] | None = None,
        groups: Callable[[], LiveGroups | None] | None = None,
    ) -> list[Where]:
        """The expression as what its outermost ANDs join: a row passes if it passes each. Their
        text is that of the whole, for messages.

        :raises WhereError: as `parse` does.
        """
        tree = parse_tree(text, Columns(schema, text).has)
        found = []
        waiting = [tree]
        while waiting:
            node = _without_brackets(waiting.pop())
            if node.key == "and":
                waiting += [node.expression, node.this]
                continue
            found.append(cls._read(text, Columns(schema, text, tags, groups), node))
        return found

    @property
    def tags_act(self) -> int | None:
        """The seq of the last act of tagging that it goes by; None: it does not ask for tags.

        Further pages go by the same, so that no row is on two of them, or on none, because somebody
        tags meanwhile.
        """
        return None if self.tags is None else self.tags.seq

    def mask(self, table: pa.Table) -> NDArray[np.bool_]:
        """Ask every row; only the needed columns are looked at, on all of pyarrow's threads.

        :param table: has the needed columns, of the types the schema had.
        :returns: bool, (n_rows,); True where the predicate is true, False where it is false or
            NULL.
        :raises WhereError: if a needed column is missing, or a value cannot be computed with: a
            time too far from now for nanoseconds, beside a column that has them.
        :raises WhereTooSlow: if the work that asks stands under a limit (`patience`), and it is
            over.
        """
        missing = sorted(self.columns - set(table.column_names))
        if missing:
            raise WhereError(self.text, f"these rows have no column {' or '.join(missing)}")
        if not self.columns:  # a constant: one row tells
            one = pa.table({"row": [0]})
            return np.full(table.num_rows, _evaluate(one, self.expression)[0], dtype=np.bool_)
        needed, limit = table.select(sorted(self.columns)), patience.current()
        if self.tags is not None:
            needed = with_codes(needed, self.tags)
        if self.groups is not None:
            needed = with_groups(needed, self.groups)
        try:
            if limit is None:
                return _evaluate(needed, self.expression)
            return limit.mask(self.text, needed, lambda some: _evaluate(some, self.expression))
        except pa.ArrowInvalid as error:
            raise WhereError(self.text, f"a value cannot be compared: {error}") from None


def _evaluate(table: pa.Table, expression: pc.Expression) -> NDArray[np.bool_]:
    """A scanner keeps the rows' order whatever the threads do; Acero's own declarations do not."""
    # Not at the top: with pandas installed pyarrow.dataset imports it too, 0.3 s.
    import pyarrow.dataset as ds

    projection: Any = {"keep": expression}
    kept: Any = ds.dataset(table).scanner(columns=projection, use_threads=True).to_table()["keep"]
    mask: NDArray[np.bool_] = pc.fill_null(kept, False).to_numpy()
    return mask


class _Reader:
    """Reads a checked syntax tree by the table FORMS."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def predicate(self, node: Node) -> pc.Expression:
        """Read what is true, false or unknown.

        :raises Mismatch: if it is something else.
        """
        if node.key in FORMS:
            form = FORMS[node.key]
            _check_parts(node, form.parts)
            return form.read(self, node)
        operand = self.operand(node)
        if operand.kind is Kind.NULL:
            return compare.UNKNOWN
        if operand.kind is not Kind.TRUTH:
            raise Mismatch(
                f"{operand.said} is {operand.kind.value}, where something true or false is wanted; compare it"
            )
        if isinstance(operand, Literal):
            return compare.TRUE if operand.value else compare.FALSE
        return operand.expression

    def operand(self, node: Node) -> Operand:
        """Read a column or a literal, as it stands beside a comparison.

        :raises Mismatch: if it is something else.
        """
        node = _without_brackets(node)
        if node.key in ("column", "dot"):
            return self._columns.find(_name_parts(node))
        if node.key == "literal":
            return (
                Literal(f"'{node.name}'", Kind.TEXT, node.name)
                if node.is_string
                else number(node.name)
            )
        if node.key == "neg" and node.this.key == "literal" and not node.this.is_string:
            return number("-" + node.this.name)
        if node.key == "null":
            return Literal("NULL", Kind.NULL)
        if node.key == "boolean":
            return Literal(str(node.this).upper(), Kind.TRUTH, bool(node.this))
        # DATE '2024-05-01'; real casts do not get here
        if node.key == "cast" and node.this.key == "literal":
            return time(node.this.name, _TIME_LITERALS[node.to.this.name])
        if node.key in FORMS:
            raise Mismatch(
                "a comparison cannot stand inside another one; put AND or OR between them"
            )
        raise Mismatch(f"{node.key.upper()} is not allowed; {ALLOWED}")


_TIME_LITERALS = {
    "DATE": "DATE",
    "TIMESTAMPNTZ": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMPTZ",
}


def _name_parts(node: Node) -> list[str]:
    if any(part.key != "identifier" for part in node.parts):
        raise Mismatch(f"{node.sql('duckdb')} is not a column name; {ALLOWED}")
    return [part.name for part in node.parts]


def _without_brackets(node: Node) -> Node:
    while node.key == "paren":
        node = node.this
    return node


def _check_parts(node: Node, parts: frozenset[str]) -> None:
    """Refuse a form with parts that are not read: IN (SELECT ...), or what sqlglot learns next."""
    extra = sorted(name for name, part in node.args.items() if part and name not in parts)
    if extra:
        raise Mismatch(
            f"{node.key.upper()} with {' and '.join(extra).upper()} is not allowed; {ALLOWED}"
        )


def _read_chain(reader: _Reader, node: Node) -> pc.Expression:
    """AND or OR; a long chain is one left-deep tree, so it is walked, not recursed into."""
    terms: list[pc.Expression] = []
    waiting = [node]
    while waiting:
        term = waiting.pop()
        if term.key == node.key:
            _check_parts(term, FORMS[node.key].parts)
            waiting += [term.expression, term.this]
        else:
            terms.append(reader.predicate(term))
    return compare.all_of(terms) if node.key == "and" else compare.any_of(terms)


def _read_not(reader: _Reader, node: Node) -> pc.Expression:
    return ~reader.predicate(_without_brackets(node.this))


def _read_brackets(reader: _Reader, node: Node) -> pc.Expression:
    return reader.predicate(node.this)


def _comparison(sign: str) -> Callable[[_Reader, Node], pc.Expression]:
    def read(reader: _Reader, node: Node) -> pc.Expression:
        left, right = reader.operand(node.this), reader.operand(node.expression)
        return compare.compare(sign, left, right)

    return read


def _read_distinct(reader: _Reader, node: Node) -> pc.Expression:
    left, right = reader.operand(node.this), reader.operand(node.expression)
    differs = compare.is_distinct(left, right)
    return differs if node.key == "nullsafeneq" else ~differs


def _read_between(reader: _Reader, node: Node) -> pc.Expression:
    value, low, high = (reader.operand(node.args[part]) for part in ("this", "low", "high"))
    return compare.compare(">=", value, low) & compare.compare("<=", value, high)


def _read_in(reader: _Reader, node: Node) -> pc.Expression:
    if node.args.get("field"):
        return compare.is_element(reader.operand(node.this), reader.operand(node.args["field"]))
    if not node.expressions:
        raise Mismatch("IN () holds nothing; name at least one value in its brackets")
    value = reader.operand(node.this)
    return compare.is_among(value, [reader.operand(item) for item in node.expressions])


def _read_is(reader: _Reader, node: Node) -> pc.Expression:
    """IS NULL of an operand or a predicate, IS TRUE and IS FALSE of a predicate: never unknown."""
    wanted, inner = node.expression, _without_brackets(node.this)
    if wanted.key not in ("null", "boolean"):
        raise Mismatch(f"IS {wanted.sql('duckdb')} is not allowed; {ALLOWED}")
    if wanted.key == "null" and inner.key not in FORMS:
        return compare.is_null(reader.operand(inner))
    said = reader.predicate(inner)
    if wanted.key == "null":
        return pc.is_null(said)
    return compare.if_unknown(said if wanted.this else ~said, compare.FALSE)


def _read_like(reader: _Reader, node: Node) -> pc.Expression:
    return _like(reader, node, "")


def _read_escape(reader: _Reader, node: Node) -> pc.Expression:
    inner = node.this
    if inner.key not in ("like", "ilike") or not (
        node.expression.key == "literal" and node.expression.is_string
    ):
        raise Mismatch("ESCAPE wants one character in single quotes, after a LIKE")
    _check_parts(inner, FORMS[inner.key].parts)
    return _like(reader, inner, node.expression.name)


def _like(reader: _Reader, node: Node, escape: str) -> pc.Expression:
    value, pattern = reader.operand(node.this), reader.operand(node.expression)
    for operand in (value, pattern):
        if operand.kind not in (Kind.TEXT, Kind.NULL) and not isinstance(value, TagColumn):
            raise Mismatch(f"{operand.said} is {operand.kind.value}, LIKE wants text")
    if (isinstance(value, Literal) and value.kind is Kind.TEXT) or isinstance(pattern, Column):
        raise Mismatch("LIKE wants a column on its left and a text in single quotes on its right")
    if isinstance(value, TagColumn):
        matches = _tags_like(value, pattern, escape, any_case=node.key == "ilike")
    elif isinstance(value, Column) and isinstance(pattern.value, str):
        matches = like(value, pattern.value, escape, any_case=node.key == "ilike")
    else:
        matches = compare.UNKNOWN
    # sqlglot 30 keeps the NOT of NOT LIKE inside
    return ~matches if node.args.get("negate") else matches


def _tags_like(value: TagColumn, pattern: Operand, escape: str, *, any_case: bool) -> pc.Expression:
    """Whether a tag matches: each name is asked once."""
    if pattern.kind is Kind.NULL:
        return compare.UNKNOWN
    if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
        raise Mismatch("LIKE wants a column on its left and a text in single quotes on its right")
    names = pa.table({"name": pa.array(value.tags.names, pa.string())})
    fits = _evaluate(names, like(column(("name",), pa.string()), pattern.value, escape, any_case))
    matching = {name for name, is_one in zip(value.tags.names, fits, strict=True) if is_one}
    return value.has_any(lambda name: name in matching)


@dataclass(frozen=True)
class Form:
    """One form that a `where` may have."""

    parts: frozenset[str]  # the node's parts that `read` reads; any other is refused
    read: Callable[[_Reader, Node], pc.Expression]


_PAIR = frozenset({"this", "expression"})
FORMS: dict[str, Form] = {
    "and": Form(_PAIR, _read_chain),
    "or": Form(_PAIR, _read_chain),
    "not": Form(frozenset({"this"}), _read_not),
    "paren": Form(frozenset({"this"}), _read_brackets),
    "eq": Form(_PAIR, _comparison("=")),
    "neq": Form(_PAIR, _comparison("<>")),
    "lt": Form(_PAIR, _comparison("<")),
    "lte": Form(_PAIR, _comparison("<=")),
    "gt": Form(_PAIR, _comparison(">")),
    "gte": Form(_PAIR, _comparison(">=")),
    "nullsafeeq": Form(_PAIR, _read_distinct),
    "nullsafeneq": Form(_PAIR, _read_distinct),
    "between": Form(frozenset({"this", "low", "high"}), _read_between),
    "in": Form(frozenset({"this", "expressions", "field"}), _read_in),
    "is": Form(_PAIR, _read_is),
    "like": Form(_PAIR | {"negate"}, _read_like),
    "ilike": Form(_PAIR | {"negate"}, _read_like),
    "escape": Form(_PAIR, _read_escape),
}
