"""Answers about images that are not in the lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from service.relevance.as_json import AsJson, told
from service.relevance.definition import Thresholds
from service.relevance.gate.drift import DriftFound
from service.search.decided import Decision

YesNo = Literal["yes", "no"]


@dataclass(frozen=True, slots=True)
class ImageDecided(AsJson):
    """What becomes of one image; without a decision, error says why there is none."""

    name: str = field(
        metadata=told("The file's name as it was sent; files[0] and so on where it has none.")
    )
    decision: Decision | None = field(metadata=told("Null: there is none, and error says why."))
    score: float | None
    probability: float | None = field(
        metadata=told("A calibrated chance of being relevant; null without a calibration.")
    )
    label: YesNo | None = field(
        metadata=told("What a person said of the same image in the lake; the decision follows it.")
    )
    error: str | None

    @classmethod
    def without(cls, name: str, error: str) -> ImageDecided:
        """An image that gets no decision."""
        return cls(name, None, None, None, None, error)


@dataclass(frozen=True, slots=True)
class DecideCounts(AsJson):
    """How many images were decided so, or not at all."""

    keep: int
    ask: int
    drop: int
    outside: int = field(metadata=told("Images that the filter's where leaves out."))
    unreadable: int


@dataclass(frozen=True, slots=True)
class DecideAnswer(AsJson):
    """What becomes of a batch of images, without a promise."""

    filter: str
    version: int = field(metadata=told("The latest that was applied."))
    thresholds: Thresholds
    promised: Literal[False]
    note: str
    images: Sequence[ImageDecided] = field(metadata=told("One a file, in their order."))
    counts: DecideCounts
    drift: DriftFound

    def around_images(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The JSON object's fields before and after `images`:
        for whoever writes images as they come.
        """
        fields = list(self.to_json().items())
        at = [name for name, _ in fields].index("images")
        return dict(fields[:at]), dict(fields[at + 1 :])
