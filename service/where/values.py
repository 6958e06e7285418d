"""The columns and literals of a `where`:
what kind each is, and exact values of numbers, dates and times.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

import pyarrow as pa
import pyarrow.compute as pc

_NS_PER_S = 10**9
_LARGEST_EXPONENT = 308  # as a float64 has; it also bounds the integers we compute with
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,5})?", re.ASCII)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r" ?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)


class Kind(Enum):
    """What a column or a literal holds; the value completes the sentence "width_px is ..."."""

    NUMBER = "a number"
    TEXT = "text"
    TRUTH = "true or false"
    TIME = "a time"
    LIST = "a list"
    NULL = "NULL"
    OTHER = "of a type that only IS NULL can be asked of"


class Mismatch(ValueError):
    """Two things that cannot be compared,
    or a value that cannot be read; str() is the reason in words.
    """


@dataclass(frozen=True)
class Column:
    """A column, or a field inside a struct column;
    `type` and `expression` are what column() casts it to.
    """

    said: str
    kind: Kind
    type: pa.DataType
    expression: pc.Expression


@dataclass(frozen=True)
class Literal:
    """A value in the text. Numbers are exact;
    a time is in nanoseconds since 1970, in UTC if it is zoned.
    """

    said: str
    kind: Kind
    value: Fraction | str | bool | None = None
    zoned: bool = False


Operand = Column | Literal


def column(path: tuple[str, ...], type_: pa.DataType) -> Column:
    """Make a column of what pc.field(*path) finds,
    cast to a type that pyarrow's comparisons know.
    """
    expression = pc.field(*path) if len(path) == 1 else pc.field(path)
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
        expression = expression.cast(type_)
    for is_odd, plain in (
        (pa.types.is_float16, pa.float32()),
        (pa.types.is_date64, pa.date32()),
        (pa.types.is_string_view, pa.large_string()),
    ):
        if is_odd(type_):
            type_ = plain
            expression = expression.cast(plain)
    return Column(".".join(path), _kind(type_), type_, expression)


def _kind(type_: pa.DataType) -> Kind:
    types = pa.types
    if types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
        return Kind.NUMBER
    if types.is_string(type_) or types.is_large_string(type_):
        return Kind.TEXT
    if types.is_boolean(type_):
        return Kind.TRUTH
    if types.is_timestamp(type_) or types.is_date(type_):
        return Kind.TIME
    if types.is_list(type_) and types.is_string(type_.value_type):
        return Kind.LIST
    return Kind.NULL if types.is_null(type_) else Kind.OTHER


def number(written: str) -> Literal:
    """Read a number exactly, e.g. 5, -0.5, 1e6.

    :raises Mismatch: if it is none, or larger than 1e308 or smaller than 1e-308.
    """
    match = _NUMBER.fullmatch(written.removeprefix("-"))
    if match is None:
        raise Mismatch(f"{written} is not a number")
    exponent = int((match[2] or "e0")[1:])
    if abs(exponent) > _LARGEST_EXPONENT:
        raise Mismatch(f"the number {written} is too large or too small")
    value = Fraction(match[1]) * Fraction(10) ** exponent
    if value >= Fraction(10) ** _LARGEST_EXPONENT:
        raise Mismatch(f"the number {written} is too large or too small")
    return Literal(written, Kind.NUMBER, -value if written.startswith("-") else value)


def time(written: str, as_type: str = "TIMESTAMP") -> Literal:
    """Read a date or a time: '2024-05-01', '2024-05-01 14:30',
    '2024-05-01T14:30:00.5Z', '... 14:30+02:00'.

    :param as_type: DATE allows no time of day; TIMESTAMPTZ without a zone means UTC.
    :raises Mismatch: if it is none.
    """
    match = _TIME.fullmatch(written.strip())
    try:
        if match is None or (as_type == "DATE" and match[4] is not None):
            raise ValueError
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        moment = datetime.datetime(year, month, day, hour, minute, second)
        offset_s = _offset_s(match[8])
    except ValueError:
        kind = "a date" if as_type == "DATE" else "a date or a time"
        raise Mismatch(
            f"'{written}' is not {kind}; write it like '2024-05-01'{_OR_TIME[as_type == 'DATE']}"
        ) from None
    whole_s = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(seconds=1) - offset_s
    fraction_ns = int((match[7] or "0").ljust(9, "0"))
    zoned = match[8] is not None or as_type == "TIMESTAMPTZ"
    return Literal(f"'{written}'", Kind.TIME, Fraction(whole_s * _NS_PER_S + fraction_ns), zoned)


_OR_TIME = {True: "", False: " or '2024-05-01 14:30:00'"}


def _offset_s(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].removeprefix(":") or 0)
    if hours > 15 or minutes > 59:
        raise ValueError(zone)
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)
