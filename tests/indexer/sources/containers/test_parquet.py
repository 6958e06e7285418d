"""Parquet files as many writers make them: where the images are, and what a bad read may cost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from indexer.address import Address
from indexer.errors import UnreadableImage
from indexer.sources import Listing
from indexer.sources.bytes_of import BytesOf
from indexer.sources.containers import DamagedContainer, Member, PassedOver
from indexer.sources.containers.pages import page_sizes
from indexer.sources.containers.parquet import Parquet
from indexer.sources.opening import open_source
from indexer.sources.store import Stores
from tests.lakes import png

JPEGS = [b"\xff\xd8\xffone", b"\xff\xd8\xfftwo two", b"\xff\xd8\xffone"]
BYTES_AND_PATH = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NO_BYTES = "there are no bytes of an image in this row"


def members(folder: Path, table: pa.Table) -> list[Member]:
    path = folder / "x.parquet"
    pq.write_table(table, path)
    return list(Parquet(Stores()).members(Address(str(path))))


def read(folder: Path, image: Any) -> list[bytes | None]:
    """What is read of a column of images, as it is listed; None where it is refused."""
    reader, found = BytesOf(), members(folder, pa.table({"image": image}))
    data = [None if m.refused else reader.read(m.address, 1_000) for m in found]
    for member, each in zip(found, data, strict=True):
        assert member.size_bytes == len(each or b"")
        assert member.refused in (None, NO_BYTES)
    return data


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_bytes_of_any_kind(tmp_path: Path, kind: pa.DataType) -> None:
    assert read(tmp_path, pa.array(JPEGS, kind)) == JPEGS


def test_bytes_in_a_dictionary(tmp_path: Path) -> None:
    plain = pa.array([*JPEGS, None])
    assert read(tmp_path, plain.dictionary_encode()) == [*JPEGS, None]
    names = pa.array(["a", "b", "c", "d"])
    both = pa.StructArray.from_arrays([plain.dictionary_encode(), names], ["bytes", "path"])
    assert read(tmp_path, both) == [*JPEGS, None]


def test_bytes_of_a_fixed_size_and_of_a_type_of_their_own(tmp_path: Path) -> None:
    assert read(tmp_path, pa.array([JPEGS[0], None], pa.binary(6))) == [JPEGS[0], None]
    own = pa.opaque(pa.binary(), "picture", "some vendor")
    assert read(tmp_path, pa.ExtensionArray.from_storage(own, pa.array(JPEGS))) == JPEGS


def test_a_struct_may_be_null_or_have_a_null(tmp_path: Path) -> None:
    rows = [None, {"bytes": JPEGS[0], "path": None}, {"bytes": None, "path": "x.jpg"}]
    assert read(tmp_path, pa.array(rows, BYTES_AND_PATH)) == [None, JPEGS[0], None]


def test_what_is_empty_or_bad_at_the_top_hides_nothing(tmp_path: Path) -> None:
    rows = [None, b"", b"<html>404", *JPEGS]
    assert read(tmp_path, pa.array(rows)) == [None, None, b"<html>404", *JPEGS]


def test_hashes_are_no_images_though_one_begins_as_a_bitmap_does(tmp_path: Path) -> None:
    assert members(tmp_path, pa.table({"sha": [b"BM\x01\x02", b"\x03\x04", b"\x05\x06"]})) == []


def test_two_columns_of_one_name_are_the_first_of_them(tmp_path: Path) -> None:
    table = pa.table([pa.array(JPEGS), pa.array(JPEGS[::-1])], names=["image", "image"])
    found = members(tmp_path, table)
    assert [BytesOf().read(m.address, 1_000) for m in found] == JPEGS


def test_row_groups_without_a_row(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"image": pa.array(JPEGS)})
    with pq.ParquetWriter(path, table.schema) as writer:
        for each in (table[:0], table, table[:0], table[:1]):
            writer.write_table(each)
    found = list(Parquet(Stores()).members(Address(str(path))))
    places = [(m.address.row_group, m.address.row_index) for m in found]
    assert places == [(1, 0), (1, 1), (1, 2), (3, 0)]
    assert [BytesOf().read(m.address, 1_000) for m in found] == [*JPEGS, JPEGS[0]]


def test_images_that_are_not_read_are_told_of(tmp_path: Path) -> None:
    several = pa.table({"views": pa.array([[{"bytes": JPEGS[0]}], []])})
    with pytest.raises(PassedOver, match="a row of its column views holds several images"):
        members(tmp_path, several)
    deep = pa.table({"sample": pa.array([{"image": {"bytes": JPEGS[0]}}])})
    with pytest.raises(
        PassedOver, match="a row of its column sample holds several images or holds"
    ):
        members(tmp_path, deep)
    paths = pa.table({"image": pa.array([None, {"path": "a/x.jpg"}], BYTES_AND_PATH)})
    with pytest.raises(PassedOver, match="its column image has paths of images and not their"):
        members(tmp_path, paths)
    sounds = pa.table({"audio": pa.array([{"path": "a/x.wav"}], BYTES_AND_PATH)})
    assert members(tmp_path, sounds) == []


def test_text_that_is_written_as_bytes_rides_along_and_other_pictures_do_not(
    tmp_path: Path,
) -> None:
    table = pa.table(
        {
            "image": pa.array(JPEGS),
            "mask": pa.array(JPEGS),
            "views": pa.array([[each] for each in JPEGS]),
            "site": pa.array([b"north", None, b"south"]),
            "image.width": [1, 2, 3],
        }
    )
    found = members(tmp_path, table)
    columns = [Parquet(Stores()).columns(m.address, ()) for m in found]
    assert columns == [
        {"site": site, "image.width": number}
        for number, site in enumerate(["north", None, "south"], 1)
    ]


class _Flaky(MemoryFileSystem):  # type: ignore[misc]
    """A store of which every read fails while it is down."""

    protocol = "flaky"
    store: dict[str, Any] = {}  # noqa: RUF012 - as its base has it
    is_down = False

    def cat_file(self, path: str, *args: Any, **options: Any) -> bytes:
        if _Flaky.is_down:
            raise OSError("the store is down")
        data: bytes = super().cat_file(path, *args, **options)
        return data


@pytest.fixture
def flaky() -> Iterator[Any]:
    fsspec.register_implementation("flaky", _Flaky, clobber=True)
    yield fsspec.filesystem("flaky")
    _Flaky.is_down = False
    _Flaky.store.clear()


def test_a_read_that_fails_ends_no_row_group(tmp_path: Path, flaky: Any) -> None:
    """Else every row behind it is said to be none, for good."""
    # of 300 kB each, so that not all of them are read at once
    images = [b"\xff\xd8\xff" + bytes([n]) * 300_000 for n in range(40)]
    path = tmp_path / "x.parquet"
    pq.write_table(
        pa.table({"image": images}), path, compression="none", use_dictionary=False,
        data_page_size=1, write_batch_size=1,
    )  # fmt: skip
    flaky.pipe("flaky://x.parquet", path.read_bytes())
    reader = BytesOf()

    def at(row: int) -> bytes:
        place = Address("flaky://x.parquet", member="image", row_group=0, row_index=row)
        return reader.read(place, 1_000_000)

    assert at(0) == images[0]
    _Flaky.is_down = True
    for row in (39, 38):
        with pytest.raises(UnreadableImage, match="the store is down") as caught:
            at(row)
        assert caught.value.transient
    _Flaky.is_down = False
    assert at(39) == images[39]
    assert at(1) == images[1]


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "none"}, {"data_page_version": "2.0"}, {"write_page_checksum": True}],
)
def test_pages_are_as_large_as_they_are(tmp_path: Path, options: dict[str, Any]) -> None:
    """32 values of 1,000 bytes, each with the 4 bytes of its length, 8 in a page."""
    path = tmp_path / "t.parquet"
    values = [bytes([number]) * 1_000 for number in range(32)]
    table = pa.table({"image": [{"bytes": value, "path": "x"} for value in values]})
    options = {"use_dictionary": False, "data_page_size": 1, "write_batch_size": 8, **options}
    pq.write_table(table, path, **options)
    with path.open("rb") as opened:
        chunk = pq.read_metadata(opened).row_group(0).column(0)
        sizes = list(page_sizes(opened, chunk.data_page_offset, chunk.total_compressed_size))
        assert len(sizes) == 4
        # the levels of nulls take some bytes more
        assert all(8 * 1_004 <= size < 8 * 1_004 + 30 for size in sizes)
        assert list(page_sizes(opened, 0, 20)) == []


def test_a_page_that_is_too_large_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.sources.containers.pages.MAX_PAGE_BYTES", 50_000)
    path = tmp_path / "t.parquet"
    values = [png((number, 0, 0)) + bytes(2_000) for number in range(40)]
    table = pa.table({"image": pa.array(values, pa.binary())})
    pq.write_table(table, path, use_dictionary=False)
    with pytest.raises(DamagedContainer) as caught:
        list(Parquet(Stores()).members(Address(str(path))))
    assert str(caught.value) == (
        "0 MB of its column image are one page, which can only be read whole, and at most "
        "500 MB are; write it with smaller pages or row groups (in pyarrow write_batch_size=16 "
        "or row_group_size=100)"
    )
    assert list(open_source(str(path)).files(listing := Listing())) == []
    assert [uri for uri, _ in listing.unlisted] == [f"{path}\0"]
    pq.write_table(table, path, use_dictionary=False, data_page_size=1, write_batch_size=16)
    assert len(list(Parquet(Stores()).members(Address(str(path))))) == 40
