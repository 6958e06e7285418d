"""What comparing two operands of a `where` means, as pyarrow expressions.

The meaning is SQL's as DuckDB has it, with pyarrow doing the work, except where DuckDB would round
or guess:

- numbers and times compare exactly: a literal between two values a column can hold moves to the
  right one of them, so `width_px > 100.5` and 64-bit integers beyond 2^53 are right; only a column
  of floats rounds the literal, to its own type, and two columns of which one holds floats meet as
  float64;
- NaN equals NaN and is larger than every number (pyarrow alone follows IEEE 754 here);
- a number is never compared with a text, nor a zoned time with a column that has no zone.
"""

from __future__ import annotations

import decimal
import math
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from service.where.tagged import TagColumn, compare_tags
from service.where.values import Column, Kind, Literal, Mismatch, Operand, time

_pc: Any = pc  # for functions that pyarrow's type stubs know of arrays, not of expressions

TRUE = pc.scalar(True)
FALSE = pc.scalar(False)
UNKNOWN: pc.Expression = _pc.scalar(pa.scalar(None, pa.bool_()))

_BETWEEN = "\x1f"  # ASCII's own separator of units, which no label holds
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY_NS = 86_400 * 10**9


def compare(sign: str, left: Operand, right: Operand) -> pc.Expression:
    """Compare two operands; NULL on either side gives NULL.

    :param sign: one of = <> < <= > >=.
    :raises Mismatch: if they are of different kinds.
    """
    if isinstance(left, TagColumn) or isinstance(right, TagColumn):
        return compare_tags(sign, left, right)
    left, right = _alike(left, right)
    if Kind.NULL in (left.kind, right.kind):
        return UNKNOWN
    if isinstance(left, Column) and isinstance(right, Column):
        return _compare_columns(sign, left, right)
    if isinstance(left, Column) and isinstance(right, Literal):
        return _compare_with_literal(sign, left, right)
    if isinstance(right, Column) and isinstance(left, Literal):
        return _compare_with_literal(_MIRRORED[sign], right, left)
    assert isinstance(left, Literal) and isinstance(right, Literal)
    return TRUE if _holds(sign, left.value, right.value) else FALSE


def is_null(operand: Operand) -> pc.Expression:
    """Whether an operand is NULL: never unknown itself; NaN is a value."""
    if isinstance(operand, Literal):
        return TRUE if operand.kind is Kind.NULL else FALSE
    return pc.is_null(operand.expression)


def is_distinct(left: Operand, right: Operand) -> pc.Expression:
    """Whether two operands differ, where NULL equals NULL: never unknown.

    :raises Mismatch: if they are of different kinds.
    """
    one_is_null = pc.xor(is_null(left), is_null(right))
    return if_unknown(compare("<>", left, right), one_is_null)


def if_unknown(expression: pc.Expression, instead: pc.Expression) -> pc.Expression:
    """The expression, with another in place of NULL."""
    result: pc.Expression = _pc.coalesce(expression, instead)
    return result


def is_among(left: Operand, items: list[Operand]) -> pc.Expression:
    """SQL's IN: true if an item equals, else unknown if left or an item is NULL, else false.

    :raises Mismatch: if an item is of another kind.
    """
    if isinstance(left, TagColumn):
        return left.is_one_of(items)
    alike = [_alike(left, item) for item in items]
    known: list[Literal] = []
    rest: list[pc.Expression] = []
    for of_left, item in alike:
        # Fractions stay out of the set: is_in tells -0.0 from 0.0 (measured, pyarrow 26).
        if (
            isinstance(of_left, Column)
            and isinstance(item, Literal)
            and _has_whole_steps(of_left)
            and item.value is not None
        ):
            known.append(item)
        else:
            rest.append(compare("=", of_left, item))
    if known and isinstance(left, Column):
        rest.append(_in_set(left, known))
    return any_of(rest)


def is_element(left: Operand, of: Operand) -> pc.Expression:
    """SQL's IN with a list on its right: unknown if left or the list is NULL.

    :raises Mismatch: if that is no list, or left is no text that is written out.
    """
    if isinstance(of, TagColumn):
        return of.is_one_of([left])
    if of.kind is not Kind.LIST or not isinstance(of, Column):
        raise Mismatch(f"{of.said} is {of.kind.value}, IN wants a list or values in brackets")
    if left.kind is Kind.NULL:
        return UNKNOWN
    if not isinstance(left, Literal) or not isinstance(left.value, str):
        raise Mismatch(f"{of.said} is a list of texts; write a text in single quotes before IN")
    if not left.value or _BETWEEN in left.value:  # which no element is
        return if_known(of, False)
    edge = pc.scalar("")
    # pyarrow has no function that looks for a value in lists: a list as one text has each of its
    # elements between two separators.
    joined = _pc.binary_join_element_wise(
        edge, _pc.binary_join(of.expression, _BETWEEN), edge, pc.scalar(_BETWEEN)
    )
    result: pc.Expression = _pc.match_substring(joined, f"{_BETWEEN}{left.value}{_BETWEEN}")
    return result


def any_of(expressions: list[pc.Expression]) -> pc.Expression:
    """OR of all, as a balanced tree: pyarrow recurses through it."""
    if len(expressions) == 1:
        return expressions[0]
    middle = len(expressions) // 2
    return any_of(expressions[:middle]) | any_of(expressions[middle:])


def all_of(expressions: list[pc.Expression]) -> pc.Expression:
    """AND of all, as a balanced tree."""
    if len(expressions) == 1:
        return expressions[0]
    middle = len(expressions) // 2
    return all_of(expressions[:middle]) & all_of(expressions[middle:])


def if_known(operand: Column, truth: bool) -> pc.Expression:
    """`truth` where the column has a value, NULL where it is NULL."""
    return _where_known(operand, pc.scalar(truth))


def _where_known(operand: Column, expression: pc.Expression) -> pc.Expression:
    result: pc.Expression = _pc.if_else(pc.is_valid(operand.expression), expression, UNKNOWN)
    return result


def _alike(left: Operand, right: Operand) -> tuple[Operand, Operand]:
    """Turn a text beside a time into a time, and refuse whatever else is not of one kind."""
    for operand in (left, right):
        if operand.kind is Kind.OTHER:
            raise Mismatch(f"{operand.said} is {operand.kind.value}")
        if operand.kind is Kind.LIST:
            raise Mismatch(f"{operand.said} is a list; ask it as 'a text' IN {operand.said}")
    if left.kind is Kind.TIME and isinstance(right, Literal) and isinstance(right.value, str):
        right = time(right.value)
    elif right.kind is Kind.TIME and isinstance(left, Literal) and isinstance(left.value, str):
        left = time(left.value)
    if Kind.NULL in (left.kind, right.kind):
        return left, right
    if left.kind is not right.kind:
        raise Mismatch(f"{left.said} is {left.kind.value}, {right.said} is {right.kind.value}")
    if left.kind is Kind.TIME:
        _check_zones(left, right)
    return left, right


def _check_zones(left: Operand, right: Operand) -> None:
    """A literal without a zone is UTC beside a column that has one;
    a column's zone can not be guessed so.
    """
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Column) and not _is_zoned(one) and _is_zoned(other):
            raise Mismatch(
                f"{one.said} is a time without a zone, {other.said} has one; write the time without a zone"
            )


def _is_zoned(operand: Operand) -> bool:
    if isinstance(operand, Literal):
        return operand.zoned
    return pa.types.is_timestamp(operand.type) and operand.type.tz is not None


def _holds(sign: str, left: object, right: object) -> bool:
    """Compare two literals of one kind;
    texts by code point, which is the order of their UTF-8 bytes.
    """
    if sign in ("=", "<>"):
        return (left == right) is (sign == "=")
    if sign in ("<", "<="):
        return bool(left < right) or (sign == "<=" and left == right)  # type: ignore[operator]
    return _holds(_MIRRORED[sign], right, left)


def _raw(sign: str, left: pc.Expression, right: pc.Expression | pa.Scalar[Any]) -> pc.Expression:
    functions = {
        "=": pc.equal,
        "<>": pc.not_equal,
        "<": pc.less,
        "<=": pc.less_equal,
        ">": pc.greater,
        ">=": pc.greater_equal,
    }
    return functions[sign](left, right)


def _compare_with_literal(sign: str, left: Column, right: Literal) -> pc.Expression:
    if isinstance(right.value, Fraction):
        if _has_whole_steps(left):
            return _compare_steps(sign, left, right.value)
        return _compare_fractions(sign, left, right.value)
    return _raw(sign, left.expression, pa.scalar(right.value, left.type))


def _compare_fractions(sign: str, left: Column, value: Fraction) -> pc.Expression:
    """Compare a float column with a number, rounded to the column's type: a float32 0.1 is 0.1."""
    expression, type_ = left.expression, left.type
    if type_ == pa.float32() and abs(value) > Fraction(3.4e38):
        expression, type_ = expression.cast(pa.float64()), pa.float64()
    scalar = pa.scalar(float(value), type_)
    if sign in (">", ">="):  # NaN is larger: "not at most" holds for it, where "more than" does not
        return ~_raw("<=" if sign == ">" else "<", expression, scalar)
    return _raw(sign, expression, scalar)


def _has_whole_steps(operand: Column) -> bool:
    """Whether values are exact: integers,
    decimals and times (multiples of a step), texts; all but floats.
    """
    return not pa.types.is_floating(operand.type)


