"""Turns sentences into vectors with all-MiniLM-L6-v2 as others exported it: mean of the last layer.

Knows nothing of images.

Source: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (pooling and the limit of 256
tokens)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexer.arrays import Vectors
from indexer.embed.runtime import open_session
from indexer.embed.tokens import TextTokenizer, TokenBatch
from indexer.embed.vectors import unit_rows

DIM = 384
MAX_TOKENS = 256


class SentenceEncoder:
    """The model of one sentence-transformers BERT."""

    def __init__(self, model: bytes, tokenizer: bytes) -> None:
        """:param tokenizer: the content of its tokenizer.json."""
        self._session = open_session(model)
        self._tokenizer = TextTokenizer(tokenizer, MAX_TOKENS)

    def encode(self, sentences: Sequence[str]) -> Vectors:
        """float32, (n, 384), unit rows. What is beyond 256 tokens does not count."""
        vectors = np.empty((len(sentences), DIM), np.float32)
        for batch in self._tokenizer.batches(sentences):
            vectors[batch.positions] = self._encode_batch(batch)
        return vectors

    def _encode_batch(self, batch: TokenBatch) -> Vectors:
        inputs = {
            "input_ids": batch.ids,
            "attention_mask": batch.mask,
            "token_type_ids": np.zeros_like(batch.ids),
        }
        hidden = self._session.run(None, inputs)[0]  # (n, longest, 384)
        # the sum points where the mean does
        return unit_rows((hidden * batch.mask[:, :, None]).sum(axis=1))
