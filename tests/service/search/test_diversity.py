"""Maximal marginal relevance: worked out by hand, and against the plain way to compute it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from indexer.errors import BadRequest
from service import Hit, Lake, Query
from service.search import diversity
from service.search.query import ByMoment, MaxPer
from tests.service.lakes import Maker, unit
from tests.service.search.test_moments import frame
from tests.service.search.test_paging import pages, row_ids, sizes

RED = Query(texts=[("red", 1.0)], k=None)


@pytest.fixture
def four(maker: Maker) -> Lake:
    """By falling likeness to red: 0.96, 0.936, 0.8, 0.6. Rows 1 and 2 are nearly alike (cosine
    0.99712); of row 1 with 3 and 4 it is 0.6 and 0.576, of 2 with them 0.5376 and 0.5616, of 3
    and 4 0.48.
    """
    for vector in ((0.96, 0.28, 0), (0.936, 0.352, 0), (0.8, -0.6, 0), (0.6, 0, 0.8)):
        maker.add(vector)
    return maker.open()


def order(lake: Lake, amount: float, **more: Any) -> list[int]:
    return row_ids(lake.search("red", diversity=amount, **more))


@pytest.mark.parametrize(
    ("amount", "rows"),
    [
        (0, [1, 2, 3, 4]),
        # 2: .9 x .936 - .1 x .997 = .743; 3: .9 x .8 - .1 x .6 = .66
        (0.1, [1, 2, 3, 4]),
        # 2: .7 x .936 - .3 x .997 = .356; 3: .38; 4: .247; then 2 is before 4
        (0.3, [1, 3, 2, 4]),
        # 2: .468 - .499 = -.031; 3: .1; 4: .012; then 4: .3 - .5 x .576 = .012
        (0.5, [1, 3, 4, 2]),
        # 4 is least like row 1 (.576); then 3 (.6)
        (1, [1, 4, 3, 2]),
    ],
)
def test_by_hand(four: Lake, amount: float, rows: list[int]) -> None:
    assert order(four, amount) == rows
    for k in (1, 2, 3):
        assert order(four, amount, k=k) == rows[:k]


def test_scores_stay_those_of_the_query(four: Lake) -> None:
    scores = {hit.row_id: hit.score for hit in four.search("red")}
    assert {hit.row_id: hit.score for hit in four.search("red", diversity=0.5)} == scores


def test_rows_that_are_all_alike_come_by_row_id(maker: Maker) -> None:
    for _ in range(5):
        maker.add((3, 2, 1))
        maker.add((1, 2, 3))
        maker.segment()
    lake = maker.open()
    # the cosines with red are 3 / sqrt(14) = .802 and .267, that of the two is 10 / 14
    for amount, first in ((0.2, [1, 3, 5, 7, 9, 2]), (0.7, [1, 2]), (1, [1, 2])):
        found = order(lake, amount, k=None)
        assert found[: len(first)] == first
        assert sorted(found) == list(range(1, 11))
        odd = [row_id for row_id in found if row_id % 2]
        assert odd == sorted(odd)
        even = [row_id for row_id in found if row_id % 2 == 0]
        assert even == sorted(even)


def plain_way(lake: Lake, hits: list[Hit], amount: float) -> list[int]:
    """As the paper writes it, with every pair compared again and again."""
    vectors = {}
    for hit in hits:
        place = lake.snapshot.find(hit.row_id)
        assert place is not None
        vectors[hit.row_id] = place[0].vectors.take(np.array([place[1]]))[0]
    left, chosen = list(hits), list[Hit]()
    while left:
        best, most = left[0], -np.inf
        for hit in left:
            likest = max(
                (float(np.vecdot(vectors[hit.row_id], vectors[c.row_id])) for c in chosen),
                default=0.0,
            )
            worth = (1 - amount) * hit.score - amount * likest
            if worth > most:
                best, most = hit, worth
        chosen.append(best)
        left.remove(best)
    return row_ids(chosen)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_plain_way_gives(maker: Maker, seed: int) -> None:
    """Every second row is a copy of one before it, so that there are ties."""
    random = np.random.default_rng(seed)
    motifs = random.normal(size=(25, 3))
    for number in range(50):
        maker.add(motifs[number // 2 if number % 2 else random.integers(25)], n=number % 5)
        if random.random() < 0.1:
            maker.segment()
    lake = maker.open()
    for amount, where in ((0.1, None), (0.3, "n < 3"), (0.6, None), (1.0, "n = 2")):
        query = Query(vectors=[(unit(*random.normal(size=3)), 1.0)], where=where, k=None)
        found = row_ids(lake.search_query(replace(query, diversity=amount)))
        assert found == plain_way(lake, lake.search_query(query), amount)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """160 rows: copies, three cameras, and frames of a video."""
    maker = Maker(tmp_path_factory.mktemp("mixed") / "my.lake")
    random = np.random.default_rng(7)
    motifs = random.normal(size=(50, 3))
    for number in range(160):
        motif = int(random.integers(50))
        where = frame(float(number), "/v.mp4") if number % 4 == 0 else ""
        maker.add(
            motifs[motif] + random.normal(size=3) / 20,
            where,
            phash=(motif * 0x9E3779B97F4A7C15) % 2**63,
            camera=("a", "b", "c", None)[number % 4],
        )
        if number % 37 == 36:
            maker.segment()
    return maker.open()


@pytest.fixture
def mixed(copies: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The same, with a pool of 25."""
    monkeypatch.setattr(diversity, "POOL", 25)
    return copies


