"""What is found in tars: names, places, what speaks of an image, and where a tar is damaged."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from indexer.address import Address
from indexer.sources.bytes_of import BytesOf
from indexer.sources.containers import DamagedContainer, Member
from indexer.sources.containers.tar import Tar, list_members
from indexer.sources.store import Stores

HERE = Address("/here.tar")


def tar_of(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as tar:
        for name, data in files.items() if isinstance(files, Mapping) else files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def members(data: bytes) -> list[Member]:
    return list(list_members(HERE, io.BytesIO(data), len(data)))


def bytes_in(data: bytes) -> dict[str, bytes]:
    """Name -> bytes at the member's place."""
    found = {}
    for member in members(data):
        if member.refused is not None:
            continue
        assert member.address.span is not None
        offset, length = member.address.span
        assert member.size_bytes == length
        found[str(member.address.member)] = data[offset : offset + length]
    return found


def until_damage(data: bytes) -> tuple[list[str], str]:
    found = []
    with pytest.raises(DamagedContainer) as caught:
        for member in list_members(HERE, io.BytesIO(data), len(data)):
            found.append(str(member.address.member))
    return found, str(caught.value)


def columns(data: bytes) -> dict[str, dict[str, Any]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.tar"
        path.write_bytes(data)
        tar = Tar(Stores())
        return {
            str(member.address.member): tar.columns(member.address, member.sidecars)
            for member in tar.members(Address(str(path)))
        }


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_images_lie_where_they_are_said_to(form: int) -> None:
    files = {"a.jpg": b"one", "sub/b.png": b"twotwo" * 200, "no suffix": b"x"}
    assert bytes_in(tar_of(files, format=form)) == files


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_names_that_are_not_ascii(form: int) -> None:
    files = {"d/" * 150 + "a.jpg": b"long", "zürich/猫.jpg": b"cat"}
    assert bytes_in(tar_of(files, format=form)) == files


def test_bytes_that_are_not_utf8_are_escaped() -> None:
    data = tar_of({"caf\udce9.jpg": b"one"}, format=tarfile.GNU_FORMAT)
    assert b"caf\xe9.jpg" in data
    assert bytes_in(data) == {"caf%E9.jpg": b"one"}


def test_what_is_no_image_is_left_out() -> None:
    files = {
        "a.jpg": b"1", "a.cls": b"7", "a.npy": b"n", "a.pyd": b"p", "notes.md": b"m",
        ".hidden.jpg": b"h", ".git/b.jpg": b"g", "__MACOSX/a.jpg": b"c",
    }  # fmt: skip
    assert list(bytes_in(tar_of(files))) == ["a.jpg"]


def test_a_leading_dot_and_slash_is_no_part_of_a_name() -> None:
    assert list(bytes_in(tar_of({"./a.jpg": b"1", "./sub/b.jpg": b"2"}))) == ["a.jpg", "sub/b.jpg"]


def test_members_of_one_key_speak_of_its_images() -> None:
    data = tar_of(
        {
            "7.cls": b"3",
            "7.json": b'{"site": "north", "n": 5}',
            "7.left.jpg": b"l",
            "7.left.txt": b"the left one",
            "7.right.jpg": b"r",
            "7.txt": b"both",
            "8.jpg": b"8",
            "8.cls": b"cat",
            "7.5.jpg": b"another image, of the key 7 in WebDataset's words",
        }
    )
    common = {"site": "north", "n": 5, "label": 3}
    assert columns(data) == {
        "7.left.jpg": {**common, "caption": "the left one"},
        "7.right.jpg": {**common, "caption": "both"},
        "8.jpg": {"label": "cat"},
        "7.5.jpg": {**common, "caption": "both"},
    }


def test_a_class_that_is_no_plain_number_stays_text() -> None:
    data = tar_of({"a.jpg": b"1", "a.cls": b"007", "b.jpg": b"2", "b.cls": b"9" * 30})
    assert columns(data) == {"a.jpg": {"label": "007"}, "b.jpg": {"label": "9" * 30}}


def test_sidecars_need_not_stand_beside_their_image() -> None:
    data = tar_of({"a.txt": b"an a", "b.jpg": b"2", "a.jpg": b"1", "b.txt": b"a b"})
    assert columns(data) == {"b.jpg": {"caption": "a b"}, "a.jpg": {"caption": "an a"}}


def test_folders_keep_keys_apart() -> None:
    data = tar_of({"x/a.jpg": b"1", "y/a.jpg": b"2", "y/a.txt": b"of y"})
    assert columns(data) == {"x/a.jpg": {}, "y/a.jpg": {"caption": "of y"}}


def test_of_two_members_of_a_name_the_last_counts() -> None:
    assert bytes_in(tar_of([("a.jpg", b"old"), ("b.jpg", b"b"), ("a.jpg", b"newer")])) == {
        "a.jpg": b"newer",
        "b.jpg": b"b",
    }


def test_links_within_the_tar_are_images_of_their_own() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        first = tarfile.TarInfo("x/a.jpg")
        first.size = 3
        tar.addfile(first, io.BytesIO(b"one"))
        for name, kind, target in (
            ("ahead.jpg", tarfile.SYMTYPE, "by/way.jpg"),
            ("by/way.jpg", tarfile.SYMTYPE, "../later.jpg"),
            ("round.jpg", tarfile.SYMTYPE, "round.jpg"),
            ("notes.txt", tarfile.SYMTYPE, "nothing.txt"),
            ("hard.jpg", tarfile.LNKTYPE, "x/a.jpg"),
            ("y/soft.jpg", tarfile.SYMTYPE, "../x/a.jpg"),
            ("out.jpg", tarfile.SYMTYPE, "../../etc/a.jpg"),
            ("root.jpg", tarfile.SYMTYPE, "/etc/a.jpg"),
            ("lost.jpg", tarfile.LNKTYPE, "nothing.jpg"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        last = tarfile.TarInfo("later.jpg")
        last.size = 3
        tar.addfile(last, io.BytesIO(b"two"))
    data = buffer.getvalue()
    assert bytes_in(data) == {
        "x/a.jpg": b"one",
        "hard.jpg": b"one",
        "y/soft.jpg": b"one",
        "later.jpg": b"two",
        "by/way.jpg": b"two",
        "ahead.jpg": b"two",
    }
    refused = {str(m.address.member): m.refused for m in members(data) if m.refused}
    assert set(refused) == {"out.jpg", "root.jpg", "lost.jpg", "round.jpg"}
    assert set(refused.values()) == {"it is a link to something that is not in its tar"}
    # what a link leads to may lie behind the cut
    assert until_damage(data[: data.rindex(b"later.jpg")])[0] == [
        "x/a.jpg",
        "hard.jpg",
        "y/soft.jpg",
    ]


def test_a_sparse_member_and_an_empty_one_are_refused_by_name() -> None:
    data = tar_of({"empty.jpg": b"", "a.jpg": b"one"})
    [empty, whole] = members(data)
    assert (empty.address.member, empty.refused) == ("empty.jpg", "empty file")
    assert whole.refused is None
    # an empty member is a header alone, so that the next one is at byte 512
    [_, sparse] = members(data[:512] + as_sparse(data[512:1024]) + data[1024:])
    assert (sparse.address.member, sparse.address.span) == ("a.jpg", None)
    assert sparse.refused == (
        "it is stored as a sparse file, so that its bytes are not in one piece; "
        "pack it without --sparse"
    )


def as_sparse(block: bytes) -> bytes:
    """A member's header as GNU tar writes it of a file with a hole: 3 bytes at 0, 256 in all."""
    header = bytearray(block)
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398] = b"00000000000\0"
    header[398:410] = b"00000000003\0"
    header[483:495] = b"00000000400\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def test_tars_one_behind_the_other_are_one() -> None:
    one, two = tar_of({"a.jpg": b"one"}), tar_of({"b.jpg": b"two", "c.jpg": b"three"})
    assert bytes_in(one + two) == {"a.jpg": b"one", "b.jpg": b"two", "c.jpg": b"three"}
    assert bytes_in(one + b"\0" * 5120 + two) == bytes_in(one + two)


def test_an_empty_tar_has_no_images() -> None:
    assert members(tar_of({})) == []


def test_a_tar_that_is_cut_short_gives_what_is_whole() -> None:
    data = tar_of({"a.jpg": b"1" * 600, "b.jpg": b"2" * 600})
    # a: header 0, bytes 512 to 1536; b: header 1536, bytes 2048 to 2648, padded to 3072
    assert until_damage(data[:2100]) == (["a.jpg"], "it is cut short: it ends within b.jpg")
    assert until_damage(data[:1536]) == (
        ["a.jpg"],
        "it has no end mark, as if it was cut short at byte 1,536",
    )
    assert until_damage(data[:1700]) == (
        ["a.jpg"],
        "what stands at byte 1,536 is no header of a tar",
    )


def test_damage_in_the_middle_is_told_with_its_place() -> None:
    data = bytearray(tar_of({"a.jpg": b"1", "b.jpg": b"2"}))
    data[1024 + 150] ^= 0xFF  # in the checksum of b's header
    assert until_damage(bytes(data)) == (
        ["a.jpg"],
        "what stands at byte 1,024 is no header of a tar",
    )


def test_rubbish_behind_a_tar_is_told() -> None:
    data = tar_of({"a.jpg": b"1"})
    assert len(data) == 10_240
    assert until_damage(data + b"rubbish" * 100) == (
        ["a.jpg"],
        "what stands at byte 10,240 is no header of a tar",
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no tar at all" * 100, "it is no tar (invalid header)"),
        (b"", "it is no tar (empty file)"),
        (b"\x1f\x8b" + b"\0" * 600, "it is a compressed tar"),
        (b"(\xb5/\xfd" + b"\1" * 600, "it is a compressed tar"),
    ],
)
def test_what_is_no_tar_says_so(data: bytes, reason: str) -> None:
    found, told = until_damage(data)
    assert found == []
    assert told.startswith(reason)


def test_a_header_that_claims_a_huge_name_is_not_read() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    data = info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048
    found, reason = until_damage(data)
    assert found == []
    assert "a header of 8,589,934,592 bytes" in reason


def pax_header(body: bytes) -> bytes:
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(body)
    return info.tobuf(tarfile.USTAR_FORMAT) + body.ljust(-(-len(body) // 512) * 512, b"\0")


def test_headers_upon_headers_lose_nothing_that_was_before() -> None:
    """tarfile goes one level deeper for each, until Python stops it."""
    good = tar_of({"a.jpg": b"one"})[:1024]
    comment = b"13 comment=a\n"
    assert len(comment) == 13
    found, reason = until_damage(good + pax_header(comment) * 3000 + tar_of({"b.jpg": b"two"}))
    assert found == ["a.jpg"]
    assert "recursion" in reason
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type = tarfile.GNUTYPE_LONGNAME
    chain = long_name.tobuf(tarfile.GNU_FORMAT) * 3000
    assert until_damage(good + chain)[0] == ["a.jpg"]


def test_a_nul_ends_a_name() -> None:
    path = b"20 path=a.jpg\0b.txt\n"
    assert len(path) == 20
    assert bytes_in(pax_header(path) + tar_of({"x": b"one"})) == {"a.jpg": b"one"}
    nothing = b"9 path=\0\n"
    assert len(nothing) == 9
    data = pax_header(nothing) + tar_of({"x": b"one", "b.jpg": b"two"})
    assert bytes_in(data) == {"b.jpg": b"two"}


def test_a_size_below_zero_ends() -> None:
    """Else the next header is looked for in front of this one, for ever."""
    pax = b"14 size=-1536\n"
    assert len(pax) == 14
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(pax)
    inner = tarfile.TarInfo("a.jpg")
    data = (
        info.tobuf(tarfile.USTAR_FORMAT)
        + pax.ljust(512, b"\0")
        + inner.tobuf(tarfile.USTAR_FORMAT)
        + b"\0" * 1024
    )
    found, reason = until_damage(data)
    assert found == []
    assert reason


def test_bytes_are_read_from_disk_by_place(tmp_path: Path) -> None:
    data = tar_of({"a.jpg": b"one", "b.jpg": b"two"})
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    file = Address(str(path))
    places = [m.address for m in Tar(Stores()).members(file)]
    assert [str(place) for place in places] == [f"{path}#member=a.jpg", f"{path}#member=b.jpg"]
    assert [BytesOf().read(place, 100) for place in places] == [b"one", b"two"]
