"""Places: how many there are, and how many of them one caller may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.api.answers import Refused
from service.api.door.places import Places
from service.api.serving.shared_arrays import SharedArrays


def refusal(places: Places, caller: str) -> str:
    with pytest.raises(Refused) as raised:
        places.take(caller)
    answer = raised.value.answer()
    assert (raised.value.status, raised.value.code) == (429, "too_busy")
    assert answer.headers["retry-after"] == "1"
    return str(raised.value)


def test_one_caller_leaves_a_quarter_to_others() -> None:
    places = Places(8, "upload")
    for _ in range(6):
        places.take("a")
    assert refusal(places, "a") == (
        "6 uploads of yours are being answered, which is one caller's share; try again in a second"
    )
    places.take("b")
    places.take("b")
    assert refusal(places, "c") == (
        "8 uploads are being answered, which is the limit; try again in a second"
    )
    places.give("a")
    places.take("c")
    assert len(places) == 8
    assert refusal(places, "a").startswith("8 uploads are being answered")


def test_of_fewer_than_four_whoever_comes_first_has_all() -> None:
    places = Places(1, "upload")
    places.take("a")
    assert refusal(places, "a").startswith("1 upload is being answered, which is the limit")


def test_places_that_are_not_shared_are_anybodys() -> None:
    places = Places(8, "request", shared=False)
    for _ in range(8):
        places.take("a")
    assert refusal(places, "b").startswith("8 requests are being answered, which is the limit")
    for _ in range(8):
        places.give("a")
    assert len(places) == 0


def of_both(folder: Path, most: int, *, shared: bool = True) -> tuple[list[Places], SharedArrays]:
    """The places of two workers, and what they share."""
    arrays = [SharedArrays(folder, number, 2) for number in range(2)]
    arrays[0].alive[:] = 1
    return [Places(most, "upload", shared=shared, arrays=each) for each in arrays], arrays[0]


def test_workers_have_no_more_places_together_than_one(tmp_path: Path) -> None:
    (first, second), _ = of_both(tmp_path, 8)
    for number in range(6):
        (first, second)[number % 2].take("a")
    for places in (first, second):
        assert len(places) == 6
        assert refusal(places, "a").startswith("6 uploads of yours are being answered, which is")
    first.take("b")
    second.take("b")
    for places in (first, second):
        assert refusal(places, "c").startswith("8 uploads are being answered, which is the limit")
    first.give("a")
    second.take("c")
    assert refusal(first, "d").startswith("8 uploads are being answered, which is the limit")


def test_what_a_dead_worker_held_is_free(tmp_path: Path) -> None:
    (first, second), arrays = of_both(tmp_path, 4, shared=False)
    for _ in range(4):
        second.take("a")
    assert refusal(first, "b").startswith("4 uploads are being answered")
    arrays.alive[1] = 0  # as its supervisor writes it
    first.take("b")
    again = Places(4, "upload", shared=False, arrays=SharedArrays(tmp_path, 1, 2))
    arrays.alive[1] = 1
    assert len(again) == len(first) == 1
