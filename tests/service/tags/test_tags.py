"""Which rows have which tags: by hand on a few rows, and against plain Python on many."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.arrays import Positions
from service.tags.tags import NO_TAGS, Tags, merged, rising


def ids(*numbers: int) -> Positions:
    return np.array(numbers, np.int64)


def test_a_row_has_its_tags_by_the_alphabet() -> None:
    tags = Tags({"tram": ids(2, 3), "Night": ids(1, 2, 5), "none": ids()})
    assert tags.names == ["Night", "tram"]
    assert [tags.of(row) for row in (1, 2, 3, 4, 5, 6)] == [
        ("Night",), ("Night", "tram"), ("tram",), (), ("Night",), (),
    ]  # fmt: skip
    assert tags.counts([ids(1, 2), ids(4, 5)]) == {"Night": 3, "tram": 1}


def test_without_tags_no_row_has_one() -> None:
    assert NO_TAGS.of(1) == ()
    assert NO_TAGS.codes(ids(1, 2**52)).tolist() == [-1, -1]
    assert NO_TAGS.counts([ids(1)]) == {}


def test_rows_far_apart_are_looked_up_as_those_side_by_side() -> None:
    tags = Tags({"far": ids(1, 2**52), "b": ids(2**52)})
    assert [tags.of(row) for row in (1, 2, 2**52, 2**52 + 1)] == [("far",), (), ("b", "far"), ()]


def test_the_last_act_on_a_row_counts() -> None:
    assert merged([]).tolist() == []
    assert merged([(ids(1, 2), False)]).tolist() == []
    steps = [(ids(1, 2, 3), True), (ids(2, 9), False), (ids(2), True), (ids(3), False)]
    assert merged(steps).tolist() == [1, 2]
    assert rising(ids(3, 1, 3, 2, 1)).tolist() == [1, 2, 3]
    assert rising(ids()).tolist() == []


STEP = st.tuples(st.sampled_from("abc"), st.booleans(), st.sets(st.integers(1, 12)))


@settings(deadline=None)
@given(st.lists(STEP, max_size=8))
def test_many_acts_are_what_sets_of_python_say(steps: list[tuple[str, bool, set[int]]]) -> None:
    plain: dict[str, set[int]] = {name: set() for name in "abc"}
    for name, is_add, rows in steps:
        plain[name] = plain[name] | rows if is_add else plain[name] - rows
    tags = Tags(
        {
            name: merged((ids(*sorted(rows)), add) for each, add, rows in steps if each == name)
            for name in "abc"
        }
    )
    for row in range(1, 14):
        assert tags.of(row) == tuple(name for name in "abc" if row in plain[name])
    counts = {name: len(plain[name]) for name in "abc" if plain[name]}
    assert tags.counts([np.arange(1, 14)]) == counts
