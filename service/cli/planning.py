"""What `index --plan` and `sync --plan` say."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from indexer.run.plan.totals import FILE, STATES, Total
from indexer.sources.names import one_line
from indexer.words import count, size

if TYPE_CHECKING:
    from indexer.preview import Preview

WORDS = {
    "unsure": "written just before the last run, looked at again",
    "updated": "with other columns or another place",
    "refused": "that cannot be read",
    "skipped": "skipped before",
    "gone": "gone from the source",
    "kept": "not listed, kept",
}


def preview_json(found: Preview) -> dict[str, Any]:
    """One document: numbers are images unless their name says bytes, seconds or containers."""
    rate = found.rate and {
        "model": found.rate.model_id,
        "images_measured": found.rate.images,
        "images_per_s": round(found.rate.images_per_s, 2),
    }
    seconds = None if found.seconds is None else round(found.seconds, 1)
    return {**asdict(found), "rate": rate, "seconds": seconds}


def tell_preview(found: Preview, *, as_text: bool) -> None:
    """:param as_text: True: the plan itself, too, on stdout."""
    for problem in found.problems:
        print(f"warning: {one_line(problem)}", file=sys.stderr)
    for note in found.notes:
        print(f"note: {one_line(note)}", file=sys.stderr)
    if as_text:
        for line in _lines(found):
            print(line)


def _lines(found: Preview) -> list[str]:
    lines = []
    for source in dict.fromkeys(total.source for total in found.totals):
        lines.append(f"{one_line(source)}")
        lines += [f"  {_line(total)}" for total in found.totals if total.source == source]
    if found.interrupted:
        lines.append("interrupted: there may be more")
    lines.append(_what_is_to_do(found))
    if found.may_have_moved:
        lines.append(
            f"{count(found.may_have_moved, 'image')} may be known under another name or place: those are read and "
            "compared, and not embedded again if they are"
        )
    if found.to_recompute:
        lines.append(f"to read again for columns: {count(found.to_recompute, 'image')} of the lake")
    lines.append("nothing was written")
    return lines


def _line(total: Total) -> str:
    where = "" if total.kind == FILE else f" in {count(total.containers, f'{total.kind} file')}"
    states = [
        f"{getattr(total, state):,} {WORDS.get(state, state)}"
        for state in STATES
        if getattr(total, state)
    ]
    return f"{count(total.images, 'image')}{where}, {size(total.size_bytes)}: {', '.join(states)}"


def _what_is_to_do(found: Preview) -> str:
    into = "a new lake" if found.is_new else f"{found.lake}, which has {count(found.rows, 'image')}"
    if found.is_new and found.lake is not None:
        into = f"{found.lake}, which is new"
    if not found.to_index:
        return f"nothing to index into {into}"
    to_read = sum(total.new_bytes for total in found.totals)
    said = f"to index: {count(found.to_index, 'image')}, {size(to_read)}, into {into}"
    if found.rate is None or found.seconds is None:
        return said
    rate = found.rate
    return (
        f"{said}; about {_duration(found.seconds)} on this machine ({rate.images_per_s:,.1f} images a second, "
        f"measured on {rate.images:,} of them with {rate.model_id})"
    )


def _duration(seconds: float) -> str:
    """90 s, 12 min, 3.5 h, 2.1 days."""
    units: Sequence[tuple[str, float, int]] = (("s", 1, 0), ("min", 60, 0), ("h", 3_600, 1))
    for unit, length, digits in units:
        if seconds < {"s": 100, "min": 6_000, "h": 172_800}[unit]:
            return f"{max(1, seconds / length):,.{digits}f} {unit}"
    return f"{seconds / 86_400:,.1f} days"
