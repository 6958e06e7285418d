"""What `lakesift info` says is wrong with a lake, of the model it was built with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer.embed.builtin import BuiltinEmbedder
from indexer.trust import remember
from service.snapshot.describe import describe
from tests.fakes import ColourEmbedder
from tests.lakes import RED, Desk


def described(tmp_path: Path, model: ColourEmbedder) -> dict[str, Any]:
    desk = Desk(tmp_path, model)
    desk.add("a.png", RED)
    desk.index()
    return describe(desk.lake)


def test_the_packaged_model_of_another_time_is_told(tmp_path: Path) -> None:
    model, ours = ColourEmbedder(), BuiltinEmbedder().fingerprint
    model.model_id = "builtin"
    model.fingerprint = {
        **ours,
        "name": "builtin@lakesift-0",
        "weights": "0123456789abcdef" * 4,
        "dim": 3,
    }
    assert described(tmp_path, model)["problems"] == [
        f"{tmp_path}/my.lake was built with builtin (name builtin@lakesift-0, weights 0123456789ab, dim 3), but this "
        f"is builtin (name {ours['name']}, weights {str(ours['weights'])[:12]}, dim 512); use the model it was built "
        "with, or make a new lake: `lakesift index --sources-of` takes its sources there, `lakesift filter copy "
        "--into` its filters and labels"
    ]


@pytest.mark.usefixtures("nothing_named")
def test_a_model_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    model = ColourEmbedder()
    model.model_id = f"builtin@{tmp_path}/my.model"
    remember("models", [model.model_id])
    (problem,) = described(tmp_path, model)["problems"]
    assert f"there is no folder {tmp_path}/my.model" in problem


def test_the_model_at_hand_is_no_problem_and_others_are_not_loaded(
    photo_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert describe(photo_lake)["problems"] == []
    monkeypatch.setattr("service.snapshot.describe.load_model_of", None)
    assert described(tmp_path, ColourEmbedder())["problems"] == []
