"""Timing two things in turn, and what a benchmark hands back:
numbers with a unit, a budget and a verdict.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of the table."""

    name: str
    value: float
    unit: str
    at_least: float | None = None  # budget; at most one of the two
    at_most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None where there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}


def in_turn(jobs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Run every job once a round, one after the other (A B A B ...).

    :returns: the median seconds of each job.
    """
    seconds: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for job, mine in zip(jobs, seconds, strict=True):
            start = time.perf_counter()
            job()
            mine.append(time.perf_counter() - start)
    return [statistics.median(mine) for mine in seconds]


def table(measurements: Iterable[Measurement]) -> str:
    """The measurements as a Markdown table."""
    lines = ["| what | measured | budget | met | note |", "|---|---|---|---|---|"]
    for m in measurements:
        budget = (
            ""
            if m.met is None
            else f">= {m.at_least:g}"
            if m.at_least is not None
            else f"<= {m.at_most:g}"
        )
        met = {None: "", True: "yes", False: "**no**"}[m.met]
        lines.append(f"| {m.name} | {_number(m.value)} {m.unit} | {budget} | {met} | {m.note} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
