"""Builds EfficientNet-Lite as an ONNX graph from its weights, batch normalisation folded into the
convolutions.

The network (Tan and Le 2019, the "lite" variant: no squeeze-and-excitation, ReLU6, stem and head of fixed
width) is written out from its few numbers, so that neither PyTorch nor an exporter is needed. The graph takes
pixels as decoded, uint8 (n, height, width, 3), and gives a vector an image: the class probabilities times a
table of the caller's. `onnx` is imported only when a graph is built. Knows nothing of texts, caches or
packages.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.embed.checkpoint import Tensors

if TYPE_CHECKING:
    import onnx

Floats: TypeAlias = NDArray[np.float32]

BATCH_NORM_EPSILON = 1e-3
OPSET = 17
IR_VERSION = 8  # the first for opset 17, so that every ONNX Runtime we allow reads it
INPUT = "pixels"
OUTPUT = "vectors"

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
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0  # input = (pixel - 127) / 128


@dataclass(frozen=True, slots=True)
class Variant:
    """One size of the family."""

    width: float  # factor on channels
    depth: float  # factor on repeats
    side_px: int


LITE0 = Variant(1.0, 1.0, 224)
LITE2 = Variant(1.1, 1.2, 260)


@dataclass(frozen=True, slots=True)
class Block:
    """An inverted bottleneck: expand by a 1x1, filter by depth, project by a 1x1, and add the input."""

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
    """Kernel and bias of one convolution that does what the convolution and the normalisation after it do.

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
    """Zeros before and after; the output is ceil(side / stride); an odd one goes after, as in TensorFlow."""
    output = math.ceil(side_px / stride)
    total = max((output - 1) * stride + kernel - side_px, 0)
    return total // 2, total - total // 2


def build(variant: Variant, weights: Tensors, table: Floats, temperature: float = 1.0) -> bytes:
    """The network as a serialised ONNX model: uint8 (n, side, side, 3) -> float32 (n, table columns).

    :param weights: the tensors of the checkpoint, named as efficientnet_lite_pytorch names them.
    :param table: float32, (1000, columns); a row a class. An image's vector is the mean row under its
        probabilities.
    :param temperature: the class scores are divided by it before the softmax; above 1 the probabilities are
        flatter.
    """
    graph = _Graph(weights, variant.side_px)
    graph.normalise_pixels()
    graph.convolve("_conv_stem", "_bn0", stride=2)
    for index, block in enumerate(blocks(variant)):
        start, name = graph.tensor, f"_blocks.{index}"
        if block.expands:
            graph.convolve(f"{name}._expand_conv", f"{name}._bn0")
        graph.convolve(f"{name}._depthwise_conv", f"{name}._bn1", block.stride, by_channel=True)
        graph.convolve(f"{name}._project_conv", f"{name}._bn2", activated=False)
        if block.adds_input:
            graph.add("Add", [graph.tensor, start])
    graph.convolve("_conv_head", "_bn1")
    graph.classify_and_mix(table, temperature)
    return graph.serialised(table.shape[1])


class _Graph:
    """An ONNX graph in the making; `tensor` is the name of the last result, `side_px` its side."""

    def __init__(self, weights: Tensors, side_px: int) -> None:
        self.weights = weights
        self.input_side_px = self.side_px = side_px
        self.tensor = INPUT
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(
        self, operator: str, inputs: Sequence[str], output: str | None = None, **attributes: object
    ) -> None:
        from onnx import helper

        self.tensor = output or f"t{len(self.nodes)}"
        node = helper.make_node(operator, list(inputs), [self.tensor])
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)

    def constant(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def normalise_pixels(self) -> None:
        from onnx import TensorProto

        self.add("Transpose", [self.tensor], perm=[0, 3, 1, 2])  # while still bytes: a quarter of the traffic
        self.add("Cast", [self.tensor], to=TensorProto.FLOAT)
        self.add("Sub", [self.tensor, self.constant(np.array(PIXEL_MEAN))])
        self.add("Mul", [self.tensor, self.constant(np.array(1 / PIXEL_SCALE))])

    def convolve(
        self,
        convolution: str,
        norm: str,
        stride: int = 1,
        *,
        by_channel: bool = False,
        activated: bool = True,
    ) -> None:
        kernel, bias = fold_batch_norm(self.weights, convolution, norm)
        before, after = same_padding(self.side_px, kernel.shape[2], stride)
        self.add(
            "Conv",
            [self.tensor, self.constant(kernel), self.constant(bias)],
            kernel_shape=kernel.shape[2:],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(kernel) if by_channel else 1,
        )
        self.side_px = math.ceil(self.side_px / stride)
        if activated:
            zero, six = self.constant(np.array(0)), self.constant(np.array(6))
            self.add("Clip", [self.tensor, zero, six])

    def classify_and_mix(self, table: Floats, temperature: float) -> None:
        self.add("GlobalAveragePool", [self.tensor])
        self.add("Flatten", [self.tensor])
        weight, bias = (
            self.constant(self.weights[f"_fc.{part}"] / temperature) for part in ("weight", "bias")
        )
        self.add("Gemm", [self.tensor, weight, bias], transB=1)
        self.add("Softmax", [self.tensor], axis=1)
        self.add("MatMul", [self.tensor, self.constant(table)], OUTPUT)

    def serialised(self, columns: int) -> bytes:
        from onnx import TensorProto, checker, helper

        side = self.input_side_px
        pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", side, side, 3])
        vectors = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", columns])
        graph = helper.make_graph(self.nodes, "efficientnet_lite", [pixels], [vectors], self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="lakesift",
        )
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))
