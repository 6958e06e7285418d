"""A query in JSON and back, and its one list of options at every door."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from indexer.errors import BadRequest
from service import Lake, Query
from service.api.cursor import Cursor
from service.api.routes.search import UPLOAD_FIELDS, option_field
from service.api.schemas import SearchRequest, object_of
from service.api.signing import Signer
from service.cli.arguments import parser
from service.cli.searching import _add_option
from service.search.decided import DecidedBy
from service.search.query import EXAMPLES, OPTIONS, ByMoment, MaxPer, Option
from service.search.sort import Sort
from tests.service.lakes import Maker, unit

SIGNER = Signer("a secret of the tests")
WHOLE = Query(
    texts=[("a cat", 1.0), ("rain", -0.5)],
    row_ids=[(7, 1.0)],
    vectors=[(np.array([0.6, 0.8], np.float32), 1.0)],
    where="width_px > 640",
    decided=DecidedBy("hospital", ("ask", "drop"), 3),
    k=None,
    min_z=2.5,
    offset=20,
    collapse=True,
    max_per=MaxPer("camera", 2),
    moments=ByMoment(2.5),
    diversity=0.25,
    explain=True,
    sort=Sort("date", is_down=True),
)
DOCUMENT = {
    "texts": [{"text": "a cat", "weight": 1.0}, {"text": "rain", "weight": -0.5}],
    "images": [{"row_id": 7, "weight": 1.0}],
    "vector": [float(np.float32(0.6)), float(np.float32(0.8))],
    "where": "width_px > 640",
    "filter": "hospital@3",
    "decision": ["ask", "drop"],
    "k": None,
    "min_z": 2.5,
    "diversity": 0.25,
    "explain": True,
    "sort": "date:down",
    "offset": 20,
    "collapse": True,
    "max_per": {"column": "camera", "n": 2},
    "moments": {"gap_s": 2.5},
}


def test_a_whole_query_in_json() -> None:
    assert WHOLE.to_json() == DOCUMENT


def test_it_comes_back_from_json_to_the_last_bit() -> None:
    back = Query.from_json(json.loads(json.dumps(WHOLE.to_json())))
    assert back.to_json() == DOCUMENT
    [(vector, weight)] = back.vectors
    assert (str(vector.dtype), weight) == ("float32", 1.0)
    assert vector.tobytes() == np.array([0.6, 0.8], np.float32).tobytes()
    assert (back.decided, back.k) == (DecidedBy("hospital", ("ask", "drop"), 3), None)


def test_what_is_as_by_default_is_left_out() -> None:
    assert Query().to_json() == {"k": 10}
    assert Query.from_json({}) == Query()
    assert Query.from_json({"where": None, "collapse": None, "vector": None}) == Query()


def test_an_example_alone_has_weight_1() -> None:
    query = Query.from_json({"texts": ["a cat", {"text": "rain", "weight": -1}], "images": [7]})
    assert query == Query(texts=(("a cat", 1.0), ("rain", -1.0)), row_ids=((7, 1.0),))


def test_what_was_typed_is_texts_of_weight_1_and_minus_1() -> None:
    query = Query.typed('a hospital room -baby "at night"')
    assert query.texts == [("a hospital room", 1.0), ("at night", 1.0), ("baby", -1.0)]
    assert Query.typed('"a hospital room -baby"') == Query.of("a hospital room -baby")
    document = {"query": "a room -baby", "texts": ["-1 degrees", {"text": "rain", "weight": -0.5}]}
    assert Query.from_json(document).texts == (
        ("a room", 1.0),
        ("baby", -1.0),
        ("-1 degrees", 1.0),
        ("rain", -0.5),
    )


@pytest.mark.parametrize("nothing", ["", " ", '""', '-"" " "'])
def test_nothing_typed_is_told(nothing: str) -> None:
    for typed in (Query.typed, lambda text: Query.from_json({"query": text})):
        with pytest.raises(BadRequest, match="query: it is empty; say what you look for"):
            typed(nothing)
    with pytest.raises(BadRequest, match="query: it is int, where a text is wanted"):
        Query.from_json({"query": 5})


@pytest.mark.parametrize("length", [7, 1e-300, 1e300])
def test_a_vector_of_any_length_is_a_direction(length: float) -> None:
    [(vector, _)] = Query.from_json({"vector": [0, length / 2, -length]}).vectors
    assert vector.tolist() == [0, 0.5, -1]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"wehre": "x"}, "wehre: there is no such field; did you mean where?"),
        (
            {"zzz": 1},
            "zzz: there is no such field; there are query, texts, images, vector, where, filter",
        ),
        ({"texts": "a cat"}, "texts: it is str, where a list is wanted"),
        ({"texts": [7]}, "texts[0].text: it is int, where a text is wanted"),
        ({"images": ["7"]}, "images[0].row_id: it is str, where a whole number is wanted"),
        ({"images": [{"row_id": 7, "wieght": 1}]}, 'images[0]: write it as {"row_id": ...,'),
        ({"images": [{"row_id": 7, "weight": "1"}]}, "images[0].weight: it is str, where a number"),
        ({"vector": ["a"]}, "vector: it is not a list of numbers"),
        ({"where": 5}, "where: it is int, where a text is wanted"),
        ({"k": "5"}, "k: it is str, where a whole number is wanted"),
        ({"k": True}, "k: it is bool, where a whole number is wanted"),
        ({"collapse": 1}, "collapse: it is int, where true or false is wanted"),
        ({"offset": 1.5}, "offset: it is float, where a whole number is wanted"),
        ({"decision": ["keep"]}, "decision: it is a filter's; name the filter, too"),
        ({"max_per": "camera=2"}, "max_per: it is str, where an object is wanted"),
        ({"max_per": {"column": "camera"}}, 'max_per: write it as {"column": ..., "n": ...}'),
        ({"max_per": {"column": 1, "n": 1}}, "max_per.column: it is int, where a text is wanted"),
        ({"max_per": {"column": "a", "n": 0}}, "max_per: 0 is not a number of hits"),
        ({"sort": 7}, "sort: it is int, where a text is wanted"),
        ({"sort": ":down"}, "sort: ':down' names nothing to sort by; sort by match, date, path"),
        ({"sort": "random:up"}, "sort: random has no direction; random:17 is another order"),
        ({"sort": "random:9007199254740992"}, "sort: 9007199254740992 is no seed; one is 0 to"),
        (
            {"filter": "a", "decision": ["kept"]},
            "decision: 'kept' is none of keep, ask, drop and undecided",
        ),
    ],
)
def test_mistakes_in_json_are_named(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadRequest) as told:
        Query.from_json(document)
    assert str(told.value).startswith(sentence)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (Query.of(image="cat.jpg"), "images: JSON names rows of the lake"),
        (Query(vectors=[(unit(1, 0), 2.0)]), "vector: JSON has one, of weight 1"),
        (Query(vectors=[(unit(1, 0), 1.0)] * 2), "vector: JSON has one, of weight 1"),
    ],
)
def test_what_json_cannot_say_is_refused(query: Query, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        query.to_json()


def test_what_was_understood_can_be_said_in_json_and_finds_the_same(maker: Maker) -> None:
    for vector in ((1, 0, 0), (0.6, 0.8, 0), (0, 1, 0)):
        maker.add(vector)
    lake: Lake = maker.open()
    query = Query(
        texts=[("red", 1.0)], row_ids=[(3, 0.5)], vectors=[(unit(0, 1, 0), 0.5)], where="row_id > 1"
    )
    asked = lake.understand(query)
    # red + half of row 3 + half of (0, 1, 0): (1, 1, 0) at unit length
    assert asked.vector.tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0])
    again = Query.from_json(json.loads(json.dumps(asked.portable.to_json())))
    hits = lake.search_query(again)
    assert [(hit.row_id, hit.score) for hit in hits] == [
        (hit.row_id, hit.score) for hit in lake.search_query(query)
    ]
    assert [hit.row_id for hit in hits] == [2, 3]


# -- the list


def test_every_door_takes_every_option() -> None:
    names = {option.name for option in OPTIONS}
    assert set(SearchRequest.model_fields) == {*names, *EXAMPLES, "lake", "cursor"}
    assert {*names, *EXAMPLES, "lake", "files", "weights"} == UPLOAD_FIELDS
    [verbs] = [
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    ]
    search = verbs.choices["search"]
    assert names <= {action.dest for action in search._actions}
    assert {option.flag for option in OPTIONS} <= set(search._option_string_actions)


def test_a_cursor_takes_every_option_with_it() -> None:
    """Also one that the cursor's module has not heard of."""
    back = Cursor.decode(Cursor("my", 1, 2, WHOLE_FOR_CURSOR, "0123").encode(SIGNER), SIGNER).query
    assert back.to_json() == WHOLE_FOR_CURSOR.to_json() | {"k": 10}
    assert set(back.to_json()) >= {option.name for option in OPTIONS}


