"""Snapshots: written whole, read back the same, numbered upwards;
and a lake of format 1 that must open for ever.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.disk import manifest as manifest_module
from indexer.disk.checks import FileCheck
from indexer.disk.layout import Layout
from indexer.disk.manifest import (
    Manifest,
    SegmentEntry,
    SkippedEntry,
    SourceEntry,
    TombstonesEntry,
    publish,
    read_manifest,
)
from indexer.errors import LakeDamaged, LakeError, LakeNotFound
from indexer.run.writing.commits import prepare_folder
from service import Lake
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import contents

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden-1.lake"
FILE = FileCheck(1234, "ab" * 32, ("cd" * 32, "ef" * 32))
MANIFEST = Manifest(
    model_id="colours",
    fingerprint={"name": "colours", "dim": 3},
    dim=3,
    next_row_id=41,
    sources=(SourceEntry("/photos"), SourceEntry("s3://bucket/a b", "/tables/frames.csv")),
    columns={"ward": "int64", "straße": "string"},
    segments=(
        SegmentEntry("01A", 30, {"rows.parquet": FILE, "vectors.faiss": FILE}, 17),
        SegmentEntry("01B", 10, {}),
    ),
    tombstones=(TombstonesEntry("01C", 4, ("01A", "01B"), FILE),),
    skipped=(SkippedEntry("01D", 2, FILE),),
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "my.lake")
    prepare_folder(layout)
    return layout


def signed(body: dict[str, Any]) -> bytes:
    """A manifest of any content, with the checksum that the README describes."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return json.dumps({**body, "checksum": hashlib.sha256(canonical.encode()).hexdigest()}).encode()


def test_a_manifest_comes_back_as_it_was_written(layout: Layout) -> None:
    published = publish(layout, MANIFEST)
    assert published == replace(
        MANIFEST, snapshot=1, created=published.created, made_by=published.made_by
    )
    assert read_manifest(layout) == (published, ())
    assert layout.manifest.read_bytes() == layout.snapshot(1).read_bytes()
    assert (published.live_rows, published.size_bytes) == (36, 4 * 1234)
    assert published.made_by.startswith("lakesift ")


def test_a_snapshot_is_numbered_one_above_any_file_present(layout: Layout) -> None:
    """Also above what a dead writer half wrote: a file is never written over."""
    first = publish(layout, MANIFEST)
    layout.snapshot(7).write_bytes(b"half")
    (layout.manifests / "notes.json").write_text("{}")
    assert publish(layout, first).snapshot == 8
    layout.snapshot(1_000_000).write_bytes(b"half")
    assert publish(layout, first).snapshot == 1_000_001
    assert layout.snapshot(7).read_bytes() == b"half"
    assert [path.stem for path in layout.snapshots()] == [
        "1000001",
        "1000000",
        "000008",
        "000007",
        "000001",
    ]


def test_the_youngest_whole_snapshot_stands_in_for_a_lost_manifest(layout: Layout) -> None:
    second = publish(layout, publish(layout, MANIFEST))
    layout.snapshot(3).write_bytes(second.to_json()[:-5])
    layout.manifest.unlink()
    manifest, problems = read_manifest(layout)
    assert manifest == second
    assert problems == (
        f"{layout.manifest} is damaged: it is missing; read 000002.json of manifests/ instead, "
        "the next `lakesift sync` repairs it",
    )


def test_what_is_no_lake_says_how_to_make_one(tmp_path: Path) -> None:
    photos, empty, nowhere = tmp_path / "photos", tmp_path / "empty", tmp_path / "nowhere"
    photos.mkdir()
    empty.mkdir()
    file = photos / "a.jpg"
    file.write_text("")
    ways_out = {
        empty: f"make one with: lakesift index PHOTOS --into {empty}",
        nowhere: f"make one with: lakesift index PHOTOS --into {nowhere}",
        photos: f"if it holds photos, make one of them with: lakesift index {photos} --into {photos}.lake",
        file: "it is a file, and a lake is a folder",
    }
    for folder, way_out in ways_out.items():
        with pytest.raises(LakeNotFound) as told:
            read_manifest(Layout(folder))
        assert str(told.value) == f"{folder} is not a lake (it has no manifest.json); {way_out}"


