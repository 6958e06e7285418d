"""How good a ranking is: how many of its top hold nine of ten images that belong.

An estimate that no promise rests on. How likely a score is relevant is told from rows that were
scored before they were answered, by the scorer of then; scores are compared as how far they stand
from the mean of all rows. An answered row counts by its answer, at the place that a scorer gives it
which has not seen it.

Cross-validated scores of the answered rows would not do for the first: those rows were the best
that there were, and rows that nobody answered score less than they, relevant or not. Measured on
2026-12-01 on lakes of 4,000 random vectors, 2 and 10 % of them relevant: with 40 answers that told
nine of ten among the top 68, where they were among the top 1,177. Told as it is here, it errs on
the side of too many: with 160 answers 446, 870, 435 and 2,676, where it was 255, 838, 233 and 956;
with 40 answers up to nine times too many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.relevance.as_json import AsJson, told
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored

FOUND = 0.9  # of what belongs
GROUPS = 3_000  # of rows that are counted at once: each is at most 1 % of all above it
RESAMPLES = 60
RANGE = (10, 90)  # percent of the resamples
FEWEST_YES = 5
SHARP = 1.5  # times what belongs: a top of so many holds little else
LEVEL = 0.9  # of the depth at half of the answers: what is above has hardly got better
LEVEL_FROM = 80  # answers; with fewer a depth goes up and down by itself
FIRST_LOOK = 10  # answers; later looks at twice as many each
OLD = 0.25  # of the answers, the first ones: what the scorers of then said is of use no more

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Depth(AsJson):
    """How many of the top hold nine of ten images that belong, about."""

    answers: int = field(metadata=told("Yes and no, that it is worked out from."))
    top: int
    low: int = field(metadata=told("With `high` the middle 80 % of resampled answers."))
    high: int
    relevant: int = field(metadata=told("Images that belong, about: answered and expected."))


@dataclass(frozen=True, slots=True)
class Ranking(AsJson):
    """How good the ranking is by now, estimated, and whether it is good enough to check."""

    filter: str
    version: int
    rows: int
    found: float = field(metadata=told("Of what belongs: the share that the top holds."))
    now: Depth | None = field(
        metadata=told("Null: fewer than 10 answers, or all alike, or scores that tell nothing.")
    )
    history: tuple[Depth, ...] = field(
        metadata=told("As it stood after the first 10, 20, 40 ... answers.")
    )
    advice: Literal["teach", "check"] = field(
        metadata=told(
            "check: at least 5 images that belong are known, and the top, at the upper end of its range, is at most "
            "1.5 times what belongs, or there are 80 answers and the top is not a tenth shorter than "
            "with half of them; else teach."
        )
    )
    because: str

    @property
    def sentence(self) -> str:
        """As `filter show` has it."""
        if self.now is None:
            return f"teach it more: {self.because}"
        found = f"finds {self.found:.0%} of what belongs among the top {self.now.top:,} of {self.rows:,}"
        what = "good enough to check" if self.advice == "check" else "teach it more"
        return f"{found} (roughly {self.now.low:,} to {self.now.high:,}), estimated; {what}: {self.because}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows scored before they were answered, and what was answered."""

    standings: Numbers  # (m,): scores less the mean of all rows', over their standard deviation
    labels: NDArray[np.bool_]  # (m,): True is relevant

    @classmethod
    def of(cls, scored: Scored, answers: Mapping[int, bool]) -> Asked:
        """:param scored: by a scorer that knows none of these answers.

        :param answers: row_id -> True is relevant; rows that are not in scored are left out.
        """
        middle, spread = scale_of(scored)
        ids = np.array(list(answers), np.int64)
        at = np.searchsorted(scored.row_ids, ids)
        here = at < len(scored)
        here[here] = scored.row_ids[at[here]] == ids[here]
        labels = np.array(list(answers.values()), bool)
        return cls((scored.scores[at[here]].astype(np.float64) - middle) / spread, labels[here])

    def __add__(self, other: Asked) -> Asked:
        return Asked(
            np.concatenate([self.standings, other.standings]),
            np.concatenate([self.labels, other.labels]),
        )


NOTHING_ASKED = Asked(np.empty(0), np.empty(0, bool))


def scale_of(scored: Scored) -> tuple[float, float]:
    """The mean of all rows' scores and their standard deviation, which is above 0."""
    if not len(scored):
        return 0.0, 1.0
    wide = scored.scores.astype(np.float64)
    return float(wide.mean()), float(wide.std()) or 1.0


def depth_of(
    scored: Scored, known: Mapping[int, bool], unseen: Mapping[int, float], asked: Asked
) -> Depth | None:
    """None where answers do not tell how likely a score is relevant.

    :param scored: all rows that the filter looks at, by the scorer as it is taught now.
    :param known: row_id -> True is relevant; rows that are not in scored count for nothing.
    :param unseen: row_id -> its score by a scorer that has not seen its answer, on the same scale.
    """
    calibration = Calibration.fit(asked.standings, asked.labels)
    if calibration is None or not calibration.slope:
        return None
    pile = pile_of(scored, known, unseen)
    top, relevant = pile.top(calibration)
    resampled = [pile.top(each)[0] for each in _resampled(asked)] or [top]
    low, high = np.percentile(resampled, RANGE)
    return Depth(
        answers=len(known),
        top=top,
        low=min(top, round(float(low))),
        high=max(top, round(float(high))),
        relevant=round(relevant),
    )


