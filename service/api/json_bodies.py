"""Bodies of JSON, read quickly: a vector of 512 numbers took the standard library as long as all
that stands before a route takes.

What comes of a body is what the standard library makes of it, to its last message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

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
    """A route whose bodies of JSON are read so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handling(request: Request) -> Response:
            return await handler(_QuickRequest(request.scope, request.receive))

        return handling
