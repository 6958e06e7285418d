"""Routes whose callers send JSON without saying so: no Content-Type, or text/plain."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

NAMED = b"content-type"


class AnyTypeRoute(APIRoute):
    """Reads every body as JSON.

    Where another site's page sends a form, the guard has refused it by its Origin before.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_as_json(request: Request) -> Response:
            others = [(name, value) for name, value in request.scope["headers"] if name != NAMED]
            scope = {**request.scope, "headers": [*others, (NAMED, b"application/json")]}
            return await handle(Request(scope, request.receive))

        return handle_as_json
