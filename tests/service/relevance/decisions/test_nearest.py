"""What a row is most like, on vectors worked out by hand:
(1, 0, 0) and (4, 3, 0) / 5 have a cosine of 0.8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service import Lake
from service.relevance.decisions import nearest
from service.relevance.decisions.nearest import Nearest, known_sides, nearest_of, spread
from service.relevance.definition import ExampleImage, Examples
from service.snapshot.snapshot import Snapshot
from tests.service.lakes import Maker, unit
from tests.service.relevance.definitions import definition

ROUNDING = 1e-3  # vectors are stored in half precision


@pytest.fixture
def lake(maker: Maker) -> Lake:
    """Six rows in two segments: red, green, blue; red-green, red-blue, nearly red."""
    for vector in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        maker.add(vector)
    maker.segment()
    for vector in ((1, 1, 0), (1, 0, 1), (4, 3, 0)):
        maker.add(vector)
    return maker.open()


def found(
    snapshot: Snapshot, said: dict[int, str], rows: list[int], keep: Examples, drop: Examples
) -> list[list[tuple[Any, Any, Any]]]:
    sides = known_sides(snapshot, definition(keep=keep, drop=drop), said)
    return [listed(near) for near in nearest_of(snapshot, np.array(rows, np.int64), sides)]


def listed(near: Nearest) -> list[tuple[Any, Any, Any]]:
    about = [
        None if cosine is None else pytest.approx(cosine, abs=ROUNDING)
        for cosine in near.known_cosines.to_pylist()
    ]
    return list(zip(near.row_ids.to_pylist(), near.images.to_pylist(), about, strict=True))


def test_the_nearest_of_examples_and_answers_but_never_the_row_itself(lake: Lake) -> None:
    yes, no = found(
        lake.snapshot, {6: "yes", 3: "no"}, [1, 2, 3, 4, 5, 6], Examples((), (1,)), Examples()
    )
    half = 2**-0.5
    assert yes == [
        # row 1 is an example: the next one, though it has a cosine of 1 with itself
        (6, None, 0.8),
        (6, None, 0.6),
        (1, None, 0),  # of equals the first: examples stand before answers
        (6, None, 1.4 * half),
        (1, None, half),
        (1, None, 0.8),
    ]
    assert no[0] == (3, None, 0)
    assert no[2] == (None, None, None)  # the only one that is known to be unwanted
    assert no[4] == (3, None, half)


def test_an_image_from_outside_has_a_name_and_no_row(lake: Lake) -> None:
    image = ExampleImage("ward.jpg", "0" * 64, tuple(unit(3, 4, 0).tolist()))
    yes, no = found(
        lake.snapshot, {}, [1, 2], Examples(("red",), (), (image,)), Examples(("blue",))
    )
    assert yes == [(None, "ward.jpg", 0.6), (None, "ward.jpg", 0.8)]
    assert no == [(None, None, None)] * 2  # a text is no image


def test_what_people_say_of_an_example_row_stands_above_it(lake: Lake) -> None:
    yes, no = found(
        lake.snapshot, {1: "no", 2: "conflict"}, [6], Examples((), (1, 2)), Examples((), (2,))
    )
    assert (yes, no) == ([(None, None, None)], [(1, None, 0.8)])
    yes, _ = found(lake.snapshot, {1: "skip"}, [6], Examples((), (1,)), Examples())
    assert yes == [(1, None, 0.8)]


def test_rows_that_are_gone_are_like_nothing_and_nothing_is_like_them(lake: Lake) -> None:
    yes, _ = found(lake.snapshot, {1: "yes", 99: "yes"}, [6, 77], Examples((), (98,)), Examples())
    assert yes == [(1, None, 0.8), (None, None, None)]


def test_blocks_give_what_one_row_after_the_other_gives(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (
        lake.snapshot,
        {6: "yes", 4: "yes"},
        [1, 2, 3, 4, 5, 6],
        Examples((), (1,)),
        Examples(),
    )
    whole = found(*arguments)
    monkeypatch.setattr(nearest, "BLOCK_ROWS", 1)
    monkeypatch.setattr(nearest, "BLOCKS_AT_ONCE", 2)
    monkeypatch.setattr(nearest, "PARALLEL_FROM_ROWS", 0)
    assert found(*arguments) == whole


def test_of_many_rows_those_are_compared_that_cover_all() -> None:
    """Beginning with the first: (0, 1) is at 90 degrees from it;
    then, at 45 from both, (1, 1); copies come last.
    """
    vectors = np.stack([unit(1, 0), unit(1, 0), unit(4, 3), unit(1, 1), unit(0, 1), unit(0, 1)])
    assert spread(vectors, 2).tolist() == [0, 4]
    assert spread(vectors, 3).tolist() == [0, 3, 4]
    assert spread(vectors, 5).tolist() == [0, 1, 2, 3, 4]
    assert spread(vectors, 6).tolist() == [0, 1, 2, 3, 4, 5]
    assert spread(vectors[:0], 3).tolist() == []


def test_no_more_than_so_many_answers_are_compared(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rows 1 to 3, at right angles, the first and then the second:
    blue is compared with no blue.
    """
    monkeypatch.setattr(nearest, "MOST_COMPARED", 2)
    yes, _ = found(lake.snapshot, {1: "yes", 2: "yes", 3: "yes"}, [5, 6], Examples(), Examples())
    assert yes == [(1, None, 2**-0.5), (1, None, 0.8)]


def test_who_waits_is_told_how_many_rows_are_done(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "BLOCK_ROWS", 4)
    monkeypatch.setattr(nearest, "BLOCKS_AT_ONCE", 1)
    wanted, _ = known_sides(lake.snapshot, definition(keep=Examples((), (1,))), {})
    told: list[int] = []
    nearest_of(lake.snapshot, np.arange(1, 7), [wanted], told.append)
    assert told == [4, 2]
