"""Recordings as `mcap` and `rosbags` write them, and as a robot that lost its power leaves them:
which images are found, where, and what their bytes are.
"""

from __future__ import annotations

import base64
import io
import sqlite3
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from mcap.writer import CompressionType
from PIL import Image
from rosbags.rosbag1 import Writer as BagWriter
from rosbags.rosbag2 import StoragePlugin

from indexer.address import Address
from indexer.errors import UnreadableImage
from indexer.sources.bytes_of import BytesOf
from indexer.sources.containers import DamagedContainer, Member
from indexer.sources.containers.kinds import kind_of
from indexer.sources.containers.robot.packing import MAX_CHUNK_BYTES, unpack
from tests.indexer.recordings import (
    CAMERA,
    RAW,
    START_NS,
    Sent,
    bag_of,
    foxglove_json,
    foxglove_mcap_of,
    mcap_of,
    photo,
    raw,
    ros2_bag_of,
    text,
)
from tests.lakes import BLUE, GREEN, RED, png, write

START_US = START_NS // 1_000
MOST = 1_000_000
# Two rows of two pixels, blue first: (1, 2, 3) is written as 3, 2, 1.
BGR = np.arange(1, 13, dtype=np.uint8).reshape(2, 2, 3)
BGR_AS_PNM = b"P6\n2 2\n255\n\x03\x02\x01\x06\x05\x04\x09\x08\x07\x0c\x0b\x0a"
SENT = [
    photo(0, png(RED)),
    text(5),
    photo(1_000_000, png(GREEN)),
    photo(1_000_999, png(BLUE)),  # in the same microsecond as the one before
    raw(2_000_000, BGR, "bgr8", padding=3),
]
# (stream, microseconds, member) -> the bytes of the image
FOUND = {
    (CAMERA, START_US, None): png(RED),
    (CAMERA, START_US + 1_000, None): png(GREEN),
    (CAMERA, START_US + 1_000, "2"): png(BLUE),
    (RAW, START_US + 2_000, None): BGR_AS_PNM,
}


def listed(path: Path) -> tuple[list[Member], str | None]:
    """What a recording lists, and what it says is lost."""
    kind = kind_of(str(path))
    assert kind is not None
    members: list[Member] = []
    try:
        members.extend(BytesOf().containers.of(kind).members(Address(str(path))))
    except DamagedContainer as error:
        return members, str(error)
    return members, None


def read(path: Path) -> dict[tuple[str | None, int | None, str | None], bytes]:
    """Every image by its moment, read by a reader that did not list it."""
    reader, found = BytesOf(), {}
    # from the last to the first: no chunk helps the next
    for member in reversed(listed(path)[0]):
        place = member.address
        data = reader.read(place, MOST)
        assert len(data) == member.size_bytes
        found[place.stream, place.time_us, place.member] = data
    return found


@pytest.mark.parametrize("compression", CompressionType)
@pytest.mark.parametrize("is_ros1", [False, True])
@pytest.mark.parametrize("chunk_size", [150, 1 << 20])
def test_mcaps(
    tmp_path: Path, compression: CompressionType, is_ros1: bool, chunk_size: int
) -> None:
    data = mcap_of(SENT, compression, is_ros1=is_ros1, chunk_size=chunk_size)
    path = write(tmp_path / "a.mcap", data)
    assert listed(path)[1] is None
    assert read(path) == FOUND


