"""Addresses as texts a column at a time are those that `Address` makes of each row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from indexer.address import PART, Address
from indexer.disk.joined_places import is_odd, is_url, joined_places
from indexer.disk.rows import ROW_SCHEMA, place_keys, printed_places
from indexer.errors import UnreadableImage

ROWS: list[dict[str, Any]] = [
    {"uri": "/a.jpg"},
    {"uri": "/b %FF.jpg", "path_bytes": b"/b \xff.jpg"},
    {"uri": "/a.tar", "member": "x/1.jpg", "offset": 512, "length": 9},
    {"uri": "/a.bin", "offset": 0, "length": 7},
    {"uri": "/t.parquet", "row_group": 2, "row_index": 5},
    {"uri": "/t.lance", "row_index": 0},
    {"uri": "/v.mp4", "stream_id": "video", "time_us": 61_000_042},
    {"uri": "/r.mcap", "stream_id": "/cam", "time_us": 5, "row_group": 3, "row_index": 4},
    {"uri": "/c.jpg", "region_px": "1,02,3,4"},  # written otherwise than `Address` does
    {"uri": "s3://shop/a.tar", "member": "2.jpg", "region_px": "0,0,30,4"},
]


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"row_id": at, **row} for at, row in enumerate(rows, 1)], ROW_SCHEMA
    )


def test_places_by_hand() -> None:
    assert printed_places(table_of(ROWS)).to_pylist() == [
        "/a.jpg",
        "/b %FF.jpg",
        "/a.tar#member=x/1.jpg",
        "/a.bin#bytes=0+7",
        "/t.parquet#row=2/5",
        "/t.lance#row=0",
        "/v.mp4#stream=video&t=61.000042",
        "/r.mcap#stream=/cam&t=0.000005",
        "/c.jpg#xywh=1,2,3,4",
        "s3://shop/a.tar#member=2.jpg&xywh=0,0,30,4",
    ]


def test_keys_are_those_of_the_addresses() -> None:
    table = table_of(ROWS)
    assert place_keys(table).to_pylist() == [Address.of(row).key for row in table.to_pylist()]
    some = table.select(["row_id", "uri", "member", "offset", "length"])  # as old lakes have them
    assert place_keys(some).to_pylist() == [Address.of(row).key for row in some.to_pylist()]
    pieces = pa.concat_tables([table.slice(0, 3), table.slice(3)])
    assert place_keys(pieces).to_pylist() == place_keys(table).to_pylist()


def test_only_odd_rows_are_left_to_an_address() -> None:
    odd = is_odd(table_of(ROWS)).to_pylist()
    assert [at for at, is_it in enumerate(odd) if is_it] == [1, 8]
    places = joined_places(table_of(ROWS), "#", "&").to_pylist()
    assert [at for at, place in enumerate(places) if place is None] == [1, 8]


@pytest.mark.parametrize(
    "wrong",
    [
        {"uri": ""},
        {"uri": "/a", "offset": 5},
        {"uri": "/a", "offset": -1, "length": 5},
        {"uri": "/a", "row_group": 5},
        {"uri": "/a", "stream_id": "x"},
        {"uri": "/a", "time_us": 5},
        {"uri": "/a", "member": f"x{PART}y"},
        {"uri": "/a", "region_px": "1,2,3"},
        {"uri": "s3://a/b", "path_bytes": b"x"},
    ],
)
def test_what_is_no_address_is_told_as_before(wrong: dict[str, Any]) -> None:
    table = table_of([{"uri": "/a.tar", "member": "1.jpg"}, wrong])
    with pytest.raises(UnreadableImage) as expected:
        Address.of(table.to_pylist()[1])
    with pytest.raises(UnreadableImage) as found:
        printed_places(table)
    assert str(found.value) == str(expected.value)


def test_urls() -> None:
    texts = ["s3://a", "/s3://a", "x:/a", "a1+.-://", "1a://b"]
    assert is_url(pa.chunked_array([texts])).to_pylist() == [True, False, False, True, False]
