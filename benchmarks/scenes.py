"""Is a promise of scenes kept, and what does it cost beside one of rows?

First, audits of 600 scenes of one to six rows, a quarter of them relevant, at a confidence of 0.8,
looked at every 40 scenes up to 480. One relevant scene too many is lost at every line: its relevant
rows score below all others; or so they do, and another row of it, which shows nothing, scores above
nearly all; or the latter, with a skip for every twentieth scene. So whatever is promised is broken,
and counted is whether a promise held at any look. A first audit may break 16 %.

Then one drawn lake of 2,000 scenes with ten rows each: what people look at until two thirds of the
rows are dropped, and what is kept after 1,000 looks, for a promise of rows and for one of scenes.
Rows of a scene have half of their spread in common.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import p_value
from benchmarks.machine import describe_machine
from service.relevance.definition import Target
from service.relevance.promise import audit as audits
from service.relevance.promise import scenes
from service.relevance.promise.applying import Standing, stand
from service.relevance.promise.audit import Audit
from service.relevance.promise.auditing import planned
from service.relevance.promise.scenes import SceneAudit, Scenes
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

SCENES, MOST_ROWS, RECALL, CONFIDENCE = 600, 6, 0.9, 0.8
LEVEL = 0.8 * (1 - CONFIDENCE)  # what a first audit may spend
LOOKS = range(40, 481, 40)
ALARM = 0.001
Lost = Literal["below all others", "under a row that shows nothing", "and skips"]
KINDS: tuple[Lost, ...] = ("below all others", "under a row that shows nothing", "and skips")
SKIPPED = 20  # one scene in so many
LARGE, EACH, PREVALENCES, SPENT = 2_000, 10, (0.2, 0.05), 1_000


@dataclass(frozen=True, slots=True)
class Rows:
    """What is audited, and what is true."""

    relevant: NDArray[np.bool_]
    scores: NDArray[np.float32]
    of_scene: NDArray[np.int64]

    def kept(self, audit: Audit, cut: int) -> float:
        """The share of relevant scenes of which a line keeps a relevant row, by the score alone."""
        every = np.unique(self.of_scene[self.relevant])
        above = np.unique(self.of_scene[self.relevant & (audit.strata < cut)])
        return len(above) / len(every)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one audit took: labels (rows, or scenes), and the images that people saw."""

    labels: int  # until two thirds of the rows are dropped
    images: int
    kept: float  # of the rows, after 1,000 labels; 1 where nothing holds


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks scenes", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="a scene short (default: 1,000)")
    parser.add_argument("--cost-runs", type=int, default=10, help="of each cost (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the populations (default: 0)")
    arguments = parser.parse_args(argv)
    generator = np.random.default_rng(arguments.seed)
    print("| lost | promise broken | p |\n|---|---|---|")
    alarms = 0
    for kind in KINDS:
        broken = sum(_short_by_one(kind, generator) for _ in range(arguments.runs))
        chance = p_value(broken, arguments.runs, LEVEL) if arguments.runs else 1.0
        alarms += chance < ALARM
        print(f"| {kind} | {broken} of {arguments.runs:,} | {chance:.2g} |", flush=True)
    print("\n| relevant scenes | promise | labels | images seen | kept |\n|---|---|---|---|---|")
    for prevalence in PREVALENCES:
        found = [_costs(prevalence, generator) for _ in range(arguments.cost_runs)]
        for name, costs in zip(("rows", "scenes"), zip(*found, strict=True), strict=False):
            labels, images, kept = (
                np.mean([getattr(cost, each) for cost in costs])
                for each in ("labels", "images", "kept")
            )
            print(f"| {prevalence:g} | {name} | {labels:,.0f} | {images:,.0f} | {kept:.3f} |")
    print(json.dumps({"hardware": describe_machine(), "seed": arguments.seed}))
    return 1 if alarms else 0


def _short_by_one(kind: Lost, generator: np.random.Generator) -> bool:
    """Whether a promise held at any look."""
    of_scene = np.repeat(np.arange(SCENES), generator.integers(1, MOST_ROWS + 1, SCENES))
    is_event = generator.random(SCENES) < 0.25
    relevant = is_event[of_scene] & (generator.random(len(of_scene)) < 0.6)
    scores = generator.normal(size=len(of_scene)) + 2.5 * relevant
    events = np.unique(of_scene[relevant])
    odd = generator.permutation(events)[: int((1 - RECALL) * len(events) + 1e-9) + 1]
    lost = relevant & np.isin(of_scene, odd)
    scores[lost] = -9 - generator.random(int(lost.sum()))
    if kind != "below all others":
        # Each of them gets a row more, which shows nothing.
        of_scene = np.concatenate([of_scene, odd])
        relevant = np.concatenate([relevant, np.zeros(len(odd), bool)])
        scores = np.concatenate([scores, 3 + generator.random(len(odd))])
    rows = Rows(relevant, scores.astype(np.float32), of_scene)
    shown = generator.choice(len(of_scene), 40, replace=False)
    shown = shown[~np.isin(of_scene[shown], odd)]  # what is known is not lost
    audit, said, calibration = _of_scenes(rows, shown, CONFIDENCE)
    skips = SKIPPED if kind == "and skips" else 0
    for look in LOOKS:
        said = _looked_at(audit, rows, said, look, skips)
        standing = stand(audit, said, calibration)
        if standing.cuts is not None and rows.kept(audit, standing.cuts[1]) < RECALL - 1e-9:
            return True
    return False


