"""Model folders written and read back: whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.embed.builtin import BuiltinEmbedder
from indexer.errors import BadRequest, ModelUnavailable
from tests.tiny_model import DIM, tiny_model, tokenizer
from training.model_files import read_arrays, write_model_folder


def test_a_folder_holds_the_model_and_its_documents(tmp_path: Path) -> None:
    write_model_folder(
        tmp_path / "my.model", tiny_model(), {"MODEL_CARD.md": "# Größe\n", "LICENSE": "free"}
    )
    names = ["LICENSE", "MODEL_CARD.md", "image.onnx", "model.json", "text.onnx", "tokenizer.json"]
    assert sorted(path.name for path in (tmp_path / "my.model").iterdir()) == names
    assert (tmp_path / "my.model" / "MODEL_CARD.md").read_text(encoding="utf-8") == "# Größe\n"
    facts = json.loads((tmp_path / "my.model" / "model.json").read_text())
    assert {key: facts[key] for key in ("format", "name", "dim", "side_px", "most_tokens")} == {
        "format": 1,
        "name": "tiny",
        "dim": DIM,
        "side_px": 32,
        "most_tokens": 12,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["my.model"]  # nothing half-made beside it


def test_what_is_read_back_and_written_again_gives_the_same_vectors(tmp_path: Path) -> None:
    write_model_folder(tmp_path / "first", tiny_model())
    arrays = read_arrays(tmp_path / "first")
    assert (arrays.name, arrays.most_tokens, arrays.tokenizer) == ("tiny", 12, tokenizer())
    write_model_folder(tmp_path / "second", arrays)
    first, second = BuiltinEmbedder(tmp_path / "first"), BuiltinEmbedder(tmp_path / "second")
    image = np.random.default_rng(2).integers(0, 256, (32, 32, 3), np.uint8)
    assert np.abs(first.embed_images([image]) - second.embed_images([image])).max() < 1e-5
    assert np.abs(first.embed_texts(["a red cat"]) - second.embed_texts(["a red cat"])).max() < 1e-5


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_model_folder(tmp_path / name, tiny_model())
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("first", "second")
    )
    assert first == second


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "my.model").mkdir()
    write_model_folder(tmp_path / "my.model", tiny_model())  # an empty one is filled
    with pytest.raises(BadRequest) as error:
        write_model_folder(tmp_path / "my.model", tiny_model())
    assert (
        str(error.value)
        == f"out: {tmp_path}/my.model is there already; name another, or move it away"
    )
    with pytest.raises(
        BadRequest, match=r"no/my\.model cannot be written \(No such file or directory\)"
    ):
        write_model_folder(tmp_path / "no" / "my.model", tiny_model())
    assert [path.name for path in tmp_path.iterdir()] == ["my.model"]


def test_towers_that_do_not_meet_are_refused(tmp_path: Path) -> None:
    model = tiny_model()
    headless = replace(model, text=replace(model.text, head=None))
    with pytest.raises(ValueError, match="both towers need a head, of one width"):
        write_model_folder(tmp_path / "my.model", headless)


def test_towers_of_others_cannot_be_trained_on(tmp_path: Path) -> None:
    from hashlib import sha256

    folder = tmp_path / "my.model"
    write_model_folder(folder, tiny_model())
    facts = json.loads((folder / "model.json").read_text())
    (folder / "image.onnx").write_bytes(b"theirs")
    facts["files"]["image.onnx"] = sha256(b"theirs").hexdigest()
    (folder / "model.json").write_text(json.dumps(facts))
    with pytest.raises(ModelUnavailable) as error:
        read_arrays(folder)
    assert str(error.value) == (
        f"model builtin@{folder}: {folder}/image.onnx cannot be trained on "
        "(it is not an ONNX model that lakesift made); `lakesift train` writes one"
    )
