"""How far off rough products may be; the same nearest as if each were worked out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from service.relevance.decisions import screen
from service.relevance.decisions.nearest import NOBODY, Compared, Known
from service.relevance.decisions.screen import Screen

Numbers = NDArray[np.float32]


@pytest.fixture(params=["brain floats", "single precision"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways, whatever this CPU is best at."""
    is_brain = request.param == "brain floats"
    monkeypatch.setattr(screen, "multiplies_brain_floats", lambda: is_brain)
    return str(request.param)


def drawn(count: int, dim: int, seed: int) -> Numbers:
    """Unit rows in half precision, in groups about a mean, as photos are; some of them twice."""
    random = np.random.default_rng(seed)
    groups = random.standard_normal((7, dim))
    rows = 1 + groups[random.integers(0, 7, count)] + 0.3 * random.standard_normal((count, dim))
    rows[1::9] = rows[::9][: len(rows[1::9])]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("scale", [1.0, 1e-3, 300.0])
def test_products_are_no_further_off_than_is_said(scale: float) -> None:
    rows, vectors = np.float32(scale) * drawn(200, 96, 1), drawn(60, 96, 2)
    products, off = Screen(vectors).products(rows)
    exact = rows.astype(np.float64) @ vectors.T.astype(np.float64)
    assert np.all(np.abs(products - exact) <= off[:, None])
    # and what is said is of use: below the differences between most of them
    assert np.all(off <= 0.01 * scale)


@pytest.mark.usefixtures("way")
def test_the_worst_numbers_for_brain_floats_stay_within_what_is_said() -> None:
    """1 + 2^-8 lies half-way between two of them: each product is off by as much as can be."""
    rows = np.full((1, 256), (1 + 2**-8) / 16, np.float32)
    products, off = Screen(rows).products(rows)
    exact = 256 * ((1 + 2**-8) / 16) ** 2
    assert abs(float(products[0, 0]) - exact) <= float(off[0])


@pytest.mark.usefixtures("way")
def test_the_nearest_are_those_of_all_products_in_full() -> None:
    rows = drawn(500, 96, 3)
    ids = np.arange(1, 501)
    # every fifth row is known, so that it must not be its own; copies among them are equals
    sides = [Known(ids[at::5], (None,) * 100, rows[at::5]) for at in (0, 1)]
    found = list(Compared(sides, 96).best(rows, ids))
    for side, (places, cosines) in zip(sides, found, strict=True):
        in_full = np.array([[np.vecdot(row, known) for known in side.vectors] for row in rows])
        in_full[ids[:, None] == side.row_ids] = -np.inf
        assert places.tolist() == in_full.argmax(axis=1).tolist()
        assert cosines.tolist() == np.clip(in_full.max(axis=1), -1, 1).tolist()


@pytest.mark.usefixtures("way")
def test_who_is_alone_on_its_side_has_nobody() -> None:
    rows = drawn(3, 16, 4)
    side = Known(np.array([2]), (None,), rows[1:2])
    ((places, _),) = Compared([side], 16).best(rows, np.array([1, 2, 3]))
    assert places.tolist() == [0, NOBODY, 0]
