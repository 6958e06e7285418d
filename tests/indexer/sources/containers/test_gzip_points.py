"""A gzip read from the middle: every place of it, whatever its blocks are, and all its damage."""

from __future__ import annotations

import gzip
import io
import random
from functools import cache

import pytest

from indexer.sources.containers import DamagedContainer
from indexer.sources.containers.packed import gzip_points
from indexer.sources.containers.packed.gzip_points import Ends, find_points, unpack
from indexer.sources.containers.packed.pieces import Pieces, Point, Unpackable
from indexer.sources.containers.packed.scan import Scan


@pytest.fixture(autouse=True)
def close_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points for small data."""
    monkeypatch.setattr(gzip_points, "_SPACING_BYTES", 1 << 16)


@cache
def data() -> bytes:
    """Blocks of codes of their own, of fixed codes and stored ones by turns."""
    rng = random.Random(1)
    parts = []
    for _ in range(30):
        parts += [
            bytes(rng.choices(b"abcdefghijk", range(1, 12), k=100_000)),
            rng.randbytes(50_000),
        ]
    return b"".join(parts)


def scan(packed: bytes) -> Scan:
    return find_points(io.BytesIO(packed), len(packed))


def pieces(packed: bytes) -> Pieces:
    found = scan(packed)

    def read(at: int, length: int) -> bytes:
        return packed[at : at + length]

    return Pieces(found.points, len(packed), found.unpacked_bytes, unpack, read)


def damage(packed: bytes) -> str | None:
    """What is told of a whole reading."""
    ends, whole = Ends(), pieces(packed)
    with whole.opened(ends.see) as opened:
        while opened.read(1 << 20):
            pass
    ends.finish()
    return scan(packed).damage or ends.damage


def test_points_begin_at_any_bit_and_all_that_is_read_is_right() -> None:
    packed = gzip.compress(data(), 6, mtime=0)
    whole = pieces(packed)
    assert {point.bits for point in whole.points} == set(range(8))
    assert whole.points[0] == Point(0, 0)
    assert len(whole.points) > 40
    assert whole.at(0, len(data())) == data()
    rng = random.Random(2)
    for _ in range(100):
        offset, length = rng.randrange(len(data())), rng.randrange(200_000)
        assert whole.at(offset, length) == data()[offset : offset + length]
    assert whole.at(len(data()) - 3, 9) == data()[-3:]
    assert whole.at(len(data()), 1) == b""
    assert damage(packed) is None


@pytest.mark.parametrize("stream_bytes", [1_000, 65_280, 1_000_000])
def test_streams_one_behind_the_other_are_one(stream_bytes: int) -> None:
    """As bgzip and pigz write them, and with zeros behind, as on tapes."""
    few = data()[: 100 * stream_bytes]
    parts = [few[at : at + stream_bytes] for at in range(0, len(few), stream_bytes)]
    packed = b"".join(gzip.compress(part, 1, mtime=0) for part in parts) + bytes(1_000)
    whole = pieces(packed)
    assert whole.size_bytes == len(few)
    assert whole.at(0, len(few)) == few
    assert all(
        later.unpacked - point.unpacked >= 1 << 15
        for point, later in zip(whole.points, whole.points[1:], strict=False)
    ), "a request for each of many small streams would take for ever in a bucket"
    assert damage(packed) is None


def test_stored_and_empty_ones() -> None:
    stored = gzip.compress(data(), 0, mtime=0)
    assert pieces(stored).at(0, len(data())) == data()
    assert damage(stored) is None
    assert scan(gzip.compress(b"", mtime=0)) == Scan([], 0)
    assert scan(gzip.compress(b"x", mtime=0)) == Scan([Point(0, 0)], 1)


def test_damage_is_told() -> None:
    packed = gzip.compress(data(), 6, mtime=0)
    checksum = "its bytes are not those that were packed (the checksum of its gzip)"
    flipped = bytearray(gzip.compress(data(), 0, mtime=0))
    flipped[1_000_000] ^= 1
    assert damage(bytes(flipped)) == checksum
    assert damage(packed[:-8] + bytes(8)) == checksum
    cut = packed[: len(packed) // 2]
    assert damage(cut) == "its gzip is cut short"
    read = pieces(cut)
    assert 0 < read.size_bytes < len(data())
    assert read.at(0, len(data())) == data()[: read.size_bytes]
    for nothing in (b"", b"\x1f", b"BZh9", b"a tar"):
        assert scan(nothing) == Scan([], 0, "it is no gzip")
    broken = scan(b"\x1f\x8b" + b"rubbish" * 100)
    assert (broken.points, broken.unpacked_bytes) == ([], 0)
    assert str(broken.damage).startswith("its gzip is damaged or cut short (")


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.sources.containers.packed.scan._SMALL_BYTES", 1 << 20)
    bomb = gzip.compress(bytes(10 << 20))
    assert len(bomb) < 20_000
    with pytest.raises(
        DamagedContainer, match=r"it holds more than 100 times its size, as no tar of"
    ):
        scan(bomb)


@pytest.mark.parametrize(
    "points",
    [
        [],
        [Point(0, 11)],
        [Point(5, 0, 9)],
        [Point(5, 0, 3), Point(3, 4)],
        [Point(0, 0), Point(10_000, 10)],
        [Point(0, 0), Point(4, 2**40)],
        [Point(-9, 0, 1)],
        [Point(20, 0, 3, b"x" * 40_000)],
    ],
)
def test_points_that_make_no_sense_give_nothing_away(points: list[Point]) -> None:
    """As in a lake that somebody made up."""
    packed = gzip.compress(data()[:1_000], mtime=0)

    def read(at: int, length: int) -> bytes:
        return packed[at : at + length]

    with pytest.raises(Unpackable):
        Pieces(points, len(packed), 2**41, unpack, read).at(0, 10)
