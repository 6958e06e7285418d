"""Heads, wordings, words for classes and the smaller vocabulary: by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from indexer.embed.runtime import open_session
from indexer.embed.tokens import TextTokenizer
from tests.tiny_model import TINY, tiny_model
from training.arrays import Head, Linear, Norm
from training.efficientnet_lite import last_block
from training.graphs import image_graph, map_shape, text_graph, trunk_graph
from training.heads import LearningHead, fresh
from training.imagenet import GROUPS, class_names, coarse_table, members, ungrouped
from training.last_block import LastBlock
from training.learning import ImageInputs
from training.objective import Anchor, Inputs, LearningSet, Objective, Teacher
from training.starting import TOKENIZER, sentence_encoder
from training.vocabulary import without_other_scripts
from training.wordings import PLURALS, WORDINGS, plurals, wordings


def test_a_head_by_hand() -> None:
    """Norm of (1, -1): itself; GELU(1) = 0.8413,
    GELU(-1) = -0.1587; the sum is (1.8413, -1.1587).
    """
    eye = np.eye(2, dtype=np.float32)
    zero, one = np.zeros(2, np.float32), np.ones(2, np.float32)
    head = Head((Linear(eye, zero), Linear(eye, zero)), eye, Norm(one, zero))
    learning = LearningHead(head, 0.5, 0.5).eval()  # dropout is for training only
    expected = np.array([1.8413, -1.1587]) / np.hypot(1.8413, -1.1587)
    assert learning(torch.tensor([[1.0, -1.0]])).detach().numpy()[0] == pytest.approx(
        expected, abs=1e-3
    )
    again = learning.head()
    assert (
        np.array_equal(again.layers[1].weight, eye)
        and again.skip is not None
        and again.norm is not None
    )


def test_a_fresh_head_sees_each_column_in_its_own_measure() -> None:
    rng = np.random.default_rng(0)
    samples = (rng.normal(size=(500, 6)) * [1, 1, 1, 3, 3, 3] + [5, 0, 0, 0, 0, -5]).astype(
        np.float32
    )
    learning = LearningHead(fresh(samples, 4, 3, 0), 0, 0).eval()
    assert learning.norm is not None
    normed = learning.norm(torch.tensor(samples)).detach().numpy()
    assert np.abs(normed.mean(axis=0)).max() < 1e-3
    assert normed.std(axis=0).min() > 0.7 and normed.std(axis=0).max() < 1.1


def test_training_sees_what_the_image_tower_sees() -> None:
    """Bare features through torch, with mixture and head, are what the whole graph gives."""
    model = tiny_model()
    pixels = np.random.default_rng(1).integers(0, 256, (3, TINY.side_px, TINY.side_px, 3), np.uint8)
    bare = image_graph(replace(model.image, class_table=None, head=None), in_8_bits=False)
    features = open_session(bare).run(None, {"pixels": pixels})[0]
    whole = open_session(image_graph(model.image, in_8_bits=False)).run(None, {"pixels": pixels})[0]
    assert model.image.head is not None
    head = LearningHead(model.image.head, 0, 0).eval()
    ours = head(ImageInputs(model)(features.astype(np.float16)).seen).detach().numpy()
    assert np.abs(ours - whole / np.linalg.norm(whole, axis=1, keepdims=True)).max() < 0.01


def test_wordings() -> None:
    assert wordings("red car")[:2] == ["red car", "a photo of a red car"]
    assert len(wordings("x")) == len(WORDINGS)
    assert plurals("dog") == ["dogs", "photos of dogs", "two dogs", "several dogs", "many dogs"]
    assert plurals("sheep")[2] == "two sheep" and plurals("chess")[0] == "chess"
    assert len(plurals("x")) == len(PLURALS)


def test_groups_are_of_the_classes_they_say() -> None:
    names = class_names()
    said = {group: {names[position].lower() for position in members(group)} for group in GROUPS}
    assert "tabby cat" in said["cat"] and "chihuahua" in said["dog"] and "taxicab" in said["car"]
    assert (
        "tench" in said["fish"] and "mountain bike" in said["bicycle"] and "banana" in said["fruit"]
    )
    assert "school bus" in said["bus"] and "tabby cat" not in said["dog"]


def test_coarse_probabilities() -> None:
    table, columns = coarse_table(), list(GROUPS)
    assert table.sum(axis=1) == pytest.approx(1)
    assert table[281, columns.index("cat")] == 1  # a tabby is a cat
    assert table[321, columns.index("butterfly")] == table[321, columns.index("insect")] == 0.5
    # a class of no group is its own word
    assert table[970, len(GROUPS) + ungrouped().index(970)] == 1


def test_texts_of_ascii_are_read_as_before() -> None:
    encoder, described = sentence_encoder(), TOKENIZER.read()
    smaller, tokenizer = without_other_scripts(encoder, described)
    words = "embeddings.word_embeddings.weight"
    assert len(encoder.bert[words]) == 30_522
    assert len(smaller.bert[words]) == len(json.loads(tokenizer)["model"]["vocab"]) < 28_000
    texts = ["a hospital room", "Café, déjà vu!", "xylophonists' 3 e-mails"]
    vectors = []
    for arrays, described_ in ((encoder, described), (smaller, tokenizer)):
        (batch,) = TextTokenizer(described_, 64).batches(texts)
        session = open_session(text_graph(arrays))
        vectors.append(session.run(None, {"input_ids": batch.ids, "attention_mask": batch.mask})[0])
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-4
    assert TextTokenizer(tokenizer, 64).tokens("a 猫") == ["[CLS]", "a", "[UNK]", "[SEP]"]


def objective(labels: list[int] | None) -> tuple[Objective, LearningSet]:
    """Two images and two texts on the axes; heads that leave them there."""
    eye = np.eye(2, dtype=np.float32)
    same = LearningHead(Head((Linear(eye, np.zeros(2, np.float32)),)), 0, 0)
    own = [np.array([0]), np.array([1])]
    one = LearningSet(
        "axes",
        eye.astype(np.float16),
        torch.tensor(eye),
        np.arange(2),
        own,
        None if labels is None else np.array(labels),
        [] if labels is None else own,
    )
    teacher = Teacher([torch.tensor(eye)], [torch.tensor(eye)], torch.tensor(eye))
    return Objective(same, same, [one], teacher, np.random.default_rng(0), None), one


def test_a_contrast_by_hand() -> None:
    """Cosines (1, 0) times the scale of 20:
    the loss is log(1 + e^-20) where right, 20 more where wrong.
    """
    made, one = objective(None)
    vectors = torch.tensor(one.inputs.astype(np.float32))
    right, texts, same = made._captions(0, np.array([0, 1]), vectors)
    assert float(right.detach()) == pytest.approx(0, abs=1e-6)
    assert texts.shape == (2, 2) and list(same) == [0, 1]
    wrong, _, _ = made._captions(0, np.array([1, 0]), vectors)
    assert float(wrong.detach()) == pytest.approx(20, abs=1e-4)
    alike = made._contrast(
        vectors, vectors.flip(0), np.array([7, 7]), 0
    )  # both texts say the same: half and half
    assert float(alike.detach()) == pytest.approx(10, abs=1e-4)


def test_classes_by_hand() -> None:
    made, one = objective([0, 0])
    vectors = torch.tensor(one.inputs.astype(np.float32))
    loss, _, labels = made._classes(
        0, np.array([0, 1]), vectors
    )  # the second is on the axis of the other class
    # Of an image: 0 and 20. Of a class, scores of 20 cosine - 5: log(1 + e^-15) + log(1 + e^-5) =
    # 0.0067, and log(1 + e^5) + log(1 + e^15) = 20.0067.
    assert float(loss.detach()) == pytest.approx(
        (0 + 20) / 2 + 0.5 * (0.0067 + 20.0067) / 2, abs=1e-3
    )
    assert list(labels) == [0, 0]


def test_the_last_block_computes_what_the_graph_does() -> None:
    """Trunk and block, one after the other, are the bare tower."""
    image = tiny_model().image
    pixels = np.random.default_rng(1).integers(0, 256, (3, TINY.side_px, TINY.side_px, 3), np.uint8)
    bare = image_graph(replace(image, class_table=None, head=None))
    whole = open_session(bare).run(None, {"pixels": pixels})[0]
    maps = open_session(trunk_graph(image)).run(None, {"pixels": pixels})[0]
    assert maps.shape == (3, *map_shape(image)) and maps.dtype == np.float16
    told: list[int] = []
    ours = LastBlock(image).features(maps, told.append)
    assert np.abs(ours - whole).max() < 0.02 * np.abs(whole).max()  # fp16, and weights in 8 bits
    assert told == [3]


def test_the_last_block_gives_its_arrays_back() -> None:
    image = tiny_model().image
    block = LastBlock(image)
    names = [part.name for part in last_block(TINY)]
    assert names == [
        "_blocks.7._expand_conv",
        "_blocks.7._depthwise_conv",
        "_blocks.7._project_conv",
        "_conv_head",
    ]
    arrays = block.arrays()
    assert sorted(arrays) == sorted(
        f"{name}.{part}" for name in names for part in ("weight", "bias")
    )
    assert all(np.array_equal(values, image.backbone[name]) for name, values in arrays.items())
    with torch.no_grad():
        next(block.parameters()).add_(1)
    assert not np.array_equal(block.arrays()[f"{names[0]}.weight"], arrays[f"{names[0]}.weight"])


def test_a_moved_last_block_is_held_by_where_images_were() -> None:
    """The image was on the first axis and is on the second: it moved by the square of sqrt 2."""
    eye = np.eye(2, dtype=np.float32)
    same = LearningHead(Head((Linear(eye, np.zeros(2, np.float32)),)), 0, 0)
    teacher = Teacher([torch.tensor(eye)], [torch.tensor(eye)], torch.tensor(eye))
    made = Objective(same, same, [], teacher, np.random.default_rng(0), Anchor(same, same))
    inputs = Inputs(
        torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    )
    assert float(made._drift([(inputs.seen, inputs)]).detach()) == pytest.approx(2)


def test_likeness_follows_the_backbone_by_hand() -> None:
    """Three images: to the backbone the first two are alike and
    the third opposite; nothing else counts.

    Centred, (1), (1), (-2) over 3 are 1, 1 and -1: cosines 1 and -1, so that the first two expect
    each other (e^-20 for the third), and the third both in equal shares. Where vectors say so, too,
    the divergence is 0; where all are one vector, log 2, log 2 and 0.
    """
    made, _ = objective(None)
    seen = torch.tensor([[2.0, 0], [2.0, 0], [-1.0, 0]])
    inputs = Inputs(seen, torch.zeros(3, 2), seen)
    alike = torch.tensor([[1.0, 0], [1.0, 0], [-1.0, 0]])
    assert float(made._likeness([(alike, inputs)])) == pytest.approx(0, abs=1e-5)
    one = torch.tensor([[1.0, 0]] * 3)
    assert float(made._likeness([(one, inputs)])) == pytest.approx(2 / 3 * np.log(2), abs=1e-5)
