"""How far off rough products may be; the same nearest as if each were worked out."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from service.relevance.decisions import nearest, screen
from service.relevance.decisions.nearest import NOBODY, Compared, Known
from service.relevance.decisions.screen import Rough, Screen

Numbers = NDArray[np.float32]


@pytest.fixture(params=["bytes", "single precision"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways, whatever this CPU is best at."""
    is_bytes = request.param == "bytes"
    monkeypatch.setattr(screen, "multiplies_bytes", lambda: is_bytes)
    monkeypatch.setattr(screen, "_FEW", 1)
    return str(request.param)


def drawn(count: int, dim: int, seed: int) -> Numbers:
    """Unit rows in half precision, in groups about a mean, as photos are; some of them twice."""
    random = np.random.default_rng(seed)
    groups = random.standard_normal((7, dim))
    rows = 1 + groups[random.integers(0, 7, count)] + 0.3 * random.standard_normal((count, dim))
    rows[1::9] = rows[::9][: len(rows[1::9])]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)


def in_full(rows: Numbers, vectors: Numbers) -> Numbers:
    """float32, (n, m): each product as `np.vecdot` sums it up."""
    return np.stack([np.vecdot(rows, vector) for vector in vectors], axis=1)


def assert_certain(rows: Numbers, vectors: Numbers, rough: Rough) -> None:
    """No vector has a lower value than its own product makes sure."""
    for number, products in enumerate(in_full(rows, vectors).T):
        assert np.all(rough.values[number] >= rough.least(products))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("scale", [1.0, 1e-3, 300.0])
def test_products_are_no_further_off_than_is_said(scale: float) -> None:
    rows, vectors = np.float32(scale) * drawn(200, 96, 1), np.float32(scale) * drawn(60, 96, 2)
    (rough,) = Screen([vectors], rows[::3]).products(rows)
    assert_certain(rows, vectors, rough)
    # and what is said is of use: below the differences between most of them
    assert np.all(rough.off <= 0.02 * scale**2)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("spread", [0.0, 1e-6, 1e-3, 0.1])
def test_vectors_that_are_nearly_alike_or_all_the_same(spread: float) -> None:
    """The centre takes most of each, and what is left is small beside c.(y - c)."""
    random = np.random.default_rng(5)
    one = drawn(1, 64, 6)
    vectors = (one + spread * random.standard_normal((40, 64))).astype(np.float32)
    rows = np.concatenate([vectors, drawn(40, 64, 7)])
    (rough,) = Screen([vectors], rows).products(rows)
    assert_certain(rows, vectors, rough)


@pytest.mark.usefixtures("way")
def test_rows_unlike_all_of_the_sample_are_no_further_off_than_is_said() -> None:
    """Their numbers are too large for a byte of the step that the sample asked for."""
    rows, vectors = drawn(50, 96, 8), drawn(70, 96, 9)
    rows[:, 3] += 5
    sides = [vectors[:20], vectors[20:]]
    for side, rough in zip(sides, Screen(sides, vectors).products(rows), strict=True):
        assert_certain(rows, side, rough)


@pytest.mark.usefixtures("way")
def test_the_worst_numbers_for_bytes_stay_within_what_is_said() -> None:
    """Beside a number of 127 steps each lies half-way between two whole ones."""
    rows = np.full((2, 256), 0.5 / 127, np.float32)
    rows[:, 0] = 1, -1
    vectors = np.concatenate([rows, -rows])  # so that their centre is 0
    (rough,) = Screen([vectors], rows).products(rows)
    assert_certain(rows, vectors, rough)


