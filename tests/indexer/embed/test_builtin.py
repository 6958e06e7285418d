"""The builtin model: a folder's by construction, and the one that comes with the install."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from indexer.arrays import InputShape, Pixels, Vectors
from indexer.embed import Embedder
from indexer.embed.builtin import PACKAGED, BuiltinEmbedder
from indexer.embed.models import load_embedder
from indexer.errors import LakeError, ModelUnavailable
from indexer.images import fit
from tests.photos import sample, sample_photos, square
from tests.tiny_model import DIM, tiny_model
from training.arrays import Head, ModelArrays
from training.model_files import write_model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "my.model"
    write_model_folder(path, tiny_model())
    return path


@pytest.fixture(scope="module")
def own(folder: Path) -> Embedder:
    return BuiltinEmbedder(folder)


def noise(count: int) -> list[Pixels]:
    return list(np.random.default_rng(5).integers(0, 256, (count, 32, 32, 3), np.uint8))


def test_a_folder_is_loaded_by_its_name(folder: Path, own: Embedder) -> None:
    named = load_embedder(f"builtin@{folder}")
    assert named.model_id == own.model_id == f"builtin@{folder}"
    assert named.fingerprint == own.fingerprint
    assert (own.dim, own.input_shape, own.batch_size) == (DIM, InputShape(32, 32), 16)


def test_a_relative_folder_is_named_absolutely(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert BuiltinEmbedder(Path("my.model")).model_id == f"builtin@{folder}"


def test_a_batch_changes_no_vector_and_order_is_kept(own: Embedder) -> None:
    images = noise(35)  # more than two batches
    texts = ["a red cat", "dog", "a", "cats and dogs", "und katze !"] * 20  # more than one
    for together, alone in (
        (own.embed_images(images), [own.embed_images([image]) for image in images]),
        (own.embed_texts(texts), [own.embed_texts([text]) for text in texts]),
    ):
        assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(alone)), abs=1e-5)
        assert np.abs(together - np.concatenate(alone)).max() < 1e-4
        assert together.dtype == np.float32


def test_no_images_and_no_texts_give_no_rows(own: Embedder) -> None:
    assert own.embed_images([]).shape == own.embed_texts([]).shape == (0, DIM)


def test_an_image_of_another_size_is_brought_to_the_models(own: Embedder) -> None:
    image = sample("chelsea")
    assert np.array_equal(
        own.embed_images([image]), own.embed_images([fit(image, own.input_shape)])
    )


def test_every_text_has_a_vector(own: Embedder) -> None:
    texts = ["", " ", "\0", "half an emoji \ud83d", "红色的猫", "a" * 10_000, "cat " * 10_000]
    assert np.linalg.norm(own.embed_texts(texts), axis=1) == pytest.approx(
        np.ones(len(texts)), abs=1e-5
    )
    kept = "cat " * 10  # [CLS] and [SEP] are of the 12
    assert np.array_equal(own.embed_texts([kept + "dog"]), own.embed_texts([kept]))
    assert not np.array_equal(own.embed_texts(["cat " * 9 + "dog"]), own.embed_texts([kept]))


def test_each_side_is_read_at_its_first_use(tmp_path: Path) -> None:
    write_model_folder(tmp_path / "my.model", tiny_model())
    model = BuiltinEmbedder(tmp_path / "my.model")
    for file in ("image.onnx", "text.onnx"):
        whole = (tmp_path / "my.model" / file).read_bytes()
        (tmp_path / "my.model" / file).write_bytes(whole[: len(whole) // 2])
        if file == "image.onnx":
            model.embed_texts(["a cat"])
    with pytest.raises(ModelUnavailable, match=r"image\.onnx has [\d,]+ bytes of sha256 "):
        model.embed_images(noise(1))


def pretend_whole(folder: Path, file: str, content: bytes) -> None:
    """Another content, and model.json says it is the right one."""
    facts = json.loads((folder / "model.json").read_text())
    facts["files"][file] = sha256(content).hexdigest()
    (folder / file).write_bytes(content)
    (folder / "model.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("image.onnx", "image.onnx is not a model that runs here ("),
        ("text.onnx", "text.onnx is not a model that runs here ("),
        ("tokenizer.json", "tokenizer.json is not a tokenizer ("),
    ],
)
def test_a_file_that_is_no_model_is_one_sentence(file: str, said: str, tmp_path: Path) -> None:
    folder = tmp_path / "my.model"
    write_model_folder(folder, tiny_model())
    pretend_whole(folder, file, b"not a model")
    with pytest.raises(ModelUnavailable) as error:
        use(BuiltinEmbedder(folder))
    assert str(error.value).startswith(f"model builtin@{folder}: {folder}/{said}")
    assert str(error.value).endswith("; `lakesift train` writes one")
    assert "\n" not in str(error.value)


def test_a_tower_in_the_others_place_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "my.model"
    write_model_folder(folder, tiny_model())
    pretend_whole(folder, "image.onnx", (folder / "text.onnx").read_bytes())
    with pytest.raises(ModelUnavailable, match=r"image\.onnx does not run \("):
        use(BuiltinEmbedder(folder))


def test_vectors_of_another_width_are_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "my.model"
    write_model_folder(folder, tiny_model())
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(facts | {"dim": 7}))
    with pytest.raises(
        ModelUnavailable, match=r"image\.onnx gives vectors of shape \(1, 6\), expected \(1, 7\)"
    ):
        BuiltinEmbedder(folder).embed_images(noise(1))


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_a_vector_that_is_no_direction_is_one_sentence(value: float, tmp_path: Path) -> None:
    model = tiny_model()
    write_model_folder(tmp_path / "my.model", with_text_vector(model, value))
    with pytest.raises(LakeError) as error:
        BuiltinEmbedder(tmp_path / "my.model").embed_texts(["a cat"])
    assert str(error.value) == (
        f"model builtin@{tmp_path}/my.model gave a vector that is not a direction (NaN, infinite or zero); "
        "its training went wrong: train it again, or use another"
    )


def with_text_vector(model: ModelArrays, value: float) -> ModelArrays:
    """The model with a text tower whose vectors are this number in every place."""
    assert model.text.head is not None
    first, last = model.text.head.layers
    flat = replace(last, weight=np.zeros_like(last.weight), bias=np.full(DIM, value, np.float32))
    return replace(model, text=replace(model.text, head=Head((first, flat))))


def use(model: Embedder) -> None:
    model.embed_texts(["a cat"])
    model.embed_images(noise(1))


# From here on: the model that comes with the install.


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return BuiltinEmbedder()


@pytest.fixture(scope="module")
def photos(embedder: Embedder) -> dict[str, Pixels]:
    return sample_photos(embedder.input_shape.width_px)


@pytest.fixture(scope="module")
def photo_vectors(embedder: Embedder, photos: dict[str, Pixels]) -> Vectors:
    return embedder.embed_images(list(photos.values()))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("a cat", "cat"),
        ("a kitten looking at me", "cat"),
        ("a cup of espresso", "coffee"),
        ("a flower", "flower"),
        ("a temple", "temple"),
        ("a photographer", "photographer"),
        ("printed text", "page"),
    ],
)
def test_words_find_the_photo(
    query: str, found: str, embedder: Embedder, photos: dict[str, Pixels], photo_vectors: Vectors
) -> None:
    scores = embedder.embed_texts([query])[0] @ photo_vectors.T
    assert list(photos)[int(scores.argmax())] == found


def test_an_image_finds_its_like(
    embedder: Embedder, photos: dict[str, Pixels], photo_vectors: Vectors
) -> None:
    mirrored = embedder.embed_images([photo[:, ::-1] for photo in photos.values()])
    darker = embedder.embed_images([(photo * 0.8).astype(np.uint8) for photo in photos.values()])
    for changed in (mirrored, darker):
        assert (changed @ photo_vectors.T).argmax(axis=1).tolist() == list(range(len(photos)))


def test_the_packaged_models_vectors_do_not_depend_on_the_batch(
    embedder: Embedder, photos: dict[str, Pixels], photo_vectors: Vectors
) -> None:
    many = list(photos.values()) * 3
    assert np.abs(embedder.embed_images(many) - np.tile(photo_vectors, (3, 1))).max() < 1e-4
    texts = ["a cat", "", "two dogs running on grass", "word " * 500]
    alone = np.concatenate([embedder.embed_texts([text]) for text in texts])
    assert np.abs(embedder.embed_texts(texts) - alone).max() < 1e-4


def test_plain_images_have_finite_vectors(embedder: Embedder) -> None:
    side = embedder.input_shape.width_px
    plain = [np.full((side, side, 3), value, np.uint8) for value in (0, 127, 255)]
    assert np.linalg.norm(embedder.embed_images(plain), axis=1) == pytest.approx(
        np.ones(3), abs=1e-5
    )


def test_a_photo_of_any_shape_is_brought_to_its_size(embedder: Embedder) -> None:
    image = sample("chelsea")  # 300 x 451
    by_hand = square(image, embedder.input_shape.width_px)
    assert embedder.embed_images([image])[0] @ embedder.embed_images([by_hand])[0] > 0.98


def test_the_packaged_model_is_512_wide_and_whole() -> None:
    model = BuiltinEmbedder()
    assert (model.model_id, model.dim) == ("builtin", 512)
    assert str(model.fingerprint["name"]).startswith("builtin@lakesift-")
    # a copy of it is the same model
    assert model.fingerprint == BuiltinEmbedder(PACKAGED).fingerprint
    assert sum(path.stat().st_size for path in PACKAGED.iterdir()) < 25_000_000
    assert {"MODEL_CARD.md", "LICENSE", "NOTICE"} <= {path.name for path in PACKAGED.iterdir()}


USE = """
import json, sys, socket
def refuse(*_: object) -> None: raise AssertionError("the network was used")
socket.socket.connect = socket.getaddrinfo = refuse
import numpy as np
from indexer.embed.builtin import BuiltinEmbedder
embedder = BuiltinEmbedder()
assert "onnxruntime" not in sys.modules
embedder.embed_images([np.zeros((260, 260, 3), np.uint8)])
embedder.embed_texts(["a cat"])
print(json.dumps(sorted({"torch", "onnx", "onnxruntime", "training"} & set(sys.modules))))
"""


def test_its_use_needs_neither_network_nor_torch_nor_onnx() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["onnxruntime"]
