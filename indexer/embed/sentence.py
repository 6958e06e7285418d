"""Turns sentences into vectors with a small BERT (all-MiniLM-L6-v2): WordPiece tokens, mean of the last
layer.

Knows nothing of images.

Source: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (pooling and the limit of 256 tokens)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer

from indexer.embed import Vectors
from indexer.embed.runtime import open_session

DIM = 384
MAX_TOKENS = 256
BATCH_SIZE = 64  # sentences a call; longer batches only cost memory


class SentenceEncoder:
    """The model of one sentence-transformers BERT."""

    def __init__(self, model: bytes, tokenizer: bytes) -> None:
        """:param tokenizer: the content of its tokenizer.json."""
        self._session = open_session(model)
        self._tokenizer = _tokenizer(tokenizer)

    def encode(self, sentences: Sequence[str]) -> Vectors:
        """float32, (n, 384), unit rows. What is beyond 256 tokens does not count."""
        vectors = np.empty((len(sentences), DIM), np.float32)
        encodings = self._tokenizer.encode_batch(list(sentences))
        by_length = sorted(range(len(encodings)), key=lambda index: len(encodings[index]))  # little padding
        for start in range(0, len(by_length), BATCH_SIZE):
            batch = by_length[start : start + BATCH_SIZE]
            vectors[batch] = self._encode_batch([encodings[index] for index in batch])
        return vectors

    def _encode_batch(self, encodings: Sequence[Encoding]) -> Vectors:
        longest = max(len(encoding) for encoding in encodings)
        tokens = np.zeros((len(encodings), longest), np.int64)
        mask = np.zeros_like(tokens)
        for row, encoding in enumerate(encodings):
            tokens[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
        inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        hidden = self._session.run(None, inputs)[0]  # (n, longest, 384)
        return unit_rows((hidden * mask[:, :, None]).sum(axis=1))  # the sum points where the mean does


def unit_rows(vectors: Vectors) -> Vectors:
    """The rows at length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def _tokenizer(description: bytes) -> Tokenizer:
    tokenizer = Tokenizer.from_buffer(description)
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer
