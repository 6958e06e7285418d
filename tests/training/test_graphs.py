"""Both towers' graphs: against torch's operators, by hand, in 8 and 4 bits, and read back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from indexer.embed.runtime import open_session
from indexer.embed.tokens import TextTokenizer
from indexer.embed.vectors import unit_rows
from tests.tiny_model import DIM, TINY, tiny_model
from training.arrays import Floats, Head, ImageArrays, Linear, Norm, TextArrays
from training.efficientnet_lite import blocks, convolutions, same_padding
from training.graphs import image_graph, read_image_graph, read_text_graph, text_graph
from training.starting import TOKENIZER, sentence_encoder

Ids = NDArray[np.int64]
IDS = np.array([[2, 4, 5, 6, 3, 0], [2, 7, 9, 3, 0, 0], [2, 3, 0, 0, 0, 0], [2, 4, 4, 4, 4, 3]])
MASK = (np.arange(6) < np.array([[5], [4], [2], [6]])).astype(np.int64)
SENTENCES = [
    "a cat",
    "two dogs running on grass",
    "an empty corridor of a hospital at night",
    "Ein rotes Auto",
    "x",
]


def pixels(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), np.uint8)


def run_image(content: bytes, images: NDArray[np.uint8]) -> Floats:
    return np.asarray(open_session(content).run(["vectors"], {"pixels": images})[0], np.float32)


def run_text(content: bytes, ids: Ids = IDS, mask: Ids = MASK) -> Floats:
    session = open_session(content)
    return np.asarray(
        session.run(["vectors"], {"input_ids": ids, "attention_mask": mask})[0], np.float32
    )


def test_the_image_tower_computes_what_torch_does() -> None:
    arrays, images = tiny_model().image, pixels(3)
    ours, theirs = (
        run_image(image_graph(arrays, in_8_bits=False), images),
        image_by_torch(arrays, images),
    )
    assert ours.shape == (3, DIM)
    assert np.abs(ours - theirs).max() < 1e-4 < theirs.std(axis=0).max()


@pytest.mark.parametrize("layers", [0, 1, 2, 6])
def test_the_text_tower_computes_what_torch_does(layers: int) -> None:
    arrays = tiny_model(layers=layers).text
    assert arrays.layers == layers
    ours, theirs = run_text(text_graph(arrays, in_8_bits=False)), text_by_torch(arrays, IDS, MASK)
    assert ours.shape == (4, DIM)
    assert np.abs(ours - theirs).max() < 1e-4 < theirs.std(axis=0).max()


def test_padding_changes_no_vector() -> None:
    content = text_graph(tiny_model().text)
    together = run_text(content)
    for row, length in enumerate(MASK.sum(axis=1)):
        alone = run_text(content, IDS[row : row + 1, :length], MASK[row : row + 1, :length])
        assert np.abs(alone[0] - together[row]).max() < 1e-5


def test_a_head_by_hand() -> None:
    # A white image is 1 in every channel: kernels of 0 and the last bias make the features [2,
    # 0.5].
    features = image_with_features(np.array([2, 0.5], np.float32))
    white = np.full((1, 32, 32, 3), 255, np.uint8)
    assert run_image(image_graph(features, in_8_bits=False), white) == pytest.approx(
        np.array([[2, 0.5]])
    )

    double = Linear(np.array([[2, 0], [0, 2]], np.float32), np.array([0, -1], np.float32))
    swap = Linear(np.array([[0, 1], [1, 0]], np.float32), np.array([10, 20], np.float32))
    one_layer = replace(features, head=Head((double,)))
    assert run_image(image_graph(one_layer), white) == pytest.approx(np.array([[4, 0]]), abs=1e-5)
    # gelu(4) = 4 * 0.99996833 = 3.9998733; gelu(0) = 0; swapped, plus [10, 20]
    two_layers = replace(features, head=Head((double, swap)))
    assert run_image(image_graph(two_layers), white) == pytest.approx(
        np.array([[10, 23.9998733]]), abs=1e-4
    )
    # norm: mean 1.25, deviation 0.75: [1, -1] * [3, 1] + [0, 5] = [3, 4]; layer [6, 7]; skip: [3 +
    # 4, 0]
    norm = Norm(np.array([3, 1], np.float32), np.array([0, 5], np.float32))
    whole = replace(features, head=Head((double,), np.array([[1, 1], [0, 0]], np.float32), norm))
    assert run_image(image_graph(whole), white) == pytest.approx(np.array([[13, 7]]), abs=1e-3)


def test_a_mixture_by_hand() -> None:
    features = image_with_features(np.array([2, 0.5], np.float32))
    # Scores are [2 ln 3, 0] at any features, over a temperature of 2: probabilities 3/4 and 1/4.
    fc = {
        "_fc.weight": np.zeros((2, 2), np.float32),
        "_fc.bias": np.array([2 * np.log(3), 0], np.float32),
    }
    table = np.array([[4, 0, 8], [0, 12, 4]], np.float32)
    arrays = replace(features, backbone=features.backbone | fc, class_table=table, temperature=2.0)
    found = run_image(image_graph(arrays), np.zeros((1, 32, 32, 3), np.uint8))
    assert found == pytest.approx(np.array([[2, 0.5, 3, 3, 7]]), abs=0.05)


def test_8_bits_are_the_fp32_model_of_the_unpacked_arrays() -> None:
    model = tiny_model()
    image, text = image_graph(model.image), text_graph(model.text)
    assert (
        np.abs(
            run_image(image, pixels(3)) - image_by_torch(read_image_graph(image), pixels(3))
        ).max()
        < 1e-4
    )
    assert np.abs(run_text(text) - text_by_torch(read_text_graph(text), IDS, MASK)).max() < 1e-4


def test_what_is_read_back_is_within_half_a_step_of_what_was_written() -> None:
    model = tiny_model()
    image, text = (
        read_image_graph(image_graph(model.image)),
        read_text_graph(text_graph(model.text)),
    )
    assert (image.variant, image.temperature, text.attention_heads) == (TINY, 2.0, 4)
    assert image.head is not None and text.head is not None and model.image.head is not None
    assert (image.head.skip, image.head.norm) == (None, None)
    assert text.head.skip is not None and text.head.norm is not None
    assert image.class_table is not None and model.image.class_table is not None
    assert image.class_table.shape == (10, 8)
    assert np.abs(image.class_table - model.image.class_table).max() < 0.02
    assert np.array_equal(image.head.layers[0].bias, model.image.head.layers[0].bias)
    for written, read in ((model.image.backbone, image.backbone), (model.text.bert, text.bert)):
        assert written.keys() == read.keys()
        for name, values in written.items():
            step = np.abs(values.reshape(len(values), -1)).max(axis=1) / 127
            off = np.abs(values - read[name]).reshape(len(values), -1).max(axis=1)
            assert (
                off <= (step / 2 + 1e-6 if name.endswith("weight") and values.ndim > 1 else 0)
            ).all(), name


def test_written_read_and_written_again_is_the_same_model() -> None:
    model = tiny_model()
    for four in (False, True):
        once = text_graph(model.text, in_4_bits=four)
        again = text_graph(read_text_graph(once), in_4_bits=four)
        assert np.abs(run_text(once) - run_text(again)).max() < 1e-5
    once = image_graph(model.image)
    again = image_graph(read_image_graph(once))
    assert np.abs(run_image(once, pixels(2)) - run_image(again, pixels(2))).max() < 1e-5


def test_words_in_4_bits_are_looked_up_as_they_were_stored() -> None:
    content = text_graph(tiny_model().text, in_4_bits=True)
    unpacked = text_graph(read_text_graph(content), in_8_bits=False)
    assert np.abs(run_text(content) - run_text(unpacked)).max() < 1e-5
    assert len(content) < len(text_graph(tiny_model().text))


@pytest.mark.parametrize("content", [b"", b"no model", text_graph(tiny_model().text)[:-100]])
def test_what_is_no_tower_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="lakesift made"):
        read_image_graph(content)
    with pytest.raises(ValueError, match="lakesift made"):
        read_text_graph(content)


def test_one_tower_is_not_the_other() -> None:
    model = tiny_model()
    with pytest.raises(ValueError, match="it is not an image tower that lakesift made"):
        read_image_graph(text_graph(model.text))
    with pytest.raises(ValueError, match="it is not a text tower that lakesift made"):
        read_text_graph(image_graph(model.image))


@pytest.mark.slow
def test_the_sentence_encoder_is_the_published_one_and_8_bits_cost_little() -> None:
    arrays = sentence_encoder()
    assert arrays.layers == 6
    (batch,) = TextTokenizer(TOKENIZER.read(), 64).batches(SENTENCES)
    theirs = text_by_torch(arrays, batch.ids, batch.mask)
    plain, small, smaller = (
        run_text(content, batch.ids, batch.mask)
        for content in (
            text_graph(arrays, in_8_bits=False),
            text_graph(arrays),
            text_graph(arrays, in_4_bits=True),
        )
    )
    assert np.abs(plain - theirs).max() < 1e-4
    assert (
        cosines(plain, published(SENTENCES)[batch.positions]).min() > 0.98
    )  # that one has int8 weights of its own
    assert cosines(plain, small).min() > 0.995
    assert cosines(plain, smaller).min() > 0.9  # to nearest; see training/rounding.py


def published(sentences: list[str]) -> Floats:
    """The vectors of the same model as another package exported it, in int8."""
    from training.bridge import ENCODER
    from training.sentence import SentenceEncoder

    return SentenceEncoder(ENCODER.read(), TOKENIZER.read()).encode(sentences)


def cosines(a: Floats, b: Floats) -> Floats:
    return np.asarray((unit_rows(a) * unit_rows(b)).sum(axis=1), np.float32)


def image_with_features(features: Floats) -> ImageArrays:
    """A network whose pooled features are these for every image:
    all its weights are 0 but the last bias.
    """
    image = tiny_model().image
    backbone = {
        name: np.zeros_like(values) for name, values in image.backbone.items() if name[:3] != "_fc"
    }
    last = backbone["_conv_head.weight"][: len(features)]
    return replace(
        image,
        backbone=backbone | {"_conv_head.weight": last, "_conv_head.bias": features},
        class_table=None,
        head=None,
    )


def image_by_torch(arrays: ImageArrays, images: NDArray[np.uint8]) -> Floats:
    backbone = {name: torch.from_numpy(values) for name, values in arrays.backbone.items()}
    assert arrays.class_table is not None and arrays.head is not None
    parts = iter(convolutions(arrays.variant))

    def convolve(x: torch.Tensor) -> torch.Tensor:
        part = next(parts)
        kernel = backbone[f"{part.name}.weight"]
        before, after = same_padding(x.shape[-1], kernel.shape[-1], part.stride)
        x = functional.pad(x, (before, after, before, after))
        groups = x.shape[1] // kernel.shape[1]
        x = functional.conv2d(
            x, kernel, backbone[f"{part.name}.bias"], stride=part.stride, groups=groups
        )
        return functional.relu6(x) if part.activated else x

    x = convolve((torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128)
    for block in blocks(arrays.variant):
        start = x
        for _ in range(2 + block.expands):
            x = convolve(x)
        x = x + start if block.adds_input else x
    features = convolve(x).mean((2, 3))
    scores = (
        functional.linear(features, backbone["_fc.weight"], backbone["_fc.bias"])
        / arrays.temperature
    )
    seen = torch.cat([features, scores.softmax(1) @ torch.from_numpy(arrays.class_table)], dim=1)
    return head_by_torch(arrays.head, seen)


def text_by_torch(arrays: TextArrays, ids: Ids, mask: Ids) -> Floats:
    """BERT again, on torch's own attention."""
    bert = {name: torch.from_numpy(values) for name, values in arrays.bert.items()}
    seen = torch.from_numpy(mask).bool()

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, bert[f"{name}.weight"], bert[f"{name}.bias"])

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = bert[f"{name}.weight"], bert[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, eps=1e-12)

    def split(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(*x.shape[:2], arrays.attention_heads, -1).transpose(1, 2)

    words = functional.embedding(torch.from_numpy(ids), bert["embeddings.word_embeddings.weight"])
    x = norm(
        words + bert["embeddings.position_embeddings.weight"][: ids.shape[1]],
        "embeddings.LayerNorm",
    )
    for index in range(arrays.layers):
        layer = f"encoder.layer.{index}"
        q, k, v = (
            split(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        seen_by = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None, :])
        joined = linear(seen_by.transpose(1, 2).flatten(2), f"{layer}.attention.output.dense")
        x = norm(x + joined, f"{layer}.attention.output.LayerNorm")
        wide = functional.gelu(linear(x, f"{layer}.intermediate.dense"))
        x = norm(x + linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = (x * seen[:, :, None]).sum(1) / seen.sum(1, keepdim=True)
    return (
        head_by_torch(arrays.head, mean)
        if arrays.head is not None
        else np.asarray(mean.numpy(), np.float32)
    )


def head_by_torch(head: Head, x: torch.Tensor) -> Floats:
    if head.norm is not None:
        weight, bias = torch.from_numpy(head.norm.weight), torch.from_numpy(head.norm.bias)
        x = functional.layer_norm(x, weight.shape, weight, bias)
    y = x
    for index, layer in enumerate(head.layers):
        y = functional.gelu(y) if index else y
        y = functional.linear(y, torch.from_numpy(layer.weight), torch.from_numpy(layer.bias))
    if head.skip is not None:
        y = y + functional.linear(x, torch.from_numpy(head.skip))
    return np.asarray(y.numpy(), np.float32)
