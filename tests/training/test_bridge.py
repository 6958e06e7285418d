"""The training-free bridge, whole: photos found by words,
the same vectors every time, neither torch nor network.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.arrays import Pixels, Vectors
from indexer.embed import Embedder
from indexer.errors import ModelUnavailable
from tests.photos import sample, sample_photos, square
from training.bridge import PARTS, BridgeEmbedder, weights_sha256
from training.pinned import PinnedFile

SIDE_PX = 260


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own, so that the conversion is really done, once for this module."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("LAKESIFT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def embedder(cache_folder: Path) -> Embedder:
    return BridgeEmbedder()


@pytest.fixture(scope="module")
def photos() -> dict[str, Pixels]:
    return sample_photos(SIDE_PX)


@pytest.fixture(scope="module")
def photo_vectors(embedder: Embedder, photos: dict[str, Pixels]) -> Vectors:
    return embedder.embed_images(list(photos.values()))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("a cat", "cat"),
        ("a kitten looking at me", "cat"),
        ("a rocket", "rocket"),
        ("coffee", "coffee"),
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


def test_the_right_photo_stands_well_above_the_rest(
    embedder: Embedder, photos: dict[str, Pixels], photo_vectors: Vectors
) -> None:
    scores = dict(zip(photos, embedder.embed_texts(["a cat"])[0] @ photo_vectors.T, strict=True))
    cat = scores.pop("cat")
    assert cat == pytest.approx(0.445, abs=0.02)  # pinned: a change of the model shows here
    assert max(scores.values()) < cat - 0.3


def test_an_image_finds_its_like(
    embedder: Embedder, photos: dict[str, Pixels], photo_vectors: Vectors
) -> None:
    mirrored = embedder.embed_images([photo[:, ::-1] for photo in photos.values()])
    darker = embedder.embed_images([(photo * 0.8).astype(np.uint8) for photo in photos.values()])
    for changed in (mirrored, darker):
        assert (changed @ photo_vectors.T).argmax(axis=1).tolist() == list(range(len(photos)))


def test_vectors_are_unit_rows(embedder: Embedder, photo_vectors: Vectors) -> None:
    texts = embedder.embed_texts(["a cat", "", "two dogs running on grass"])
    assert (embedder.dim, photo_vectors.shape, texts.shape) == (384, (8, 384), (3, 384))
    assert {photo_vectors.dtype, texts.dtype} == {np.dtype(np.float32)}
    assert np.linalg.norm(photo_vectors, axis=1) == pytest.approx(np.ones(8), abs=1e-5)
    assert np.linalg.norm(texts, axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_no_images_and_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_images([]).shape == (0, 384)
    assert embedder.embed_texts([]).shape == (0, 384)


def test_a_batch_changes_no_vector(
    embedder: Embedder, photos: dict[str, Pixels], photo_vectors: Vectors
) -> None:
    many = list(photos.values()) * 3  # more than one batch of 16
    assert np.abs(embedder.embed_images(many) - np.tile(photo_vectors, (3, 1))).max() < 1e-4
    for index, photo in enumerate(photos.values()):
        assert np.abs(embedder.embed_images([photo])[0] - photo_vectors[index]).max() < 1e-4


def test_plain_images_have_finite_vectors(embedder: Embedder) -> None:
    plain = [np.full((SIDE_PX, SIDE_PX, 3), value, np.uint8) for value in (0, 127, 255)]
    assert np.linalg.norm(embedder.embed_images(plain), axis=1) == pytest.approx(
        np.ones(3), abs=1e-5
    )


def test_an_image_of_another_size_is_brought_to_the_models(embedder: Embedder) -> None:
    image = sample("chelsea")  # 300 x 451
    fitted, by_hand = (
        embedder.embed_images([image])[0],
        embedder.embed_images([square(image, SIDE_PX)])[0],
    )
    assert fitted @ by_hand > 0.98


def test_a_second_start_reads_the_cache(
    cache_folder: Path, photos: dict[str, Pixels], photo_vectors: Vectors
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (cache_folder / "models").iterdir()}
    assert sorted(path.suffix for path in before) == [".npy", ".onnx"]
    again = BridgeEmbedder()
    vector = again.embed_images([photos["cat"]])[0]
    again.embed_texts(["a cat"])
    assert np.abs(vector - photo_vectors[0]).max() < 1e-4
    assert {path: path.stat().st_mtime_ns for path in (cache_folder / "models").iterdir()} == before


def test_the_fingerprint_names_what_the_vectors_depend_on(embedder: Embedder) -> None:
    assert embedder.model_id == "bridge"
    assert embedder.fingerprint == {
        "name": "bridge",
        "weights": weights_sha256(),
        "preprocessing": "shortest side 260 bicubic, centre 260x260, RGB, (x - 127) / 128",
        "dim": 384,
        "precision": "fp32",
    }
    assert weights_sha256().startswith("3a9891922782a567")


@pytest.mark.parametrize("known", PARTS, ids=lambda part: str(part.package))
def test_a_missing_weights_package_is_a_sentence(
    known: PinnedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = PinnedFile("no_such_package", known.requirement, known.path, known.sha256)
    parts = tuple(missing if part is known else part for part in PARTS)
    monkeypatch.setattr("training.bridge.PARTS", parts)
    with pytest.raises(ModelUnavailable) as refusal:
        BridgeEmbedder()
    assert str(refusal.value) == (
        f"model {known.requirement}: the package is not installed; run: pip install {known.requirement}"
    )


USE = """
import json, sys, socket
def refuse(*_: object) -> None: raise AssertionError("the network was used")
socket.socket.connect = socket.getaddrinfo = refuse
import numpy as np
from training.bridge import BridgeEmbedder
embedder = BridgeEmbedder()
embedder.embed_images([np.zeros((260, 260, 3), np.uint8)])
embedder.embed_texts(["a cat"])
print(json.dumps(sorted({"torch", "onnx", "onnxruntime"} & set(sys.modules))))
"""


def imported_by_use(cache: Path) -> list[str]:
    environment = os.environ | {"LAKESIFT_CACHE": str(cache), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", USE], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    modules: list[str] = json.loads(done.stdout)
    return modules


def test_its_use_needs_no_network_and_no_torch(tmp_path: Path) -> None:
    assert imported_by_use(tmp_path) == ["onnx", "onnxruntime"]
