"""The numbers of a model, float32, by name:
what training changes, and what graphs are made of and read back to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Arrays: TypeAlias = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Variant:
    """One size of EfficientNet-Lite."""

    width: float  # factor on channels
    depth: float  # factor on repeats
    side_px: int


LITE0 = Variant(1.0, 1.0, 224)
LITE2 = Variant(1.1, 1.2, 260)


@dataclass(frozen=True, slots=True)
class Linear:
    """y = weight @ x + bias, as torch.nn.Linear."""

    weight: Floats  # (out, in)
    bias: Floats  # (out,)


@dataclass(frozen=True, slots=True)
class Norm:
    """torch.nn.LayerNorm with its default epsilon of 1e-5."""

    weight: Floats  # (width,)
    bias: Floats  # (width,)


@dataclass(frozen=True, slots=True)
class Head:
    """The last part of a tower: y = layers(norm(x))
    + skip @ norm(x), with an exact (erf) GELU between the layers.
    """

    layers: tuple[Linear, ...]  # at least one
    skip: Floats | None = None  # (out, in); None: nothing is added
    norm: Norm | None = None  # None: x as it is


@dataclass(frozen=True, slots=True)
class ImageArrays:
    """EfficientNet-Lite without normalisations, and a head on its pooled features.

    The head sees [features ; softmax((fc(features)) / temperature) @ class_table], or the features
    alone where there is no class table. `backbone` has, for each convolution of
    `efficientnet_lite.convolutions`, "<name>.weight" (out, in / groups, kernel, kernel) and
    "<name>.bias" (out,), and with a class table "_fc.weight" (classes, features) and "_fc.bias"
    (classes,).
    """

    variant: Variant
    backbone: Arrays
    class_table: Floats | None  # (classes, columns)
    temperature: float
    head: Head | None  # None: the vectors are what a head would see


@dataclass(frozen=True, slots=True)
class TextArrays:
    """A BERT, mean pooling over its tokens, and a head on the mean.

    `bert` is named as Hugging Face's BertModel names it (weights (out, in), as in torch), without
    the parts that have no effect here: no pooler, and the one token type that is used is added to
    the positions.
    """

    bert: Arrays
    attention_heads: int
    head: Head | None  # None: the vectors are the means

    @property
    def layers(self) -> int:
        """How many the encoder has."""
        return sum(name.endswith(".attention.self.query.weight") for name in self.bert)


@dataclass(frozen=True, slots=True)
class ModelArrays:
    """All that a model folder is written from, and read back to."""

    name: str
    image: ImageArrays
    text: TextArrays
    tokenizer: bytes  # tokenizer.json
    most_tokens: int


def named(head: Head, prefix: str = "head") -> Arrays:
    """A head's arrays by name: "head.layers.0.weight",
    "head.layers.0.bias", "head.skip", "head.norm.weight".
    """
    arrays: Arrays = {}
    for index, layer in enumerate(head.layers):
        arrays |= {
            f"{prefix}.layers.{index}.weight": layer.weight,
            f"{prefix}.layers.{index}.bias": layer.bias,
        }
    if head.skip is not None:
        arrays[f"{prefix}.skip"] = head.skip
    if head.norm is not None:
        arrays |= {f"{prefix}.norm.weight": head.norm.weight, f"{prefix}.norm.bias": head.norm.bias}
    return arrays


def head_of(arrays: Mapping[str, Floats], prefix: str = "head") -> Head | None:
    """The opposite of `named`; None where no array has such a name."""
    count = sum(
        name.startswith(f"{prefix}.layers.") and name.endswith(".weight") for name in arrays
    )
    if not count:
        return None
    layers = (f"{prefix}.layers.{index}" for index in range(count))
    return Head(
        tuple(Linear(arrays[f"{layer}.weight"], arrays[f"{layer}.bias"]) for layer in layers),
        arrays.get(f"{prefix}.skip"),
        Norm(arrays[f"{prefix}.norm.weight"], arrays[f"{prefix}.norm.bias"])
        if f"{prefix}.norm.weight" in arrays
        else None,
    )
