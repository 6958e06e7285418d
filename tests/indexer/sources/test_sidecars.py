from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.opening import open_source


def columns(folder: Path, **sidecars: str | bytes) -> dict[str, ColumnValue]:
    """The columns of x.jpg with these beside it; `x_jpg_txt` names x.jpg.txt."""
    (folder / "x.jpg").write_bytes(b"1")
    for name, content in sidecars.items():
        (folder / name.replace("_", ".")).write_bytes(
            content.encode() if isinstance(content, str) else content
        )
    source = open_source(str(folder))
    [file] = source.files(Listing())
    return dict(source.columns(file))


def entry(folder: Path, name: str = "x.jpg") -> ImageFile:
    return next(
        file for file in open_source(str(folder)).files(Listing()) if file.uri.endswith(f"/{name}")
    )


def test_a_text_is_the_caption(tmp_path: Path) -> None:
    assert columns(tmp_path, x_txt="\ufeff  a grey cat,\nasleep \n") == {
        "caption": "a grey cat,\nasleep"
    }


def test_an_empty_text_is_no_caption(tmp_path: Path) -> None:
    assert columns(tmp_path, x_txt=" \n", x_json='{"caption": "from json"}') == {
        "caption": "from json"
    }


def test_an_object_gives_columns(tmp_path: Path) -> None:
    scalars = '"caption": 7, "n": 3, "share": 0.5, "ok": true, "none": null, "": 1'
    content = "{" + scalars + ', "tags": ["a", "ü"], "box": {"x": 1}}'
    assert columns(tmp_path, x_json=content) == {
        "caption": "7",
        "n": 3,
        "share": 0.5,
        "ok": True,
        "none": None,
        "tags": '["a", "ü"]',
        "box": '{"x": 1}',
    }


def test_our_own_column_names_get_a_prefix_whatever_their_case(tmp_path: Path) -> None:
    assert columns(tmp_path, x_json='{"sha256": "ab", "URI": "u", "Caption": "c", "width": 4}') == {
        "json_sha256": "ab",
        "json_URI": "u",
        "caption": "c",
        "width": 4,
    }


def test_values_that_parquet_cannot_hold_become_the_nearest(tmp_path: Path) -> None:
    assert columns(
        tmp_path, x_json='{"nan": NaN, "big": 9223372036854775808, "half": "\\ud800!"}'
    ) == {
        "nan": None,
        "big": "9223372036854775808",
        "half": "?!",
    }


def test_the_more_specific_name_and_the_text_have_the_last_word(tmp_path: Path) -> None:
    found = columns(
        tmp_path,
        x_json='{"caption": "1", "a": 1, "b": 1}',
        x_txt="2",
        x_jpg_json='{"caption": "3", "b": 2}',
        x_jpg_txt="4",
    )
    assert found == {"caption": "4", "a": 1, "b": 2}
    (tmp_path / "x.jpg.txt").unlink()
    assert open_source(str(tmp_path)).columns(entry(tmp_path))["caption"] == "3"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "Expecting property name"),
        (b"[1]", "it holds no JSON object"),
        (b'{"a": "\xff"}', "codec can't decode byte 0xff"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion"),
        (b'{"a": ' + b"9" * 5000 + b"}", "integer string conversion"),
    ],
)
def test_a_broken_sidecar_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, reason: str
) -> None:
    with caplog.at_level(logging.WARNING):
        assert columns(tmp_path, x_json=content, x_txt="kept") == {"caption": "kept"}
    [record] = caplog.records
    assert record.getMessage().startswith(f"sidecar {tmp_path}/x.json is left out: ")
    assert reason in record.getMessage()


def test_a_text_too_long_for_a_caption_is_none(tmp_path: Path) -> None:
    assert columns(tmp_path, x_txt="a" * 64_001) == {}
    assert columns(tmp_path, x_txt="a" * 64_000) == {"caption": "a" * 64_000}


def test_spellings_of_one_name_in_a_file_are_columns_of_their_own(tmp_path: Path) -> None:
    """The same whatever the order in the file."""
    assert columns(tmp_path, x_json='{"Year": 1, "year": 2, "Year_2": 3, "CAPTION": "c"}') == {
        "Year_3": 1,
        "year": 2,
        "Year_2": 3,
        "caption": "c",
    }
    assert columns(tmp_path, x_json='{"caption": "a", "Year_2": 3, "year": 2, "Year": 1}') == {
        "caption": "a",
        "Year_2": 3,
        "year": 2,
        "Year_3": 1,
    }


