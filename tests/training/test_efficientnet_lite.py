"""The graph of EfficientNet-Lite: its parts by hand,
the whole of it against torch's own operators.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.embed.runtime import open_session
from indexer.embed.vectors import unit_rows
from training.arrays import LITE0, LITE2, ImageArrays, Variant
from training.checkpoint import Tensors, read_checkpoint
from training.efficientnet_lite import blocks, fold_batch_norm, folded, same_padding
from training.graphs import image_graph
from training.starting import CLASSIFIER


def test_batch_norm_folds_into_kernel_and_bias() -> None:
    # gamma / sqrt(variance + 0.001) is 4 / 2 = 2 and 3 / 0.5 = 6; bias is beta - mean * that.
    weights: Tensors = {
        "conv.weight": np.array([1, -2, 3, 0.5], np.float32).reshape(2, 2, 1, 1),
        "norm.weight": np.array([4, 3], np.float32),
        "norm.bias": np.array([10, -1], np.float32),
        "norm.running_mean": np.array([1, 2], np.float32),
        "norm.running_var": np.array([3.999, 0.249], np.float32),
    }
    kernel, bias = fold_batch_norm(weights, "conv", "norm")
    assert kernel.shape == (2, 2, 1, 1)
    assert kernel.ravel() == pytest.approx([2, -4, 18, 3], rel=1e-6)
    assert bias == pytest.approx([8, -13], rel=1e-6)
    assert {kernel.dtype, bias.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("side_px", "kernel", "stride", "padding"),
    [
        (224, 3, 2, (0, 1)),
        (260, 3, 2, (0, 1)),
        (65, 5, 2, (2, 2)),
        (17, 5, 2, (2, 2)),
        (56, 5, 2, (1, 2)),
        (9, 5, 1, (2, 2)),
        (9, 1, 1, (0, 0)),
    ],
)
def test_padding_is_tensorflows(
    side_px: int, kernel: int, stride: int, padding: tuple[int, int]
) -> None:
    assert same_padding(side_px, kernel, stride) == padding


@pytest.mark.parametrize(("variant", "count", "residuals"), [(LITE0, 16, 9), (LITE2, 21, 14)])
def test_blocks_are_scaled_as_the_paper_says(variant: Variant, count: int, residuals: int) -> None:
    found = list(blocks(variant))
    assert len(found) == count
    assert sum(block.adds_input for block in found) == residuals
    assert math.prod(block.stride for block in found) == 16
    assert [block.expands for block in found] == [False] + [True] * (count - 1)


def pictures(count: int) -> NDArray[np.uint8]:
    """Smooth patterns with noise: (count, 260, 260, 3)."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:260, 0:260] / 260
    waves = [
        127 + 90 * np.sin(2 * np.pi * (random.uniform(1, 9) * x + random.uniform(1, 9) * y))
        for _ in range(3 * count)
    ]
    noisy = np.stack(waves) + random.normal(0, 15, (3 * count, 260, 260))
    return noisy.clip(0, 255).astype(np.uint8).reshape(count, 3, 260, 260).transpose(0, 2, 3, 1)


@pytest.mark.slow
def test_the_whole_network_agrees_with_torchs_operators() -> None:
    weights = read_checkpoint(CLASSIFIER.read(), CLASSIFIER.path)
    session = open_session(probability_graph(weights, 1.0))
    pixels = pictures(4)
    ours = session.run(None, {"pixels": pixels})[0][:, -1000:]  # after the features
    theirs = probabilities_by_torch(weights, pixels)
    assert theirs.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(ours - theirs).max() < 1e-4
    # not merely because all are small
    assert np.abs(ours - theirs).max() < 1e-3 * theirs.max(axis=1).min()


@pytest.mark.slow
def test_temperature_flattens_the_probabilities() -> None:
    weights = read_checkpoint(CLASSIFIER.read(), CLASSIFIER.path)
    sharp, flat = (
        open_session(probability_graph(weights, temperature)).run(None, {"pixels": pictures(1)})[0][
            :, -1000:
        ]
        for temperature in (1.0, 2.0)
    )
    roots = np.sqrt(sharp)  # exp(score / 2) = sqrt(exp(score))
    assert flat == pytest.approx(roots / roots.sum(), abs=1e-6)


@pytest.mark.slow
def test_8_bits_cost_little_and_come_to_a_quarter_of_the_size() -> None:
    weights = read_checkpoint(CLASSIFIER.read(), CLASSIFIER.path)
    arrays = ImageArrays(
        LITE2, folded(LITE2, weights), class_table=None, temperature=1.0, head=None
    )
    plain, small = image_graph(arrays, in_8_bits=False), image_graph(arrays)
    assert len(small) < 0.29 * len(plain)
    theirs, ours = (
        unit_rows(open_session(content).run(None, {"pixels": pictures(4)})[0])
        for content in (plain, small)
    )
    assert (theirs * ours).sum(axis=1).min() > 0.997


def probability_graph(weights: Tensors, temperature: float) -> bytes:
    """The features, and behind them the class probabilities: a table that mixes nothing."""
    table = np.eye(1000, dtype=np.float32)
    arrays = ImageArrays(LITE2, folded(LITE2, weights), table, temperature, head=None)
    return image_graph(arrays, in_8_bits=False)


def probabilities_by_torch(weights: Tensors, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network again, from the paper: no folding,
    no graph, widths and repeats read off the weights.
    """
    import torch
    from torch.nn import functional

    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}

    def convolve(x: torch.Tensor, name: str, norm: str, stride: int = 1) -> torch.Tensor:
        kernel = tensors[f"{name}.weight"]
        side, size = x.shape[-1], kernel.shape[-1]
        missing = max((-(-side // stride) - 1) * stride + size - side, 0)
        before, after = missing // 2, missing - missing // 2
        x = functional.pad(x, (before, after, before, after))
        x = functional.conv2d(x, kernel, stride=stride, groups=x.shape[1] // kernel.shape[1])
        mean, variance, gamma, beta = (
            tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    # Lite2's blocks: the first of each stage of 1, 3, 3, 4, 4, 5 and 1 blocks takes the stage's
    # stride.
    strides = [1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1]
    with torch.no_grad():
        x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
        x = functional.relu6(convolve(x, "_conv_stem", "_bn0", 2))
        for index, stride in enumerate(strides):
            name, inputs = f"_blocks.{index}", x
            if f"{name}._expand_conv.weight" in tensors:
                x = functional.relu6(convolve(x, f"{name}._expand_conv", f"{name}._bn0"))
            x = functional.relu6(convolve(x, f"{name}._depthwise_conv", f"{name}._bn1", stride))
            x = convolve(x, f"{name}._project_conv", f"{name}._bn2")
            if x.shape == inputs.shape:
                x = x + inputs
        x = functional.relu6(convolve(x, "_conv_head", "_bn1")).mean((2, 3))
        scores = functional.linear(x, tensors["_fc.weight"], tensors["_fc.bias"])
        return np.asarray(scores.softmax(1).numpy(), np.float32)
