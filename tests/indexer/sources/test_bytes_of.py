"""Bytes of addresses: a file that holds two JPEGs between other bytes, on disk and in stores."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from aiohttp import ClientResponseError, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from PIL import Image
from yarl import URL

from indexer.address import Address
from indexer.errors import UnreadableImage
from indexer.sources.bytes_of import BytesOf, why_unreadable
from tests.bad_images import encoded, photo

RED = encoded(photo(40, 30, seed=1), "JPEG")
BLUE = encoded(photo(64, 48, seed=2), "JPEG")
HEAD, GAP = b"a header of 24 bytes....", b"between"
PACKED = HEAD + RED + GAP + BLUE
FIRST, SECOND = len(HEAD), len(HEAD) + len(RED) + len(GAP)
MOST = 1_000_000


@pytest.fixture
def packed(tmp_path: Path) -> str:
    path = tmp_path / "two.bin"
    path.write_bytes(PACKED)
    return str(path)


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of the same bytes in a store."""
    fs = fsspec.filesystem("memory", use_listings_cache=False)
    fs.pipe("/box/two.bin", PACKED)
    yield "memory://box/two.bin"
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


def why(address: Address, most: int = MOST, *, may_pass: bool = False) -> str:
    with pytest.raises(UnreadableImage) as caught:
        BytesOf().read(address, most)
    assert str(caught.value) == f"{address}: {caught.value.reason}"
    assert caught.value.transient == may_pass
    return caught.value.reason


def check_both_members(uri: str) -> None:
    assert (24, 24 + len(RED) + 7) == (FIRST, SECOND)
    reader = BytesOf()
    first = Address(uri, member="red.jpg", offset=FIRST, length=len(RED))
    second = Address(uri, offset=SECOND, length=len(BLUE))
    assert reader.read(first, MOST) == RED
    assert reader.read(second, MOST) == BLUE
    assert reader.read(Address(uri, offset=FIRST, length=2), MOST) == b"\xff\xd8"
    assert reader.read(Address(uri), MOST) == PACKED
    # the cap is of the image, not of the file around it
    assert reader.read(first, len(RED)) == RED
    assert "over the cap of" in why(first, len(RED) - 1)


def test_two_images_in_a_file_are_read_from_their_offsets(packed: str) -> None:
    check_both_members(packed)


def test_two_images_in_an_object_are_read_from_their_offsets(memory: str) -> None:
    check_both_members(memory)


def test_two_images_in_a_bucket_are_read_from_their_offsets(bucket: tuple[str, Any]) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/two.bin", PACKED)
    check_both_members(f"s3://{name}/two.bin")