def test_the_last_word_is_on_a_name_whatever_its_case(tmp_path: Path) -> None:
    assert columns(tmp_path, x_json='{"Year": 1, "a": 1}', x_jpg_json='{"year": 2}') == {
        "a": 1,
        "year": 2,
    }


def test_a_prefix_that_is_there_already_gets_another(tmp_path: Path) -> None:
    content = '{"uri": 1, "json_uri": 2, "json_json_uri": 3, "json_town": 4, "file_row_number": 5}'
    assert columns(tmp_path, x_json=content) == {
        "json_uri": 1,
        "json_json_uri": 2,
        "json_json_json_uri": 3,
        "json_town": 4,
        "json_file_row_number": 5,
    }


def test_a_value_that_is_too_large_is_left_empty_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As labelme's imageData; the file's other keys count."""
    at_the_limit, umlauts = "a" * 64_000, "ü" * 32_001
    (tmp_path / "y.jpg").write_bytes(b"1")
    text = f'{{"imageData": "{"A" * 2_000_000}", "fits": "{at_the_limit}", "n": 1}}'
    (tmp_path / "y.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        (tmp_path / "x.jpg").write_bytes(b"1")
        (tmp_path / "x.json").write_text(f'{{"imageData": "{umlauts}", "m": 2}}')
        source = open_source(str(tmp_path))
        first, second = sorted(source.files(Listing()), key=lambda file: file.uri)
        assert source.columns(first) == {"imageData": None, "m": 2}
        assert source.columns(second) == {"imageData": None, "fits": at_the_limit, "n": 1}
    [record] = caplog.records
    assert record.getMessage() == (
        "values of imageData that are larger than 64,000 bytes are left empty "
        f"(first in {tmp_path}/x.json)"
    )


def test_a_sidecar_that_is_too_large_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("x", "y"):
        (tmp_path / f"{name}.jpg").write_bytes(b"1")
        (tmp_path / f"{name}.txt").write_text("a" * 64_001)
    with caplog.at_level(logging.WARNING):
        files = list(open_source(str(tmp_path)).files(Listing()))
    assert [file.sidecars for file in files] == [(), ()]
    [record] = caplog.records
    assert record.getMessage() == (
        ".txt sidecars larger than 64,000 bytes are passed over "
        f"(first {files[0].uri.removesuffix('.jpg')}.txt)"
    )


def test_a_pipe_beside_an_image_is_no_sidecar(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.txt")
    assert columns(tmp_path) == {}
    assert entry(tmp_path).sidecars == ()


def test_a_sidecar_gone_or_made_a_pipe_since_the_listing_costs_only_itself(tmp_path: Path) -> None:
    columns(tmp_path, x_txt="a", x_json='{"n": 1}')
    file, source = entry(tmp_path), open_source(str(tmp_path))
    (tmp_path / "x.txt").unlink()
    assert source.columns(file) == {"n": 1}
    os.mkfifo(tmp_path / "x.txt")
    assert source.columns(file) == {"n": 1}


def test_images_of_one_stem_share_a_sidecar(tmp_path: Path) -> None:
    for name in ("x.jpg", "x.png", "x", "xy.jpg"):
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "x.txt").write_text("shared")
    files = {
        file.uri.rpartition("/")[2]: file.sidecars
        for file in open_source(str(tmp_path)).files(Listing())
    }
    shared = (f"{tmp_path}/x.txt",)
    assert files == {"x.jpg": shared, "x.png": shared, "x": shared, "xy.jpg": ()}


def test_the_etag_changes_with_size_time_and_number_of_sidecars(tmp_path: Path) -> None:
    columns(tmp_path)
    seen = [entry(tmp_path).columns_etag]
    assert seen == [None]
    text = tmp_path / "x.txt"
    for content, time_ns in (("a", 1_000_000), ("b", 2_000_000), ("bc", 2_000_000)):
        text.write_text(content)
        os.utime(text, ns=(0, time_ns))
        seen.append(entry(tmp_path).columns_etag)
    assert entry(tmp_path).columns_etag == seen[-1]
    (tmp_path / "x.json").write_text("{}")
    seen.append(entry(tmp_path).columns_etag)
    assert len(set(seen)) == 5
    assert all(len(mark or "") == 16 for mark in seen[1:])
