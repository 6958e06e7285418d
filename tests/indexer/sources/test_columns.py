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
    (folder / name).write_text(text, encoding="utf-8")
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
    # above pyarrow's first block
    rows = "".join(f"{i},{i},,2024-01-02,true,NA\n" for i in range(100_000))
    text = f"\ufefffile,mixed,empty,day,ok,country\n{rows}a.jpg,word,,2024-01-03,false,\n"
    root = images(tmp_path, "a.jpg", "99999")
    assert joined(root, table_of(tmp_path, text))[0] == {
        "a.jpg": {
            "mixed": "word",
            "empty": None,
            "day": datetime(2024, 1, 3),
            "ok": False,
            "country": None,
        },
        "99999": {
            "mixed": "99999",
            "empty": None,
            "day": datetime(2024, 1, 2),
            "ok": True,
            "country": "NA",
        },
    }


def test_keys_stay_text_and_quoted_cells_may_hold_newlines(tmp_path: Path) -> None:
    root = images(tmp_path, "001", "new\nline.jpg")
    found, _ = joined(
        root, table_of(tmp_path, 'file\tcaption\n001\t7\n"new\nline.jpg"\t"a ""b"""\n', "t.tsv")
    )
    assert found == {"001": {"caption": "7"}, "new\nline.jpg": {"caption": 'a "b"'}}


def test_parquet_columns_become_plain_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
        "huge": "18446744073709551615",  # an id or a hash, of which a double makes another one
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
    assert set(found["b.jpg"].values()) == {None, "1", 1.5}
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
    # its place in the table does not matter
    assert etags("file,n,s\nzzz.jpg,9,z\na.jpg,1,x\n") == first
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
            "file_name, url, image_url; there are name, n",
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
    said = str(caught.value).replace("Row #3: ", "")  # which Arrow says where it reads on one core
    assert said.startswith(f"{table}: {sentence}")


def test_reserved_names_are_refused_with_their_list(tmp_path: Path) -> None:
    table = table_of(tmp_path, "file,SHA256,n,place\na.jpg,1,2,3\n")
    with pytest.raises(SourceError) as caught:
        ColumnTable.load(str(table))
    assert str(caught.value) == (
        f"{table}: rename SHA256, place; lakesift itself fills the columns camera, captured_at, "
        "columns_etag, etag, format, height_px, length, member, modified, offset, path_bytes, phash, place, "
        "region_px, row_group, row_id, row_index, sha256, size_bytes, source, stream_id, time_us, uri, "
        "width_px"
    )
    assert "caption" not in RESERVED_COLUMNS


def test_a_column_that_duckdb_would_hide_is_called_otherwise_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images(tmp_path, "a.jpg")
    table = table_of(tmp_path, "file,file_row_number,own_file_row_number\na.jpg,1,2\n")
    with caplog.at_level(logging.WARNING):
        found, _ = joined(tmp_path / "photos", table)
    assert found == {"a.jpg": {"own_file_row_number": 1, "own_own_file_row_number": 2}}
    assert [record.getMessage() for record in caplog.records] == [
        f"{table}: the column file_row_number is called own_file_row_number in the lake",
        f"{table}: the column own_file_row_number is called own_own_file_row_number in the lake",
    ]


def test_a_cell_that_is_too_large_is_left_empty_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    large, fits = "x" * 64_001, "x" * 64_000
    table = table_of(tmp_path, f"file,picture,n\na.jpg,{large},1\nb.jpg,{fits},2\n")
    with caplog.at_level(logging.WARNING):
        found, _ = joined(tmp_path / "photos", table)
    assert found == {"a.jpg": {"picture": None, "n": 1}, "b.jpg": {"picture": fits, "n": 2}}
    [record] = caplog.records
    assert record.getMessage() == (
        f"{table}: the column picture holds a value larger than 64,000 bytes, left empty"
    )


