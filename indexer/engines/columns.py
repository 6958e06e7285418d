"""Which columns of a lake an engine gets, and as what: those that a `where` compares.

Lists, bytes and numbers beyond a signed 64-bit integer stay out, and so do hashes, which nobody
asks for by range. A time is a whole number of its column's steps, so that no engine's own ideas of
zones and precision come in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from indexer.engines.predicate import Path

Kind: TypeAlias = Literal["whole", "real", "text", "truth"]

_LEFT_OUT = frozenset({"row_id", "path_bytes", "sha256", "phash", "etag", "columns_etag"})


@dataclass(frozen=True, slots=True)
class EngineColumn:
    path: Path
    kind: Kind
    type: str  # Arrow's name of the lake's type: a column that got another one is another one
    # False: the engine cannot hold one of its values, so nothing may be asked of it there.
    is_whole: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "path": list(self.path),
            "kind": self.kind,
            "type": self.type,
            "is_whole": self.is_whole,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> EngineColumn:
        """:raises ValueError, KeyError, TypeError: if it is none."""
        kind = str(said["kind"])
        if kind not in ("whole", "real", "text", "truth"):
            raise ValueError(kind)
        path = tuple(str(name) for name in said["path"])
        return cls(path, cast(Kind, kind), str(said["type"]), bool(said["is_whole"]))

    def is_same(self, other: EngineColumn) -> bool:
        """Whether both stand for one column, whole or not."""
        return replace(self, is_whole=True) == replace(other, is_whole=True)


def engine_columns(schema: pa.Schema) -> list[EngineColumn]:
    """Those of a lake's columns that a `where` compares, in the lake's order."""
    found: list[EngineColumn] = []
    for field in schema:
        if field.name in _LEFT_OUT:
            continue
        inner = list(field.type) if pa.types.is_struct(field.type) else [None]
        for each in inner:
            path = (field.name,) if each is None else (field.name, each.name)
            type_ = field.type if each is None else each.type
            if (kind := _kind(type_)) is not None:
                found.append(EngineColumn(path, kind, str(type_)))
    return found


def _kind(type_: pa.DataType) -> Kind | None:
    if pa.types.is_boolean(type_):
        return "truth"
    if type_ == pa.float64():
        return "real"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "text"
    if pa.types.is_timestamp(type_):
        return "whole"
    return "whole" if pa.types.is_integer(type_) and type_ != pa.uint64() else None


def changed(
    known: Sequence[EngineColumn], wanted: Iterable[EngineColumn]
) -> tuple[list[EngineColumn], list[EngineColumn], list[EngineColumn]]:
    """Columns that came to a lake since, or got another type there.

    :param known: that an engine has; wanted: that it is to have.
    :returns: of the known ones those that stay, of which nothing may be asked where they are wanted
        no more, and those that go; and those that are new.
    """
    wanted = list(wanted)
    new = [each for each in wanted if not any(each.is_same(other) for other in known)]
    paths = {each.path for each in new}
    # What no push brings any more rows that come have not.
    kept = [
        each if any(each.is_same(other) for other in wanted) else replace(each, is_whole=False)
        for each in known
        if each.path not in paths
    ]
    return kept, [each for each in known if each.path in paths], new


def less_whole(
    known: Iterable[EngineColumn], unfit: Collection[EngineColumn]
) -> list[EngineColumn]:
    """Those columns, where some are not whole any more.

    :param unfit: of which the engine cannot hold a value.
    """
    return [
        replace(each, is_whole=False) if any(each.is_same(other) for other in unfit) else each
        for each in known
    ]


@dataclass(frozen=True, slots=True)
class Cells:
    """One column of some rows."""

    kind: Kind
    known: NDArray[np.bool_]  # (n,): False where it is null
    numbers: NDArray[np.int64] | NDArray[np.float64] | None  # (n,): whole, real and truth
    texts: list[str | None] | None  # (n,): text


def cells_of(column: EngineColumn, table: pa.Table) -> Cells:
    """
    :param table: has the column, of the lake's type.
    """
    values: Any = table[column.path[0]].combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # of no rows
        values = pa.concat_arrays(values.chunks) if values.num_chunks else values
    for name in column.path[1:]:
        values = pc.struct_field(values, [name])
    known = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False), bool)
    if column.kind == "text":
        return Cells("text", known, None, values.to_pylist())
    if column.kind == "real":
        filled = pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False)
        return Cells("real", known, np.asarray(filled, np.float64), None)
    whole = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return Cells(column.kind, known, np.asarray(whole, np.int64), None)
