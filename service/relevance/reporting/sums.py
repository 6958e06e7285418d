"""The report's tables that add up: what came in and what became of it, and what it saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.relevance.reporting.words import each_at, money

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the images that came in."""

    css: str  # its colour
    name: str
    number: int
    why: str


@dataclass(frozen=True, slots=True)
class CameIn:
    """Every image that came in, in parts."""

    parts: Sequence[Part]
    total: int


def came_in(images: Facts) -> CameIn:
    reasons = "; ".join(f"{each['files']:,} {each['reason']}" for each in images["broken_reasons"])
    unread = "files that cannot be read; they are not in the lake"
    decided = images["keep"] is not None
    parts = [
        ("b", "Broken", images["broken"], reasons or unread),
        (
            "o",
            "Left out by where",
            images["left_out"],
            "not looked at, so nothing is promised of them",
        ),
        ("d", "Irrelevant", images["drop"], "dropped; nothing is deleted"),
        ("a", "To ask about", images["ask"], "left to a person"),
        ("k", "To annotate", images["keep"], "kept"),
        ("d", "Looked at", None if decided else images["looked_at"], "not decided yet"),
    ]
    always = ("Broken", "Irrelevant", "To annotate")
    shown = [Part(*part) for part in parts if part[2] or (part[2] == 0 and part[1] in always)]
    return CameIn(shown, images["in"] + images["broken"])


@dataclass(frozen=True, slots=True)
class Sum:
    """A line of the sum that says what was saved."""

    name: str
    how: str
    amount: str


def saved_sums(facts: Facts) -> list[Sum]:
    """What was saved, and what of it was spent; the last line is the sum of the others."""
    saved, prices, images, misses = (
        facts[name] for name in ("saved", "prices", "images", "misses")
    )
    if saved["looks"] != 0 or images["ask"]:
        how = f"{images['drop']:,} dropped, and the irrelevant of {images['ask']:,} to ask about"
        looks = [
            Sum(
                "Looks",
                each_at(images["ask"], prices["label"], prices),
                money(-saved["looks"], prices),
            )
        ]
    else:
        how = each_at(images["drop"] + (images["ask"] or 0), prices["annotation"], prices)
        looks = []
    given = each_at(facts["labels"]["given"], prices["label"], prices)
    miss = (
        "no price of a miss was given"
        if prices["miss"] is None
        else f"{money(prices['miss'], prices)} each"
    )
    missed = f"about {misses['estimate']:,.1f}; {miss}"
    return [
        Sum("Not annotated", how, money(saved["not_annotated"], prices)),
        Sum("Labels given", given, money(-saved["labels"], prices)),
        *looks,
        Sum("Relevant, yet dropped", missed, money(-saved["misses"], prices)),
        Sum("Saved", "estimate", money(saved["estimate"], prices)),
    ]
