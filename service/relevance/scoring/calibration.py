"""From a score to a chance of being relevant: a sigmoid, fitted on answers.

`definition.py` stores a Calibration and imports it from here, so that fitting need not know
definitions.
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
LONGEST_STEP = 3.0  # in the spread of the scores
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

        Where relevant rows do not score higher than others, the slope is 0 and every row gets the
        same chance.

        :param scores: (n,), of rows that the scorer was not fitted on, or it comes out too sure.
        :param labels: bool, (n,): True is relevant.

        Source: Platt, "Probabilistic outputs for support vector machines" (1999): the sigmoid. Its
        smoothed targets, 1 / (N- + 2) at the least, made every row of a hundred labels 2 % relevant
        at least; the slope came out at half of what it was in simulation, and so many relevant rows
        were expected far below the line. Hence Firth, "Bias reduction of maximum likelihood
        estimates", Biometrika 80 (1993): the likelihood times the root of its information, which is
        finite for parted labels too (Heinze and Schemper, Statistics in Medicine 21 (2002)).
        """
        yes = int(np.count_nonzero(labels))
        no = len(labels) - yes
        if len(labels) < MIN_LABELS or not yes or not no:
            return None
        wide = np.asarray(scores, np.float64)
        centre, spread = float(wide.mean()), float(wide.std())
        if spread > 0:
            slope, offset = _newton((wide - centre) / spread, np.asarray(labels, np.float64))
            if slope > 0:
                return cls(slope / spread, offset - slope * centre / spread)
        return cls(0.0, math.log((yes + 0.5) / (no + 0.5)))  # the same with an offset alone


def _newton(x: NDArray[np.float64], labels: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of the largest penalised likelihood; steps that overshoot are halved."""
    design = np.stack([x, np.ones_like(x)], axis=1)  # (n, 2)
    weights = np.zeros(2)
    loss = _loss(design, weights, labels)
    for _ in range(MOST_STEPS):
        chance = 0.5 * (1 + np.tanh(design @ weights / 2))
        spread = chance * (1 - chance)
        inverse = np.linalg.inv((design * spread[:, None]).T @ design + 1e-12 * np.eye(2))
        leverage = spread * np.einsum("ij,jk,ik->i", design, inverse, design)
        step = inverse @ (design.T @ (labels - chance + leverage * (0.5 - chance)))
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        while (after := _loss(design, weights + step, labels)) > loss and np.abs(
            step
        ).max() > 1e-12:
            step = step / 2
        if after >= loss - ENOUGH:
            break
        weights, loss = weights + step, after
    return float(weights[0]), float(weights[1])


def _loss(
    design: NDArray[np.float64], weights: NDArray[np.float64], labels: NDArray[np.float64]
) -> float:
    """Cross-entropy less half the log of the information's determinant."""
    logits = design @ weights
    chance = 0.5 * (1 + np.tanh(logits / 2))
    information = (design * (chance * (1 - chance))[:, None]).T @ design
    entropy = np.sum(np.logaddexp(0, logits) - labels * logits)
    return float(entropy - 0.5 * np.linalg.slogdet(information + 1e-12 * np.eye(2))[1])
