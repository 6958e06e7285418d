"""Containers and photos in a bucket that is busy, hangs up, or gives half of what it is asked for:
asked again where that may pass, else a skip for this run; never another image, and no row lost.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.address import Address
from indexer.errors import UnreadableImage
from indexer.images import hash_bytes
from indexer.sources.bytes_of import BytesOf
from tests.fakes import ColourEmbedder
from tests.indexer.sources.containers.test_tar import tar_of
from tests.indexer.sources.faulty import KINDS, Faults, faulty
from tests.indexer.test_tables_and_zips import hugging_face, image, zipped
from tests.lakes import Desk, live_rows, live_rows_by_address

# place in the bucket -> the number of its image
PLACES = {
    "0.tar#member=a.png": 0,
    "0.tar#member=b.png": 1,
    "d.zip#member=c.png": 2,
    "s.zip#member=d.png": 3,
    "t.parquet#member=image&row=0/0": 4,
    "t.parquet#member=image&row=0/1": 5,
    "t.parquet#member=image&row=1/0": 6,
    "x.png": 7,
}


@pytest.fixture
def filled(bucket: tuple[str, Any], tmp_path: Path) -> str:
    name, fs = bucket
    hugging_face(tmp_path / "t.parquet", 3, row_group_size=2, first=4)
    files = {
        "0.tar": tar_of({"a.png": image(0), "a.txt": b"the first", "b.png": image(1)}),
        "d.zip": zipped({"c.png": image(2)}, zipfile.ZIP_DEFLATED),
        "s.zip": zipped({"d.png": image(3)}),
        "t.parquet": (tmp_path / "t.parquet").read_bytes(),
        "x.png": image(7),
    }
    for each, data in files.items():
        fs.pipe(f"{name}/{each}", data)
    return f"s3://{name}/"


@pytest.fixture
def network(s3_server: str, filled: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    monkeypatch.setattr("indexer.sources.store._PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 2)
    with faulty(s3_server) as faults:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faults.url)
        # an open file system is kept by its options, and would go on to ask the server itself
        monkeypatch.setattr("s3fs.S3FileSystem.cachable", False)
        yield faults
        faults.none()


def check(desk: Desk, prefix: str) -> None:
    """Every image is in the lake under its own place, with its own bytes and vector."""
    found = live_rows_by_address(desk.lake)
    assert {str(a).removeprefix(prefix): row["size_bytes"] for a, row in found.items()} == {
        place: len(image(number)) for place, number in PLACES.items()
    }
    for address, row in found.items():
        number = PLACES[str(address).removeprefix(prefix)]
        assert BytesOf().read(address, 10_000) == image(number)
        assert row["sha256"] == hash_bytes(image(number))
    assert live_rows(desk.lake)[f"{prefix}0.tar#member=a.png"]["caption"] == "the first"


@pytest.mark.parametrize("kind", KINDS)
def test_what_fails_once_is_asked_again(
    tmp_path: Path, filled: str, network: Faults, kind: str
) -> None:
    desk = Desk(tmp_path, ColourEmbedder())
    network.each_once(kind)
    report = desk.index(filled)
    assert len(network.met) >= 10
    assert report.problems == []
    if kind == "short":
        # S3 may also have another object by now than was listed: that is for the next sync to see
        assert desk.skipped() == {
            f"{filled}x.png": f"the store gave {len(image(7)) // 2} bytes of it where "
            f"{len(image(7))} were listed"
        }
        assert desk.sync().new == 1
    network.none()
    check(desk, filled)


@pytest.mark.parametrize("kind", ["cut", "short"])
def test_what_fails_for_a_run_is_told_and_done_by_the_next(
    tmp_path: Path, filled: str, network: Faults, kind: str
) -> None:
    desk = Desk(tmp_path, ColourEmbedder())
    network.reads(kind)
    report = desk.index(filled)
    assert (report.new, report.skipped) == (0, 1)
    told = {text.removeprefix(filled).partition(":")[0] for text in report.problems}
    assert {"0.tar", "d.zip", "s.zip", "t.parquet"} <= told
    assert not [text for text in report.problems if "no zip" in text or "no tar" in text]
    network.none()
    assert desk.sync().new == 8
    check(desk, filled)
    # and what is in the lake stays, whatever becomes of the next listing
    network.reads(kind)
    assert desk.idle_sync().rows == 8
    check_rows = {str(address) for address in live_rows_by_address(desk.lake)}
    assert check_rows == {f"{filled}{place}" for place in PLACES}


@pytest.mark.parametrize("place", ["d.zip", "s.zip"])
def test_a_zip_whose_directory_cannot_be_read_just_now_may_be_read_later(
    filled: str, network: Faults, place: str
) -> None:
    member = Address(f"{filled}{place}", member="c.png" if place == "d.zip" else "d.png")
    network.reads("short")
    with pytest.raises(UnreadableImage, match="the store gave") as caught:
        BytesOf().read(member, 10_000)
    assert caught.value.transient