def pile_of(scored: Scored, known: Mapping[int, bool], unseen: Mapping[int, float]) -> Pile:
    """All rows, best first; parameters as `depth_of` has them."""
    middle, spread = scale_of(scored)
    here = [row_id for row_id in known if row_id in unseen]
    ids = np.array(here, np.int64)
    inside = np.isin(ids, scored.row_ids)
    labels = np.array([known[row_id] for row_id in here], bool)
    places = (np.array([unseen[row_id] for row_id in here], np.float64) - middle) / spread
    others = scored.scores[~np.isin(scored.row_ids, ids)].astype(np.float64)
    return Pile.of((others - middle) / spread, places[inside], labels[inside])


@dataclass(frozen=True, slots=True)
class Pile:
    """Groups of rows, best scores first; a group is small beside all that is above it."""

    scores: Numbers  # (g,): their means, falling
    sizes: Numbers  # (g,)
    answers: Numbers  # (g,): 1 or 0 of a row that was answered; nan of others

    @classmethod
    def of(cls, others: Numbers, scores: Numbers, labels: NDArray[np.bool_]) -> Pile:
        """:param others: (n,), of the rows without an answer.

        :param scores, labels: (m,), of those with one.
        """
        falling = np.sort(others)[::-1]
        ends = np.unique(np.round(np.geomspace(1, max(len(falling), 1), GROUPS)).astype(np.int64))
        starts = np.concatenate([[0], ends[:-1]])
        if len(falling):
            means = np.add.reduceat(falling, starts) / (ends - starts)
            sizes = (ends - starts).astype(np.float64)
        else:
            means, sizes = np.empty(0), np.empty(0)
        every = np.concatenate([means, scores])
        order = np.argsort(-every, kind="stable")
        answers = np.concatenate([np.full(len(means), np.nan), labels.astype(np.float64)])
        counts = np.concatenate([sizes, np.ones(len(scores))])
        return cls(every[order], counts[order], answers[order])

    def top(self, calibration: Calibration) -> tuple[int, float]:
        """How many of the top hold FOUND of what belongs, and how many belong, both expected.

        :param calibration: of standings, as `Asked` has them.
        """
        chances = calibration.probability(self.scores).astype(np.float64)
        expected = np.where(np.isnan(self.answers), self.sizes * chances, self.answers)
        found, rows = np.cumsum(expected), np.cumsum(self.sizes)
        total = float(found[-1]) if len(found) else 0.0
        if not total:
            return 0, 0.0
        wanted = FOUND * total
        at = int(np.searchsorted(found, wanted * (1 - 1e-12)))
        # Within a group as far as it takes.
        before = float(found[at] - expected[at])
        part = (wanted - before) / expected[at] if self.sizes[at] > 1 else 1.0
        return int(np.ceil(rows[at] - self.sizes[at] + part * self.sizes[at] - 1e-9)), total


def _resampled(asked: Asked) -> Iterator[Calibration]:
    """Calibrations of answers drawn anew, with replacement; the same for the same answers."""
    count = len(asked.labels)
    generator = np.random.default_rng(count)
    for _ in range(RESAMPLES):
        some = generator.integers(0, count, count)
        found = Calibration.fit(asked.standings[some], asked.labels[some])
        if found is not None and found.slope:
            yield found


def checkpoints(answers: int) -> list[int]:
    """After how many answers the scorer of then is asked what it says of those to come: 0, 10, 14,
    20, 28, 40 ... below what there are.
    """
    every = (round(FIRST_LOOK * 2 ** (step / 2)) for step in range(64))
    return [0, *takewhile(lambda look: look < answers, every)]


def looks(answers: int) -> list[int]:
    """After how many answers it was looked at before: 10, 20, 40 ... below what there are."""
    found = []
    look = FIRST_LOOK
    while look < answers:
        found.append(look)
        look *= 2
    return found


def advice(
    now: Depth | None, history: Sequence[Depth], yes: int
) -> tuple[Literal["teach", "check"], str]:
    """Whether the ranking is good enough to check, and why; the rule is that of `Ranking.advice`.

    :param yes: images that are known to belong.
    """
    if yes < FEWEST_YES:
        known = (
            "no image that belongs is"
            if not yes
            else f"only {yes} of what belongs {'is' if yes == 1 else 'are'}"
        )
        return "teach", f"{known} known yet, and it takes {FEWEST_YES}"
    if now is None:
        return "teach", "the answers do not tell yet what belongs and what does not"
    if now.high <= SHARP * now.relevant:
        return "check", f"among those are hardly more than the {now.relevant:,} that belong"
    half = [each for each in history if 2 * each.answers <= now.answers]
    if half and now.answers >= LEVEL_FROM and now.top > LEVEL * half[-1].top:
        return (
            "check",
            f"it has hardly got better since {half[-1].answers:,} answers ({half[-1].top:,})",
        )
    if half and now.top <= LEVEL * half[-1].top:
        return (
            "teach",
            f"it still gets better: it was {half[-1].top:,} after {half[-1].answers:,} answers",
        )
    return "teach", "there are too few answers to tell whether more would make it better"