@pytest.mark.parametrize(
    "asked",
    [
        RED,
        replace(RED, where="camera = 'a' OR camera = 'b'"),
        replace(RED, min_z=0.2),
        replace(RED, min_z=1.5),
        replace(RED, collapse=True),
        replace(RED, max_per=MaxPer("camera", 12)),
        replace(RED, moments=ByMoment(6)),
        replace(RED, moments=ByMoment(6), collapse=True, max_per=MaxPer("camera", 9)),
    ],
)
def test_pages_of_any_size_are_pieces_of_one_order(mixed: Lake, asked: Query) -> None:
    """In the pool by relevance and difference, behind it as without diversity."""
    plain = mixed.search_query(asked)
    query = replace(asked, diversity=0.4)
    whole = mixed.search_query(query)
    assert row_ids(whole)[:25] == plain_way(mixed, plain[:25], 0.4)
    assert row_ids(whole)[25:] == row_ids(plain)[25:]
    assert row_ids(whole)[:25] != row_ids(plain)[:25] or len(plain) < 3
    spans = {hit.row_id: hit.span for hit in whole}
    assert spans == {hit.row_id: hit.span for hit in plain}
    random = np.random.default_rng(3)
    for largest in (12, 200):
        paged = pages(mixed, query, sizes(random, largest))
        assert row_ids(paged) == row_ids(whole)
        assert [hit.score for hit in paged] == [hit.score for hit in whole]
        assert {hit.row_id: hit.span for hit in paged} == spans
    assert list(mixed.stream(query)) == whole


def test_what_was_folded_is_named_once(mixed: Lake) -> None:
    hits = mixed.search_query(replace(RED, collapse=True, diversity=0.4))
    folded = [row_id for hit in hits for row_id in hit.collapsed or ()]
    assert sorted(folded + row_ids(hits)) == list(range(1, 161))
    assert folded


def test_zero_is_todays_answer_bit_for_bit(mixed: Lake) -> None:
    for k in (1, 30, None):
        query = replace(RED, k=k)
        assert mixed.search_query(replace(query, diversity=0.0)) == mixed.search_query(query)
    assert "diversity" not in replace(RED, diversity=0.0).options_json()


@pytest.mark.parametrize("amount", [-0.1, 1.01, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(four: Lake, amount: float) -> None:
    with pytest.raises(BadRequest, match=r"diversity: \S+ is not in 0 \(off\) to 1"):
        order(four, amount)


def test_rows_without_a_query_have_no_best(four: Lake) -> None:
    with pytest.raises(BadRequest, match="diversity: rows without a query"):
        four.passing(Query(diversity=0.3))
