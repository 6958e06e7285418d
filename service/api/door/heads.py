"""HEAD: every address that can be asked for can be asked about. ASGI, before the routes."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """Answers HEAD with what GET would say, without the body: its length, its ETag, its status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            scope["method"] = "HEAD"  # so that the server waits for no body
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # In the very scope, not in a copy: others read from it which route it was.
        scope["method"] = "GET"
        try:
            await self._app(scope, receive, without_body)
        finally:
            scope["method"] = "HEAD"
