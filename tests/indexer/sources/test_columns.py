from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.columns import KEY_COLUMNS, RESERVED_COLUMNS, ColumnTable
from indexer.sources.opening import open_source


def table_of(folder: Path, text: str, name: str = "t.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def joined(folder: Path, table: Path) -> tuple[dict[str, dict[str, ColumnValue]], int]:
    """Columns by path below the folder, and how many rows found none."""
    source = open_source(str(folder), str(table))
    files = list(source.files(Listing()))
    return {
        file.uri.removeprefix(f"{folder}/"): dict(source.columns(file)) for file in files
    }, source.unmatched_rows


def images(folder: Path, *names: str) -> Path:
    root = folder / "photos"
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"1")
    return root


def test_rows_find_their_images_by_relative_and_absolute_path_and_file_url(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "s/b.jpg", "s/c.jpg", "s/d.jpg", "e.jpg")
    table = table_of(
        tmp_path,
        f"file,n\na.jpg,1\n./s//b.jpg,2\n{root}/s/c.jpg,3\nfile://{root}/s/d.jpg,4\nb.jpg,5\ngone.jpg,6\n",
    )
    found, unmatched = joined(root, table)
    assert found == {
        "a.jpg": {"n": 1},
        "s/b.jpg": {"n": 2},
        "s/c.jpg": {"n": 3},
        "s/d.jpg": {"n": 4},
        "e.jpg": {},
    }
    assert unmatched == 2  # a bare name below s/ names nothing, and one is gone


@pytest.mark.parametrize("key", KEY_COLUMNS)
def test_each_key_column_is_found(tmp_path: Path, key: str) -> None:
    root = images(tmp_path, "a.jpg")
    assert joined(root, table_of(tmp_path, f"n,{key}\n1,a.jpg\n"))[0] == {"a.jpg": {"n": 1}}


