"""Zips as odd tools and hands make them: one entry that is wrong costs no other."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from indexer.address import Address
from indexer.errors import UnreadableImage
from indexer.sources.bytes_of import BytesOf
from indexer.sources.containers import Member
from indexer.sources.containers.zip import Zip
from indexer.sources.store import Stores

FILES = {"a.jpg": b"one one", "ü.jpg": b"two two", "c.jpg": b"three"}
# places in an entry of a zip's directory
VERSION, FLAGS, PACKED, SIZE, EXTRA_LENGTH, OFFSET = 6, 8, 20, 24, 30, 42


def zip_of(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return bytearray(buffer.getvalue())


def entry_of(data: bytes | bytearray, number: int) -> int:
    place = -1
    for _ in range(number + 1):
        place = data.index(b"PK\x01\x02", place + 1)
    return place


def members(folder: Path, data: bytes | bytearray) -> dict[str, Member]:
    path = folder / "x.zip"
    path.write_bytes(data)
    return {str(m.address.member): m for m in Zip(Stores()).members(Address(str(path)))}


def read(folder: Path, data: bytes | bytearray) -> dict[str, bytes]:
    """Name -> bytes, of what can be read; each as it is listed."""
    found = {}
    for name, member in members(folder, data).items():
        if member.refused is None:
            found[name] = BytesOf().read(member.address, 1_000)
    return found


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_stands_before_or_behind_a_zip_moves_nothing(tmp_path: Path, method: int) -> None:
    data = zip_of(FILES, method)
    assert read(tmp_path, data) == FILES
    assert read(tmp_path, b"#!/bin/sh\nself-extracting\n" + data) == FILES
    assert read(tmp_path, data + b"junk" * 9) == FILES


def test_names_in_utf8_are_taken_so_when_the_zip_does_not_say_it(tmp_path: Path) -> None:
    """As macOS writes them."""
    data = zip_of(FILES)
    for number in range(3):
        struct.pack_into("<H", data, entry_of(data, number) + FLAGS, 0)
    assert read(tmp_path, data) == FILES


def test_names_of_old_systems_are_taken_so(tmp_path: Path) -> None:
    """\\x81 is ü in code page 437, and no UTF-8."""
    data = zip_of(FILES)
    for number in range(3):
        struct.pack_into("<H", data, entry_of(data, number) + FLAGS, 0)
    assert read(tmp_path, data.replace("ü".encode(), b"\x81x")) == {
        "a.jpg": b"one one",
        "üx.jpg": b"two two",
        "c.jpg": b"three",
    }


def test_a_name_that_claims_to_be_utf8_and_is_not_costs_no_other(tmp_path: Path) -> None:
    found = read(tmp_path, zip_of(FILES).replace("ü".encode(), b"\xff\x81"))
    assert list(found.values()) == list(FILES.values())
    assert {"a.jpg", "c.jpg"} < set(found)


def test_a_version_that_is_not_known_yet_costs_no_other(tmp_path: Path) -> None:
    data = zip_of(FILES)
    data[entry_of(data, 1) + VERSION] = 99
    assert read(tmp_path, data) == FILES


def test_a_stored_member_of_two_sizes_is_refused(tmp_path: Path) -> None:
    for field, size in ((PACKED, 4), (SIZE, 40)):
        data = zip_of(FILES)
        struct.pack_into("<I", data, entry_of(data, 0) + field, size)
        member = members(tmp_path, data)["a.jpg"]
        packed, whole = (4, 7) if field == PACKED else (7, 40)
        assert member.address.span is None
        assert member.refused == (
            f"its zip gives two sizes ({packed} and {whole} bytes) of what is not compressed"
        )
        assert read(tmp_path, data) == {"ü.jpg": b"two two", "c.jpg": b"three"}


@pytest.mark.parametrize(
    ("offset", "reason"),
    [
        (2**31 - 16, "no member stands at byte 2,147,483,632"),
        (7, "no member stands at byte 7"),
        (2**63 + 5, "no member can stand at byte 9,223,372,036,854,775,813"),
    ],
)
def test_a_member_at_a_place_that_is_not_costs_no_other(
    tmp_path: Path, offset: int, reason: str
) -> None:
    data = zip_of({"a.jpg": b"one one", "c.jpg": b"three"})
    place = entry_of(data, 0)
    if offset < 2**32:
        struct.pack_into("<I", data, place + OFFSET, offset)
    else:
        # as zip64 has it: an extra field, by which the directory gets longer
        struct.pack_into("<I", data, place + OFFSET, 0xFFFFFFFF)
        extra = struct.pack("<2HQ", 1, 8, offset)
        struct.pack_into("<H", data, place + EXTRA_LENGTH, len(extra))
        behind_name = place + 46 + len("a.jpg")
        data[behind_name:behind_name] = extra
        end = data.index(b"PK\x05\x06")
        struct.pack_into("<I", data, end + 12, end - place)
    found = members(tmp_path, data)
    assert BytesOf().read(found["c.jpg"].address, 1_000) == b"three"
    with pytest.raises(UnreadableImage, match=f"its zip cannot be read: {reason}"):
        BytesOf().read(found["a.jpg"].address, 1_000)


def test_of_two_entries_of_a_name_the_last_counts(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", b"old")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.jpg", b"newer")
    assert read(tmp_path, buffer.getvalue()) == {"a.jpg": b"newer"}


def test_twins_by_case_and_by_the_form_of_an_accent_are_two(tmp_path: Path) -> None:
    files = {"é.jpg": b"1", "e\u0301.jpg": b"2", "A.jpg": b"3", "a.jpg": b"4", "/../b.jpg": b"5"}
    assert read(tmp_path, zip_of(files)) == files
