"""Model folders: what each damage is told as."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.embed.model_folder import FILES, ModelFolder
from indexer.errors import ModelUnavailable

WAY_OUT = "`lakesift train` writes one"
CONTENTS = {"image.onnx": b"images", "text.onnx": b"texts", "tokenizer.json": b"{}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "my.model"
    path.mkdir()
    for name, content in CONTENTS.items():
        (path / name).write_bytes(content)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    facts = {
        "format": 1,
        "name": "mine",
        "dim": 512,
        "side_px": 260,
        "most_tokens": 64,
        "files": files,
    }
    (path / "model.json").write_text(json.dumps(facts))
    return path


def describe(folder: Path, **changes: Any) -> None:
    facts = json.loads((folder / "model.json").read_text()) | changes
    (folder / "model.json").write_text(
        json.dumps({key: fact for key, fact in facts.items() if fact is not None})
    )


def opened(path: Path) -> ModelFolder:
    return ModelFolder.open(path, f"builtin@{path}", WAY_OUT)


def refusal(path: Path) -> str:
    """What opening says, with the folder's path as FOLDER."""
    with pytest.raises(ModelUnavailable) as error:
        opened(path)
    return str(error.value).replace(str(path), "FOLDER")


def test_a_folder_is_described_and_read(folder: Path) -> None:
    model = opened(folder)
    assert (model.name, model.dim, model.side_px, model.most_tokens) == ("mine", 512, 260, 64)
    assert {file: model.read(file) for file in FILES} == CONTENTS


def test_the_fingerprint_is_of_the_content(folder: Path, tmp_path: Path) -> None:
    fingerprint = opened(folder).fingerprint
    parts = [
        "format 1",
        "most_tokens 64",
        *(f"{file} {hashlib.sha256(CONTENTS[file]).hexdigest()}" for file in FILES),
    ]
    assert fingerprint == {
        "name": "builtin@mine",
        "weights": hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        "preprocessing": "shortest side 260 bicubic, centre 260x260, RGB, (x - 127) / 128",
        "dim": 512,
        "precision": "int8 weights, fp32 arithmetic",
    }
    moved = folder.rename(tmp_path / "moved.model")
    describe(moved, written="today")  # facts that this version does not know change nothing
    assert opened(moved).fingerprint == fingerprint
    describe(moved, most_tokens=32)
    assert opened(moved).fingerprint["weights"] != fingerprint["weights"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda folder: (folder / "model.json").unlink(),
            "FOLDER is no model folder, there is no model.json in it; `lakesift train` writes one",
        ),
        (
            lambda folder: (folder / "text.onnx").unlink(),
            "FOLDER/text.onnx is missing; `lakesift train` writes one",
        ),
        (
            lambda folder: describe(folder, format=2),
            "FOLDER is a model of format 2, this lakesift reads up to 1; run: pip install --upgrade lakesift",
        ),
        (
            lambda folder: describe(folder, format="one"),
            "FOLDER/model.json does not describe a model: it has no format; `lakesift train` writes one",
        ),
        (
            lambda folder: (folder / "model.json").write_text("[1]"),
            "FOLDER/model.json does not describe a model: it has no format; `lakesift train` writes one",
        ),
        (
            lambda folder: (folder / "model.json").write_bytes(b'{"format": 1'),
            "FOLDER/model.json is not JSON (Expecting ',' delimiter: line 1 column 13 (char 12)); "
            "`lakesift train` writes one",
        ),
        (
            lambda folder: describe(folder, name=""),
            "FOLDER/model.json has no name; `lakesift train` writes one",
        ),
        (
            lambda folder: describe(folder, dim=True),
            "FOLDER/model.json has no dim (a whole number above 0); `lakesift train` writes one",
        ),
        (
            lambda folder: describe(folder, side_px=None),
            "FOLDER/model.json has no side_px (a whole number above 0); `lakesift train` writes one",
        ),
        (
            lambda folder: describe(folder, files={"image.onnx": "../x"}),
            "FOLDER/model.json has no sha256 of image.onnx under files; `lakesift train` writes one",
        ),
    ],
)
def test_each_damage_is_one_sentence(
    folder: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(folder)
    assert refusal(folder) == f"model builtin@FOLDER: {said}"


def test_what_is_no_folder_is_said(folder: Path) -> None:
    file = folder / "model.json"
    assert (
        refusal(file)
        == "model builtin@FOLDER: FOLDER is a file; name the folder that holds model.json"
    )
    nowhere = folder / "nowhere"
    assert (
        refusal(nowhere)
        == "model builtin@FOLDER: there is no folder FOLDER; `lakesift train` writes one"
    )
    assert "there is no folder" in refusal(Path("zero\0byte"))


def test_a_changed_file_is_said_when_it_is_read(folder: Path) -> None:
    model = opened(folder)
    (folder / "image.onnx").write_bytes(b"imag")
    with pytest.raises(ModelUnavailable) as error:
        model.read("image.onnx")
    found, expected = (hashlib.sha256(content).hexdigest()[:12] for content in (b"imag", b"images"))
    assert str(error.value) == (
        f"model builtin@{folder}: {folder}/image.onnx has 4 bytes of sha256 {found}..., "
        f"expected {expected}...; {WAY_OUT}"
    )
    (folder / "image.onnx").unlink()
    with pytest.raises(ModelUnavailable, match=r"image\.onnx cannot be read"):
        model.read("image.onnx")