WHOLE_FOR_CURSOR = Query(
    vectors=WHOLE.vectors,
    where=WHOLE.where,
    decided=WHOLE.decided,
    min_z=2.5,
    offset=20,
    collapse=True,
    max_per=WHOLE.max_per,
    moments=WHOLE.moments,
    diversity=0.25,
    explain=True,
    sort=Sort("column", column='my "size"'),
    recall=0.95,
    exact=True,
    depth=12,
    tags_act=3,
)


# -- an option whose value is an object, as every door takes one


@dataclass(frozen=True)
class Near:
    """Only hits near a place."""

    place: str = field(metadata={"lengths": (1, 9)})
    metres: int = field(metadata={"at_least": 1})

    @classmethod
    def parse(cls, text: str) -> Near:
        place, _, metres = text.partition("/")
        if not metres:
            raise BadRequest("near", f"{text!r} is no PLACE/METRES")
        return cls(place, int(metres))


NEAR = Option(
    "near", Near, "Only hits near a place.", "--near", "near", metavar="P/M", parse=Near.parse
)


def test_an_object_in_json_is_strict() -> None:
    kind = object_of(Near)
    assert kind.model_validate({"place": "x", "metres": 5}).model_dump() == {
        "place": "x",
        "metres": 5,
    }
    for said in ({"place": "x"}, {"place": "", "metres": 1}, {"place": "x", "metres": 0}):
        with pytest.raises(ValidationError):
            kind.model_validate(said)
    with pytest.raises(ValidationError, match="Extra inputs"):
        kind.model_validate({"place": "x", "metres": 1, "meters": 1})
    assert kind.model_json_schema()["properties"]["metres"]["minimum"] == 1


def test_an_object_of_a_flag_s_words(capsys: pytest.CaptureFixture[str]) -> None:
    flags = argparse.ArgumentParser()
    _add_option(flags, NEAR)
    assert flags.parse_args(["--near", "home/5"]).near == Near("home", 5)
    assert flags.parse_args([]).near is None
    with pytest.raises(SystemExit):
        flags.parse_args(["--near", "home"])
    assert "argument --near: 'home' is no PLACE/METRES" in capsys.readouterr().err


def test_an_object_in_a_form_is_json() -> None:
    assert get_args(option_field(NEAR).annotation)[0] == str | None
