"""Lakes as somebody else may have made them: whatever is in them, every checksum is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.disk.checks import check_of
from indexer.disk.manifest import _checksum

Body = dict[str, Any]


def manifest_of(lake: Path) -> Body:
    body: Body = json.loads((lake / "manifest.json").read_bytes())
    return body


def write_manifest(lake: Path, body: Body) -> None:
    """Both copies, with the checksum that belongs to it."""
    body = {name: value for name, value in body.items() if name != "checksum"}
    body["checksum"] = _checksum(body)
    data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    (lake / "manifest.json").write_bytes(data)
    (lake / "manifests" / f"{body['snapshot']:06d}.json").write_bytes(data)


def change_manifest(lake: Path, change: Callable[[Body], None]) -> None:
    body = manifest_of(lake)
    change(body)
    write_manifest(lake, body)


def write_segment_file(lake: Path, name: str, data: bytes, number: int = 0) -> None:
    """Put these bytes in the place of a segment's `rows.parquet` or `vectors.faiss`."""
    body = manifest_of(lake)
    entry = body["segments"][number]
    path = lake / "segments" / entry["id"] / name
    path.write_bytes(data)
    entry["files"][name] = check_of(path).to_json()
    write_manifest(lake, body)


def parquet(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    return bytes(out.getvalue().to_pybytes())


def rows_of(lake: Path, number: int = 0) -> pa.Table:
    entry = manifest_of(lake)["segments"][number]
    return pq.ParquetFile(lake / "segments" / entry["id"] / "rows.parquet").read()


def change_rows(lake: Path, change: Callable[[pa.Table], pa.Table], number: int = 0) -> None:
    table = change(rows_of(lake, number))
    write_segment_file(lake, "rows.parquet", parquet(table), number)


def set_values(lake: Path, **columns: Any) -> None:
    """Give each named column these values, a row each; or one value, in every row."""

    def change(table: pa.Table) -> pa.Table:
        for name, values in columns.items():
            given = values if isinstance(values, list) else [values] * table.num_rows
            field = table.schema.field(name)
            array = pa.array(given, field.type)
            table = table.set_column(table.column_names.index(name), field, array)
        return table

    change_rows(lake, change)


def write_table(lake: Path, kind: str, change: pa.Table | Callable[[pa.Table], pa.Table]) -> None:
    """Put another table in the place of the first of `tombstones` or `skipped`."""
    body = manifest_of(lake)
    entry = body[kind][0]
    path = lake / kind / f"{entry['id']}.parquet"
    path.write_bytes(parquet(change(pq.ParquetFile(path).read()) if callable(change) else change))
    entry["file"] = check_of(path).to_json()
    write_manifest(lake, body)
