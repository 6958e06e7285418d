"""A whole model of the `builtin` kind with a few thousand
random numbers: real graphs, in milliseconds.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from training.arrays import (
    Arrays,
    Floats,
    Head,
    ImageArrays,
    Linear,
    ModelArrays,
    Norm,
    TextArrays,
    Variant,
)
from training.efficientnet_lite import Block, blocks, convolutions

TINY = Variant(width=0.25, depth=0.3, side_px=32)
DIM = 6
FEATURES, CLASSES, COLUMNS = 24, 10, 8
WIDTH, MOST_TOKENS = 32, 12
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "red",
    "cat",
    "dog",
    "car",
    "##s",
    "und",
    "katze",
    "caf",
    "##e",
    "!",
]


def tiny_model(seed: int = 0, *, layers: int = 2) -> ModelArrays:
    random = np.random.default_rng(seed)
    return ModelArrays(
        "tiny", tiny_image(random), tiny_text(random, layers), tokenizer(), MOST_TOKENS
    )


def tiny_image(random: np.random.Generator) -> ImageArrays:
    backbone: Arrays = {}
    widths = iter([8, *_block_widths(), FEATURES])
    channels = 3
    for convolution in convolutions(TINY):
        depthwise = convolution.name.endswith("_depthwise_conv")
        out = channels if depthwise else next(widths)
        fan_in, side = (1, 3) if depthwise else (channels, 1)
        side = 3 if convolution.name == "_conv_stem" else side
        shape = (out, fan_in, side, side)
        backbone[f"{convolution.name}.weight"] = _normal(
            random, shape, 1.5 / np.sqrt(fan_in * side * side)
        )
        backbone[f"{convolution.name}.bias"] = _normal(random, (out,), 0.3)
        channels = out
    backbone |= {
        "_fc.weight": _normal(random, (CLASSES, FEATURES), 1),
        "_fc.bias": _normal(random, (CLASSES,), 1),
    }
    head = _head(random, FEATURES + COLUMNS, with_skip=False)
    return ImageArrays(TINY, backbone, _normal(random, (CLASSES, COLUMNS), 1), 2.0, head)


def tiny_text(random: np.random.Generator, layers: int) -> TextArrays:
    bert = {
        "embeddings.word_embeddings.weight": _normal(random, (len(WORDS), WIDTH), 1),
        "embeddings.position_embeddings.weight": _normal(random, (MOST_TOKENS, WIDTH), 1),
        **_norm("embeddings.LayerNorm", random),
    }
    for index in range(layers):
        layer = f"encoder.layer.{index}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            bert |= _linear(f"{layer}.attention.{part}", WIDTH, WIDTH, random)
        bert |= _norm(f"{layer}.attention.output.LayerNorm", random)
        bert |= _linear(f"{layer}.intermediate.dense", 2 * WIDTH, WIDTH, random)
        bert |= _linear(f"{layer}.output.dense", WIDTH, 2 * WIDTH, random)
        bert |= _norm(f"{layer}.output.LayerNorm", random)
    return TextArrays(bert, attention_heads=4, head=_head(random, WIDTH, with_skip=True))


def tokenizer() -> bytes:
    """WordPiece over WORDS, lower-casing, [CLS] before and [SEP] after."""
    special = {"cls": ["[CLS]", WORDS.index("[CLS]")], "sep": ["[SEP]", WORDS.index("[SEP]")]}
    model = {
        "type": "WordPiece",
        "vocab": {word: index for index, word in enumerate(WORDS)},
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    }
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    parts: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", **special},
        "decoder": None,
        "model": model,
    }
    return json.dumps(parts).encode()


def _block_widths() -> list[int]:
    """What the convolutions of each block give,
    but for the depthwise one, which keeps what it gets.
    """
    return [width for block in blocks(TINY) for width in _widths(block)]


def _widths(block: Block) -> list[int]:
    return [16, 8] if block.expands else [8]


def _head(random: np.random.Generator, width: int, *, with_skip: bool) -> Head:
    layers = (
        Linear(_normal(random, (16, width), 0.3), _normal(random, (16,), 1)),
        Linear(_normal(random, (DIM, 16), 0.3), _normal(random, (DIM,), 1)),
    )
    norm = Norm(_normal(random, (width,), 1), _normal(random, (width,), 1))
    return Head(layers, _normal(random, (DIM, width), 0.3), norm) if with_skip else Head(layers)


def _linear(name: str, out: int, width: int, random: np.random.Generator) -> Arrays:
    return {
        f"{name}.weight": _normal(random, (out, width), 1 / np.sqrt(width)),
        f"{name}.bias": _normal(random, (out,), 0.2),
    }


def _norm(name: str, random: np.random.Generator) -> Arrays:
    return {
        f"{name}.weight": 1 + _normal(random, (WIDTH,), 0.1),
        f"{name}.bias": _normal(random, (WIDTH,), 0.1),
    }


def _normal(random: np.random.Generator, shape: tuple[int, ...], scale: float) -> Floats:
    return random.normal(0, scale, shape).astype(np.float32)