@pytest.mark.parametrize(
    "options",
    [
        {"use_chunking": False},
        {"repeat_channels": False, "repeat_schemas": False},
        {"use_statistics": False, "use_summary_offsets": False, "chunk_size": 1},
    ],
)
def test_mcaps_without_chunks_or_summary(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write(tmp_path / "a.mcap", mcap_of(SENT, **options))
    assert listed(path)[1] is None
    assert read(path) == FOUND


@pytest.mark.parametrize("compression", [None, *BagWriter.CompressionFormat])
@pytest.mark.parametrize("chunk_bytes", [150, 1 << 20])
def test_bags_of_ros_1(
    tmp_path: Path, compression: BagWriter.CompressionFormat | None, chunk_bytes: int
) -> None:
    path = bag_of(tmp_path / "a.bag", SENT, compression, chunk_bytes)
    assert listed(path)[1] is None
    assert read(path) == FOUND


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("packs_messages", [False, True])
def test_bags_of_ros_2(tmp_path: Path, storage: StoragePlugin, packs_messages: bool) -> None:
    path = ros2_bag_of(tmp_path / "bag", SENT, storage, packs_messages=packs_messages)
    assert listed(path)[1] is None
    assert read(path) == FOUND


def test_an_image_says_its_topic_its_time_and_its_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mcap", mcap_of([photo(1_500_000_000, png(RED))]))
    [member], _ = listed(path)
    kind = kind_of("a.mcap")
    assert kind is not None
    columns = BytesOf().containers.of(kind).columns(member.address, member.sidecars)
    assert {name: str(value) for name, value in columns.items()} == {
        "topic": CAMERA,
        "log_time": "2023-11-14 22:13:21.500000",
        "frame_id": "front",
    }
    assert str(member.address) == f"{path}#stream={CAMERA}&t=1700000001.500000"
    assert Address.of(member.address.columns()) == member.address


DEPTH = np.array([[[1, 0], [2, 1]]], np.uint8)  # 1 and 258 mm, lower byte first


@pytest.mark.parametrize(
    ("pixels", "encoding", "is_bigendian", "expected"),
    [
        (BGR, "rgb8", 0, b"P6\n2 2\n255\n" + BGR.tobytes()),
        (BGR, "8UC3", 1, BGR_AS_PNM),
        (BGR[:, :, :1], "mono8", 0, b"P5\n2 2\n255\n\x01\x04\x07\x0a"),
        (BGR[:, :, :1], "8UC1", 0, b"P5\n2 2\n255\n\x01\x04\x07\x0a"),
        (DEPTH, "16UC1", 0, b"P5\n2 1\n65535\n\x00\x01\x01\x02"),
        (DEPTH, "mono16", 1, b"P5\n2 1\n65535\n\x01\x00\x02\x01"),
        (
            np.arange(8, dtype=np.uint8).reshape(1, 2, 4),
            "bgra8",
            0,
            b"P6\n2 1\n255\n\x02\x01\x00\x06\x05\x04",
        ),
        (
            np.arange(8, dtype=np.uint8).reshape(1, 2, 4),
            "rgba8",
            0,
            b"P6\n2 1\n255\n\x00\x01\x02\x04\x05\x06",
        ),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_raw_images_are_written_as_pnm(
    tmp_path: Path,
    pixels: np.ndarray[Any, Any],
    encoding: str,
    is_bigendian: int,
    expected: bytes,
    padding: int,
) -> None:
    sent = raw(0, pixels, encoding, padding=padding, is_bigendian=is_bigendian)
    path = write(tmp_path / "a.mcap", mcap_of([sent]))
    assert read(path) == {(RAW, START_US, None): expected}
    with Image.open(io.BytesIO(expected)) as image:
        image.load()


def changed(sent: Sent, **fields: Any) -> Sent:
    return sent._replace(fields=sent.fields | fields)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (
            raw(0, BGR, "bayer_rggb8"),
            "its encoding 'bayer_rggb8' is a Bayer mosaic; read are mono8",
        ),
        (raw(0, BGR, "32FC1"), "its encoding '32FC1' is not read; read are mono8, 8UC1"),
        (changed(raw(0, BGR, "rgb8"), height=0), "it is 2 x 0 pixels large"),
        (
            changed(raw(0, BGR, "rgb8"), height=2**31),
            "2 x 2147483648 pixels of rgb8 do not fit into its 12 bytes (step 6)",
        ),
        (
            changed(raw(0, BGR, "rgb8"), step=5),
            "2 x 2 pixels of rgb8 do not fit into its 12 bytes (step 5)",
        ),
        (photo(0, b"\0\0\0\1x", kind="h264"), "it is a piece of a video (h264), and no image"),
        (photo(0, b""), "there are no bytes of an image in it"),
        (
            photo(0, b"\0" * 30, kind="16UC1; compressedDepth rvl"),
            "its depth is not kept as PNG (16UC1; compressedDepth rvl)",
        ),
    ],
)
def test_what_is_no_image_is_refused_by_name(tmp_path: Path, sent: Sent, why: str) -> None:
    path = write(tmp_path / "a.mcap", mcap_of([sent, photo(9_000, png(RED), "/other")]))
    members, damage = listed(path)
    assert damage is None
    assert [member.refused is None for member in members] == [False, True]
    assert (members[0].refused or "").startswith(why)
    with pytest.raises(UnreadableImage) as caught:
        BytesOf().read(members[0].address, MOST)
    assert caught.value.reason == members[0].refused


def test_a_compressed_depth_picture_is_the_png_in_it(tmp_path: Path) -> None:
    sent = photo(0, b"\0" * 12 + png(RED), kind="16UC1; compressedDepth png")
    path = write(tmp_path / "a.mcap", mcap_of([sent]))
    assert read(path) == {(CAMERA, START_US, None): png(RED)}


def protobuf(data: bytes) -> bytes:
    """timestamp {seconds: 5}, data, format "png", frame_id "front", and a field nobody knows."""
    size = bytes([len(data) & 127 | 128, len(data) >> 7])
    return b"\x0a\x02\x08\x05" + b"\x12" + size + data + b"\x1a\x03png\x22\x05front\x78\x01"


def test_foxglove_images_as_protobuf_and_json(tmp_path: Path) -> None:
    path = write(tmp_path / "p.mcap", foxglove_mcap_of([protobuf(png(RED))], "protobuf"))
    assert read(path) == {(CAMERA, START_US, None): png(RED)}
    assert listed(path)[0][0].sidecars == ('{"frame_id": "front"}',)
    text = base64.b64encode(png(RED)).decode()
    path = write(tmp_path / "j.mcap", foxglove_mcap_of([foxglove_json(text)], "json"))
    assert read(path) == {(CAMERA, START_US, None): png(RED)}


@pytest.mark.parametrize(
    ("message", "encoding"),
    [
        (protobuf(png(RED))[:-20], "protobuf"),
        (b"\xff" * 40, "protobuf"),
        (b"{", "json"),
        (b"[1]", "json"),
        (b'{"data": 3}', "json"),
        (foxglove_json("%%%"), "json"),
        (b"", "cdr"),
    ],
)
def test_messages_that_make_no_sense_are_refused(
    tmp_path: Path, message: bytes, encoding: str
) -> None:
    [member], damage = listed(write(tmp_path / "a.mcap", foxglove_mcap_of([message], encoding)))
    assert damage is None
    assert member.refused is not None


# -- damaged


DATA_END = b"\x0f\x04" + bytes(7)  # behind it stand no messages


def test_a_recording_that_is_cut_short_gives_what_is_whole_before(tmp_path: Path) -> None:
    """Wherever it is cut: the images before are all there, and that some are lost is said."""
    path = tmp_path / "a.mcap"
    for compression in (CompressionType.NONE, CompressionType.LZ4):
        data = mcap_of(SENT, compression, chunk_size=150)
        seen = set()
        for end in range(0, data.index(DATA_END), 7):
            write(path, data[:end])
            members, damage = listed(path)
            assert damage is not None
            seen.add(len(members))
            assert read(path) == dict(list(FOUND.items())[: len(members)])
        assert seen == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("compression", [None, *BagWriter.CompressionFormat])
def test_a_bag_that_was_not_closed_or_is_cut_short(
    tmp_path: Path, compression: BagWriter.CompressionFormat | None
) -> None:
    whole = bag_of(tmp_path / "w.bag", SENT, compression, 150).read_bytes()
    [index] = struct.unpack_from("<Q", whole, whole.index(b"index_pos=") + 10)
    unclosed = whole[:index].replace(
        b"index_pos=" + struct.pack("<Q", index), b"index_pos=" + bytes(8)
    )
    path = write(tmp_path / "a.bag.active", unclosed)
    assert listed(path)[1] == f"it was not closed: it ends at byte {index:,} without an index"
    assert read(path) == FOUND
    seen = set()
    for end in range(0, index, 13):
        members, damage = listed(write(path, unclosed[:end]))
        assert damage is not None
        seen.add(len(members))
        assert read(path) == dict(list(FOUND.items())[: len(members)])
    assert seen == {0, 1, 2, 3, 4}


def test_a_damaged_chunk_costs_itself_alone(tmp_path: Path) -> None:
    data = bytearray(mcap_of(SENT, CompressionType.NONE, chunk_size=150))
    place = data.index(png(RED)) + 60  # in the first chunk, which tells the topic, too
    data[place] ^= 1
    path = write(tmp_path / "a.mcap", bytes(data))
    assert listed(path)[1] == (
        "the record at byte 46 is damaged (its bytes are not those that were written (checksum))"
    )
    expected = dict(FOUND)
    del expected[CAMERA, START_US, None]
    assert read(path) == expected


@pytest.mark.parametrize("suffix", ["mcap", "bag"])
@pytest.mark.parametrize("where", ["kind", "length"])
def test_what_comes_behind_a_broken_record_is_found_by_the_index(
    tmp_path: Path, suffix: str, where: str
) -> None:
    """The head of the first chunk makes no sense: nothing but the index tells where the next is."""
    if suffix == "mcap":
        data = bytearray(mcap_of(SENT, CompressionType.NONE, chunk_size=150))
        head, broken = 46, {"kind": (46, b"\0"), "length": (47, b"\xff" * 7)}
    else:
        data = bytearray(bag_of(tmp_path / "w.bag", SENT, None, 150).read_bytes())
        head = 4109
        broken = {"kind": (head, b"\xff" * 4), "length": (head + 3, b"\x70")}
    place, fault = broken[where]
    data[place : place + len(fault)] = fault
    path = write(tmp_path / f"a.{suffix}", bytes(data))
    members, damage = listed(path)
    assert (damage or "").startswith(f"it is damaged: no record can be read at byte {head:,} (")
    assert read(path) == dict(list(FOUND.items())[1:])
    assert len(members) == 3


@pytest.mark.parametrize("suffix", ["mcap", "bag", "db3"])
@pytest.mark.parametrize("data", [b"", b"rubbish" * 900])
def test_what_is_no_recording_says_so(tmp_path: Path, suffix: str, data: bytes) -> None:
    members, damage = listed(write(tmp_path / f"a.{suffix}", data))
    assert members == []
    assert damage is not None or (suffix, data) == ("db3", b"")


def test_a_database_of_something_else_has_no_images(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db3") as rows:
        rows.execute("CREATE TABLE topics (x)")
    rows.close()
    assert listed(tmp_path / "a.db3") == ([], None)


def test_a_database_with_a_log_beside_it_says_what_is_lost(tmp_path: Path) -> None:
    path = ros2_bag_of(tmp_path / "bag", SENT)
    path.with_name(path.name + "-wal").write_bytes(b"something")
    members, damage = listed(path)
    assert len(members) == 4
    assert damage is not None and damage.startswith("it was not closed")


@pytest.mark.parametrize(
    "fault",
    [
        lambda data: data[:100] + bytes(50) + data[150:],
        lambda data: data.replace(b"sensor_msgs", b"sensor\xffmsgs"),
        lambda data: data.replace(b"cdr", b"xyz"),
        lambda data: data[:47] + b"\xff" * 8 + data[55:],
        lambda data: data[:87] + b"\xff" * 8 + data[95:],  # the length of what is in a chunk
    ],
)
def test_any_damage_is_a_sentence(tmp_path: Path, fault: Callable[[bytes], bytes]) -> None:
    data = fault(mcap_of(SENT, CompressionType.NONE, chunk_size=150))
    members, damage = listed(write(tmp_path / "a.mcap", data))
    assert damage or any(member.refused for member in members)


def test_no_byte_of_a_recording_can_end_a_listing_but_by_a_sentence(tmp_path: Path) -> None:
    recordings = {
        "a.mcap": mcap_of(SENT, CompressionType.NONE, chunk_size=150),
        "b.bag": bag_of(tmp_path / "w.bag", SENT, None, 150).read_bytes(),
        "c.db3": ros2_bag_of(tmp_path / "bag", SENT).read_bytes(),
    }
    random = np.random.default_rng(0)
    for name, data in recordings.items():
        for _ in range(60):
            broken = bytearray(data)
            for place in random.integers(0, len(data), 3):
                broken[place] = random.integers(0, 256)
            path = write(tmp_path / name, bytes(broken))
            for member in listed(path)[0]:
                with suppress(UnreadableImage):
                    BytesOf().read(member.address, MOST)


# -- bombs


def test_a_chunk_that_is_larger_than_it_says_is_not_unpacked() -> None:
    packed = zstandard.ZstdCompressor().compress(bytes(10_000_000))
    with pytest.raises(ValueError, match=r"larger than the 1,000 bytes"):
        unpack(packed, "zstd", 1_000)
    with pytest.raises(ValueError, match=r"at most 536,870,912 are read"):
        unpack(packed, "zstd", MAX_CHUNK_BYTES + 1)
    with pytest.raises(ValueError, match=r"its compression 'lzma' is not read"):
        unpack(packed, "lzma", 10)


# -- by address


def test_a_recording_that_was_written_anew_says_that_its_message_vanished(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mcap", mcap_of([photo(0, png(RED))]))
    [member], _ = listed(path)
    reader = BytesOf()
    assert reader.read(member.address, MOST) == png(RED)
    write(path, mcap_of([photo(5_000, png(RED))]), 1_600_000_009)
    with pytest.raises(UnreadableImage, match=r"vanished: its recording has another message"):
        reader.read(member.address, MOST)
    path.unlink()
    with pytest.raises(UnreadableImage, match=r": it is not there$"):
        reader.read(member.address, MOST)


def test_an_address_that_somebody_made_up_is_refused(tmp_path: Path) -> None:
    mcap = write(tmp_path / "a.mcap", mcap_of(SENT))
    bag = bag_of(tmp_path / "a.bag", SENT)
    database = ros2_bag_of(tmp_path / "bag", SENT)
    for path in (mcap, bag, database):
        for chunk, place in ((None, None), (46, 3), (47, 0), (2**62, 2**62), (None, 2**62), (9, 0)):
            moment = Address(
                str(path), row_group=chunk, row_index=place, stream=CAMERA, time_us=START_US
            )
            with pytest.raises(UnreadableImage):
                BytesOf().read(moment, MOST)


def test_an_image_over_the_cap_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mcap", mcap_of([photo(0, png(RED))]))
    [member], _ = listed(path)
    with pytest.raises(UnreadableImage, match=r"over the cap"):
        BytesOf().read(member.address, 50)
