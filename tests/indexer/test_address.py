from __future__ import annotations

import pickle
from dataclasses import fields
from typing import Any

import pytest

from indexer.address import ADDRESS_COLUMNS, Address, shown
from indexer.disk.rows import ROW_SCHEMA, rows_table
from indexer.errors import UnreadableImage

WHOLE = Address("/photos/a.jpg")
MEMBER = Address("/photos.tar", member="x/a 1.jpg", offset=1536, length=70)
EVERY = (
    (WHOLE, "/photos/a.jpg"),
    (Address("s3://b/a#b?.jpg"), "s3://b/a#b?.jpg"),
    (MEMBER, "/photos.tar#member=x/a 1.jpg"),
    (Address("/a.tar.gz", member="a.jpg"), "/a.tar.gz#member=a.jpg"),
    (Address("s3://b/two.bin", offset=5, length=9), "s3://b/two.bin#bytes=5+9"),
    (Address("/t.parquet", row_group=2, row_index=17), "/t.parquet#row=2/17"),
    (Address("/t.csv", row_index=17), "/t.csv#row=17"),
    (
        Address("/d.mcap", stream="/camera/front", time_us=1_500_000),
        "/d.mcap#stream=/camera/front&t=1.500000",
    ),
    (Address("/a.jpg", region=(0, 10, 30, 40)), "/a.jpg#xywh=0,10,30,40"),
)


@pytest.mark.parametrize(("address", "printed"), EVERY)
def test_it_prints_as_the_file_and_which_part_of_it(address: Address, printed: str) -> None:
    assert str(address) == printed


def test_keys_differ_where_texts_do_not() -> None:
    alike = [
        (Address("/0.tar#member=a.png"), Address("/0.tar", member="a.png")),
        (Address("/0.tar", member="a&row=3"), Address("/0.tar", member="a", row_index=3)),
        (
            Address("/a#member=b.tar", member="c.png"),
            Address("/a", member="b.tar#member=c.png"),
        ),
    ]
    for one, other in alike:
        assert str(one) == str(other)
        assert one.key != other.key
    assert WHOLE.key == "/photos/a.jpg"
    assert MEMBER.key == "/photos.tar\0member=x/a 1.jpg"
    assert shown(MEMBER.key) == str(MEMBER)


@pytest.mark.parametrize("address", [address for address, _ in EVERY])
def test_it_is_a_value(address: Address) -> None:
    same = Address(*(getattr(address, field.name) for field in fields(address)))
    assert pickle.loads(pickle.dumps(address)) == address == same
    assert {address: 1}[same] == 1
    assert (address == WHOLE) == (address is WHOLE)


def test_its_columns_make_it_again() -> None:
    odd = Address("/%FF.jpg", b"/\xff.jpg")
    for address in (WHOLE, odd, MEMBER, Address("s3://b/two.bin", offset=0, length=9)):
        [row] = rows_table([{"row_id": 1, **address.columns(), "camera": "Canon"}]).to_pylist()
        assert Address.of(row) == address
    assert MEMBER.columns() == {
        "uri": "/photos.tar",
        "path_bytes": None,
        "member": "x/a 1.jpg",
        "offset": 1536,
        "length": 70,
        "row_group": None,
        "row_index": None,
        "stream_id": None,
        "time_us": None,
        "region_px": None,
    }
    assert ROW_SCHEMA.names[1:11] == list(ADDRESS_COLUMNS)


@pytest.mark.parametrize("address", [address for address, _ in EVERY])
def test_columns_hold_every_place(address: Address) -> None:
    assert Address.of(address.columns()) == address


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "", "1,2,3,4,5"])
def test_a_region_that_is_none_is_an_images_fault(text: str) -> None:
    with pytest.raises(UnreadableImage, match=r"/a\.jpg: this is no region of a picture"):
        Address.of({"uri": "/a.jpg", "region_px": text})


def test_a_path_is_the_files_own_bytes_and_a_url_has_none() -> None:
    assert WHOLE.path == b"/photos/a.jpg"
    assert Address("/%FF ü.jpg", b"/\xff \xc3\xbc.jpg").path == b"/\xff \xc3\xbc.jpg"
    assert Address("/100%.jpg").path == b"/100%.jpg"
    assert Address("s3://b/a.jpg").path is None
    assert (WHOLE.is_url, Address("s3://b/a.jpg").is_url) == (False, True)


def test_only_a_whole_file_is_whole() -> None:
    assert [address.is_whole for address, _ in EVERY] == [True, True] + [False] * 7
    assert (WHOLE.span, MEMBER.span) == (None, (1536, 70))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"uri": ""}, "'': this is no address of an image: it names no file"),
        (
            {"uri": "s3://b/a", "path_bytes": b"/a"},
            "s3://b/a: this is no address of an image: a URL has no path on this machine",
        ),
        ({"offset": -1, "length": 5}, "its offset is -1, below 0"),
        ({"offset": 1, "length": -5}, "its length is -5, below 0"),
        ({"offset": 1}, "offset and length belong together"),
        ({"length": 1}, "offset and length belong together"),
        ({"row_group": 1}, "a row group without a row"),
        ({"row_index": -1}, "its row_index is -1, below 0"),
        ({"stream": "front"}, "stream and time belong together"),
        ({"time_us": 0}, "stream and time belong together"),
        ({"region": (0, 0, 0, 5)}, "its region is (0, 0, 0, 5): left, top from 0"),
        ({"region": (-1, 0, 5, 5)}, "its region is (-1, 0, 5, 5): left, top from 0"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(UnreadableImage) as caught:
        Address(**{"uri": "/a", **given})
    assert problem in str(caught.value)