def _looked_at(
    audit: SceneAudit, rows: Rows, said: dict[int, str], look: int, skips: int = 0
) -> dict[int, str]:
    """The answers after so many draws: the rows of each, the best first, up to the first yes.

    :param skips: one draw in so many is skipped; 0: none is.
    """
    answers = dict(said)
    for number, row in enumerate(audit.draws(look)[1].tolist()):
        for each in audit.rows_of_scene(int(rows.of_scene[row - 1])).tolist():
            if answers.get(each) == "yes":
                break
            is_skipped = bool(skips) and number % skips == skips - 1
            answers[each] = "skip" if is_skipped else "yes" if rows.relevant[each - 1] else "no"
            if answers[each] == "yes":
                break
    return answers


def _costs(prevalence: float, generator: np.random.Generator) -> tuple[Cost, Cost]:
    """Of a promise of rows, and of one of scenes."""
    of_scene = np.repeat(np.arange(LARGE), EACH)
    is_event = generator.random(LARGE) < prevalence
    relevant = is_event[of_scene] & (generator.random(len(of_scene)) < 0.6)
    half = np.sqrt(0.5)
    common = np.repeat(generator.normal(size=LARGE), EACH)
    scores = half * common + half * generator.normal(size=len(of_scene)) + 3 * relevant
    rows = Rows(relevant, scores.astype(np.float32), of_scene)
    top = np.argsort(-scores, kind="stable")[:50]
    shown = np.unique(np.concatenate([top, generator.choice(len(scores), 100, replace=False)]))
    return _cost_of_rows(rows, shown), _cost_of_scenes(rows, shown)


def _cost_of_rows(rows: Rows, shown: NDArray[np.int64]) -> Cost:
    said, calibration, scored = _taught(rows, shown)
    audit = planned(audits.begin(1, 1, Target(RECALL, None, 0.95), scored, said), calibration, said)
    drawn = audit.draws(len(rows.scores))[1].tolist()

    def at(look: int) -> tuple[Standing, int]:
        answers = {row: "yes" if rows.relevant[row - 1] else "no" for row in drawn[:look]}
        return stand(audit, said | answers, calibration), look

    return _cost(at, audit, int(audit.sizes.sum()))


def _cost_of_scenes(rows: Rows, shown: NDArray[np.int64]) -> Cost:
    audit, said, calibration = _of_scenes(rows, shown, 0.95)

    def at(look: int) -> tuple[Standing, int]:
        answers = _looked_at(audit, rows, said, look)
        return stand(audit, answers, calibration), len(answers) - len(said)

    return _cost(at, audit, int(audit.sizes.sum()))


def _cost(at: Callable[[int], tuple[Standing, int]], audit: Audit, most: int) -> Cost:
    many = len(audit.row_ids)
    cuts = at(SPENT)[0].cuts
    kept = 1.0 if cuts is None else 1 - float((audit.strata >= cuts[1]).mean())
    for look in [*range(50, 1_000, 50), *range(1_000, most, 250)]:
        standing, images = at(look)
        if standing.cuts is not None and (audit.strata >= standing.cuts[1]).sum() >= many * 2 / 3:
            return Cost(look, images, kept)
    return Cost(most, at(most)[1], kept)


def _of_scenes(
    rows: Rows, shown: NDArray[np.int64], confidence: float
) -> tuple[SceneAudit, dict[int, str], Calibration | None]:
    """An audit of scenes, what was answered before, and what that taught."""
    said, calibration, scored = _taught(rows, shown)
    target, of = Target(RECALL, None, confidence), Scenes("sequence", rows.of_scene)
    audit = planned(scenes.begin(1, 1, target, scored, said, 1, of), calibration, said)
    assert isinstance(audit, SceneAudit)
    return audit, said, calibration


def _taught(
    rows: Rows, shown: NDArray[np.int64]
) -> tuple[dict[int, str], Calibration | None, Scored]:
    said = {int(row) + 1: "yes" if rows.relevant[row] else "no" for row in shown}
    calibration = Calibration.fit(rows.scores[shown], rows.relevant[shown])
    return said, calibration, Scored(np.arange(1, len(rows.scores) + 1), rows.scores)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
