from __future__ import annotations

import pytest

from service.relevance.labels.agreement import (
    Agreement,
    alike,
    cohen_kappa,
    conflicts,
    krippendorff_alpha,
)
from service.relevance.labels.book import Answer


def test_kappa_of_fifty_proposals() -> None:
    """20 times both say yes, 15 times both no, 5 yes/no and 10 no/yes.

    Observed 35/50 = 0.7. By chance both say yes 25/50 * 30/50 = 0.3 and no 25/50 * 20/50 = 0.2 of
    the time: 0.5. So (0.7 - 0.5) / (1 - 0.5) = 0.4. The example of
    https://en.wikipedia.org/wiki/Cohen%27s_kappa
    """
    pairs = [("yes", "yes")] * 20 + [("no", "no")] * 15 + [("yes", "no")] * 5 + [("no", "yes")] * 10
    assert cohen_kappa(pairs) == pytest.approx(0.4, abs=1e-15)


def test_kappa_at_its_ends() -> None:
    assert cohen_kappa([("yes", "yes"), ("no", "no")]) == 1.0
    assert cohen_kappa([("yes", "no"), ("no", "yes")]) == -1.0
    assert cohen_kappa([("yes", "yes"), ("yes", "no"), ("no", "yes"), ("no", "no")]) == 0.0
    assert cohen_kappa([("yes", "yes")] * 3) is None
    assert cohen_kappa([]) is None


def test_alpha_of_two_labellers() -> None:
    """Ten units, four of which differ; 14 zeros and 6 ones: 1 - (20 - 1) * 4 / (14 * 6) = 0.095.

    Section B of Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011).
    """
    first, second = "0100000010", "1110010000"
    assert sum(a != b for a, b in zip(first, second, strict=True)) == 4
    alpha = krippendorff_alpha([(a, b) for a, b in zip(first, second, strict=True)])
    assert alpha == pytest.approx(1 - 76 / 84, abs=1e-12)


def test_alpha_of_four_labellers_who_each_miss_some() -> None:
    """Section C of the same paper: alpha = 0.743,
    and the twelfth unit, with one label, does not count.

    By hand: 40 paired labels, of 1 to 5: 9, 13, 10, 5, 3; sum of squares 384, so expected 1600 -
    384 = 1216. Units that disagree: 2, 3, 3, 3 of four (6 / 3 pairs), 1, 2, 3, 4 of four (12 / 3),
    and 3, 3, 2, 3 of four (6 / 3): 8. 1 - 39 * 8 / 1216 = 0.7434.
    """
    labellers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[label for label in unit if label != "."] for unit in zip(*labellers, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(1 - 39 * 8 / 1216, abs=1e-12)
    assert round(krippendorff_alpha(units) or 0, 3) == 0.743


def test_alpha_at_its_ends() -> None:
    assert krippendorff_alpha([["yes", "yes"], ["no", "no", "no"]]) == 1.0
    assert krippendorff_alpha([["yes", "no"]]) == 0.0  # 1 - 1 * 2 / 2
    assert krippendorff_alpha([["yes", "yes"]]) is None
    assert krippendorff_alpha([["yes"], [], ["no"]]) is None


def test_names_that_may_be_one_persons_are_told() -> None:
    names = ["ann", "Ann", "bob", "Jos\u00e9", "Jose\u0301", "ANN", "Bo"]
    assert alike(names) == (("ANN", "Ann", "ann"), ("Jose\u0301", "Jos\u00e9"))
    answers = {
        1: answer(1, "yes", ann="yes", Ann="yes"),
        2: answer(2, "conflict", Ann="no", ann="yes"),
    }
    found = Agreement.of(answers, {})
    # They stay two: to join them would make one of their answers count on a guess.
    assert (found.labellers, found.alike) == (2, (("Ann", "ann"),))
    assert [each.row_id for each in found.conflicts] == [2]


def answer(row_id: int, label: str, **labellers: str) -> Answer:
    return Answer(row_id, label, labellers, "teach", row_id)


def test_a_book_is_seen_side_by_side() -> None:
    answers = {
        row.row_id: row
        for row in (
            answer(9, "conflict", ann="yes", bob="no"),
            answer(2, "yes", ann="yes", bob="yes", cy="skip"),
            answer(3, "no", ann="no", bob="no"),
            answer(4, "conflict", bob="no", ann="yes"),
            answer(5, "yes", cy="yes"),
        )
    }
    found = Agreement.of(answers, {4: "/photos/4.png"})
    assert [row.row_id for row in conflicts(answers)] == [4, 9]
    (pair,) = found.pairs  # cy answered yes or no to no row that another did
    assert (pair.first, pair.second, pair.rows, pair.agreed) == ("ann", "bob", 4, 2)
    # ann: 3 yes, 1 no; bob: 1 yes, 3 no. Chance: (3 * 1 + 1 * 3) / 16 = 3/8; (1/2 - 3/8) / (5/8) =
    # 0.2
    assert pair.kappa == pytest.approx(0.2)
    # 8 paired labels, 4 and 4: 1 - 7 * 4 / (64 - 32) = 0.125
    assert found.alpha == pytest.approx(0.125)
    assert (found.labellers, found.rows, found.agreed) == (3, 4, 2)
    assert found.to_json()["conflicts"] == [
        {"row_id": 4, "uri": "/photos/4.png", "labellers": {"ann": "yes", "bob": "no"}},
        {"row_id": 9, "uri": None, "labellers": {"ann": "yes", "bob": "no"}},
    ]


def test_what_was_settled_is_told_and_changes_nothing_of_how_far_people_agree() -> None:
    said = {"ann": "yes", "bob": "no"}
    open_ones = {
        4: Answer(4, "conflict", said, "audit", 2),
        5: Answer(5, "yes", {"ann": "yes", "bob": "yes"}, "audit", 4),
    }
    settled = {**open_ones, 4: Answer(4, "no", said, "audit", 5, "cy")}
    before, after = Agreement.of(open_ones, {}), Agreement.of(settled, {4: "/photos/4.png"})
    assert (after.labellers, after.rows, after.agreed) == (2, 2, 1)
    assert (after.alpha, after.pairs) == (before.alpha, before.pairs)
    assert (before.settled, after.conflicts) == ((), ())
    assert [each.to_json() for each in after.settled] == [
        {"row_id": 4, "uri": "/photos/4.png", "labellers": said, "label": "no", "by": "cy"}
    ]
