"""Columns of any Arrow type as the plain values that a lake holds, or a word on why not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from indexer.errors import SourceError

logger = logging.getLogger(__name__)

# pa.ChunkedArray, which pyarrow's own stubs take for other things in places
Column: TypeAlias = Any

_LARGEST_EXACT = 2**53  # of whole numbers in a double
_DAY_S = 86_400
# What a datetime of Python's holds, in seconds: from the first second of the year 1, below that of
# the year 10000.
_FROM_S, _BELOW_S = -62_135_596_800, 253_402_300_800
_UNITS_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


class PlainColumns:
    """Turns a table's columns into those of a lake, and says once what could not be kept."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lost_times: dict[str, int] = {}  # column -> how many

    def of(self, names: Sequence[str], columns: Sequence[Column]) -> dict[str, Column]:
        """By name, each as one of the types of `ColumnValue`. Bytes, such as pictures, are left
        out, and so is what has no plain form: both are told. Times outside the years 1 to 9999 are
        null, which is told once a table.

        :raises SourceError: if a text is not UTF-8, which Parquet's writers do not check.
        """
        plain: dict[str, Column] = {}
        for name, column in zip(names, columns, strict=True):
            try:
                values = self._plain(name, column)
            except (pa.ArrowException, ValueError, OverflowError, RecursionError) as error:
                reason = f"of the type {column.type} cannot be kept ({_first_line(error)})"
                logger.warning("%s: the column %s %s and is left out", self._path, name, reason)
                continue
            if values is None:
                logger.warning("%s: the column %s holds bytes and is left out", self._path, name)
            else:
                plain[name] = values
        if self._lost_times:
            count = sum(self._lost_times.values())
            logger.warning(
                "%s: %s outside the years 1 to 9999, and left empty (%s)",
                self._path,
                "1 time is" if count == 1 else f"{count:,} times are",
                ", ".join(self._lost_times),
            )
        return plain

    def _plain(self, name: str, column: Column) -> Column | None:
        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            return self._of_extension(name, column)
        if pa.types.is_dictionary(kind):
            return self._plain(name, column.cast(kind.value_type))
        if _is_binary(kind):
            return text_of_bytes(column)
        if _holds_bytes(kind):
            return None
        if pa.types.is_nested(kind):
            return self._as_json(name, column)
        if pa.types.is_boolean(kind):
            return column
        if pa.types.is_integer(kind):
            return _whole(column)
        if pa.types.is_decimal(kind):
            return _decimals(column)
        if pa.types.is_floating(kind):
            numbers = column.cast(pa.float64())
            # pandas writes a missing number as NaN
            return pc.if_else(pc.is_nan(numbers), None, numbers)
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return self._times(name, column)
        if pa.types.is_interval(kind):
            return _texts(column, str)
        texts = self._text(name, column)
        if not pa.types.is_time(kind):
            return texts
        # As in "<value out of range: -1>": no time of a day.
        held = pc.if_else(pc.starts_with(texts, "<"), None, texts)
        self._lose(name, held.null_count - texts.null_count)
        return held

    def _of_extension(self, name: str, column: Column) -> Column | None:
        kind = column.type
        if kind.extension_name == "arrow.uuid":
            return _texts(column, str)
        storage = [chunk.storage for chunk in column.chunks]
        return self._plain(name, pa.chunked_array(storage, kind.storage_type))

    def _text(self, name: str, column: Column) -> Column:
        texts = column.cast(pa.large_string())
        try:
            return texts.cast(pa.large_binary()).cast(pa.large_string())  # which looks at each byte
        except pa.ArrowInvalid:
            raise self._not_utf8(name) from None

    def _not_utf8(self, name: str) -> SourceError:
        return SourceError(
            self._path, f"the column {name} holds text that is not UTF-8; write it as UTF-8"
        )

    def _times(self, name: str, column: Column) -> Column:
        kind = column.type
        if pa.types.is_date(kind):
            a_second = None if pa.types.is_date32(kind) else 1_000
            numbers = column.cast(pa.int32() if a_second is None else pa.int64())
        else:
            a_second = _UNITS_A_SECOND[kind.unit]
            numbers = column.cast(pa.int64())
        numbers = numbers.cast(pa.int64())
        if a_second is None:
            first, last = _FROM_S // _DAY_S, _BELOW_S // _DAY_S - 1
        else:
            first, last = _FROM_S * a_second, _BELOW_S * a_second - 1
        first, last = max(first, _INT64_MIN), min(last, _INT64_MAX)
        is_held = pc.and_(pc.greater_equal(numbers, first), pc.less_equal(numbers, last))
        held = pc.if_else(is_held, column, pa.scalar(None, kind))
        self._lose(name, held.null_count - column.null_count)
        zone = "UTC" if getattr(kind, "tz", None) else None
        return held.cast(pa.timestamp("us", zone), safe=False)

    def _lose(self, name: str, count: int) -> None:
        if count:
            self._lost_times[name] = self._lost_times.get(name, 0) + count

    def _as_json(self, name: str, column: Column) -> Column:
        try:
            values = column.to_pylist()
        except UnicodeDecodeError:
            raise self._not_utf8(name) from None
        except (OverflowError, ValueError):  # a time in it that Python cannot hold
            values = [self._parts(name, value) for value in column]
        return pa.chunked_array(
            [
                pa.array(
                    (
                        None
                        if value is None
                        else json.dumps(value, ensure_ascii=False, default=str)
                        for value in values
                    ),
                    pa.large_string(),
                )
            ]
        )

    def _parts(self, name: str, value: Any) -> Any:
        """A nested value as `as_py` has it, but for what that cannot hold: None."""
        if not value.is_valid:
            return None
        if isinstance(value, pa.StructScalar):
            return {key: self._parts(name, part) for key, part in value.items()}
        if isinstance(value, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar):
            return [self._parts(name, part) for part in value.values]
        try:
            return value.as_py()
        except UnicodeDecodeError:
            raise self._not_utf8(name) from None
        except (OverflowError, ValueError):
            self._lose(name, 1)
            return None


def text_of_bytes(column: Column) -> Column | None:
    """Text that was written as bytes, as Spark and Impala do; None if it is none."""
    try:
        texts = column.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.match_substring(texts, "\0")).as_py() else texts


def _whole(column: Column) -> Column:
    """Beyond 64 bits with a sign it is an id or a hash, of which a double makes another one."""
    fits = not pa.types.is_uint64(column.type) or (pc.max(column).as_py() or 0) <= _INT64_MAX
    return column.cast(pa.int64() if fits else pa.large_string())


def _decimals(column: Column) -> Column:
    """Databases write whole numbers as decimals, too; those stay exact."""
    try:
        whole = column.cast(pa.int64())
    except pa.ArrowInvalid:
        if column.type.scale <= 0:
            return _texts(column, lambda value: format(value, "f"))
        return column.cast(pa.float64(), safe=False)
    extremes = pc.min_max(whole).as_py()
    is_large = max(abs(extremes["min"] or 0), abs(extremes["max"] or 0)) > _LARGEST_EXACT
    return whole if column.type.scale <= 0 or is_large else column.cast(pa.float64(), safe=False)


def _texts(column: Column, written: Callable[[Any], str]) -> Column:
    values = (None if value is None else written(value) for value in column.to_pylist())
    return pa.chunked_array([pa.array(values, pa.large_string())])


def _is_binary(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _holds_bytes(kind: pa.DataType) -> bool:
    return _is_binary(kind) or any(_holds_bytes(kind.field(i).type) for i in range(kind.num_fields))


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
