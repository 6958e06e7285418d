"""Texts as token numbers: padded, cut, of one length together; odd characters are no error."""

from __future__ import annotations

import pytest

from indexer.embed import Reading
from indexer.embed.tokens import TextTokenizer
from tests.tiny_model import tokenizer

CLS, SEP, UNK, A, RED, CAT, CAR, S = 2, 3, 1, 4, 5, 6, 8, 9


def test_a_batch_is_padded_to_its_longest_text() -> None:
    (batch,) = TextTokenizer(tokenizer(), 12).batches(["a red cat", "", "Cars"])
    rows = {position: row for row, position in enumerate(batch.positions)}
    assert batch.ids[rows[0]].tolist() == [CLS, A, RED, CAT, SEP]
    assert batch.ids[rows[1]].tolist() == [CLS, SEP, 0, 0, 0]
    assert batch.ids[rows[2]].tolist() == [CLS, CAR, S, SEP, 0]
    assert batch.mask.sum(axis=1)[[rows[0], rows[1], rows[2]]].tolist() == [5, 2, 4]


def test_texts_of_one_length_come_together() -> None:
    texts = ["a", "a red cat", "cat", "a red car"]
    batches = list(TextTokenizer(tokenizer(), 12).batches(texts, size=2))
    assert [batch.positions for batch in batches] == [[0, 2], [1, 3]]
    assert [batch.ids.shape for batch in batches] == [(2, 3), (2, 5)]


def test_a_long_text_is_cut_and_still_ends() -> None:
    (batch,) = TextTokenizer(tokenizer(), 5).batches(["a cat " * 1000])
    assert batch.ids.tolist() == [[CLS, A, CAT, A, SEP]]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("CAFÉ", ["[CLS]", "caf", "##e", "[SEP]"]),
        ("红 cat", ["[CLS]", "[UNK]", "cat", "[SEP]"]),
        ("cat \ud83d", ["[CLS]", "cat", "[UNK]", "[SEP]"]),  # half an emoji
        ("cat\0", ["[CLS]", "cat", "[SEP]"]),
        (" \n ", ["[CLS]", "[SEP]"]),
    ],
)
def test_every_text_has_tokens(text: str, tokens: list[str]) -> None:
    assert TextTokenizer(tokenizer(), 12).tokens(text) == tokens


def test_no_texts_give_no_batch() -> None:
    assert list(TextTokenizer(tokenizer(), 12).batches([])) == []


@pytest.mark.parametrize("description", [b"", b"{}", b"\xff\xfe", b'{"model": 3}'])
def test_what_is_no_tokenizer_is_refused(description: bytes) -> None:
    with pytest.raises(ValueError):
        TextTokenizer(description, 12)


@pytest.mark.parametrize(
    ("text", "letters", "read", "whole", "pieces"),
    [
        ("a red cat", 7, 7, 7, 3),
        ("a red, red cat!", 10, 10, 10, 4),  # signs are no letters
        ("Cars", 4, 4, 0, 2),  # car ##s
        ("CAFÉ", 4, 4, 0, 2),
        ("红 cat", 4, 3, 3, 2),  # the vocabulary has no 红
        ("собака", 6, 0, 0, 1),
        ("12 34", 4, 0, 0, 2),  # digits are letters; the vocabulary has none
        ("??? ...", 0, 0, 0, 0),
        ("", 0, 0, 0, 0),
        ("cat \ud83d", 3, 3, 3, 1),
    ],
)
def test_how_much_of_a_text_is_known(
    text: str, letters: int, read: int, whole: int, pieces: int
) -> None:
    assert TextTokenizer(tokenizer(), 12).read(text) == Reading(letters, read, whole, pieces)