def test_the_first_key_column_in_our_order_is_the_key(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg")
    assert joined(root, table_of(tmp_path, "file,Path\nx,a.jpg\n"))[0] == {"a.jpg": {"file": "x"}}


def test_types_of_a_csv_come_from_the_whole_file(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},,2024-01-02,true,NA\n" for i in range(100_000))  # above pyarrow's first block
    text = f"\ufefffile,mixed,empty,day,ok,country\n{rows}a.jpg,word,,2024-01-03,false,\n"
    root = images(tmp_path, "a.jpg", "99999")
    assert joined(root, table_of(tmp_path, text))[0] == {
        "a.jpg": {"mixed": "word", "empty": None, "day": datetime(2024, 1, 3), "ok": False, "country": None},
        "99999": {"mixed": "99999", "empty": None, "day": datetime(2024, 1, 2), "ok": True, "country": "NA"},
    }


def test_keys_stay_text_and_quoted_cells_may_hold_newlines(tmp_path: Path) -> None:
    root = images(tmp_path, "001", "new\nline.jpg")
    found, _ = joined(
        root, table_of(tmp_path, 'file\tcaption\n001\t7\n"new\nline.jpg"\t"a ""b"""\n', "t.tsv")
    )
    assert found == {"001": {"caption": "7"}, "new\nline.jpg": {"caption": 'a "b"'}}


def test_parquet_columns_become_plain_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    columns: dict[str, Any] = {
        "file_name": pa.array(["a.jpg", "b.jpg"]),
        "small": pa.array([1, None], pa.int8()),
        "huge": pa.array([2**64 - 1, 1], pa.uint64()),
        "unsigned": pa.array([5, None], pa.uint64()),
        "nan": pa.array([float("nan"), 1.5], pa.float32()),
        "price": pa.array([Decimal("1.25"), None]),
        "day": pa.array([date(2024, 1, 2), None]),
        "nanos": pa.array([1_704_067_200_000_000_001, None], pa.timestamp("ns", "Europe/Oslo")),
        "label": pa.array(["cat", None]).dictionary_encode(),
        "tags": pa.array([["ü", "b"], None]),
        "picture": pa.array([b"\xff", None]),
        "image_struct": pa.array([{"bytes": b"\xff", "path": "x"}, None]),
        "nothing": pa.nulls(2),
        "Caption": pa.array([3, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    root = images(tmp_path, "a.jpg", "b.jpg")
    with caplog.at_level(logging.WARNING):
        found, _ = joined(root, tmp_path / "t.parquet")
    assert found["a.jpg"] == {
        "small": 1,
        "huge": 2.0**64,
        "unsigned": 5,
        "nan": None,
        "price": 1.25,
        "day": datetime(2024, 1, 2),
        "nanos": datetime(2024, 1, 1, tzinfo=UTC),
        "label": "cat",
        "tags": '["ü", "b"]',
        "nothing": None,
        "caption": "3",
    }
    assert set(found["b.jpg"].values()) == {None, 1.0, 1.5}
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
        "the column picture holds bytes and is left out",
        "the column image_struct holds bytes and is left out",
    ]


def test_pandas_index_columns_are_left_out(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg")
    assert joined(root, table_of(tmp_path, ",file,n\n0,a.jpg,1\n"))[0] == {"a.jpg": {"n": 1}}


def test_a_table_of_keys_alone_is_fine(tmp_path: Path) -> None:
    found, unmatched = joined(images(tmp_path, "a.jpg"), table_of(tmp_path, "file\na.jpg\nb.jpg\n"))
    assert (found, unmatched) == ({"a.jpg": {}}, 1)


def test_the_table_has_the_last_word_over_sidecars(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg")
    (root / "a.json").write_text('{"caption": "sidecar", "n": 1, "m": 1}')
    assert joined(root, table_of(tmp_path, "file,caption,n\na.jpg,table,2\n"))[0] == {
        "a.jpg": {"caption": "table", "n": 2, "m": 1}
    }


def test_the_etag_follows_the_values_and_the_names_of_columns(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg")

    def etags(text: str) -> tuple[str | None, str | None]:
        files: dict[str, ImageFile] = {}
        for file in open_source(str(root), str(table_of(tmp_path, text))).files(Listing()):
            files[file.uri.rpartition("/")[2]] = file
        return files["a.jpg"].columns_etag, files["b.jpg"].columns_etag

    first = etags("file,n,s\na.jpg,1,x\n")
    assert first[1] is None
    assert etags("file,n,s\nzzz.jpg,9,z\na.jpg,1,x\n") == first  # its place in the table does not matter
    others = [
        "file,n,s\na.jpg,2,x\n",
        "file,n,s\na.jpg,,x\n",
        "file,m,s\na.jpg,1,x\n",
        "file,n,s\na.jpg,1,\n",
    ]
    assert len({first[0], *(etags(text)[0] for text in others)}) == 5


def test_a_path_that_is_not_utf8_is_matched_by_its_uri(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg")
    (root / "a.jpg").rename(str(root) + "/\udce9.jpg")
    assert joined(root, table_of(tmp_path, "file,n\n%E9.jpg,1\n"))[0] == {"%E9.jpg": {"n": 1}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "name,n\na.jpg,1\n",
            "no column holds the images' paths; looked for uri, path, file, filename, image, image_path, "
            "file_name; there are name, n",
        ),
        (
            "file,n\na.jpg,1\nb.jpg,2\n./a.jpg,3\n",
            "there are two rows for a.jpg; keep one row for each image",
        ),
        ("file,n,N\na.jpg,1,2\n", "there are two columns named n; rename one"),
        (
            "file,n\na.jpg,1\nb.jpg\n",
            "the table of columns cannot be read: CSV parse error: Expected 2",
        ),
        ("", "the table of columns cannot be read: Empty CSV file"),
    ],
)
def test_a_table_that_cannot_be_joined_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    table = table_of(tmp_path, text)
    with pytest.raises(SourceError) as caught:
        ColumnTable.load(str(table))
    assert str(caught.value).startswith(f"{table}: {sentence}")


def test_reserved_names_are_refused_with_their_list(tmp_path: Path) -> None:
    table = table_of(tmp_path, "file,SHA256,n,place\na.jpg,1,2,3\n")
    with pytest.raises(SourceError) as caught:
        ColumnTable.load(str(table))
    assert str(caught.value) == (
        f"{table}: rename SHA256, place; lakesift itself fills the columns camera, captured_at, "
        "columns_etag, etag, format, height_px, length, member, modified, offset, path_bytes, phash, place, "
        "row_id, sha256, size_bytes, source, uri, width_px"
    )
    assert "caption" not in RESERVED_COLUMNS


def test_a_missing_or_odd_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.csv: there is no such table; give --columns the path"):
        ColumnTable.load(str(tmp_path / "gone.csv"))
    with pytest.raises(SourceError, match=r"t\.xlsx: the table of columns must be one of \.csv, \.tsv, "):
        ColumnTable.load(str(table_of(tmp_path, "x", "t.xlsx")))
    with pytest.raises(SourceError, match=r"t\.parquet: the table of columns cannot be read: "):
        ColumnTable.load(str(table_of(tmp_path, "x", "t.parquet")))
