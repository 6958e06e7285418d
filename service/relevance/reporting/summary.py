"""The report in a few lines of plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.relevance.reporting.words import count


def summary(facts: Mapping[str, Any]) -> list[str]:
    """:param facts: as `facts.facts` gives them."""
    return [
        f"{facts['filter']}, version {facts['version']}, of {facts['lake']}, snapshot {facts['snapshot']}",
        _images(facts["images"]),
        _promise(facts),
        *_money(facts),
        _labels(facts["labels"]),
        facts["people"]["wrong_answers"]["seen"],
        *(
            f"warning: {note}"
            for note in (facts["people"]["wrong_answers"]["warning"], *facts["notes"])
            if note
        ),
    ]


def _images(images: Mapping[str, Any]) -> str:
    told = [
        count(images["in"], "image"),
        f"{images['broken']:,} broken",
        f"{images['left_out']:,} left out by where",
    ]
    if images["keep"] is not None:
        told += [
            f"{images['keep']:,} to annotate",
            f"{images['ask']:,} to ask about",
            f"{images['drop']:,} irrelevant",
        ]
    twins = images["near_duplicates"]
    return ", ".join([*told, f"{twins['rows']:,} near-duplicates among those {twins['among']}"])


def _promise(facts: Mapping[str, Any]) -> str:
    promise = facts["promise"]
    if promise is None:
        return f"nothing is promised: {facts['refusal']['reason']}"
    said = [
        f"{kind} at least {promise[kind]['at_least']:g}"
        for kind in ("recall", "precision")
        if promise[kind] and promise[kind]["at_least"] is not None
    ]
    assumption = f"; {promise['assumption']}" if promise["assumption"] else ""
    return f"promised: {' and '.join(said)}, with confidence {promise['confidence']:g}{assumption}"


def _money(facts: Mapping[str, Any]) -> list[str]:
    saved, misses = facts["saved"], facts["misses"]
    if saved is None:
        return []
    unit = facts["prices"]["currency"]
    least, most = (f"{saved[end]:,.2f}" for end in ("at_least", "at_most"))
    return [
        f"saved about {saved['estimate']:,.2f} {unit}".rstrip() + f" (from {least} to {most})",
        f"relevant, yet dropped: about {misses['estimate']:,.1f}, at most {misses['at_most']:,}",
    ]


def _labels(labels: Mapping[str, Any]) -> str:
    by = ", ".join(f"{each['labeller']} {each['given']:,}" for each in labels["by"])
    return (
        f"{count(labels['given'], 'label')} given: {labels['teach']:,} to teach, {labels['audit']:,} audit"
        + (f" ({by})" if by else "")
    )