@pytest.mark.usefixtures("way")
def test_the_nearest_are_those_of_all_products_in_full() -> None:
    rows = drawn(500, 96, 3)
    ids = np.arange(1, 501)
    # every fifth row is known, so that it must not be its own; copies among them are equals
    sides = [Known(ids[at::5], (None,) * 100, rows[at::5]) for at in (0, 1)]
    found = list(Compared(sides, rows).best(rows, ids))
    for side, (places, cosines) in zip(sides, found, strict=True):
        every = in_full(rows, side.vectors)
        every[ids[:, None] == side.row_ids] = -np.inf
        assert places.tolist() == every.argmax(axis=1).tolist()
        assert cosines.tolist() == np.clip(every.max(axis=1), -1, 1).tolist()


def hard(seed: int) -> tuple[Numbers, Numbers]:
    """Rows and vectors of any size and likeness: ties, copies, zeros, huge and tiny ones."""
    random = np.random.default_rng(seed)
    count, others = int(random.integers(1, 60)), int(random.integers(1, 50))
    every = random.standard_normal((count + others, int(random.choice([2, 3, 16, 31, 96]))))
    match seed % 9:
        case 1:
            every = np.sign(every)
        case 2:
            every = every[random.integers(0, 5, len(every)) % len(every)]
        case 3:
            every *= 10.0 ** random.uniform(-6, 6, (len(every), 1))
        case 4:
            every = every[:1] + 1e-7 * every
        case 5:
            every[random.random(len(every)) < 0.4] = 0
        case 6:
            every *= 1e-40  # none of these is a normal number
        case 7:
            every *= 1e12
        case 8:
            every[:count] *= 10.0 ** random.integers(-36, -18)
    rows = every.astype(np.float32)
    return rows[:count], rows[count:]


@pytest.mark.usefixtures("way")
def test_the_nearest_are_bit_for_bit_those_of_all_products_whatever_the_vectors() -> None:
    for seed in range(500):
        rows, vectors = hard(seed)
        ids = np.arange(1, len(rows) + 1)
        # every third vector is one of these rows, by its number
        known = np.where(np.arange(len(vectors)) % 3, 10_000, 0) + np.arange(1, len(vectors) + 1)
        side = Known(known, (None,) * len(known), vectors)
        ((places, cosines),) = Compared([side], rows[::2]).best(rows, ids)
        every = in_full(rows, vectors)
        every[ids[:, None] == known] = -np.inf
        has_any = every.max(axis=1) > -np.inf
        assert places.tolist() == np.where(has_any, every.argmax(axis=1), NOBODY).tolist(), seed
        best = np.clip(every.max(axis=1), -1, 1)
        assert cosines[has_any].tobytes() == best[has_any].tobytes(), seed


@pytest.mark.usefixtures("way")
def test_who_is_alone_on_its_side_has_nobody() -> None:
    rows = drawn(3, 16, 4)
    side = Known(np.array([2]), (None,), rows[1:2])
    ((places, _),) = Compared([side], rows).best(rows, np.array([1, 2, 3]))
    assert places.tolist() == [0, NOBODY, 0]


@pytest.mark.usefixtures("way")
def test_where_all_that_is_known_is_the_same_the_first_is_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every vector may be the nearest of every row: they are compared some at a time."""
    monkeypatch.setattr(nearest, "PAIRS", 7)
    rows = np.repeat(drawn(1, 32, 10), 30, axis=0)
    side = Known(np.array([4, *range(101, 120)]), (None,) * 20, rows[:20])
    ((places, cosines),) = Compared([side], rows).best(rows, np.arange(1, 31))
    assert places.tolist() == [0, 0, 0, 1, *[0] * 26]
    assert len(set(cosines.tolist())) == 1


def test_what_is_held_does_not_grow_with_the_pairs_that_are_compared() -> None:
    """300 times 1,024 pairs of 256 numbers are 630 MB side by side."""
    rows = np.repeat(drawn(1, 256, 11), 1_024, axis=0)
    side = Known(np.arange(2_001, 2_301), (None,) * 300, rows[:300])
    compared = Compared([side], rows[:10])
    tracemalloc.start()
    ((places, _),) = compared.best(rows, np.arange(1, 1_025))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(places.tolist()) == {0}
    assert peak < 60e6
