"""What values a lake's columns hold, and how many images have each: what one chooses a `where` by.

A column is counted among the rows that all conditions keep but its own: whoever chose one camera
still sees the others, with what choosing them as well would bring. Conditions are what the
outermost ANDs of a `where` join; one is a column's own if it asks for no other.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.arrays import RowMask
from indexer.errors import BadRequest, LakeDamaged
from service.search.hits import plain_value
from service.search.masks import Masks
from service.search.places import PlaceColumns, Places, count_places, place_columns
from service.search.time_bins import PER_SECOND, time_edges
from service.snapshot.snapshot import Snapshot
from service.tags.names import asked_as
from service.tags.tags import Tags

if TYPE_CHECKING:
    pass

VALUES = 12  # of a column, those that most rows have
MAX_VALUES = 1_000
BINS = 24
_FEW = 20  # different values, from which one chooses however few images there are
_LARGEST_DOUBLE = Fraction(sys.float_info.max)
_EXACT_DIGITS = 15  # of a number that a double holds, whatever they are
_LOOKED_AT = 5_000  # rows that tell whether a column is worth counting
# Of use to few: counted for those who name them.
_RARE = frozenset(
    {
        *("row_id", "uri", "sha256", "phash", "etag", "columns_etag", "size_bytes"),
        *("member", "offset", "length", "row_group", "row_index", "time_us", "region_px"),
    }
)


@dataclass(frozen=True, slots=True)
class Value:
    value: str | bool
    rows: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows from `low` to below `high`; the last bin's `high` is among them, and may be its `low`.
    Times begin at round dates, so that months are bins of 28 to 31 days.

    `low` of the first and `high` of the last may lie a little outside of all values.
    """

    low: float | str  # times are ISO 8601, in UTC where the column has a zone
    high: float | str
    rows: int


@dataclass(frozen=True, slots=True)
class Facet:
    """What one column holds, among the rows that the conditions on other columns keep."""

    name: str  # as a `where` writes it: place.latitude
    kind: str  # "values", "lists" (of which each has several values) or "range"
    rows: int  # that have a value
    nulls: int  # that have none
    # most rows first, then by value; of a range those that no bin holds: -inf, inf and nan
    values: tuple[Value, ...] = ()
    more_values: int = 0  # different ones beyond these
    bins: tuple[Bin, ...] = ()

    def to_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "rows": self.rows,
            "nulls": self.nulls,
        }
        if self.kind != "range":
            said["values"] = [{"value": each.value, "rows": each.rows} for each in self.values]
            said["more_values"] = self.more_values
        else:
            said["bins"] = [
                {"low": each.low, "high": each.high, "rows": each.rows} for each in self.bins
            ]
            if self.values:
                said["values"] = [{"value": each.value, "rows": each.rows} for each in self.values]
        return said


@dataclass(frozen=True, slots=True)
class Facets:
    rows: int  # that pass all conditions
    facets: tuple[Facet, ...]
    # where no columns were named: those that hold latitudes and longitudes, both as one
    places: tuple[Places, ...] = ()


def facets(
    snapshot: Snapshot,
    where: str | None = None,
    columns: Sequence[str] | None = None,
    *,
    values: int = VALUES,
    among: Sequence[RowMask] | None = None,
) -> Facets:
    """Count what the columns hold.

    :param columns: their names, as a `where` writes them; None: all that have few values or a
        range, the lake's own first.
    :param values: of a column at most so many, those that most rows have; 1 to MAX_VALUES.
    :param among: bool, (rows of the part,), a mask a part: only these rows; None: all live ones.
    :raises BadRequest: if a column is unknown or holds bytes, or values is out of range.
    :raises WhereError: if where is not understood.
    """
    # not at the top: Arrow's expressions take a quarter of a second to load
    from service.where.where import Where

    if not 1 <= values <= MAX_VALUES:
        raise BadRequest("values", f"{values} is no number of values; it is 1 to {MAX_VALUES:,}")
    tag = asked_as(snapshot.schema.names)
    known = {name: path for path, name in _columns(snapshot)} | {tag: (tag,)}
    if columns is None:
        wanted = [tag, *(name for name in known if name not in _RARE and name != tag)]
    else:
        wanted = [_named(name, known) for name in columns]
    tags = cache(snapshot.tags)  # once, so that all that is counted is of one moment
    terms = [] if where is None else Where.terms(where, snapshot.schema, tags, snapshot.alike)
    masks = Masks(snapshot, terms, among)
    found = []
    for name in wanted:
        if name == tag:
            with nullcontext() if columns is not None else suppress(LakeDamaged):
                facet = _facet_of_tags(snapshot, name, tags(), masks.without(tag), values)
                found += [facet] if columns is not None or facet.rows else []
            continue
        path = known[name]
        if columns is None and _is_of_one_each(snapshot, path):
            continue
        facet = _facet(snapshot, name, path, masks.without(path[0]), values)
        if columns is not None or _is_worth_showing(facet):
            found.append(facet)
    places = _places(snapshot, known, masks) if columns is None else ()
    return Facets(sum(int(mask.sum()) for mask in masks.without()), tuple(found), places)


