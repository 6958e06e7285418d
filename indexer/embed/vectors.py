"""Rows of numbers on their way to being vectors of a model."""

from __future__ import annotations

import numpy as np

from indexer.arrays import Vectors


def unit_rows(vectors: Vectors) -> Vectors:
    """The rows at length 1, float32; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
