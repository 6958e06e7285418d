"""The heads while they learn, as torch modules; and the arrays they become."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from training.arrays import Floats, Head, Linear, Norm
from training.graph_maker import NORM_EPSILON


class LearningHead(nn.Module):
    """y = layers(norm(x)) + skip @ norm(x),
    GELU and dropout between the layers; `forward` gives unit rows.
    """

    def __init__(self, head: Head, dropout_in: float, dropout: float) -> None:
        """:param dropout_in: share of the inputs that are left out.
        :param dropout: of the hidden values.
        """
        super().__init__()
        self.norm = None if head.norm is None else _norm(head.norm)
        self.layers = nn.ModuleList(_linear(layer) for layer in head.layers)
        self.skip = None if head.skip is None else nn.Parameter(torch.tensor(head.skip))
        self.dropout_in, self.dropout = nn.Dropout(dropout_in), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout_in(x if self.norm is None else self.norm(x))
        y = x
        for index, layer in enumerate(self.layers):
            y = layer(self.dropout(nn.functional.gelu(y)) if index else y)
        y = y if self.skip is None else y + nn.functional.linear(x, self.skip)
        return nn.functional.normalize(y, dim=-1)

    def head(self) -> Head:
        """The arrays as they are now."""
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        layers = tuple(Linear(_array(layer.weight), _array(layer.bias)) for layer in linear)
        skip = None if self.skip is None else _array(self.skip)
        norm = None if self.norm is None else Norm(_array(self.norm.weight), _array(self.norm.bias))
        return Head(layers, skip, norm)


def fresh(samples: Floats, hidden: int, dim: int, seed: int) -> Head:
    """A head that knows nothing, for inputs like the samples.

    Its norm starts as a standardisation of each column, so that what all sentences share, and
    features that are always large, do not drown the rest.

    :param samples: (n, width).
    """
    torch.manual_seed(seed)
    width = samples.shape[1]
    mean, deviation = samples.mean(axis=1, keepdims=True), samples.std(axis=1, keepdims=True)
    normed = (samples - mean) / (deviation + NORM_EPSILON)
    scale = 1 / (
        normed.std(axis=0) + 0.1 * normed.std()
    )  # columns that hardly vary are not blown up to noise
    norm = Norm(np.asarray(scale, np.float32), np.asarray(-normed.mean(axis=0) * scale, np.float32))
    first, last = nn.Linear(width, hidden), nn.Linear(hidden, dim)
    skip = nn.Linear(width, dim, bias=False)
    layers = tuple(Linear(_array(layer.weight), _array(layer.bias)) for layer in (first, last))
    return Head(layers, _array(skip.weight), norm)


def _linear(layer: Linear) -> nn.Linear:
    made = nn.Linear(layer.weight.shape[1], layer.weight.shape[0])
    made.weight.data, made.bias.data = torch.tensor(layer.weight), torch.tensor(layer.bias)
    return made


def _norm(norm: Norm) -> nn.LayerNorm:
    made = nn.LayerNorm(len(norm.weight), eps=NORM_EPSILON)
    made.weight.data, made.bias.data = torch.tensor(norm.weight), torch.tensor(norm.bias)
    return made


def _array(tensor: Tensor) -> Floats:
    return np.asarray(tensor.detach().cpu().numpy().copy(), np.float32)
