"""A body is read as the standard library reads it."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from indexer.errors import BadRequest
from service.api import errors
from service.api.json_bodies import QuickBody, parsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def outcome(read: Any, body: bytes) -> tuple[str, str]:
    """What comes of it, types and signs of zero included."""
    try:
        return "read", repr(read(body))
    except json.JSONDecodeError as error:
        return type(error).__name__, str(error)
    except (ValueError, RecursionError) as error:
        return type(error).__name__, ""


@given(VALUES, st.booleans())
def test_whatever_was_written_comes_back(value: object, is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    assert outcome(parsed, body) == outcome(json.loads, body)


@given(
    st.binary(max_size=40) | st.text('[]{}",:0123456789.eE+-\\u nul', max_size=30).map(str.encode)
)
def test_nonsense_is_refused_in_the_same_words(body: bytes) -> None:
    assert outcome(parsed, body) == outcome(json.loads, body)


@pytest.mark.parametrize(
    "text",
    [
        "1e400", "-1e400", "NaN", "[Infinity]", "-0", "-0.0", "5e-324", "18446744073709551616",
        "-9223372036854775809", "99999999999999999999999", "0.00012345678901234567", '{"a":1,"a":2}',
        '"\\ud800"', '"\\ud83d\\ude00"', '"\x00"', "[1,]", "", " ", "[" * 2000 + "]" * 2000,
    ],
)  # fmt: skip
def test_the_edges_of_numbers_and_texts(text: str) -> None:
    for body in (text.encode(), text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode()):
        assert outcome(parsed, body) == outcome(json.loads, body)


def test_numbers_are_those_nearest_to_what_was_written() -> None:
    assert parsed(b"[0.1, 1e-7, 123456789012345678]") == [0.1, 1e-7, 123456789012345678]
    assert math.isinf(parsed(b"1e999"))


class Wish(BaseModel, extra="forbid"):
    k: int = Field(ge=1)
    text: str = ""


def doubled(request: Request, body: Wish) -> Response:
    if body.text == "no":
        raise BadRequest("text", "it is no")
    return Response(f"{2 * body.k} {request.url.path}")


def client_of(route_class: type[APIRoute]) -> TestClient:
    router = APIRouter(prefix="/v1", route_class=route_class)
    router.post("/double")(doubled)
    app = FastAPI()
    app.include_router(router)
    errors.install(app)
    return TestClient(app)


BODIES = [
    b'{"k": 21}', b'{"k": 0}', b'{"k": 1, "text": "no"}', b'{"k": 1, "j": 2}', b'{"k": "7"}', b"[1]",
    b'{"k": 1', b"", b"null", b'{"k": 1e400}', b"\xff", b"[" * 100_000,
]  # fmt: skip


def test_a_quick_route_answers_as_fastapi_does() -> None:
    said = {"Content-Type": "application/json"}
    with client_of(QuickBody) as quick, client_of(APIRoute) as plain:
        for body in BODIES:
            answers = [
                each.post("/v1/double", content=body, headers=said) for each in (quick, plain)
            ]
            assert answers[0].content == answers[1].content, body
            assert answers[0].status_code == answers[1].status_code, body
        assert quick.post("/v1/double", content=BODIES[0], headers=said).text == "42 /v1/double"
        assert quick.post("/v1/double", content=BODIES[1], headers=said).status_code == 422
        other = quick.get("/v1/double")
        assert (other.status_code, other.headers["allow"]) == (405, "POST")


def test_a_quick_route_reads_bodies_that_come_in_pieces() -> None:
    with client_of(QuickBody) as quick:
        said = {"Content-Type": "application/json"}
        for pieces, status in (([b'{"k"', b": 2", b"1}"], 200), ([b'{"k": 2', b"1"], 422)):
            answer = quick.post("/v1/double", content=iter(pieces), headers=said)
            assert answer.status_code == status


def test_whoever_goes_away_in_the_middle_of_a_body_gets_no_500() -> None:
    router = APIRouter(route_class=QuickBody)
    router.post("/double")(doubled)
    app = FastAPI()
    app.include_router(router)
    errors.install(app)
    coming = [
        {"type": "http.request", "body": b'{"k": 1}', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/double", "raw_path": b"/double", "root_path": "",
        "query_string": b"", "scheme": "http", "http_version": "1.1", "server": ("here", 80),
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 422
