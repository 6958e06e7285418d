"""How far the people who labelled the same rows agree, beyond what chance alone would give.

Both measures are 1 where all agree and 0 where they agree as often as by chance; below 0 they
disagree more than that. A skip is no answer, so it is left out of both.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from service.relevance.as_json import AsJson
from service.relevance.labels.book import Answer


@dataclass(frozen=True, slots=True)
class Pair(AsJson):
    """Two labellers and the rows that both answered."""

    first: str
    second: str
    rows: int
    agreed: int
    # None where both gave one and the same label throughout: nothing tells them apart from chance
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Conflict(AsJson):
    """A row to which one labeller says yes and another no."""

    row_id: int
    uri: str | None  # None: the row is gone
    labellers: Mapping[str, str]  # what each of them says, by name


@dataclass(frozen=True, slots=True)
class Settled(AsJson):
    """A row on which labellers disagreed, until somebody decided it."""

    row_id: int
    uri: str | None  # None: the row is gone
    labellers: Mapping[str, str]  # what each of them says, by name
    label: str  # yes or no: what counts
    by: str  # who decided


@dataclass(frozen=True, slots=True)
class Agreement(AsJson):
    """The labels of a book seen side by side."""

    labellers: int
    rows: int  # that at least two labellers answered yes or no
    agreed: int  # of them, those that all of their labellers answered alike
    alpha: float | None  # Krippendorff's, nominal; None where chance cannot be told apart
    pairs: tuple[Pair, ...]  # that share a row, by name
    conflicts: tuple[Conflict, ...]  # that nobody has settled, by row_id
    settled: tuple[Settled, ...]  # by row_id
    # Names that differ in capitals or in how an accent is written alone: perhaps one person's, who
    # agrees with nobody but herself then. Nobody's answers are joined for it.
    alike: tuple[tuple[str, ...], ...]
    # Rows on which answers without a name say yes and no: the last one counts, whoever gave it.
    unnamed_differ: int = 0

    @classmethod
    def of(cls, answers: Mapping[int, Answer], uris: Mapping[int, str]) -> Agreement:
        """:param uris: row_id -> uri, at least of rows in conflict, settled or not, that are not
        gone.
        """
        by_row = [_said(answer) for _, answer in sorted(answers.items())]
        names = sorted({name for said in by_row for name in said})
        pairs = (_pair(by_row, first, second) for first, second in combinations(names, 2))
        return cls(
            labellers=len(names),
            rows=sum(len(said) > 1 for said in by_row),
            agreed=sum(len(said) > 1 and len(set(said.values())) == 1 for said in by_row),
            alpha=krippendorff_alpha([list(said.values()) for said in by_row]),
            pairs=tuple(pair for pair in pairs if pair.rows),
            conflicts=tuple(
                Conflict(each.row_id, uris.get(each.row_id), dict(sorted(each.labellers.items())))
                for each in conflicts(answers)
            ),
            settled=tuple(
                Settled(
                    each.row_id,
                    uris.get(each.row_id),
                    dict(sorted(each.labellers.items())),
                    each.label,
                    each.settled or "",
                )
                for each in settled(answers)
            ),
            alike=alike(name for answer in answers.values() for name in answer.labellers),
            unnamed_differ=sum(answer.unnamed_differ for answer in answers.values()),
        )


def conflicts(answers: Mapping[int, Answer]) -> tuple[Answer, ...]:
    """The rows where one labeller says yes and another no, and nobody has settled it, by row_id."""
    return tuple(answer for _, answer in sorted(answers.items()) if answer.label == "conflict")


def settled(answers: Mapping[int, Answer]) -> tuple[Answer, ...]:
    """The rows whose conflict somebody has settled, by row_id."""
    return tuple(answer for _, answer in sorted(answers.items()) if answer.settled is not None)


def person_of(name: str) -> str:
    """The same for names that may be one person's: Ann and ann."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def alike(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """The names that may be one person's, of two and more; sorted."""
    people: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        people.setdefault(person_of(name), []).append(name)
    return tuple(tuple(each) for each in people.values() if len(each) > 1)


def cohen_kappa(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Agreement of two labellers: (observed - expected) / (1 - expected).

    Expected is how often they would agree if each drew labels at random, as often as they gave
    them.

    :param pairs: a row's label by the first and by the second.
    :returns: None without a pair, or where both gave one and the same label throughout (expected is
        1).

    Source: Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20 (1960).
    """
    counts = Counter(pairs)
    n = counts.total()
    first, second = Counter[str](), Counter[str]()
    for (one, other), count in counts.items():
        first[one] += count
        second[other] += count
    agreed = sum(count for (one, other), count in counts.items() if one == other)
    # / n^2; whole numbers stay exact
    by_chance = sum(first[label] * second[label] for label in first)
    return (agreed * n - by_chance) / (n * n - by_chance) if n * n != by_chance else None


def krippendorff_alpha(units: Iterable[Sequence[str]]) -> float | None:
    """Agreement of any number of labellers, of whom each may have missed rows:
    1 - observed / expected disagreement.

    A row with m labels counts each of its m (m - 1) ordered pairs 1 / (m - 1) times; rows with one
    label have no pair. Expected is the disagreement of pairs drawn from all paired labels. Nominal:
    two labels are the same or not.

    :param units: each row's labels, in any order.
    :returns: None where no row has two labels, or all paired labels are one and the same.

    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C;
    https://repository.upenn.edu/asc_papers/43
    """
    totals = Counter[str]()
    observed = 0.0  # pairs that disagree
    for unit in units:
        m = len(unit)
        if m < 2:
            continue
        counts = Counter(unit)
        totals.update(counts)
        observed += (m * m - sum(count * count for count in counts.values())) / (m - 1)
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())  # times n - 1
    return 1 - (n - 1) * observed / expected if expected else None


def _said(answer: Answer) -> dict[str, str]:
    return {name: label for name, label in answer.labellers.items() if label != "skip"}


def _pair(by_row: Sequence[Mapping[str, str]], first: str, second: str) -> Pair:
    both = [(said[first], said[second]) for said in by_row if first in said and second in said]
    agreed = sum(one == other for one, other in both)
    return Pair(first, second, len(both), agreed, cohen_kappa(both))
