"""Rounds the text tower's wide layers to 4 bits so that what they compute changes little.

Rounded to nearest, "a cat" comes out at a cosine of 0.94 to what it was. Here each column's error
is made up for in the columns that are not yet rounded, as far as the inputs of real texts allow
(GPTQ: Frantar et al. 2022, arXiv 2210.17323, without its order of columns).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from indexer.embed.tokens import TextTokenizer, TokenBatch
from training.arrays import Arrays, Floats, TextArrays
from training.graphs import BERT_EPSILON, MASKED, POSITIONS, WORDS
from training.quantised import BLOCK, to_4_bits

MOST_TEXTS = 2048
DAMPING = 0.01  # of the mean of the diagonal, as the paper's


def rounded_layers(text: TextArrays, tokenizer: TextTokenizer, texts: Sequence[str]) -> TextArrays:
    """The tower with its table of words and its wide layers on a grid of 4 bits,
    as `graphs.text_graph` stores them.

    Each layer is rounded for the inputs that the rounded ones before it give.

    :param texts: such as will be read; of more than MOST_TEXTS some, evenly.
    """
    some = texts[:: math.ceil(len(texts) / MOST_TEXTS)]
    bert = text.bert | {WORDS: to_4_bits(text.bert[WORDS]).values()}
    states = [_embedded(bert, batch) for batch in tokenizer.batches(some)]
    for index in range(text.layers):
        layer = f"encoder.layer.{index}"
        attended = [
            (_attend(bert, layer, text.attention_heads, x, mask), mask) for x, mask in states
        ]
        for part in ("intermediate", "output"):
            inputs = torch.cat([_into(bert, layer, part, x)[mask.bool()] for x, mask in attended])
            name = f"{layer}.{part}.dense.weight"
            bert[name] = rounded(bert[name], inputs.numpy())
        states = [(_widened(bert, layer, x), mask) for x, mask in attended]
    return replace(text, bert=bert)


def rounded(weight: Floats, inputs: Floats) -> Floats:
    """The weight on a grid of 4 bits, such that inputs @ weight.T stays close.

    :param weight: (out, in), in a multiple of BLOCK.
    :param inputs: (n, in), such as it gets.
    """
    products = inputs.T.astype(np.float64) @ inputs
    products += np.eye(len(products)) * DAMPING * np.diag(products).mean()
    upper = np.linalg.cholesky(np.linalg.inv(products)).T  # inverse = upper.T @ upper
    left, done = weight.astype(np.float64), np.empty_like(weight)
    for start in range(0, weight.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        scales = to_4_bits(left[:, block].astype(np.float32)).scales[:, 0]
        errors = np.empty((len(left), BLOCK))
        for number, column in enumerate(range(start, start + BLOCK)):
            done[:, column] = np.rint(left[:, column] / scales).clip(-7, 7) * scales
            errors[:, number] = (left[:, column] - done[:, column]) / upper[column, column]
            rest = slice(column + 1, start + BLOCK)
            left[:, rest] -= np.outer(errors[:, number], upper[column, rest])
        # What lies beyond the block waits for all of it: one product instead of a pass a column.
        left[:, start + BLOCK :] -= errors @ upper[block, start + BLOCK :]
    return done


# -- the tower, as its graph computes it


def _embedded(bert: Arrays, batch: TokenBatch) -> tuple[Tensor, Tensor]:
    """(n, tokens, width), and the mask."""
    ids = batch.ids
    x = torch.tensor(bert[WORDS][ids] + bert[POSITIONS][: ids.shape[1]])
    return _norm(bert, "embeddings.LayerNorm", x), torch.tensor(batch.mask)


def _attend(bert: Arrays, layer: str, heads: int, x: Tensor, mask: Tensor) -> Tensor:
    """After the attention and its norm."""
    query, key, value = (
        _linear(bert, f"{layer}.attention.self.{part}", x)
        .reshape(*x.shape[:2], heads, -1)
        .transpose(1, 2)
        for part in ("query", "key", "value")
    )
    hidden = (1 - mask.float())[:, None, None, :] * MASKED
    seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=hidden)
    seen = _linear(bert, f"{layer}.attention.output.dense", seen.transpose(1, 2).flatten(2))
    return _norm(bert, f"{layer}.attention.output.LayerNorm", seen + x)


def _into(bert: Arrays, layer: str, part: str, x: Tensor) -> Tensor:
    """What a wide layer's part takes."""
    return (
        x
        if part == "intermediate"
        else functional.gelu(_linear(bert, f"{layer}.intermediate.dense", x))
    )


def _widened(bert: Arrays, layer: str, x: Tensor) -> Tensor:
    """After the wide layers and their norm."""
    narrow = _linear(bert, f"{layer}.output.dense", _into(bert, layer, "output", x))
    return _norm(bert, f"{layer}.output.LayerNorm", narrow + x)


def _linear(bert: Arrays, name: str, x: Tensor) -> Tensor:
    return functional.linear(
        x, torch.tensor(bert[f"{name}.weight"]), torch.tensor(bert[f"{name}.bias"])
    )


def _norm(bert: Arrays, name: str, x: Tensor) -> Tensor:
    weight, bias = (torch.tensor(bert[f"{name}.{part}"]) for part in ("weight", "bias"))
    return functional.layer_norm(x, x.shape[-1:], weight, bias, BERT_EPSILON)