def _columns(snapshot: Snapshot) -> Iterator[tuple[tuple[str, ...], str]]:
    """Paths and names of what can be counted, the user's own columns first."""
    own = set(snapshot.manifest.columns)
    fields = sorted(snapshot.schema, key=lambda field: field.name not in own)
    for field in fields:
        if pa.types.is_struct(field.type):
            for inner in field.type:
                yield (field.name, inner.name), f"{field.name}.{inner.name}"
        elif not pa.types.is_binary(field.type):
            yield (field.name,), field.name


def _named(name: str, known: dict[str, tuple[str, ...]]) -> str:
    if name in known:
        return name
    raise BadRequest("columns", f"there is no column {name} to count; there are {', '.join(known)}")


def _is_of_one_each(snapshot: Snapshot, path: tuple[str, ...]) -> bool:
    """Whether nearly every image seems to have a value of its own, as a caption or a path: nobody
    chooses from such a list, and counting it takes a hundred times as long.
    """
    kind = _type_of(snapshot.schema, path)
    if not (pa.types.is_string(kind) and snapshot.parts):
        return False
    part = max(snapshot.parts, key=lambda part: part.rows)
    some = _column(part.at(np.arange(min(_LOOKED_AT, part.rows)), [path[0]]), path).drop_null()
    return len(some) > _FEW and len(some.unique()) > len(some) / 2


def _is_worth_showing(facet: Facet) -> bool:
    """Nobody chooses from a list in which hardly two images have the same."""
    different = len(facet.values) + facet.more_values
    return facet.rows > 0 and different <= max(_FEW, facet.rows // 5)


def _facet(
    snapshot: Snapshot, name: str, path: tuple[str, ...], masks: Sequence[RowMask], values: int
) -> Facet:
    pieces: list[Any] = []
    for part, mask in zip(snapshot.parts, masks, strict=True):
        column = _column(part.columns([path[0]]), path)
        pieces += (column if mask.all() else column.filter(pa.array(mask))).chunks
    kind = _type_of(snapshot.schema, path)
    column = pa.chunked_array(pieces, kind)
    nulls = column.null_count
    rows = len(column) - nulls
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind):
        known = column.drop_null()
        apart = _not_finite(known, kind)
        return Facet(name, "range", rows, nulls, values=apart, bins=_bins(known, kind))
    found, more = _values(column.drop_null(), kind, values)
    of = "lists" if pa.types.is_list(kind) else "values"
    return Facet(name, of, rows, nulls, values=found, more_values=more)


def _facet_of_tags(
    snapshot: Snapshot, name: str, tags: Tags, masks: Sequence[RowMask], most: int
) -> Facet:
    """An image with several tags counts for each of them."""
    rows = tagged = 0
    kept = []
    for part, mask in zip(snapshot.parts, masks, strict=True):
        row_ids = part.row_ids[mask]
        rows += len(row_ids)
        tagged += int(np.count_nonzero(tags.codes(row_ids) >= 0))
        kept.append(row_ids)
    counts = [(tag, count) for tag, count in tags.counts(kept).items() if count]
    shown = tuple(Value(tag, count) for tag, count in sorted(counts, key=_by_rows)[:most])
    return Facet(name, "lists", tagged, rows - tagged, shown, more_values=len(counts) - len(shown))


def _places(
    snapshot: Snapshot, known: dict[str, tuple[str, ...]], masks: Masks
) -> tuple[Places, ...]:
    """Of each two columns of latitudes and longitudes that belong together, and have any."""
    numbers = [name for name in known if _is_number(snapshot, known[name])]
    found = (
        _counted_places(snapshot, pair, known[pair.latitude], known[pair.longitude], masks)
        for pair in place_columns(numbers)
    )
    return tuple(each for each in found if each.rows)


def _is_number(snapshot: Snapshot, path: tuple[str, ...]) -> bool:
    if path[0] not in snapshot.schema.names:
        return False  # a tag
    kind = _type_of(snapshot.schema, path)
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _counted_places(
    snapshot: Snapshot,
    pair: PlaceColumns,
    latitude: tuple[str, ...],
    longitude: tuple[str, ...],
    masks: Masks,
) -> Places:
    own = list(dict.fromkeys((latitude[0], longitude[0])))
    found: tuple[list[Any], list[Any]] = ([np.empty(0)], [np.empty(0)])
    for part, mask in zip(snapshot.parts, masks.without(*own), strict=True):
        table = part.columns(own)
        for path, values in zip((latitude, longitude), found, strict=True):
            column = _column(table, path).cast(pa.float64())
            values.append(column.to_numpy(zero_copy_only=False)[mask])
    return count_places(pair, np.concatenate(found[0]), np.concatenate(found[1]))


def _column(table: pa.Table, path: tuple[str, ...]) -> Any:
    column: Any = table[path[0]]
    for field in path[1:]:
        column = pc.struct_field(column, field)
    return column


def _type_of(schema: pa.Schema, path: tuple[str, ...]) -> Any:
    kind: Any = schema.field(path[0]).type
    for field in path[1:]:
        kind = kind.field(field).type
    return kind


