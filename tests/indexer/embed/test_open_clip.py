"""The open_clip embedder against open_clip itself, on a small architecture with random weights."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from indexer.arrays import InputShape, Pixels
from indexer.embed import Embedder
from indexer.embed.catalog import ModelName
from indexer.embed.models import list_models, load_embedder
from indexer.errors import BadRequest, LakeError, ModelUnavailable
from indexer.images import fit

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

TEXTS = ["a photo of a cat", "two dogs on a beach", "", "word " * 200]


@pytest.fixture(autouse=True)
def own_model_cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def photos() -> list[Pixels]:
    """50 unlike images, 64 x 64: smooth fields of colour of 50 seeds."""
    images = []
    for seed in range(50):
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
        images.append(
            np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))
        )
    return images


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> Any:
    """In fp32 on the CPU, on every machine:
    the precision that nobody asks for is bf16 or fp16 where that is fast.
    """
    return load_embedder(f"open_clip:lakesift-tiny@{tiny_weights}", precision="fp32", device="cpu")


def expected_image_vectors(model: Any, images: list[Pixels]) -> NDArray[np.float32]:
    config = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    transform = open_clip.transform.image_transform_v2(config, is_train=False)
    with torch.inference_mode():
        pixels = torch.stack([transform(Image.fromarray(image)) for image in images])
        vectors: NDArray[np.float32] = model.encode_image(pixels, normalize=True).numpy()
    return vectors


def centred_cosines(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float32]:
    """A random tower gives every image nearly one vector,
    so cosines mean something only about the mean vector.
    """
    mean = theirs.mean(axis=0)
    ours, theirs = ours - mean, theirs - mean
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines: NDArray[np.float32] = np.sum(ours * theirs, axis=1) / lengths
    return cosines


def message_of(name: str, **options: Any) -> str:
    with pytest.raises(LakeError) as error:
        load_embedder(name, **options)
    return str(error.value)


# A weights file on disk


def test_a_weights_file_gives_open_clips_own_vectors_without_a_network(
    tiny_weights: Path, tiny_model: Any, photos: list[Pixels], no_network: list[str]
) -> None:
    embedder = load_embedder(f"open_clip:lakesift-tiny@{tiny_weights}", precision="fp32")

    images = embedder.embed_images(photos)
    texts = embedder.embed_texts(TEXTS)

    assert images.shape == (50, 32) and images.dtype.name == "float32"
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-6)
    assert centred_cosines(images, expected_image_vectors(tiny_model, photos)).min() > 0.999
    with torch.inference_mode():
        expected = tiny_model.encode_text(
            open_clip.get_tokenizer("lakesift-tiny")(TEXTS), normalize=True
        ).numpy()
    assert texts.shape == (4, 32) and texts.dtype.name == "float32"
    np.testing.assert_allclose(texts, expected, atol=1e-5)
    assert no_network == []


def test_facts_of_the_model(tiny: Embedder, tiny_weights: Path) -> None:
    assert tiny.model_id == f"open_clip:lakesift-tiny@{tiny_weights}"
    assert tiny.dim == 32
    assert tiny.input_shape == InputShape(64, 64, "shortest", "bicubic", (0, 0, 0))
    assert tiny.batch_size >= 1
    assert {
        key: tiny.fingerprint[key] for key in ("name", "preprocessing", "dim", "precision")
    } == {
        "name": "open_clip:lakesift-tiny",
        "preprocessing": "64x64 shortest bicubic mean 0.481455,0.457827,0.408211 std 0.26863,0.261303,0.275777",
        "dim": 32,
        "precision": "float",
    }
    assert len(str(tiny.fingerprint["weights"])) == 64


def test_nothing_in_nothing_out(tiny: Embedder) -> None:
    assert tiny.embed_images([]).shape == (0, 32)
    assert tiny.embed_texts([]).shape == (0, 32)


def test_images_of_another_size_are_fitted_first(tiny: Embedder) -> None:
    image = np.random.default_rng(0).integers(0, 256, (133, 77, 3), np.uint8)
    fitted = fit(image, tiny.input_shape)
    assert fitted.shape == (64, 64, 3)
    np.testing.assert_array_equal(tiny.embed_images([image]), tiny.embed_images([fitted]))


def test_every_kind_of_weights_file_is_one_model(
    tiny: Embedder, tiny_model: Any, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    state = tiny_model.state_dict()
    save_file(state, tmp_path / "tiny.safetensors")
    training = {
        "epoch": 3,
        "name": "run",
        "state_dict": {f"module.{key}": value for key, value in state.items()},
    }
    torch.save(training, tmp_path / "epoch_3.pt")
    torch.save(state, tmp_path / "open_clip_pytorch_model.bin")
    for file in ("tiny.safetensors", "epoch_3.pt", "open_clip_pytorch_model.bin"):
        assert load_embedder(f"lakesift-tiny@{tmp_path / file}").fingerprint == tiny.fingerprint


def test_other_weights_are_another_model(tiny: Embedder, tiny_model: Any, tmp_path: Path) -> None:
    state = {key: value.clone() for key, value in tiny_model.state_dict().items()}
    state["visual.proj"][0, 0] += 1e-6
    torch.save(state, tmp_path / "other.pt")
    other = load_embedder(f"lakesift-tiny@{tmp_path / 'other.pt'}").fingerprint
    assert {key for key in other if other[key] != tiny.fingerprint[key]} == {"weights"}


# Weights files that are not


def test_a_missing_file_and_a_folder(
    tiny_architecture: str, tmp_path: Path, no_network: list[str]
) -> None:
    missing = tmp_path / "gone.pt"
    assert message_of(f"lakesift-tiny@{missing}") == (
        f"model open_clip:lakesift-tiny@{missing}: {missing} is not a file on this disk"
    )
    assert message_of(f"lakesift-tiny@{tmp_path}") == (
        f"model open_clip:lakesift-tiny@{tmp_path}: {tmp_path} is a folder; name the weights file in it"
    )
    assert no_network == []


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", ["garbage", "truncated", "empty"])
def test_a_damaged_file(content: str, suffix: str, tiny_model: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / f"bad{suffix}"
    if content == "truncated":
        (save_file if suffix == ".safetensors" else torch.save)(tiny_model.state_dict(), path)
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.write_bytes(b"not a checkpoint " * 100 if content == "garbage" else b"")
    assert message_of(f"lakesift-tiny@{path}") == (
        f"model open_clip:lakesift-tiny@{path}: {path} is not a whole file of weights"
    )


def test_weights_of_another_architecture(
    tiny_architecture: str, tiny_model: Any, tmp_path: Path
) -> None:
    state = dict(tiny_model.state_dict())
    state["visual.conv1.weight"] = torch.zeros(64, 3, 8, 8)
    path = tmp_path / "patch8.pt"
    torch.save(state, path)
    assert message_of(f"lakesift-tiny@{path}").endswith(
        "is not a lakesift-tiny: its visual.conv1.weight is [64, 3, 8, 8], the architecture's [64, 3, 16, 16]"
    )
    del state["visual.conv1.weight"]
    torch.save(state, path)
    assert message_of(f"lakesift-tiny@{path}").endswith(
        "is not a lakesift-tiny: it lacks visual.conv1.weight"
    )


class RunsCode:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_code_in_a_weights_file_is_not_run(tiny_architecture: str, tmp_path: Path) -> None:
    path, made = tmp_path / "hostile.pt", tmp_path / "made"
    torch.save({"state_dict": RunsCode(made)}, path)
    assert message_of(f"lakesift-tiny@{path}") == (
        f"model open_clip:lakesift-tiny@{path}: {path} holds code (posix.mkdir), which is not run; "
        "save its state_dict alone, as .safetensors"
    )
    assert not made.exists()
    torch.save(
        {"state_dict": {}, "args": argparse.Namespace(lr=0.1)}, path
    )  # what training scripts leave behind
    assert "holds code (argparse.Namespace), which is not run" in message_of(
        f"lakesift-tiny@{path}"
    )


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_vectors_that_are_not_directions_are_an_error(
    tiny_model: Any, photos: list[Pixels], tmp_path: Path
) -> None:
    state = {key: value.clone() for key, value in tiny_model.state_dict().items()}
    state["visual.proj"][:] = float("nan")
    state["text_projection"][:] = 0
    torch.save(state, tmp_path / "nan.pt")
    embedder = load_embedder(f"lakesift-tiny@{tmp_path / 'nan.pt'}")
    sentence = (
        "gave a vector that is not a direction (NaN, infinite or zero); its weights are damaged"
    )
    with pytest.raises(LakeError, match="NaN, infinite or zero") as error:
        embedder.embed_images(photos[:2])
    assert sentence in str(error.value)
    with pytest.raises(LakeError, match="NaN, infinite or zero"):
        embedder.embed_texts(["a cat"])


# Names that open_clip knows


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """huggingface_hub's cache folder, empty;
    and open_clip knows lakesift-tiny/my_tag as a file on the hub.
    """
    from huggingface_hub import constants
    from open_clip import pretrained

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    tag = {
        "hf_hub": "someone/tiny/",
        "mean": (0.5,) * 3,
        "std": (0.25,) * 3,
        "resize_mode": "squash",
    }
    monkeypatch.setitem(pretrained._PRETRAINED, "lakesift-tiny", {"my_tag": tag})
    return tmp_path / "hub"


def put_in_cache(cache: Path, file: Path, name: str) -> None:
    repository = cache / "models--someone--tiny"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True, exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text("abc")
    shutil.copy(file, snapshot / name)


def test_all_spellings_of_a_cached_model_are_one_without_a_network(
    tiny_weights: Path, hub_cache: Path, no_network: list[str]
) -> None:
    put_in_cache(hub_cache, tiny_weights, "open_clip_pytorch_model.bin")
    spellings = ["open_clip:lakesift-tiny/my_tag", "lakesift-tiny::my-tag", "LAKESIFT-tiny__MY_TAG"]
    embedders = [load_embedder(spelling) for spelling in spellings]
    assert {embedder.model_id for embedder in embedders} == {"open_clip:lakesift-tiny/my_tag"}
    assert embedders[0].fingerprint == embedders[1].fingerprint == embedders[2].fingerprint
    assert embedders[0].input_shape.mode == "squash"
    assert "mean 0.5,0.5,0.5 std 0.25,0.25,0.25" in str(embedders[0].fingerprint["preprocessing"])
    assert no_network == []
    assert {model.name: model.on_disk for model in list_models()}["open_clip:lakesift-tiny/my_tag"]


def test_a_model_that_is_not_cached_is_a_sentence_and_quick(
    tiny_architecture: str, hub_cache: Path, no_network: list[str]
) -> None:
    start = time.monotonic()
    assert message_of("lakesift-tiny/my_tag") == (
        "model open_clip:lakesift-tiny/my_tag: its files (someone/tiny/) are not on this disk and "
        "https://huggingface.co cannot be reached; bring the file here and name it: "
        "open_clip:lakesift-tiny@/path/to/weights"
    )
    assert message_of("hf-hub:someone/tiny") == (
        "model open_clip:hf-hub:someone/tiny: its files (someone/tiny on the hub) are not on this disk and "
        "https://huggingface.co cannot be reached; bring the repository here as a folder and name it: "
        "open_clip:local-dir:/path/to/folder"
    )
    assert time.monotonic() - start < 10
    assert not {model.name: model.on_disk for model in list_models()}[
        "open_clip:lakesift-tiny/my_tag"
    ]


def test_an_unknown_tag_names_the_nearest(hub_cache: Path, tiny_architecture: str) -> None:
    assert message_of("lakesift-tiny/my_tug") == (
        "model: lakesift-tiny has no weights named 'my_tug'; did you mean 'my_tag'? (it has my_tag)"
    )


def test_openais_weights_mean_quick_gelu() -> None:
    from indexer.embed.loading import settle

    for name in ("ViT-B-32/openai", "ViT-B-32-quickgelu::openai"):
        assert str(settle(ModelName.parse(name))) == "open_clip:ViT-B-32-quickgelu/openai"
    assert (
        str(settle(ModelName.parse("ViT-B-32/laion2b_s34b_b79k")))
        == "open_clip:ViT-B-32/laion2b_s34b_b79k"
    )


def test_random_weights_are_the_same_every_time(
    tiny_architecture: str, no_network: list[str]
) -> None:
    first, second = (load_embedder("lakesift-tiny@random") for _ in range(2))
    assert first.model_id == "open_clip:lakesift-tiny/random"
    assert first.fingerprint == second.fingerprint
    assert no_network == []


# Folders, and the preprocessing they ask for


def write_folder(
    folder: Path, weights: Path, vision: dict[str, Any], preprocess: dict[str, Any]
) -> Path:
    from tests.indexer.embed.conftest import TINY

    folder.mkdir()
    model = {**TINY, "vision_cfg": {**TINY["vision_cfg"], **vision}}  # type: ignore[dict-item]
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": model, "preprocess_cfg": preprocess})
    )
    shutil.copy(weights, folder / "open_clip_pytorch_model.bin")
    return folder


@pytest.mark.parametrize("image_size", [64, [64, 96]], ids=["square", "wide"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_input_tensors_equal_open_clips_own(
    mode: str,
    interpolation: str,
    image_size: Any,
    tiny_weights: Path,
    tmp_path: Path,
    no_network: list[str],
) -> None:
    """Max abs 1e-3 on odd sizes, after open_clip's own rules, which `indexer.images.fit` follows.

    Square, shortest: the longer side becomes int(target * longer / shorter). Otherwise both sides
    are round(side / ratio), ratio the least (shortest) or largest (longest) of side / target;
    round() halves to even. A crop starts at round((side - target) / 2); padding puts the odd pixel
    right and below. Pillow's resize, which antialiases. Wide and shortest is always bicubic.
    """
    preprocess = {
        "interpolation": interpolation,
        "resize_mode": mode,
        "mean": [0.5, 0.4, 0.3],
        "fill_color": 9,
    }
    folder = write_folder(tmp_path / "model", tiny_weights, {"image_size": image_size}, preprocess)
    embedder: Any = load_embedder(f"open_clip:local-dir:{folder}")
    _, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    for seed, (height, width) in enumerate(
        [(101, 67), (67, 101), (333, 64), (63, 65), (64, 64), (31, 47), (199, 5)]
    ):
        image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        expected = transform(Image.fromarray(image))
        found = embedder.to_tensor([image])[0]
        assert found.shape == expected.shape
        assert (found - expected).abs().max().item() < 1e-3, (height, width)
    assert no_network == []


def test_a_folder_is_the_same_model_wherever_it_lies(tiny_weights: Path, tmp_path: Path) -> None:
    here = write_folder(tmp_path / "here", tiny_weights, {}, {})
    there = Path(shutil.copytree(here, tmp_path / "there"))
    first, second = (load_embedder(f"local-dir:{folder}") for folder in (here, there))
    assert first.fingerprint == second.fingerprint
    assert first.model_id == f"open_clip:local-dir:{here}"


def test_folders_that_are_no_model(tiny_weights: Path, tmp_path: Path) -> None:
    assert message_of(f"local-dir:{tmp_path}") == (
        f"model open_clip:local-dir:{tmp_path}: {tmp_path} has no open_clip_config.json that describes a model"
    )
    (tmp_path / "open_clip_config.json").write_text("[]")
    assert message_of(f"local-dir:{tmp_path}").endswith(
        "has no open_clip_config.json that describes a model"
    )
    folder = write_folder(tmp_path / "model", tiny_weights, {}, {})
    (folder / "open_clip_pytorch_model.bin").unlink()
    assert message_of(f"local-dir:{folder}").endswith(
        "holds no weights file (.safetensors, .bin, .pth)"
    )


def test_a_hugging_face_tokenizer_lies_beside_the_weights(
    tmp_path: Path, no_network: list[str]
) -> None:
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    from tests.indexer.embed.conftest import TINY

    text: dict[str, Any] = {**TINY["text_cfg"], "vocab_size": 5, "context_length": 6}  # type: ignore[dict-item]
    text["hf_tokenizer_name"] = "someone/not-on-this-disk"
    (tmp_path / "lakesift-hf.json").write_text(json.dumps({**TINY, "text_cfg": text}))
    open_clip.add_model_config(tmp_path / "lakesift-hf.json")
    torch.save(open_clip.create_model("lakesift-hf").state_dict(), tmp_path / "w.pt")
    name = f"open_clip:lakesift-hf@{tmp_path / 'w.pt'}"
    assert message_of(name).startswith(
        f"model {name}: its text tower or tokenizer comes from Hugging Face and is not on this disk; put its "
        "config.json, tokenizer.json and tokenizer_config.json beside the weights ("
    )

    words = Tokenizer(
        models.WordLevel({"[PAD]": 0, "[UNK]": 1, "cat": 2, "dog": 3}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    special = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(special))
    embedder: Any = load_embedder(name)
    assert embedder._tokenizer(["cat dog cat"]).tolist() == [[2, 3, 2, 0, 0, 0]]
    assert embedder.embed_texts(["cat", "dog"]).shape == (2, 32)
    assert no_network == []


# Precisions, devices and faster towers


def test_bf16_is_comparable_to_fp32(
    tiny: Embedder, tiny_weights: Path, photos: list[Pixels]
) -> None:
    half = load_embedder(f"lakesift-tiny@{tiny_weights}", precision="bf16", device="cpu")
    assert half.fingerprint == tiny.fingerprint
    assert np.sum(half.embed_images(photos) * tiny.embed_images(photos), axis=1).min() > 0.9995
    assert np.sum(half.embed_texts(TEXTS) * tiny.embed_texts(TEXTS), axis=1).min() > 0.9995


def test_int8_is_near_and_kept_apart(
    tiny: Embedder, tiny_weights: Path, photos: list[Pixels]
) -> None:
    small = load_embedder(f"lakesift-tiny@{tiny_weights}", precision="int8")
    assert small.fingerprint == {**tiny.fingerprint, "precision": "int8"}
    assert centred_cosines(small.embed_images(photos), tiny.embed_images(photos)).min() > 0.98
    np.testing.assert_array_equal(small.embed_texts(TEXTS), tiny.embed_texts(TEXTS))


def test_a_long_run_moves_to_onnx_runtime_and_keeps_its_vectors(
    tiny_weights: Path,
    tiny: Any,
    photos: list[Pixels],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from indexer.embed import open_clip as ours
    from indexer.embed.onnx_tower import OnnxTower

    monkeypatch.setattr(ours, "CONVERT_AFTER", 20)
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path))
    embedder: Any = load_embedder(f"lakesift-tiny@{tiny_weights}", precision="fp32", device="cpu")
    in_torch = embedder.embed_images(photos[:20])
    assert not isinstance(embedder._tower, OnnxTower)
    in_onnx = embedder.embed_images(photos[:20])
    assert isinstance(embedder._tower, OnnxTower)
    np.testing.assert_allclose(in_onnx, in_torch, atol=1e-5)

    again: Any = load_embedder(f"lakesift-tiny@{tiny_weights}", precision="fp32", device="cpu")
    np.testing.assert_array_equal(again.embed_images(photos[:20]), in_onnx)
    assert isinstance(again._tower, OnnxTower)  # from the cache, at once


def test_int8_is_converted_once_in_steps_that_are_told_and_stays(
    tiny_weights: Path, photos: list[Pixels], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from indexer.embed import Converts
    from indexer.embed import open_clip as ours

    monkeypatch.setattr(ours, "CONVERT_AFTER", 20)
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path))
    embedder: Any = load_embedder(f"lakesift-tiny@{tiny_weights}", precision="int8")
    can_convert = isinstance(embedder, Converts)
    assert can_convert
    conversion = embedder.conversion()
    assert conversion is not None and conversion.precision == "int8"
    done: list[bool] = []
    conversion.run(lambda: done.append(embedder._tower is None))
    assert done == [True] * conversion.steps
    assert embedder.conversion() is None
    tower = embedder._tower
    for _ in range(3):
        embedder.embed_images(photos[:20])
    # Not read from the cache again, as a tower is that changes after so many images.
    assert embedder._tower is tower

    again: Any = load_embedder(f"lakesift-tiny@{tiny_weights}", precision="int8")
    assert again.conversion() is None
    exact: Any = load_embedder(f"lakesift-tiny@{tiny_weights}", precision="fp32", device="cpu")
    assert exact.conversion() is None


def test_an_export_that_computes_something_else_is_refused(
    tiny_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.embed import onnx_tower

    class Elsewhere:
        def __init__(self, model: bytes) -> None:
            pass

        def __call__(self, pixels: Any) -> Any:
            return -tiny_model.visual(pixels)

    monkeypatch.setattr(onnx_tower, "OnnxTower", Elsewhere)
    with pytest.raises(ModelUnavailable) as error:
        onnx_tower._convert(tiny_model.visual, InputShape(64, 64), "fp32", "tiny")
    assert str(error.value) == (
        "model tiny: its ONNX export differs from torch (cosine -1.0000); leave out --precision int8"
    )


def test_the_lean_tower_computes_the_same(tiny_model: Any) -> None:
    from indexer.embed.image_tower import LeanTower, lean

    tower = lean(tiny_model.visual)
    assert isinstance(tower, LeanTower)
    pixels = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        assert (tower(pixels) - tiny_model.visual(pixels)).abs().max().item() < 1e-5


def test_a_tower_that_is_not_known_stays_as_it_is(
    tiny_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.embed.image_tower import lean

    monkeypatch.setattr(tiny_model.visual, "pool_type", "avg")
    assert lean(tiny_model.visual) is tiny_model.visual


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"device": "gpu!"}, "device: 'gpu!' is not a device; use cpu, cuda or mps"),
        ({"device": "mps"}, "device: torch finds no mps device on this machine; use cpu"),
        (
            {"precision": "fp16", "device": "cpu"},
            "precision: fp16 needs a GPU; ask for bf16 or fp32",
        ),
    ],
)
def test_a_device_or_precision_that_is_not_there(
    options: dict[str, Any], sentence: str, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(BadRequest) as error:
        load_embedder(f"lakesift-tiny@{tiny_weights}", **options)
    assert str(error.value) == sentence
