"""Queries that share a pass get, bit for bit, what each gets alone; and nobody waits for ever."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from indexer.disk.stored_vectors import BLOCK_ROWS, NewVectors, half_precision_pays
from service import Hit, Lake
from service.search.ranking import PARALLEL_FROM_ROWS, Found, Ranking
from service.snapshot.nearest import Answer
from service.snapshot.part import Part
from service.snapshot.scan.halves import bound
from service.snapshot.scan.rider import WIDEST, Order
from service.snapshot.scan.scanner import MAX_RIDERS, Scanner
from service.snapshot.snapshot import Snapshot
from service.where.where import Where
from tests.service.api.serving.test_shared_embedder import wait_until
from tests.service.lakes import Maker, unit
from tests.service.search.test_paging import CopiesOfAFew

Query = tuple[NDArray[np.float32], int, Where | None]  # vector, count, where


class Held:
    """An order whose search alone waits for a sign."""

    def __init__(self, snapshot: Snapshot, error: Exception | None = None) -> None:
        self.go_on = threading.Event()
        self.began = threading.Event()
        order = Ranking(
            snapshot, random_unit_rows(1, snapshot.manifest.dim, np.random.default_rng(0))[0], None
        ).order(1)

        def alone() -> Sequence[Answer]:
            self.began.set()
            assert self.go_on.wait(10)
            if error:
                raise error
            return order.alone()

        self.order = Order(order.vector, 1, order.mask, alone)


class Gathering:
    """Orders that come while another is answered alone, and so ride together."""

    def __init__(self, snapshot: Snapshot, first: Held, orders: Sequence[Order]) -> None:
        self.scanner = Scanner(snapshot.parts)
        self._first = first
        self._pool = ThreadPoolExecutor(len(orders) + 1)
        self.first = self._pool.submit(self.scanner.top, first.order)
        assert first.began.wait(10)
        self.others = [self._pool.submit(self.scanner.top, order) for order in orders]

    def go(self) -> None:
        """They all have come: the first is done, and the others ride until nobody is left."""
        wait_until(lambda: len(self.scanner._waiting) == len(self.others))
        assert not any(future.done() for future in self.others)
        self._first.go_on.set()
        self._pool.shutdown()
        # each is told by a thread of its own, one a moment after the other
        wait_until(lambda: not self.scanner._one_is_alone and not self.scanner._drivers)
        assert self.scanner._riders == self.scanner._waiting == []


def together(snapshot: Snapshot, queries: Sequence[Query]) -> tuple[list[Found], list[int]]:
    """What a shared pass finds, and the numbers of the queries that were left to FAISS."""
    left: list[int] = []
    rankings = [Ranking(snapshot, vector, where) for vector, _, where in queries]
    orders = []
    for number, (ranking, (_, count, _)) in enumerate(zip(rankings, queries, strict=True)):
        order = ranking.order(count)

        def alone(number: int = number, order: Order = order) -> Sequence[Answer]:
            left.append(number)
            return order.alone()

        orders.append(Order(order.vector, count, order.mask, alone))
    gathering = Gathering(snapshot, Held(snapshot), orders)
    gathering.go()
    answers = [future.result() for future in gathering.others]
    found = [r.merged(a, q[1]) for r, a, q in zip(rankings, answers, queries, strict=True)]
    return found, left


def apart(snapshot: Snapshot, queries: Sequence[Query]) -> list[Found]:
    found = []
    for vector, count, where in queries:
        ranking = Ranking(snapshot, vector, where)
        found.append(ranking.merged(ranking.order(count).alone(), count))
    return found


def assert_same(these: Sequence[Found], those: Sequence[Found]) -> None:
    for this, other in zip(these, those, strict=True):
        assert this.row_ids.tolist() == other.row_ids.tolist()
        assert this.scores.dtype == other.scores.dtype == np.float32
        assert this.scores.tobytes() == other.scores.tobytes()
        assert this.parts.tolist() == other.parts.tolist()
        assert this.positions.tolist() == other.positions.tolist()


@pytest.mark.parametrize("dim", [8, 30, 512])
@pytest.mark.parametrize("size", [2, 3, 5, 8, 17])
def test_a_shared_pass_finds_what_faiss_finds(tmp_path: Path, dim: int, size: int) -> None:
    random = np.random.default_rng(dim + size)
    write_synthetic_lake(tmp_path / "my.lake", 9_000, dim, segment_rows=2_500)
    with Lake.open(tmp_path / "my.lake") as lake:
        where = Where.parse("camera LIKE 'Canon%' AND width_px > 640", lake.snapshot.schema)
        queries: list[Query] = [
            (
                vector,
                int(random.choice([1, 2, 10, 11, 100, 1_001])),
                where if random.random() < 0.4 else None,
            )
            for vector in random_unit_rows(size, dim, random)
        ]
        found, left = together(lake.snapshot, queries)
        assert_same(found, apart(lake.snapshot, queries))
        assert left == []
        for (_, count, asked), here in zip(queries, found, strict=True):
            assert len(here) == count or asked is not None


def test_rows_that_are_queries_nearly_or_exactly(tmp_path: Path) -> None:
    """Where the best scores lie close together, or beyond 1,
    rounding the query would change the order.
    """
    random = np.random.default_rng(4)
    maker = Maker(tmp_path / "my.lake")
    for angle in 0.7 + random.uniform(-2e-2, 2e-2, 3_000):
        maker.add((np.cos(angle), np.sin(angle), random.normal() * 1e-2))
    snapshot = maker.open().snapshot
    queries: list[Query] = [
        (unit(np.cos(a), np.sin(a), 0), 20, None) for a in random.uniform(0.69, 0.71, 8)
    ]
    found, _ = together(snapshot, queries)
    assert_same(found, apart(snapshot, queries))
    assert {score for here in found for score in here.scores.tolist()} >= {1.0}


@pytest.mark.parametrize("seed", range(5))
def test_ties_tombstones_and_where(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    snapshot = CopiesOfAFew(tmp_path / "my.lake", random).lake.snapshot
    wheres = [None, "motif IN (0, 2, 5)", "motif = 77", "row_id < 3"]
    queries: list[Query] = [
        (
            unit(*random.normal(size=3)),
            int(random.integers(1, 300)),
            None if text is None else Where.parse(text, snapshot.schema),
        )
        for text in random.choice(np.array(wheres, object), 12)
    ]
    found, left = together(snapshot, queries)
    assert_same(found, apart(snapshot, queries))
    assert left == []


def test_too_many_ties_are_left_to_faiss(maker: Maker) -> None:
    for number in range(4_000):
        maker.add((1, 0, 0) if number % 4 else (0, 1, 0))
    snapshot = maker.open().snapshot
    queries: list[Query] = [
        (unit(1, 0, 0), 10, None),
        (unit(0, 1, 0), 10, None),
        (unit(0, 1, 0), 1_000, None),
    ]
    found, left = together(snapshot, queries)
    assert sorted(left) == [0]  # 3,000 tie for ten places; 1,000 do for the others
    assert_same(found, apart(snapshot, queries))
    assert found[0].row_ids.tolist() == [2, 3, 4, 6, 7, 8, 10, 11, 12, 14]
    assert found[1].row_ids.tolist() == list(range(1, 41, 4))


def test_the_opposite_of_every_row_is_as_bad_as_all_others(maker: Maker) -> None:
    """Scores below -1 are cut to -1 and tie,
    so that no row may be dropped, however small the bound is.
    """
    # nothing is lost when this is rounded
    here = np.array([0.6, 0.8, 0], np.float16).astype(np.float32)
    here_at = np.arctan2(here[1], here[0])
    for angle in here_at + np.random.default_rng(3).uniform(-1e-3, 1e-3, 60):
        maker.add((np.cos(angle), np.sin(angle), 0))
    snapshot = maker.open().snapshot
    assert bound(-here, -here.astype(np.float16)) < 1e-6
    queries: list[Query] = [(-here, count, None) for count in range(1, 62)]
    found, left = together(snapshot, queries)
    assert left == []
    assert_same(found, apart(snapshot, queries))
    scores = found[-1].scores
    assert 5 < np.count_nonzero(scores == -1) < 55
    assert np.all(np.diff(found[-1].row_ids[scores == -1]) > 0)


def test_the_bound_holds_and_is_tight_enough(tmp_path: Path) -> None:
    write_synthetic_lake(tmp_path / "my.lake", 2_000, 512, segment_rows=2_000)
    with Lake.open(tmp_path / "my.lake") as lake:
        [part] = lake.snapshot.parts
        rows = part.vectors.take(np.arange(part.rows)).astype(np.float64)
        for query in random_unit_rows(20, 512, np.random.default_rng(0)):
            half = query.astype(np.float16)
            off = np.abs(rows @ (query.astype(np.float64) - half.astype(np.float64)))
            assert off.max() < bound(query, half) < 4e-4
            # The worst row there is: it points where the rounding does.
            worst = query - half.astype(np.float32)
            assert np.linalg.norm(worst) < bound(query, half)


def test_rows_that_are_no_unit_rows_are_left_to_faiss(tmp_path: Path) -> None:
    """No lake that this package writes has them,
    but a lake that another tool wrote must not get wrong answers.
    """
    write_synthetic_lake(tmp_path / "my.lake", 500, 16, segment_rows=500)
    with Lake.open(tmp_path / "my.lake") as lake:
        queries: list[Query] = [
            (vector * 1, 5, None) for vector in random_unit_rows(2, 16, np.random.default_rng(0))
        ]
        [part] = lake.snapshot.parts
        big = NewVectors(16)
        big.add(100 * random_unit_rows(500, 16, np.random.default_rng(1)))
        part.segment.__dict__["vectors"] = big.stored()
        _, left = together(lake.snapshot, queries)
        assert sorted(left) == [0, 1]


# turns


def search(lake: Lake, query: NDArray[np.float32]) -> list[Hit]:
    return lake.search(vector=query, k=7)


@pytest.fixture
def snapshot(maker: Maker) -> Snapshot:
    for vector in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        maker.add(vector)
    return maker.open().snapshot


def best(answers: Sequence[Answer]) -> int:
    """Of an answer of a single part: the position of the best row."""
    [(scores, positions)] = answers
    return int(positions[np.argmax(scores)])


def refuses() -> Any:
    raise AssertionError("searched alone")


def test_two_that_wait_for_one_share_a_pass(snapshot: Snapshot) -> None:
    orders = [
        Order(vector, 1, lambda _: None, refuses) for vector in (unit(0, 1, 0), unit(0, 0, 1))
    ]
    gathering = Gathering(snapshot, Held(snapshot), orders)
    gathering.go()
    assert len(gathering.first.result()[0][1]) >= 1
    assert [best(future.result()) for future in gathering.others] == [1, 2]


@pytest.mark.parametrize("error", [None, ValueError("no such luck")])
def test_one_that_waits_for_one_is_alone_next(snapshot: Snapshot, error: Exception | None) -> None:
    """And does not care how the first one fared; nor does the scanner."""
    gathering = Gathering(
        snapshot, Held(snapshot, error), [Ranking(snapshot, unit(0, 1, 0), None).order(1)]
    )
    gathering.go()
    assert gathering.first.exception() is error
    assert best(gathering.others[0].result()) == 1
    third = Ranking(snapshot, unit(0, 0, 1), None).order(1)
    assert best(gathering.scanner.top(third)) == 2


def test_one_that_waited_and_fails_alone_is_told(snapshot: Snapshot) -> None:
    gathering = Gathering(
        snapshot, Held(snapshot), [Order(unit(0, 1, 0), 1, lambda _: None, refuses)]
    )
    gathering.go()
    assert str(gathering.others[0].exception()) == "searched alone"


@pytest.mark.parametrize("count", [2, 5])
def test_a_pass_that_fails_tells_all_who_ride(snapshot: Snapshot, count: int) -> None:
    wrong = unit(1, 0, 0, 0)  # no check lets such a vector through to here
    gathering = Gathering(
        snapshot, Held(snapshot), [Order(wrong, 1, lambda _: None, refuses)] * count
    )
    gathering.go()
    assert all(isinstance(future.exception(), ValueError) for future in gathering.others)
    assert best(gathering.scanner.top(Ranking(snapshot, unit(0, 0, 1), None).order(1))) == 2


def test_a_mask_that_fails_is_the_mistake_of_one(snapshot: Snapshot) -> None:
    def mask(_: int) -> Any:
        raise ValueError("no such column")

    first, scanner = Held(snapshot), Scanner(snapshot.parts)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(scanner.top, first.order)
        assert first.began.wait(10)
        with pytest.raises(ValueError, match="no such column"):  # while the first is still busy
            scanner.top(Order(unit(1, 0, 0), 1, mask, refuses))
        assert scanner._waiting == []
        first.go_on.set()


def test_more_than_fit_ride_after_each_other(snapshot: Snapshot) -> None:
    orders = [Order(unit(0, 1, 0), 1, lambda _: None, refuses) for _ in range(2 * MAX_RIDERS + 3)]
    gathering = Gathering(snapshot, Held(snapshot), orders)
    gathering.go()
    assert {best(future.result()) for future in gathering.others} == {1}


def test_who_gets_on_while_others_ride_sees_every_block(tmp_path: Path) -> None:
    """Two keep the pass going round; each of the rest gets on wherever it is."""
    rows = 3 * BLOCK_ROWS
    write_synthetic_lake(tmp_path / "my.lake", rows, 64, segment_rows=rows // 2)
    queries = random_unit_rows(60, 64, np.random.default_rng(1))
    with Lake.open(tmp_path / "my.lake") as lake, ThreadPoolExecutor(7) as pool:
        snapshot = lake.snapshot
        scanner = Scanner(snapshot.parts)
        rankings = [Ranking(snapshot, query, None) for query in queries]
        asked = [
            Order(query, 20, lambda _: None, ranking.order(20).alone)
            for query, ranking in zip(queries, rankings, strict=True)
        ]
        found = [
            r.merged(a, 20) for r, a in zip(rankings, pool.map(scanner.top, asked), strict=True)
        ]
        assert_same(found, apart(snapshot, [(query, 20, None) for query in queries]))


def test_a_snapshot_that_is_dropped_is_freed(tmp_path: Path) -> None:
    write_synthetic_lake(
        tmp_path / "my.lake", PARALLEL_FROM_ROWS, 8, segment_rows=PARALLEL_FROM_ROWS // 2
    )
    queries = random_unit_rows(8, 8, np.random.default_rng(0))

    def searched() -> weakref.ref[Part]:
        with Lake.open(tmp_path / "my.lake") as lake, ThreadPoolExecutor(8) as pool:
            hits = list(pool.map(partial(search, lake), queries))
            assert [len(few) for few in hits] == [7] * 8
            return weakref.ref(lake.snapshot.parts[0])

    part = searched()

    def gone() -> bool:
        gc.collect()
        return part() is None

    wait_until(gone)


@pytest.mark.skipif(not half_precision_pays(), reason="numkong has nothing fast for this CPU")
def test_who_asks_while_another_is_alone_waits_for_it(tmp_path: Path) -> None:
    """A large lake's searches go through its snapshot's scanner;
    those that want very many hits do not.
    """
    write_synthetic_lake(
        tmp_path / "my.lake", PARALLEL_FROM_ROWS, 8, segment_rows=PARALLEL_FROM_ROWS // 2
    )
    query = random_unit_rows(1, 8, np.random.default_rng(0))[0]
    with Lake.open(tmp_path / "my.lake") as lake, ThreadPoolExecutor(2) as pool:
        first, scanner = Held(lake.snapshot), lake.snapshot.scanner
        pool.submit(scanner.top, first.order)
        assert first.began.wait(10)
        second = pool.submit(search, lake, query)
        wait_until(lambda: len(scanner._waiting) == 1)
        assert len(Ranking(lake.snapshot, query, None).top(WIDEST + 1)) == WIDEST + 1
        assert not second.done()
        first.go_on.set()
        assert len(second.result(10)) == 7


def test_many_at_once_get_what_each_gets_alone(tmp_path: Path) -> None:
    write_synthetic_lake(
        tmp_path / "my.lake", PARALLEL_FROM_ROWS, 64, segment_rows=PARALLEL_FROM_ROWS // 4
    )
    queries = random_unit_rows(40, 64, np.random.default_rng(0))
    with Lake.open(tmp_path / "my.lake") as lake, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(partial(search, lake), queries)) == [
            search(lake, query) for query in queries
        ]


def test_the_widest_and_what_is_wider_agree(tmp_path: Path) -> None:
    rows = PARALLEL_FROM_ROWS
    assert rows > WIDEST
    write_synthetic_lake(tmp_path / "my.lake", rows, 8, segment_rows=rows // 2)
    queries = random_unit_rows(4, 8, np.random.default_rng(0))
    with Lake.open(tmp_path / "my.lake") as lake:
        found, _ = together(lake.snapshot, [(query, WIDEST, None) for query in queries])
        for query, here in zip(queries, found, strict=True):
            wider = Ranking(lake.snapshot, query, None).top(WIDEST + 1)
            assert wider.row_ids[:-1].tolist() == here.row_ids.tolist()
