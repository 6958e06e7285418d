"""Texts as the numbers that a text tower takes. Knows nothing of models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from indexer.embed import Reading

BATCH_SIZE = 64  # texts a call; longer batches only cost memory
UNKNOWN = "[UNK]"


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Some of the texts, of about one length, padded with zeros to the longest of them."""

    positions: list[int]  # where each text stands among those that were given
    ids: NDArray[np.int64]  # (n, tokens)
    mask: NDArray[np.int64]  # (n, tokens), 1 where there is a token


class TextTokenizer:
    """A tokenizer.json of the `tokenizers` library, with a limit on the tokens of a text."""

    def __init__(self, description: bytes, most_tokens: int) -> None:
        """:param description: the content of the tokenizer.json.
        :param most_tokens: a text's, its start and end among them; what is beyond does not count.
        :raises ValueError: if the description is not one.
        """
        # The library raises a bare Exception, on bytes that are not UTF-8 a panic.
        try:
            self._tokenizer = Tokenizer.from_str(description.decode())
        except Exception as error:  # its own class is Exception
            raise ValueError(str(error)) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(most_tokens)

    def tokens(self, text: str) -> list[str]:
        """What the text is split into."""
        return list(self._encode([text])[0].tokens)

    def read(self, text: str) -> Reading:
        """How much of a text the vocabulary holds."""
        encoding = self._encode([text])[0]
        words: dict[int, list[int]] = {}  # word -> the letters of each of its pieces that is known
        letters = 0
        for token, word, (start, end) in zip(
            encoding.tokens, encoding.word_ids, encoding.offsets, strict=True
        ):
            here = sum(char.isalnum() for char in text[start:end])
            if word is None or not here:
                continue
            letters += here
            words.setdefault(word, []).append(0 if token == UNKNOWN else here)
        return Reading(
            letters,
            read=sum(map(sum, words.values())),
            whole=sum(pieces[0] for pieces in words.values() if len(pieces) == 1),
            pieces=sum(map(len, words.values())),
        )

    def batches(self, texts: Sequence[str], size: int = BATCH_SIZE) -> Iterator[TokenBatch]:
        """All texts, those of one length together, so that there is little padding."""
        encodings = self._encode(texts)
        by_length = sorted(range(len(encodings)), key=lambda index: len(encodings[index]))
        for start in range(0, len(by_length), size):
            positions = by_length[start : start + size]
            yield _padded(positions, [encodings[index] for index in positions])

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        # Half a surrogate pair, as in a file name that was cut, has no UTF-8; it reads as "?".
        return list(
            self._tokenizer.encode_batch([text.encode(errors="replace").decode() for text in texts])
        )


def _padded(positions: list[int], encodings: Sequence[Encoding]) -> TokenBatch:
    ids = np.zeros((len(encodings), max(len(encoding) for encoding in encodings)), np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = encoding.ids
        mask[row, : len(encoding)] = 1
    return TokenBatch(positions, ids, mask)