def test_a_manifest_that_cannot_be_opened_is_a_sentence(layout: Layout) -> None:
    layout.manifest.mkdir()
    with pytest.raises(LakeDamaged) as told:
        read_manifest(layout)
    assert str(told.value) == f"{layout.manifest} is damaged: it cannot be read (Is a directory)"


def test_a_later_format_asks_for_a_later_lakesift(layout: Layout) -> None:
    layout.manifest.write_bytes(signed({"format": 2, "anything": "else"}))
    with pytest.raises(LakeError) as told:
        read_manifest(layout)
    assert (
        str(told.value)
        == f"{layout.manifest} has format 2; this lakesift reads up to 1: update lakesift"
    )
    layout.manifest.write_bytes(
        layout.manifest.read_bytes().replace(b'"format": 2', b'"format": 3')
    )
    with pytest.raises(LakeDamaged, match="its checksum does not match its content"):
        read_manifest(layout)


@pytest.mark.parametrize(
    "data", [b"", b"[1]", b"{}", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_manifest_is_a_sentence(data: bytes) -> None:
    with pytest.raises(LakeDamaged) as told:
        Manifest.from_json(data, "m.json")
    assert (
        str(told.value)
        == "m.json is damaged: it is not a manifest (no JSON object with a checksum)"
    )


def test_tombstones_are_believed_while_they_speak_of_a_segment_in_service() -> None:
    assert MANIFEST.tombstones_beside([]) == MANIFEST.tombstones
    assert MANIFEST.tombstones_beside(["01A"]) == MANIFEST.tombstones
    assert MANIFEST.tombstones_beside(["01A", "01B", "01Z"]) == ()


def test_the_golden_lake_of_format_1_still_opens_and_answers(tmp_path: Path) -> None:
    """Made on 2026-11-24 by lakesift 0.1.0:
    `python -m tests.data.make_golden FOLDER`. It is never made again.

    Rows 1 red, 2 green and 3 yellow; 2 was moved into a second segment, 4 (black-blue) deleted; one
    file was skipped.
    """
    lake = tmp_path / "golden.lake"
    shutil.copytree(GOLDEN, lake)
    rows = contents(lake)
    assert {row_id: row.address.uri for row_id, row in rows.items()} == {
        1: "/photos/red.png",
        2: "/photos/moved/green.png",
        3: "/photos/yellow.png",
    }
    with Lake.open(lake, ColourEmbedder()) as opened:
        assert opened.problems == ()
        red, yellow, green = opened.search("red", k=None)
        assert [(hit.row_id, hit.z) for hit in (red, yellow, green)] == [
            (1, None),
            (3, None),
            (2, None),
        ]
        assert [red.score, yellow.score, green.score] == pytest.approx([1, 0.5**0.5, 0], abs=1e-3)
        assert (yellow.columns["ward"], green.columns["ward"], red.columns["caption"]) == (
            3.5,
            2.0,
            "a red wall",
        )
        assert (red.columns["width_px"], red.columns["height_px"], red.columns["format"]) == (
            8,
            6,
            "png",
        )
        assert [hit.row_id for hit in opened.search("red", where="ward > 3")] == [3]


def test_the_golden_lake_is_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 40_000


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dim": "512"}, "dim is not a whole number from 1"),
        ({"dim": 0}, "dim is not a whole number from 1"),
        ({"sources": {}}, "sources is not a list"),
        ({"sources": ["photos"]}, "sources is not a JSON object"),
        ({"columns": {"year": 2020}}, "columns.year is not a text"),
        ({"fingerprint": {"name": None}}, "fingerprint.name is neither a text nor a whole number"),
        ({"segments": [{"id": "a", "rows": "9"}]}, "segments.rows is not a whole number from 1"),
        ({"snapshot": None}, "snapshot is not a whole number from 0"),
        ({"created": 5}, "created is not a text"),
        ({"recomputing": [1]}, "recomputing is not a JSON object"),
    ],
)
def test_a_manifest_that_somebody_forged_with_a_true_checksum_is_one_sentence(
    change: dict[str, object], sentence: str
) -> None:
    body = json.loads(GOLDEN.joinpath("manifest.json").read_bytes()) | change
    del body["checksum"]
    forged = json.dumps({**body, "checksum": manifest_module._checksum(body)}).encode()
    with pytest.raises(LakeDamaged) as refused:
        Manifest.from_json(forged, "manifest.json")
    assert str(refused.value) == f"manifest.json is damaged: {sentence}"
