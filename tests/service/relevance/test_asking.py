"""Two people at once are asked about different rows, and of a share about the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import BadRequest
from service.lake import Lake
from service.relevance import Filter, Filters, Target
from service.relevance.answers import NextAnswer
from service.relevance.asking import Turn, second_looks
from service.relevance.labels.book import Answer
from service.snapshot.snapshot import hash_row_ids
from tests.lakes import Desk


@pytest.fixture
def reds(tmp_path: Path) -> Iterator[Filter]:
    """Of 12 rows, from red to yellow."""
    desk = Desk(tmp_path)
    for number in range(12):
        desk.add(f"a{number:02}.png", (255, number * 20, 0))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        yield Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))


def rows(found: NextAnswer) -> list[int]:
    return [row.row_id for row in found.rows]


def answer(filter: Filter, row_ids: list[int], labeller: str, label: str = "yes") -> None:
    filter.label([{"row_id": row, "label": label, "labeller": labeller} for row in row_ids])


@pytest.mark.parametrize("purpose", ["teach", "audit"])
def test_two_people_at_once_are_asked_about_different_rows(reds: Filter, purpose: str) -> None:
    first = reds.next(5, purpose, labeller="ann")
    second = reds.next(5, purpose, labeller="ben")
    assert len(set(rows(first)) | set(rows(second))) == 10
    assert (first.with_others, second.with_others) == (0, 5)
    # What is pending is asked again, of the same person.
    assert set(rows(reds.next(5, purpose, labeller="ann"))) == set(rows(first))
    third = reds.next(5, purpose, labeller="cem")
    assert len(rows(third)) == 2
    nobody = reds.next(5, purpose, labeller="dora")
    assert (rows(nobody), nobody.with_others) == ([], 12)
    answer(reds, rows(first), "ann")
    assert reds.next(5, purpose, labeller="dora").with_others == 7
    # Who says no name is asked as before, and keeps nothing from anybody.
    assert len(rows(reds.next(12, purpose))) == len(
        rows(reds.next(12, purpose, labeller="unnamed"))
    )
    assert len(rows(reds.next(12, purpose))) == 7


@pytest.mark.parametrize("purpose", ["teach", "audit"])
def test_a_share_goes_to_two_people_and_to_no_third(reds: Filter, purpose: str) -> None:
    asked = rows(reds.next(4, purpose, labeller="ann"))
    answer(reds, asked, "ann")
    assert not set(rows(reds.next(4, purpose, labeller="ben"))) & set(asked)
    # All of what ann answered, first answered first; nothing of it to ann herself.
    again = rows(reds.next(3, purpose, labeller="ben", double=1))
    assert again == asked[:3]
    assert not set(rows(reds.next(12, purpose, labeller="ann", double=1))) & set(asked)
    # While ben is at these, cem is asked about the fourth.
    assert rows(reds.next(1, purpose, labeller="cem", double=1)) == asked[3:]
    answer(reds, again, "ben", "no")
    assert not set(rows(reds.next(12, purpose, labeller="dora", double=1))) & set(again)
    assert [each.row_id for each in reds.labels.team().agreement.conflicts] == sorted(again)


def test_the_share_is_drawn_by_the_rows_numbers() -> None:
    answers = {row: Answer(row, "yes", {"ann": "yes"}, "teach", row) for row in range(1, 2_001)}

    def looks(share: float) -> list[int]:
        return second_looks(answers, Turn("ben", share), lambda answer: True)

    tenth = looks(0.1)
    assert 160 <= len(tenth) <= 240  # 200 on average, 13 is a standard deviation
    assert set(tenth) < set(looks(0.2))
    assert len(looks(1)) == 2_000
    assert second_looks(answers, Turn("Ann", 1), lambda answer: True) == []  # perhaps ann herself
    first = next(iter(tenth))
    assert hash_row_ids(np.array([first]))[0] < 0.1 * 2.0**64
    answers[first] = Answer(first, "no", {"ann": "yes"}, "teach", first, "cem")  # was settled
    assert looks(0.1) == tenth[1:]


def test_a_second_answer_needs_a_person_and_a_share(reds: Filter) -> None:
    for labeller in (None, "unnamed"):
        with pytest.raises(BadRequest, match="say who labels: a second answer is another person"):
            reds.next(5, labeller=labeller, double=0.1)
    with pytest.raises(BadRequest, match="double: 10 is no share from 0 to 1"):
        reds.next(5, labeller="ann", double=10)
    with pytest.raises(BadRequest, match="labeller"):
        reds.next(5, labeller=" ann")
