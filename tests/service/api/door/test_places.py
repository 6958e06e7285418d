"""Places: how many there are, and how many of them one caller may have."""

from __future__ import annotations

import pytest

from service.api.answers import Refused
from service.api.door.places import Places


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
