"""What a LeRobot set's description says, as its versions and other writers spell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import SourceError
from indexer.sources.recorded.inside import inside
from indexer.sources.recorded.lerobot.frame_rows import column_name
from indexer.sources.recorded.lerobot.info import Feature, Info, filled, is_lerobot

LEAST: dict[str, Any] = {
    "codebase_version": "v2.1",
    "fps": 30,
    "features": {"action": {"dtype": "float32", "shape": [2], "names": {"motors": ["a", "b"]}}},
    "data_path": "data/{episode_index:06d}.parquet",
}


def read(folder: Path, **changes: Any) -> Info:
    (folder / "meta").mkdir(exist_ok=True)
    (folder / "meta/info.json").write_text(json.dumps({**LEAST, **changes}))
    return Info.read(bytes(folder))


def test_a_set_without_videos_needs_no_path_of_them(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert (found.video_path, found.chunks_size, found.splits) == ("", 1_000, ())
    assert found.features == (Feature("action", "float32", ("a", "b")),)
    assert read(tmp_path, video_path=None).video_path == ""
    assert is_lerobot(bytes(tmp_path))


def test_an_episode_is_of_the_one_split_that_names_it(tmp_path: Path) -> None:
    found = read(tmp_path, splits={"train": "0:8", "val": "7:10", "odd": "all"})
    assert [found.split_of(n) for n in (0, 6, 7, 8, 9, 10)] == [
        "train", "train", None, "val", "val", None,
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["v1.6", "v4.0", "3.0", "v3"])
def test_another_version_is_no_set_that_is_known(tmp_path: Path, version: str) -> None:
    with pytest.raises(SourceError, match=f"its version is '{version}'; read are v2.0"):
        read(tmp_path, codebase_version=version)
    assert not is_lerobot(bytes(tmp_path))


def test_a_path_is_filled_in_and_runs_no_code() -> None:
    template = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index}.mp4"
    assert filled(template, video_key="top", chunk_index=7, file_index=1_000) == (
        "videos/top/chunk-007/file-1000.mp4"
    )
    # what is no such field stays as it is, and names no attribute
    assert filled("{chunk_index.__class__}", chunk_index=7) == "{chunk_index.__class__}"
    with pytest.raises(ValueError, match="unknown field secret"):
        filled("{secret}", chunk_index=7)


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "", "a\0b"])
def test_no_name_leads_out_of_the_set(name: str) -> None:
    assert inside(b"/data/set", name) is None


def test_a_name_below_the_set_is_its_path() -> None:
    assert inside(b"/data/set", "a/b..c.png") == b"/data/set/a/b..c.png"


@pytest.mark.parametrize(
    ("feature", "column"),
    [
        ("observation.state", "observation_state"),
        ("next.done", "next_done"),
        ("camera", "own_camera"),
        ("uri", "own_uri"),
        ("...", "feature"),
    ],
)
def test_a_feature_is_a_column_beside_ours(feature: str, column: str) -> None:
    assert column_name(feature) == column
