"""The sentence encoder: tokens as BERT's,
vectors as sentence-transformers', alone or in a batch.
"""

from __future__ import annotations

import numpy as np
import pytest

from indexer.embed.tokens import TextTokenizer
from indexer.embed.vectors import unit_rows
from training.bridge import ENCODER, TOKENIZER
from training.sentence import MAX_TOKENS, SentenceEncoder


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(ENCODER.read(), TOKENIZER.read())


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a cat", ["[CLS]", "a", "cat", "[SEP]"]),
        ("Two CAFÉS!", ["[CLS]", "two", "cafes", "!", "[SEP]"]),
        ("embeddings", ["[CLS]", "em", "##bed", "##ding", "##s", "[SEP]"]),
        ("", ["[CLS]", "[SEP]"]),
    ],
)
def test_words_are_split_as_bert_does(text: str, tokens: list[str]) -> None:
    assert TextTokenizer(TOKENIZER.read(), MAX_TOKENS).tokens(text) == tokens


def test_case_and_accents_do_not_count(encoder: SentenceEncoder) -> None:
    plain, loud = encoder.encode(["a cafe in paris"]), encoder.encode(["A Café in PARIS"])
    assert np.array_equal(plain, loud)


def test_meaning_shows_in_the_cosine(encoder: SentenceEncoder) -> None:
    query, near, far = encoder.encode(["a cat", "a kitten on a sofa", "the stock market fell"])
    assert query @ near > 0.5 > 0.2 > query @ far


def test_a_sentence_is_the_same_alone_and_in_a_batch(encoder: SentenceEncoder) -> None:
    sentences = [
        " ".join(["a photo of a dog"] * (1 + index % 7)) + f" {index}" for index in range(70)
    ]
    together = encoder.encode(sentences)
    alone = np.concatenate([encoder.encode([sentence]) for sentence in sentences])
    assert np.abs(together - alone).max() < 1e-5
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(70), abs=1e-5)


def test_what_is_beyond_the_limit_does_not_count(encoder: SentenceEncoder) -> None:
    kept = MAX_TOKENS - 2  # [CLS] and [SEP] take two
    limit = encoder.encode(["dog " * kept])
    assert np.abs(encoder.encode(["dog " * kept + "cat " * 50]) - limit).max() < 1e-6
    assert np.abs(encoder.encode(["dog " * (kept - 1) + "cat"]) - limit).max() > 1e-4


def test_no_sentences_give_no_rows(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)


def test_a_row_of_zeros_stays() -> None:
    rows = unit_rows(np.array([[3, 4], [0, 0]], np.float32))
    assert rows.tolist() == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
    assert rows.dtype == np.float32
