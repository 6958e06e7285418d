"""The image tower's last block while it learns, as a torch module; and the arrays it becomes.

It is a tenth of the backbone's work and a fifth of its weights. What it takes is computed once an
image, so that it can learn on a processor; what is before it stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.arrays import Arrays, Floats, ImageArrays
from training.efficientnet_lite import last_block
from training.features import Halves

BATCH = 256  # images, where nothing is learnt


class LastBlock(nn.Module):
    """(n, channels, side, side) -> (n, features), as `graphs.image_graph` computes them."""

    def __init__(self, image: ImageArrays) -> None:
        super().__init__()
        self._parts = last_block(image.variant)
        self.convolutions = nn.ModuleList(
            _convolution(image.backbone[f"{part.name}.weight"], image.backbone[f"{part.name}.bias"])
            for part in self._parts
        )
        self._width = len(image.backbone[f"{self._parts[-1].name}.bias"])
        self.to(memory_format=torch.channels_last)  # twice as fast here

    def forward(self, maps: Tensor) -> Tensor:
        x = maps
        for part, convolution in zip(self._parts, self.convolutions, strict=True):
            x = convolution(x)
            x = functional.relu6(x) if part.activated else x
        return x.mean((2, 3))

    def arrays(self) -> Arrays:
        """As they are now, by the names that a backbone has for them."""
        found: Arrays = {}
        for part, convolution in zip(self._parts, self.convolutions, strict=True):
            assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
            found[f"{part.name}.weight"] = _array(convolution.weight)
            found[f"{part.name}.bias"] = _array(convolution.bias)
        return found

    def features(self, maps: Halves, on_batch: Callable[[int], None] = lambda done: None) -> Halves:
        """Of any number of images, without learning.

        :param on_batch: told how many are done.
        """
        found = np.empty((len(maps), self._width), np.float16)
        for start in range(0, len(maps), BATCH):
            with torch.no_grad():
                found[start : start + BATCH] = self(as_input(maps[start : start + BATCH])).numpy()
            on_batch(min(start + BATCH, len(maps)))
        return found


def as_input(maps: Halves) -> Tensor:
    """float32, laid out as the block reads it."""
    return torch.tensor(maps.astype(np.float32)).to(memory_format=torch.channels_last)


def _convolution(kernel: Floats, bias: Floats) -> nn.Conv2d:
    """:param kernel: (out, in / groups, kernel, kernel)."""
    out, width, size, _ = kernel.shape
    groups = out if width == 1 else 1
    made = nn.Conv2d(width * groups, out, size, padding=size // 2, groups=groups)
    made.weight, made.bias = nn.Parameter(torch.tensor(kernel)), nn.Parameter(torch.tensor(bias))
    return made


def _array(tensor: Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32).copy()
