"""How fast a filter learns from the labels it asks for,
beside random rows and those it is least sure of.

Takes a lake of your own whose images lie in folders named for what they show; the folders' names
answer in a person's place. Half of the rows, by a hash of their row_id, may be asked about; the
average precision is that of the other half.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe_machine
from indexer.arrays import Positions, Vectors
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeError
from service.lake import Lake
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.fitting import draft, fit
from service.relevance.scoring.scorer import Scored, Scorer, vectors_of
from service.relevance.scoring.teaching import propose
from service.snapshot.snapshot import Snapshot, hash_row_ids
from training.metrics import average_precision

LABELS = (20, 40, 80, 160)
BATCH = 20
MOST_SHARE = 0.025  # a rare class, where none is named
CLASSES = 13


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table: the mean over the classes."""

    strategy: str
    average_precision: dict[int, float]  # by number of labels; 0 is the draft
    yes: float  # relevant rows among all that were asked about


class Truth:
    """A lake whose folders tell what its rows show, in two halves."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        ids, places = snapshot.places
        uris = [row["uri"] for row in snapshot.take(*snapshot.locate(places))]
        self.row_ids: Positions = ids
        self.shown = np.array([PurePosixPath(unquote(uri)).parent.name for uri in uris])
        self.asked = hash_row_ids(ids) % 2 == 0  # bool, (n,)

    @cached_property
    def vectors(self) -> Vectors:
        return vectors_of(self.snapshot, self.row_ids)

    def rare(self, most: int) -> list[str]:
        """Evenly from the names that few rows have, but not so few that nothing can be measured."""
        names, counts = np.unique(self.shown, return_counts=True)
        some = names[(counts <= MOST_SHARE * len(self.shown)) & (counts >= 20)].tolist()
        return [str(name) for name in some[:: max(1, len(some) // most)][:most]]


@dataclass(frozen=True)
class Lesson:
    """One class to be learnt."""

    truth: Truth
    name: str
    drafted: Scorer

    @cached_property
    def relevant(self) -> NDArray[np.bool_]:
        return np.asarray(self.truth.shown == self.name, bool)

    def quality(self, scorer: Scorer) -> float:
        rest = ~self.truth.asked
        return average_precision(scorer.of(self.truth.vectors[rest]), self.relevant[rest])

    def scored(self, scorer: Scorer) -> Scored:
        asked = self.truth.asked
        return Scored(self.truth.row_ids[asked], scorer.of(self.truth.vectors[asked]))

    def fitted(self, answers: dict[int, bool]) -> Scorer:
        asked = np.fromiter(answers, np.int64)
        vectors, labels = (
            vectors_of(self.truth.snapshot, asked),
            np.fromiter(answers.values(), bool),
        )
        return fit(vectors, labels, self.drafted, self.truth.snapshot.background).scorer


Strategy = Callable[[Lesson, Scored, dict[int, bool], int], list[int]]


def proposals(lesson: Lesson, scored: Scored, answers: dict[int, bool], n: int) -> list[int]:
    return propose(lesson.truth.snapshot, scored, answers, n, lesson.drafted)


def at_random(lesson: Lesson, scored: Scored, answers: dict[int, bool], n: int) -> list[int]:
    free = np.setdiff1d(scored.row_ids, np.array(list(answers), np.int64))
    return [
        int(row_id) for row_id in np.random.default_rng(len(answers)).choice(free, n, replace=False)
    ]


def top(lesson: Lesson, scored: Scored, answers: dict[int, bool], n: int) -> list[int]:
    order = scored.row_ids[np.argsort(-scored.scores, kind="stable")]
    return [int(row_id) for row_id in order if int(row_id) not in answers][:n]


def unsure(lesson: Lesson, scored: Scored, answers: dict[int, bool], n: int) -> list[int]:
    """Nearest to even chances; before there are answers of both kinds, the top."""
    of = dict(zip(scored.row_ids.tolist(), scored.scores.tolist(), strict=True))
    known = np.array([of[row_id] for row_id in answers])
    calibration = Calibration.fit(known, np.fromiter(answers.values(), bool))
    if calibration is None or not calibration.slope:
        return top(lesson, scored, answers, n)
    even = -calibration.offset / calibration.slope
    order = scored.row_ids[np.argsort(np.abs(scored.scores - even), kind="stable")]
    return [int(row_id) for row_id in order if int(row_id) not in answers][:n]


STRATEGIES: dict[str, Strategy] = {
    "proposals": proposals,
    "random": at_random,
    "least sure": unsure,
    "top": top,
}


def teach(lesson: Lesson, strategy: Strategy) -> tuple[dict[int, float], int]:
    """Average precision by number of labels, and how many were "yes"."""
    truth = dict(zip(lesson.truth.row_ids.tolist(), lesson.relevant.tolist(), strict=True))
    answers: dict[int, bool] = {}
    scorer = lesson.drafted
    found = {0: lesson.quality(scorer)}
    while len(answers) < max(LABELS):
        asked = strategy(lesson, lesson.scored(scorer), answers, BATCH)
        answers |= {row_id: truth[row_id] for row_id in asked}
        scorer = lesson.fitted(answers)
        if len(answers) in LABELS:
            found[len(answers)] = lesson.quality(scorer)
    return found, sum(answers.values())


def measure_teaching(lessons: Sequence[Lesson]) -> Iterator[Figure]:
    for name, strategy in STRATEGIES.items():
        taught = [teach(lesson, strategy) for lesson in lessons]
        means = {
            count: float(np.mean([found[count] for found, _ in taught])) for count in (0, *LABELS)
        }
        yield Figure(name, means, float(np.mean([yes for _, yes in taught])))


def lessons_of(
    truth: Truth,
    names: Sequence[str],
    template: str,
    text: str | None,
    embedder: Callable[[], Embedder],
) -> Iterator[Lesson]:
    """:raises BadRequest: if no row of either half shows what is named,
    or there are too few rows to ask about.
    """
    none = np.empty((0, truth.snapshot.manifest.dim), np.float32)
    if np.count_nonzero(truth.asked) < max(LABELS):
        raise BadRequest(
            "lake", f"it has {len(truth.row_ids)} rows; teaching takes {2 * max(LABELS)} or more"
        )
    for name in names:
        for half in (truth.asked, ~truth.asked):
            if not np.any(truth.shown[half] == name):
                raise BadRequest("class", f"the lake has too few images in a folder {name!r}")
        yield Lesson(truth, name, draft([text or template.format(name)], [], none, none, embedder))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks teaching", description=__doc__)
    parser.add_argument(
        "lake", type=Path, metavar="LAKE", help="made with: lakesift index FOLDER --into LAKE"
    )
    parser.add_argument(
        "--class",
        dest="names",
        action="append",
        metavar="FOLDER",
        help=f"what to learn; again for more (default: up to {CLASSES} of at most {100 * MOST_SHARE:g} %% of the rows)",
    )
    parser.add_argument(
        "--template", default="a {}", help="the draft's text for a folder's name (default: 'a {}')"
    )
    parser.add_argument(
        "--text", help="the draft's text for all classes: what if it says something else?"
    )
    options = parser.parse_args(arguments)
    try:
        with Lake.open(options.lake) as lake:
            truth = Truth(lake.snapshot)
            names = options.names or truth.rare(CLASSES)
            if not names:
                raise BadRequest("class", "the lake has no rare class; name one")
            lessons = list(
                lessons_of(truth, names, options.template, options.text, lambda: lake.embedder)
            )
            figures = list(measure_teaching(lessons))
    except LakeError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(f"| labels | 0 | {' | '.join(map(str, LABELS))} | yes |")
    print("|---" * (len(LABELS) + 3) + "|")
    for figure in figures:
        cells = " | ".join(f"{value:.3f}" for value in figure.average_precision.values())
        print(f"| {figure.strategy} | {cells} | {figure.yes:.0f} |")
    document = {"hardware": describe_machine(), "classes": names, "rows": len(truth.row_ids)}
    print(json.dumps({**document, "figures": [asdict(figure) for figure in figures]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
