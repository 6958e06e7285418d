"""EfficientNet-Lite as numbers: its stages, its padding,
and its normalisations folded into the convolutions.

The network (Tan and Le 2019, the "lite" variant: no squeeze-and-excitation, ReLU6, stem and head of
fixed width) is written out from its few numbers, so that neither PyTorch nor an exporter is needed.
Knows nothing of graphs.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from training.arrays import Arrays, Floats, Variant
from training.checkpoint import Tensors

BATCH_NORM_EPSILON = 1e-3

# Repeats, kernel, stride, expansion and output channels of each stage, before scaling.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution of the network."""

    name: str
    norm: str  # the normalisation that follows it in the checkpoint
    stride: int = 1
    activated: bool = True  # by ReLU6


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted bottleneck: expand by a 1x1,
    filter by depth, project by a 1x1, and add the input.
    """

    kernel: int
    stride: int
    expands: bool
    adds_input: bool


def blocks(variant: Variant) -> Iterator[Block]:
    """The blocks of a variant, in order. The first and last stage are never repeated more."""
    channels_in = STEM_CHANNELS
    for index, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
        if 0 < index < len(STAGES) - 1:
            repeats = math.ceil(repeats * variant.depth)
        channels_out = _round_to_8(channels * variant.width)
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            yield Block(kernel, step, expansion > 1, step == 1 and channels_in == channels_out)
            channels_in = channels_out


def _round_to_8(channels: float) -> int:
    """The nearest multiple of 8, but never more than a tenth below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def fold_batch_norm(weights: Tensors, convolution: str, norm: str) -> tuple[Floats, Floats]:
    """Kernel and bias of one convolution that does what the
    convolution and the normalisation after it do.

    y = gamma (conv(x) - mean) / sqrt(variance + eps) + beta, computed in float64.

    :returns: float32, (out, in / groups, kernel, kernel) and (out,).
    """
    gamma, beta, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel = weights[f"{convolution}.weight"].astype(np.float64) * scale[:, None, None, None]
    return kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)


def same_padding(side_px: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after; the output is ceil(side / stride);
    an odd one goes after, as in TensorFlow.
    """
    output = math.ceil(side_px / stride)
    total = max((output - 1) * stride + kernel - side_px, 0)
    return total // 2, total - total // 2


def convolutions(variant: Variant) -> Iterator[Convolution]:
    """All convolutions in the order in which they run, named as in the checkpoint."""
    yield Convolution("_conv_stem", "_bn0", stride=2)
    for index, block in enumerate(blocks(variant)):
        name = f"_blocks.{index}"
        if block.expands:
            yield Convolution(f"{name}._expand_conv", f"{name}._bn0")
        yield Convolution(f"{name}._depthwise_conv", f"{name}._bn1", block.stride)
        yield Convolution(f"{name}._project_conv", f"{name}._bn2", activated=False)
    yield Convolution("_conv_head", "_bn1")


def last_block(variant: Variant) -> list[Convolution]:
    """The convolutions of the last block and the one after it,
    whose mean over the image is the features.

    No input is added in it, so they run one after another.
    """
    *_, block = blocks(variant)
    assert block.expands and not block.adds_input and block.stride == 1
    return list(convolutions(variant))[-4:]


def folded(variant: Variant, weights: Tensors) -> Arrays:
    """A checkpoint's arrays without its normalisations:
    "<convolution>.weight" and ".bias", "_fc.weight" and ".bias".

    :param weights: the tensors of the checkpoint, named as efficientnet_lite_pytorch names them.
    """
    arrays: Arrays = {}
    for convolution in convolutions(variant):
        kernel, bias = fold_batch_norm(weights, convolution.name, convolution.norm)
        arrays |= {f"{convolution.name}.weight": kernel, f"{convolution.name}.bias": bias}
    fc = {part: weights[part].astype(np.float32) for part in ("_fc.weight", "_fc.bias")}
    return arrays | fc
