"""Rounding to 4 bits: what is computed stays, better than rounded to nearest."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.embed.runtime import open_session
from indexer.embed.tokens import TextTokenizer
from indexer.embed.vectors import unit_rows
from training.arrays import Floats
from training.graphs import text_graph
from training.imagenet import class_names
from training.quantised import to_4_bits
from training.rounding import rounded, rounded_layers
from training.starting import TOKENIZER, sentence_encoder
from training.wordings import wordings


def test_what_one_column_loses_another_makes_up_for() -> None:
    """Columns that always come together:
    0.4 + 0.4 of a scale of 1 is better said 0 + 1 than 0 + 0.
    """
    weight = np.zeros((1, 32), np.float32)
    weight[0, :3] = [7, 0.4, 0.4]  # the first sets the scale
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(1000, 32)).astype(np.float32)
    inputs[:, 2] = inputs[:, 1]
    assert to_4_bits(weight).integers[0, :3].tolist() == [7, 0, 0]
    assert rounded(weight, inputs)[0, :3].tolist() == [7, 0, 1]


def test_rounding_stays_closer_than_to_nearest() -> None:
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 0.05, (48, 64)).astype(np.float32)
    inputs = (
        rng.normal(size=(2000, 8)) @ rng.normal(size=(8, 64)) + 0.1 * rng.normal(size=(2000, 64))
    ).astype(np.float32)
    ours, nearest = rounded(weight, inputs), to_4_bits(weight).values()

    def error(made: Floats) -> float:
        return float(np.square(inputs @ (made - weight).T).mean())

    assert error(ours) < error(nearest) / 2
    assert np.array_equal(to_4_bits(ours).values(), ours)  # it is on the grid that is stored


@pytest.mark.slow
def test_a_rounded_sentence_encoder_says_nearly_the_same() -> None:
    arrays, tokenizer = sentence_encoder(), TextTokenizer(TOKENIZER.read(), 64)
    texts = [text for name in class_names()[::5] for text in wordings(name)[:3]]
    (batch,) = tokenizer.batches(["a cat", "a bus", "an empty corridor of a hospital at night"])

    def vectors(content: bytes) -> Floats:
        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        found = np.asarray(open_session(content).run(None, inputs)[0])
        return unit_rows(found)

    before = vectors(text_graph(arrays))
    nearest = vectors(text_graph(arrays, in_4_bits=True))
    ours = vectors(text_graph(rounded_layers(arrays, tokenizer, texts), in_4_bits=True))
    lost, lost_to_nearest = (1 - (before * after).sum(axis=1) for after in (ours, nearest))
    assert lost.mean() < 0.6 * lost_to_nearest.mean()
    assert lost.max() < 0.025
