"""A line of JSON on stdout for each request, as collectors of logs take it. Off by default.

It has no query: what people search for is theirs, and stands in addresses (`?text=...`) as in
bodies. What is refused before it is a request, as a head that never ends, has no line.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_PATH_CHARS = 512


class AccessLog:
    """ASGI middleware, outside of all that refuses: refused requests have a line, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, size, is_whole = time.perf_counter(), None, 0, False

        async def watched(message: Message) -> None:
            nonlocal status, size, is_whole
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
            await send(message)

        at = datetime.now(UTC)
        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - began
            _write(_line(scope, at, seconds, status, size, is_whole=is_whole))


def _line(
    scope: Scope, at: datetime, seconds: float, status: int | None, size: int, *, is_whole: bool
) -> dict[str, Any]:
    """
    :param status: None: no answer was begun, as where the caller had gone.
    :param size: bytes of the answer's body.
    """
    client = scope.get("client")
    said = {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "method": scope["method"],
        "path": scope["path"][:MOST_PATH_CHARS],
        "route": getattr(scope.get("route"), "path", None),
        "status": status,
        "seconds": round(seconds, 6),
        "bytes": size,
        "whole": is_whole,
        "client": client[0] if client else None,
    }
    trace = scope.get("state", {}).get("trace_id")
    return said if trace is None else {**said, "trace_id": trace}


def _write(line: dict[str, Any]) -> None:
    # One write, so that lines of several workers do not run into each other. ASCII: a path is a
    # caller's, and no terminal shall take it for an order.
    sys.stdout.write(json.dumps(line, ensure_ascii=True) + "\n")
    sys.stdout.flush()