def _step(type_: pa.DataType) -> Fraction:
    """What one step of a column's type is worth:
    1, 10^-scale, or the nanoseconds of a time's unit.
    """
    if pa.types.is_decimal(type_):
        return Fraction(10) ** int(-type_.scale)
    if pa.types.is_timestamp(type_):
        return Fraction(_UNIT_NS[type_.unit])
    return Fraction(_DAY_NS if pa.types.is_date(type_) else 1)


def _range(type_: pa.DataType) -> tuple[int, int]:
    """The smallest and the largest whole number of steps a type can hold."""
    if pa.types.is_decimal(type_):
        return 1 - 10**type_.precision, 10**type_.precision - 1
    bits = type_.bit_width
    if pa.types.is_unsigned_integer(type_):
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _scalar(steps: int, type_: pa.DataType) -> pa.Scalar[Any]:
    if pa.types.is_decimal(type_):
        digits = tuple(int(digit) for digit in str(abs(steps)))
        return pa.scalar(decimal.Decimal((int(steps < 0), digits, -type_.scale)), type_)
    return pa.scalar(steps, type_)


def _compare_steps(sign: str, left: Column, value: Fraction) -> pc.Expression:
    """Compare exactly: the literal moves to the step with the same
    answer, or all rows have one answer.
    """
    exact = value / _step(left.type)
    low, high = _range(left.type)
    if sign in ("=", "<>"):
        if exact.denominator != 1 or not low <= exact <= high:
            return if_known(left, sign == "<>")
        bound = int(exact)
    else:
        # x < 100.5 is x < 101, x <= 100.5 is x <= 100
        bound = math.ceil(exact) if sign in ("<", ">=") else math.floor(exact)
        if not low <= bound <= high:
            return if_known(left, (bound > high) is (sign in ("<", "<=")))
    return _raw(sign, left.expression, _scalar(bound, left.type))


def _in_set(left: Column, items: list[Literal]) -> pc.Expression:
    """Look a column up in a set of literals, none NULL;
    values that its type cannot hold match nothing.
    """
    values = []
    low, high = _range(left.type) if left.kind in (Kind.NUMBER, Kind.TIME) else (0, 0)
    for item in items:
        if not isinstance(item.value, Fraction):
            values.append(pa.scalar(item.value, left.type))
            continue
        exact = item.value / _step(left.type)
        if exact.denominator == 1 and low <= exact <= high:
            values.append(_scalar(int(exact), left.type))
    if not values:
        return if_known(left, False)
    found = left.expression.isin(pa.array(values, left.type))  # false for NULL
    return _where_known(left, found)


def _compare_columns(sign: str, left: Column, right: Column) -> pc.Expression:
    a, b = left.expression, right.expression
    if left.kind is Kind.TIME:
        finest = _finest(left.type, right.type)
        return _raw(sign, a.cast(finest), b.cast(finest))
    if left.kind is not Kind.NUMBER:
        return _raw(sign, a, b)
    if pa.types.is_integer(left.type) and pa.types.is_integer(right.type):
        if {left.type, right.type} & {pa.uint64()} and left.type != right.type:
            # no integer type holds both
            a, b = a.cast(pa.decimal128(20, 0)), b.cast(pa.decimal128(20, 0))
        return _raw(sign, a, b)
    if left.type == right.type and pa.types.is_decimal(left.type):
        return _raw(sign, a, b)
    # As DuckDB: beside floats whole numbers round beyond 2^53, and decimals round to the type of
    # the floats.
    a, b = a.cast(pa.float64(), safe=False), b.cast(pa.float64(), safe=False)
    if pa.float32() in (left.type, right.type) and any(
        map(pa.types.is_decimal, (left.type, right.type))
    ):
        # pyarrow 26 casts 0.10 straight to the wrong float32, so it goes by way of float64.
        a, b = a.cast(pa.float32(), safe=False), b.cast(pa.float32(), safe=False)
    return _compare_floats(sign, a, b)


def _compare_floats(sign: str, a: pc.Expression, b: pc.Expression) -> pc.Expression:
    """Compare two float columns, NaN equal to NaN and above all else;
    NULL on either side stays NULL.
    """
    if sign == "=":
        return pc.equal(a, b) | (pc.is_nan(a) & pc.is_nan(b))
    if sign == ">=":
        b_known = pc.is_nan(b) | ~pc.is_nan(b)  # NULL where b is: a NaN beside a NULL is unknown
        return pc.greater_equal(a, b) | (pc.is_nan(a) & b_known)
    if sign == "<=":
        return _compare_floats(">=", b, a)
    return ~_compare_floats({"<>": "=", "<": ">=", ">": "<="}[sign], a, b)


def _finest(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """The type that holds both times without loss: a date is midnight, the finer unit wins."""
    if left == right:
        return left
    timestamps = [type_ for type_ in (left, right) if pa.types.is_timestamp(type_)]
    return min(timestamps, key=lambda type_: _UNIT_NS[type_.unit])