def test_a_file_that_ends_before_its_image_is_refused(
    packed: str, memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(PACKED)
    short = f"it should end at byte {size + 1:,} of its file, which has only {size:,}"
    assert why(Address(packed, offset=SECOND, length=len(BLUE) + 1)) == short
    beyond = Address(packed, offset=size + 9, length=1)
    assert (
        why(beyond) == f"it should end at byte {size + 10:,} of its file, which has only {size:,}"
    )
    # a store's answer may have been cut on its way
    monkeypatch.setattr("indexer.sources.store._PAUSES_S", (0.0, 0.0))
    given, asked = f"{len(BLUE):,}", f"{len(BLUE) + 1:,}"
    assert (
        why(Address(memory, offset=SECOND, length=len(BLUE) + 1), may_pass=True)
        == f"the store gave {given} bytes of it where {asked} were asked for"
    )
    assert (
        why(Address(memory, offset=size + 9, length=1), may_pass=True)
        == "the store gave 0 bytes of it where 1 were asked for"
    )


def test_a_busy_web_server_is_asked_three_times(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.sources.store._PAUSES_S", (0.0, 0.0))
    reader = BytesOf()
    answers: list[int] = []
    url = URL("http://x.example/two.bin")
    asked = RequestInfo(url, "GET", CIMultiDictProxy(CIMultiDict()), url)

    def cat_file(path: str, start: int, end: int) -> bytes:
        if (status := answers.pop(0)) != 200:
            raise ClientResponseError(asked, (), status=status, message="no")
        return PACKED[start:end]

    monkeypatch.setattr(reader.stores.of(memory)._fs, "cat_file", cat_file)
    place = Address(memory, offset=FIRST, length=len(RED))
    answers[:] = [503, 503, 200]
    assert reader.read(place, MOST) == RED
    answers[:] = [503, 503, 503, 200]
    with pytest.raises(UnreadableImage) as caught:
        reader.read(place, MOST)
    assert (caught.value.transient, answers) == (True, [200])
    # what will not pass is asked once
    answers[:] = [404, 200]
    with pytest.raises(UnreadableImage):
        reader.read(place, MOST)
    assert answers == [200]


def test_a_store_that_knows_no_ranges_is_refused(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = BytesOf()
    store = reader.stores.of(memory)
    monkeypatch.setattr(store._fs, "cat_file", lambda path, start, end: PACKED)
    with pytest.raises(UnreadableImage) as caught:
        reader.read(Address(memory, offset=FIRST, length=9), MOST)
    assert (
        caught.value.reason
        == "its server gives whole files and no parts of them; copy the file first"
    )


def test_a_hole_in_a_file_reads_as_the_zeros_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sparse.bin"
    with path.open("wb") as file:
        file.write(b"start")
        file.truncate(3_000_000_000)  # takes no room on the disk
        file.seek(3_000_000_000)
        file.write(RED)
    at_end = Address(str(path), offset=3_000_000_000, length=len(RED))
    assert BytesOf().read(at_end, MOST) == RED
    assert BytesOf().read(Address(str(path), offset=3, length=4), MOST) == b"rt\0\0"
    assert "over the cap" in why(Address(str(path)))


def test_an_image_of_no_bytes_is_empty(packed: str, memory: str) -> None:
    for uri in (packed, memory):
        assert why(Address(uri, offset=3, length=0)) == "empty file"


def test_what_is_no_file_has_no_members(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert why(Address(str(tmp_path), offset=0, length=1)) == "a folder, not a file"
    pipe = Address(str(tmp_path / "pipe"), offset=0, length=1)
    assert why(pipe) == "a pipe (FIFO), not a file"


def test_a_vanished_archive_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage) as caught:
        BytesOf().read(Address(f"{tmp_path}/gone.tar", member="a.jpg", offset=0, length=5), MOST)
    assert str(caught.value) == (
        f"{tmp_path}/gone.tar#member=a.jpg: vanished: there is no such file any more"
    )
    assert caught.value.transient
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOENT


def test_a_store_that_is_not_known_is_a_sentence() -> None:
    with pytest.raises(UnreadableImage) as caught:
        BytesOf().read(Address("gopher://x/c.jpg"), MOST)
    assert caught.value.reason.startswith("this address cannot be opened: Protocol not known")
    assert caught.value.transient


def test_places_that_are_not_read_yet_are_each_one_sentence(packed: str, memory: str) -> None:
    parts: list[dict[str, Any]] = [
        {"row_group": 0, "row_index": 5},
        {"stream": "front", "time_us": 40_000},
        {"member": "a.jpg"},
    ]
    for part in parts:
        for uri in (packed, memory):
            reason = why(Address(uri, **part))
            assert reason.endswith("its file is no container, by its name and by its first bytes")
        assert why(Address("/nowhere", **part)).endswith("it is not there")
    reason = why(Address("/a.tar", stream="front", time_us=40_000))
    assert reason.endswith("moments of such a file cannot be read yet")
    assert why_unreadable(Address(packed)) is None
    assert why_unreadable(Address(packed, member="a", offset=1, length=2)) is None


def test_a_part_of_a_picture_is_a_png_of_its_pixels(tmp_path: Path) -> None:
    pixels = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    sideways = tmp_path / "b.png"  # upright it is 6 px wide and 8 high
    exif = Image.Exif()
    exif[0x0112] = 6  # its first row is its right side
    Image.fromarray(pixels).save(sideways, exif=exif)
    reader = BytesOf()

    def part(path: Path, *region: int) -> list[list[list[int]]]:
        left, top, width, height = region
        data = reader.read(Address(str(path), region=(left, top, width, height)), MOST)
        assert data == reader.read(Address(str(path), region=(left, top, width, height)), MOST)
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "PNG"
            found: list[list[list[int]]] = np.array(image).tolist()
        return found

    assert part(path, 2, 1, 3, 2) == pixels[1:3, 2:5].tolist()
    assert part(path, 6, 5, 9, 9) == pixels[5:, 6:].tolist()
    assert part(sideways, 0, 0, 6, 1) == [pixels[::-1, 0].tolist()]
    Image.fromarray(pixels[::-1]).save(path)
    assert part(path, 2, 1, 3, 2) == pixels[::-1][1:3, 2:5].tolist()
    nowhere = Address(str(path), region=(8, 0, 1, 1))
    assert why(nowhere).endswith("its picture has nothing at this place")
    path.write_bytes(b"no picture")
    assert why(Address(str(path), region=(2, 1, 3, 2)))


def test_sites_are_opened_once() -> None:
    stores = BytesOf().stores
    assert stores.of("memory://box/a.jpg") is stores.of("memory://box/b/c.jpg")
    assert stores.of("memory://box/a.jpg") is not stores.of("memory://bax/a.jpg")