def test_the_table_has_the_last_word_whatever_the_case(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg")
    (root / "a.json").write_text('{"Year": 1, "n": 1}')
    found, _ = joined(root, table_of(tmp_path, "file,year\na.jpg,2\n"))
    assert found == {"a.jpg": {"n": 1, "year": 2}}


def test_a_missing_or_odd_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"gone\.csv: there is no such table; give --columns the path"
    ):
        ColumnTable.load(str(tmp_path / "gone.csv"))
    with pytest.raises(
        SourceError, match=r"t\.xlsx: the table of columns must be one of \.csv, \.tsv, "
    ):
        ColumnTable.load(str(table_of(tmp_path, "x", "t.xlsx")))
    with pytest.raises(SourceError, match=r"t\.parquet: the table of columns cannot be read: "):
        ColumnTable.load(str(table_of(tmp_path, "x", "t.parquet")))


def values_of(folder: Path, table: Path) -> dict[str, ColumnValue]:
    return joined(images(folder, "a.jpg"), table)[0]["a.jpg"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_finds_the_key(
    tmp_path: Path, suffix: str, separator: str
) -> None:
    text = 'n|m;"to,wn";file_name;s\n1|1;"x;y";a.jpg;"q"\n' if separator == ";" else None
    rows = [["n", "file_name", "s"], ["1", "a.jpg", "b c"]]
    text = text or "\n".join(separator.join(row) for row in rows)
    found = values_of(tmp_path, table_of(tmp_path, text, "t" + suffix))
    if separator == ";":
        assert found == {"n|m": "1|1", "to,wn": "x;y", "s": "q"}
    else:
        assert found == {"n": 1, "s": "b c"}


def test_excels_own_line_about_the_separator_is_heeded(tmp_path: Path) -> None:
    table = table_of(tmp_path, "\ufeffsep=;\r\nfile;price\r\na.jpg;3,14\r\n")
    # Whose comma this is, a thousand's or a decimal's, the file does not say.
    assert values_of(tmp_path, table) == {"price": "3,14"}


def test_names_of_columns_lose_the_blanks_around_them(tmp_path: Path) -> None:
    assert values_of(tmp_path, table_of(tmp_path, "file , n\na.jpg,1\n")) == {"n": 1}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_table_in_utf16_is_decoded(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes("file\ttown\r\na.jpg\tCafé Zürich\r\n".encode(encoding))
    assert values_of(tmp_path, tmp_path / "t.csv") == {"town": "Café Zürich"}


@pytest.mark.parametrize(
    ("data", "line", "byte"),
    [
        (b"file,town\r\na.jpg,Caf\xe9\r\n", 2, "E9"),
        (b"file,town\nM\xfcller.jpg,x\na.jpg,y\n", 2, "FC"),
        (b"file,caption\na.jpg,ok\nb.jpg,\x93word\x94\n", 3, "93"),
        (b"file,stra\xdfe\na.jpg,1\n", 1, "DF"),
        (b"file,n\na.jpg,1\n\xe2\x82", 3, "E2"),  # a character that breaks off
    ],
)
def test_a_csv_that_is_not_utf8_is_refused_wherever_the_byte_is(
    tmp_path: Path, data: bytes, line: int, byte: str
) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(SourceError) as caught:
        ColumnTable.load(str(tmp_path / "t.csv"))
    assert str(caught.value) == (
        f"{tmp_path}/t.csv: this table is not UTF-8: line {line} holds the byte 0x{byte}; "
        "save it as CSV UTF-8"
    )


@pytest.mark.parametrize(
    "cells",
    [
        ("00123", "4567"),  # leading zeros
        ("007.5", "1"),
        ("12345678901234567890", "12345678901234567891"),  # past int64
        ("-9223372036854775809", "1"),
        ("9007199254740993", "1.5"),  # past what a double tells apart, beside a decimal
        ("12e4", "34e10"),  # pieces of hashes
        ("12E4", "1.5"),
        ("0x1F", "7"),
        ("+4915123456", "7"),  # a telephone's number
        ("1e400", "1.5"),  # past a double
        ("12:30", "01:02:03"),
        ("1_000", "2"),
        ("2024-02-31", "2024-02-01"),
        ("true", "1"),
        ("2024-01-02 10:00", "2024-01-02 10:00Z"),
    ],
)
def test_what_a_number_or_a_time_would_change_stays_text(
    tmp_path: Path, cells: tuple[str, str]
) -> None:
    table = table_of(tmp_path, f'file,x\na.jpg,{cells[0]}\nb.jpg,"{cells[1]}"\nc.jpg,\n')
    found, _ = joined(images(tmp_path, "a.jpg", "b.jpg", "c.jpg"), table)
    assert [found[name]["x"] for name in ("a.jpg", "b.jpg", "c.jpg")] == [*cells, None]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("0", "-12"), (0, -12)),
        ((" 5", "7 "), (5, 7)),
        (("9223372036854775807", "-9223372036854775808"), (2**63 - 1, -(2**63))),
        (("0.5", "-0.25"), (0.5, -0.25)),
        (("1e-05", "1e+20"), (1e-05, 1e20)),  # as Python, R and JavaScript write them
        (("1.0E5", "-2.5e3"), (100_000.0, -2500.0)),  # as Java does
        ((".5", "2."), (0.5, 2.0)),
        (("inf", "1"), (float("inf"), 1.0)),
        (("TRUE", "false"), (True, False)),
        (
            ("2024-01-02T10:00:00.1234567", "2024-01-02"),
            (datetime(2024, 1, 2, 10, 0, 0, 123456), datetime(2024, 1, 2)),
        ),
        (
            ("2024-01-02T10:00:00+02:00", "2024-01-02 10:00Z"),
            (datetime(2024, 1, 2, 8, tzinfo=UTC), datetime(2024, 1, 2, 10, tzinfo=UTC)),
        ),
    ],
)
def test_numbers_truths_and_times_are_those(
    tmp_path: Path, cells: tuple[str, str], values: tuple[ColumnValue, ColumnValue]
) -> None:
    table = table_of(tmp_path, f"file,x\na.jpg,{cells[0]}\nb.jpg,{cells[1]}\nc.jpg,NaN\n")
    found, _ = joined(images(tmp_path, "a.jpg", "b.jpg", "c.jpg"), table)
    seen = [found[name]["x"] for name in ("a.jpg", "b.jpg", "c.jpg")]
    assert seen == [*values, None]
    assert [type(value) for value in seen[:2]] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('file,d\na.jpg,"open\nb.jpg,x\nc.jpg,y\n', 2),
        ('file,d\na.jpg,x\nb.jpg,"open\nc.jpg,y', 3),
        ('sep=,\nfile,d\na.jpg,"two\nlines"\nb.jpg,"open\nc.jpg,"x"\nd.jpg,y\n', 5),
        ('file,d\r\na.jpg,"a ""word\r\nb.jpg,"x"\r\n', 2),
    ],
)
def test_a_quote_that_is_not_closed_is_told(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    with pytest.raises(SourceError, match=f'a " in the row of line {line} is not closed where'):
        ColumnTable.load(str(tmp_path / "t.csv"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('file,d\na.jpg,"two\nlines"\n', "two\nlines"),
        ('file,d\na.jpg,"a line\n"\n', "a line\n"),
        ('file,d\na.jpg,"a line\r\n"', "a line\r\n"),
        ('file,d\na.jpg,5" pipe\n', '5" pipe'),
        ('file,d\na.jpg,"5"" pipe\nof iron"\n', '5" pipe\nof iron'),
        ("file,d\ra.jpg,x\r", "x"),
    ],
)
def test_quotes_and_newlines_of_the_last_cell_are_its_own(
    tmp_path: Path, text: str, value: str
) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    assert values_of(tmp_path, tmp_path / "t.csv") == {"d": value}


def test_times_that_python_cannot_hold_are_null_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last_us = 253_402_300_799_999_999  # the last microsecond of the year 9999
    columns: dict[str, Any] = {
        "file_name": pa.array(["a.jpg", "b.jpg"]),
        "ms": pa.array([2**63 // 1000, 0], pa.timestamp("ms")),
        "s": pa.array([-62_135_596_801, -62_135_596_800], pa.timestamp("s")),
        "us": pa.array([last_us + 1, last_us], pa.timestamp("us", "UTC")),
        "ns": pa.array([2**63 - 1, -(2**63) + 1], pa.timestamp("ns")),
        "day": pa.array([2_932_897, 2_932_896], pa.int32()).cast(pa.date32()),
        "in": pa.array(
            [[{"t": last_us + 1, "n": 1}], None],
            pa.list_(pa.struct([("t", pa.timestamp("us")), ("n", pa.int64())])),
        ),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found, _ = joined(images(tmp_path, "a.jpg", "b.jpg"), tmp_path / "t.parquet")
    assert found == {
        "a.jpg": {
            "ms": None,
            "s": None,
            "us": None,
            "ns": datetime(2262, 4, 11, 23, 47, 16, 854775),
            "day": None,
            "in": '[{"t": null, "n": 1}]',
        },
        "b.jpg": {
            "ms": datetime(1970, 1, 1),
            "s": datetime(1, 1, 1),
            "us": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            "ns": datetime(1677, 9, 21, 0, 12, 43, 145225),
            "day": datetime(9999, 12, 31),
            "in": None,
        },
    }
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/t.parquet: 5 times are outside the years 1 to 9999, and left empty "
        "(ms, s, us, day, in)"
    ]


def test_old_times_of_spark_keep_their_year(tmp_path: Path) -> None:
    born = [datetime(9999, 12, 31, 23, 59, 59), datetime(1066, 10, 14)]
    pq.write_table(
        pa.table({"file": ["a.jpg", "b.jpg"], "born": pa.array(born, pa.timestamp("us"))}),
        tmp_path / "t.parquet",
        use_deprecated_int96_timestamps=True,
    )
    found, _ = joined(images(tmp_path, "a.jpg", "b.jpg"), tmp_path / "t.parquet")
    assert [found[name]["born"] for name in ("a.jpg", "b.jpg")] == born


def test_a_year_0_of_a_csv_is_null_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = table_of(tmp_path, "file,born\na.jpg,0000-01-01\nb.jpg,2024-01-02\n")
    assert values_of(tmp_path, table) == {"born": None}
    assert [record.getMessage() for record in caplog.records] == [
        f"{table}: 1 time is outside the years 1 to 9999, and left empty (born)"
    ]


def test_whole_decimals_stay_exact_and_text_written_as_bytes_is_text(tmp_path: Path) -> None:
    columns: dict[str, Any] = {
        "image": pa.array([{"bytes": b"\xff", "path": "x"}]),  # a picture, and so no key
        "file_name": pa.array([b"a.jpg"]),
        "id": pa.array([Decimal(2**60 + 1)], pa.decimal128(38, 0)),
        "long": pa.array([Decimal(10**30 + 1)], pa.decimal128(38, 0)),
        "price": pa.array([Decimal("12.50")], pa.decimal128(38, 2)),
        "round": pa.array([Decimal("12.00")], pa.decimal128(38, 2)),
        "town": pa.array(["Zürich".encode()]),
        "sha": pa.array([b"\xff" * 16], pa.binary(16)),
        "half": pa.array([0.5], pa.float16()),
        "day": pa.array([45_000_000], pa.time32("ms")),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert values_of(tmp_path, tmp_path / "t.parquet") == {
        "id": 2**60 + 1,
        "long": "1000000000000000000000000000001",
        "price": 12.5,
        "round": 12.0,
        "town": "Zürich",
        "half": 0.5,
        "day": "12:30:00.000",
    }


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 1, pa.array([b"Caf\xe9"], pa.binary()).buffers(), null_count=0
    )
    pq.write_table(pa.table({"file": ["a.jpg"], "town": bad}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"the column town holds text that is not UTF-8; write"):
        ColumnTable.load(str(tmp_path / "t.parquet"))


def test_two_key_columns_of_one_name_are_refused_and_nameless_ones_left_out(
    tmp_path: Path,
) -> None:
    assert values_of(tmp_path, table_of(tmp_path, "file,n,,\na.jpg,1,,\n")) == {"n": 1}
    with pytest.raises(SourceError, match="there are two columns named file; rename one"):
        ColumnTable.load(str(table_of(tmp_path, "file,file,n\na.jpg,b.jpg,1\n")))
