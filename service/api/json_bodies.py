"""Bodies of JSON, read and answered quickly: a vector of 512 numbers took the standard library as
long as all that stands before a route takes, and FastAPI's own way to a route as long again.

What comes of a body is what the standard library makes of it, to its last message. What is wrong
with one is told by FastAPI itself, which then reads it once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction, signature
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

# What is beyond 64 bits has 19 digits or more.
_LONG = b"0" * 19
_DIGITS = bytes(ord("0") if chr(byte).isdecimal() and byte < 128 else 0 for byte in range(256))


def parsed(body: bytes) -> Any:
    """As `json.loads` has it.

    :raises json.JSONDecodeError, UnicodeDecodeError, RecursionError: as that does.
    """
    if not _may_hold_long_number(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # it also refuses what the other takes: NaN, 1e400, half of a surrogate pair
    return json.loads(body)


def _may_hold_long_number(body: bytes) -> bool:
    """Whether a whole number may be beyond 64 bits, of which orjson makes one with decimals.
    Decimals themselves may be as long as they are.
    """
    # a regular expression took 20 times as long
    digits = body.translate(_DIGITS)
    at = digits.find(_LONG)
    while at >= 0:
        if body[at - 1 : at] != b".":
            return True
        at = digits.find(_LONG, at + len(_LONG))
    return False


class _QuickRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parsed(await self.body())
        return self._json


class QuickBody(APIRoute):
    """A route whose bodies of JSON are read so.

    An endpoint that is a plain function of its request and its body has its answer in one step: it
    is called in a thread that reads and checks the body, too. That the body is said to be JSON was
    looked at before, by `Limits`.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._model = None if self.dependencies else _body_alone(endpoint)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        model = self._model
        if model is None or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        pieces = []
        message: Message = {"more_body": True}
        while message.get("more_body", False):
            message = await receive()
            pieces.append(message.get("body", b""))
        body, answer = b"".join(pieces), None
        if message["type"] == "http.request":
            request = Request(scope, receive)
            answer = await run_in_threadpool(self._answer, model, request, body)
        if answer is None:
            await super().handle(scope, _again(body, message, receive), send)
        else:
            await answer(scope, receive, send)

    def _answer(self, model: type[BaseModel], request: Request, body: bytes) -> Response | None:
        """None: the body is not as it should be."""
        try:
            said = model.model_validate(parsed(body), from_attributes=True)
        except (ValueError, RecursionError):  # pydantic's is a ValueError
            return None
        answer: Response = self.endpoint(request, said)
        return answer

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handling(request: Request) -> Response:
            return await handler(_QuickRequest(request.scope, request.receive))

        return handling


def _body_alone(endpoint: Callable[..., Any]) -> type[BaseModel] | None:
    """The class of its body, where an endpoint takes nothing but its request and that."""
    taken = signature(endpoint, eval_str=True).parameters
    if list(taken) != ["request", "body"] or iscoroutinefunction(endpoint):
        return None
    model = taken["body"].annotation
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _again(body: bytes, last: Message, receive: Receive) -> Receive:
    """What was received, as one message, and what is to come."""
    first: Message | None = last
    if last["type"] == "http.request":
        first = {"type": "http.request", "body": body, "more_body": False}

    async def receiving() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        message, first = first, None
        return message

    return receiving
