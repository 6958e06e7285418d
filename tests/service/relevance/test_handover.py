from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import BadRequest, LakeError
from service.relevance.handover import write

TABLE = pa.table(
    {
        "row_id": pa.array([1, 2], pa.int64()),
        "uri": ["/photos/a, b.jpg", "/photos/%FF.jpg"],
        "decision": ["keep", "keep"],
        "score": pa.array([0.5, 0.25], pa.float32()),
        "probability": pa.array([None, 0.75], pa.float32()),
        "label": ["yes", None],
        "path_bytes": pa.array([None, b"/photos/\xff.jpg"], pa.binary()),
        "version": pa.array([3, 3], pa.int32()),
    }
)


def test_txt_is_one_plain_path_a_line_byte_for_byte() -> None:
    out = io.BytesIO()
    write(TABLE, "txt", None, out)
    assert out.getvalue() == b"/photos/a, b.jpg\n/photos/\xff.jpg\n"


def test_csv_has_a_header_and_empty_fields_for_what_is_unknown(tmp_path: Path) -> None:
    write(TABLE, "csv", tmp_path / "kept.csv", io.BytesIO())
    with (tmp_path / "kept.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "row_id": "1",
        "uri": "/photos/a, b.jpg",
        "decision": "keep",
        "score": "0.5",
        "probability": "",
        "label": "yes",
        "version": "3",
    }
    assert rows[1]["probability"] == "0.75"


def test_parquet_is_the_ledger_itself(tmp_path: Path) -> None:
    write(TABLE, "parquet", tmp_path / "kept.parquet", io.BytesIO())
    assert pq.read_table(tmp_path / "kept.parquet").equals(TABLE)


def test_what_cannot_be_written_is_told_and_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(LakeError, match="is there already"):
        write(TABLE, "txt", tmp_path / "mine.txt", io.BytesIO())
    assert (tmp_path / "mine.txt").read_text() == "mine"
    with pytest.raises(LakeError, match="cannot be written"):
        write(TABLE, "txt", tmp_path / "none" / "kept.txt", io.BytesIO())
    with pytest.raises(BadRequest, match="parquet needs a file"):
        write(TABLE, "parquet", None, io.BytesIO())
    with pytest.raises(BadRequest, match="none of txt, csv, parquet"):
        write(TABLE, "xls", None, io.BytesIO())
