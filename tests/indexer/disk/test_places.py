"""A table's addresses, worked out by column, are those that `Address` works out one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.address import ADDRESS_COLUMNS, Address, shown
from indexer.disk.rows import place_keys, printed_places
from indexer.errors import UnreadableImage

TYPES = {"string": pa.string(), "binary": pa.binary(), "int64": pa.int64()}
NAME = st.sampled_from(["a.png", "x/1.jpg", "é&#=", "s3://b/k", "https://h/a%00", "0.tar"])
NUMBER = st.integers(-1, 2) | st.sampled_from([999_999, 1_000_000, 61_000_001, 2**62])
ROW = st.fixed_dictionaries(
    {
        "uri": NAME | st.just(""),
        "path_bytes": st.none() | st.just(b"\xff"),
        "member": st.none() | NAME | st.just("a\0b"),
        "offset": st.none() | NUMBER,
        "length": st.none() | NUMBER,
        "row_group": st.none() | NUMBER,
        "row_index": st.none() | NUMBER,
        "stream_id": st.none() | NAME,
        "time_us": st.none() | NUMBER,
        "region_px": st.none() | st.sampled_from(["0,0,1,1", "10,2,30,4", "1,1,0,5", "+1, 2,3,4"]),
    }
)


def table(rows: Sequence[Mapping[str, object]], names: list[str] | None = None) -> pa.Table:
    names = names or list(ADDRESS_COLUMNS)
    return pa.table(
        {n: pa.array([row.get(n) for row in rows], TYPES[ADDRESS_COLUMNS[n]]) for n in names}
    )


def test_by_hand() -> None:
    rows: list[dict[str, Any]] = [
        {"uri": "/a.jpg"},
        {"uri": "/0.tar", "member": "x/1.jpg", "offset": 512, "length": 9},
        {"uri": "/0.bin", "offset": 512, "length": 9},
        {"uri": "/t.parquet", "row_group": 3, "row_index": 7},
        {"uri": "/t.lance", "row_index": 7, "region_px": "1,2,30,40"},
        {"uri": "/v.mp4", "stream_id": "0", "time_us": 61_000_042},
        {"uri": "/r.mcap", "row_group": 90, "row_index": 1, "stream_id": "/cam", "time_us": 0},
    ]
    assert printed_places(table(rows)).to_pylist() == [
        "/a.jpg",
        "/0.tar#member=x/1.jpg",
        "/0.bin#bytes=512+9",
        "/t.parquet#row=3/7",
        "/t.lance#row=7&xywh=1,2,30,40",
        "/v.mp4#stream=0&t=61.000042",
        "/r.mcap#stream=/cam&t=0.000000",
    ]
    assert place_keys(table(rows)).to_pylist()[4] == "/t.lance\0row=7\0xywh=1,2,30,40"


@given(st.lists(ROW, min_size=1, max_size=4))
def test_as_one_by_one(rows: list[dict[str, Any]]) -> None:
    try:
        keys: list[str] | str = [Address.of(row).key for row in rows]
    except UnreadableImage:
        keys = "refused"
    if keys == "refused" and all(is_whole(row) for row in rows):
        return  # nothing of it is a part: the rows of files are not looked at one by one
    try:
        found: list[str] | str = place_keys(table(rows)).to_pylist()
    except UnreadableImage:
        found = "refused"
    assert found == keys
    if isinstance(keys, list):
        assert printed_places(table(rows)).to_pylist() == [shown(key) for key in keys]


def is_whole(row: dict[str, Any]) -> bool:
    return all(row[name] is None for name in ADDRESS_COLUMNS if name not in ("uri", "path_bytes"))


def test_a_lake_of_an_earlier_version_lacks_columns() -> None:
    rows: list[dict[str, Any]] = [
        {"uri": "/0.tar", "member": "a", "offset": 0, "length": 1},
        {"uri": "/b.png"},
    ]
    early = table(rows, ["uri", "member", "offset", "length"])
    assert place_keys(early).to_pylist() == ["/0.tar\0member=a", "/b.png"]
    assert place_keys(table(rows, ["uri"])).to_pylist() == ["/0.tar", "/b.png"]
    assert place_keys(table([])).to_pylist() == []


def test_what_is_wrong_is_said() -> None:
    rows = [{"uri": "/a.tar", "member": "x"}, {"uri": "/v.mp4", "stream_id": "0"}]
    with pytest.raises(UnreadableImage) as caught:
        place_keys(table(rows))
    assert str(caught.value) == (
        "/v.mp4: this is no address of an image: stream and time belong together"
    )