def _values(column: Any, kind: pa.DataType, most: int) -> tuple[tuple[Value, ...], int]:
    if pa.types.is_list(kind):
        # A row that names a label twice has it once.
        lists, elements = pc.list_parent_indices(column), pc.list_flatten(column)
        pairs = pa.table({"row": lists, "value": elements}).group_by(["row", "value"]).aggregate([])
        column = pairs["value"].drop_null()
    counted = pc.value_counts(column)
    texts, counts = counted.field("values"), counted.field("counts").to_numpy()
    # The most frequent first; of equals those that come first by value, so that an answer is the
    # same whatever order the rows lie in.
    if len(texts) > most:
        least = np.partition(counts, -most)[-most]
        more = np.flatnonzero(counts > least)
        equal = np.flatnonzero(counts == least)
        first = pc.bottom_k_unstable(texts.take(pa.array(equal)), most - len(more)).to_numpy()
        kept = np.concatenate([more, equal[first.astype(np.int64)]])
        texts, counts = texts.take(pa.array(kept)), counts[kept]
    pairs_found = sorted(zip(texts.to_pylist(), counts.tolist(), strict=True), key=_by_rows)
    shown = tuple(Value(value, rows) for value, rows in pairs_found[:most])
    return shown, len(counted) - len(shown)


def _by_rows(pair: tuple[Any, int]) -> tuple[int, str]:
    return -pair[1], str(pair[0])


def _not_finite(column: Any, kind: pa.DataType) -> tuple[Value, ...]:
    """Minus infinity, infinity and what is no number, those that there are."""
    if not pa.types.is_floating(kind):
        return ()
    numbers = column.to_numpy()
    found = (
        ("-inf", np.isneginf(numbers)),
        ("inf", np.isposinf(numbers)),
        ("nan", np.isnan(numbers)),
    )
    return tuple(Value(name, int(where.sum())) for name, where in found if where.any())


def _bins(column: Any, kind: pa.DataType) -> tuple[Bin, ...]:
    is_time = pa.types.is_timestamp(kind)
    is_whole = is_time or pa.types.is_integer(kind)
    numbers = (column.cast(pa.int64()) if is_time else column).to_numpy()
    if not is_whole:
        numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return ()
    low, high = numbers.min(), numbers.max()
    if is_time:
        edges: NDArray[Any] = time_edges(int(low), int(high), kind.unit, BINS)
    else:
        edges = _edges(low, high, is_whole=is_whole)
    counts, _ = np.histogram(numbers, edges)
    told = _time_told(kind) if is_time else _number_told(is_whole=is_whole)
    return tuple(
        Bin(told(edges[at]), told(edges[at + 1]), int(counts[at])) for at in range(len(counts))
    )


def _edges(low: Any, high: Any, *, is_whole: bool) -> NDArray[Any]:
    """(bins + 1,), rising, at most BINS bins: at round numbers, which people read and type."""
    if low == high:
        return np.array([low, high])
    least, most = (_exact(each, is_whole=is_whole) for each in (low, high))
    step = _round_step(most - least)
    if is_whole:
        step = max(step, _finest_whole(max(abs(least), abs(most))))
    exact = [at * step for at in range(math.floor(least / step), math.ceil(most / step) + 1)]
    # whole numbers end at 64 bits, doubles at the largest one; near doubles may be one
    ends = (-(2**63), 2**63 - 1) if is_whole else (-_LARGEST_DOUBLE, _LARGEST_DOUBLE)
    held = (min(max(edge, ends[0]), ends[1]) for edge in exact)
    edges = np.unique(np.array([int(edge) if is_whole else float(edge) for edge in held]))
    # where each number has a bin of its own, so does the largest one
    return np.append(edges, edges[-1]) if is_whole and step == 1 else edges


def _exact(number: Any, *, is_whole: bool) -> Fraction:
    """A double as it is written: 0.1 is a tenth."""
    return Fraction(int(number)) if is_whole else Fraction(repr(float(number)))


def _round_step(span: Fraction) -> Fraction:
    """1, 2 or 5 times a power of ten, so that a span has at most BINS - 1 of it, and one begun."""
    least = span / (BINS - 2)
    # of whole numbers, which have no limit: a double would be 0 or infinite here
    digits = math.log10(least.numerator) - math.log10(least.denominator)
    power = Fraction(10) ** math.floor(digits)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _finest_whole(largest: Fraction) -> Fraction:
    """A step whose multiples each reader of JSON has exactly, a double's 15 digits."""
    return Fraction(10) ** max(0, len(str(int(largest))) - _EXACT_DIGITS)


def _number_told(*, is_whole: bool) -> Callable[[Any], float | str]:
    return int if is_whole else float


def _time_told(kind: Any) -> Callable[[Any], float | str]:
    scale = PER_SECOND[kind.unit]

    def told(count: Any) -> str:
        whole, rest = divmod(int(count), scale)
        moment = datetime.fromtimestamp(whole, UTC).replace(microsecond=rest * 10**6 // scale)
        return str(plain_value(moment if kind.tz is not None else moment.replace(tzinfo=None)))

    return told
