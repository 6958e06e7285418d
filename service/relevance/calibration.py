"""From a score to a chance of being relevant: Platt's sigmoid, fitted on answers.

`definition.py` stores a Calibration and imports it from here, so that fitting need not know definitions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_LABELS = 10
MOST_STEPS = 100
ENOUGH = 1e-10  # a step that lowers the loss by less ends the fit


@dataclass(frozen=True, slots=True)
class Calibration:
    """probability = 1 / (1 + exp(-(slope * score + offset)))."""

    slope: float  # >= 0: a larger score is never less probable
    offset: float

    def probability(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32, (n,), in [0, 1].

        :param scores: (n,), of the scorer that this was fitted for.
        """
        logits = self.slope * np.asarray(scores, np.float64) + self.offset
        return (0.5 * (1 + np.tanh(logits / 2))).astype(np.float32)  # the sigmoid, without overflow

    def to_json(self) -> dict[str, float]:
        return {"slope": self.slope, "offset": self.offset}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """:raises KeyError, TypeError, ValueError: if it is not what to_json gives."""
        return cls(float(data["slope"]), float(data["offset"]))

    @classmethod
    def fit(cls, scores: NDArray[np.floating], labels: NDArray[np.bool_]) -> Calibration | None:
        """The sigmoid that fits best; None below 10 labels, or where all are alike.

        Where relevant rows do not score higher than others, the slope is 0 and every row gets the same chance.

        :param scores: (n,), of rows that the scorer was not fitted on, or it comes out too sure.
        :param labels: bool, (n,): True is relevant.

        Source: Platt, "Probabilistic outputs for support vector machines" (1999), with its smoothed targets
        (N+ + 1) / (N+ + 2) and 1 / (N- + 2); minimised by Newton's method as in Lin, Lin and Weng, "A note on Platt's
        probabilistic outputs for support vector machines", Machine Learning 68 (2007).
        """
        yes = int(np.count_nonzero(labels))
        no = len(labels) - yes
        if len(labels) < MIN_LABELS or not yes or not no:
            return None
        targets = np.where(labels, (yes + 1) / (yes + 2), 1 / (no + 2))
        wide = np.asarray(scores, np.float64)
        centre, spread = float(wide.mean()), float(wide.std())
        if spread > 0:
            slope, offset = _newton((wide - centre) / spread, targets)
            if slope > 0:
                return cls(slope / spread, offset - slope * centre / spread)
        mean = float(targets.mean())
        return cls(0.0, math.log(mean / (1 - mean)))


def _newton(x: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of the least cross-entropy; convex, so steps that overshoot are only halved."""
    design = np.stack([x, np.ones_like(x)], axis=1)  # (n, 2)
    weights = np.zeros(2)
    loss = _cross_entropy(design @ weights, targets)
    for _ in range(MOST_STEPS):
        chance = 0.5 * (1 + np.tanh(design @ weights / 2))
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(curve, design.T @ (targets - chance))
        while (after := _cross_entropy(design @ (weights + step), targets)) > loss and np.abs(
            step
        ).max() > 1e-12:
            step = step / 2
        if after >= loss - ENOUGH:
            break
        weights, loss = weights + step, after
    return float(weights[0]), float(weights[1])


def _cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float(np.sum(np.logaddexp(0, logits) - targets * logits))
