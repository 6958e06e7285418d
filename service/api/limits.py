"""The limits: how much a request may send, of what kind, how slowly, and how many may be under way. ASGI, outermost.

What is refused is refused before it is read into memory, and the answer reaches a caller who is still sending.
"""

from __future__ import annotations

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.answers import Refused
from service.api.config import ServeConfig
from service.api.headers import is_page, with_security_headers

UPLOAD = "/v1/search/upload"
SESSION = "/v1/session"
MAX_SESSION_BYTES = 4_096  # a key in JSON; whoever sends it has shown none yet
PATIENCE_S = 30.0  # to wait for a body, all told
BYTES_A_SECOND = 64_000  # each so many give a second more: a slow line is not a dribble
LINGER_S = 5.0  # to read on, and throw away, what a refused caller still sends
HANG_UP = {"Connection": "close"}


class Limits:
    """Answers 408, 413, 415 and 429 by itself, and gives every answer its security headers."""

    def __init__(
        self,
        app: ASGIApp,
        config: ServeConfig,
        *,
        patience_s: float = PATIENCE_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self._app = app
        self._config = config
        self._patience_s = patience_s
        self._linger_s = linger_s
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = with_security_headers(scope["path"], send)
        refused = self._refuse_unread(scope)
        if refused is not None:
            await self._answer(refused, scope, receive, send)
        elif _always_answered(scope["path"]):
            await self._run(scope, receive, send)
        elif self._in_flight >= self._config.max_busy:
            await self._answer(self._busy(), scope, receive, send)
        else:
            self._in_flight += 1
            try:
                await self._run(scope, receive, send)
            finally:
                self._in_flight -= 1

    def _busy(self) -> Refused:
        message = f"{self._in_flight} requests are being answered, which is the limit; try again in a second"
        return Refused(429, "too_busy", message, headers={"Retry-After": "1"})

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(receive, send, self._max_bytes(scope["path"]), self._patience_s)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            if exchange.refused is None:
                raise
        if exchange.refused is not None:  # whatever the app made of half a body
            await self._answer(exchange.refused, scope, receive, send, unread=not exchange.whole)

    async def _answer(
        self, refused: Refused, scope: Scope, receive: Receive, send: Send, *, unread: bool = True
    ) -> None:
        """Answer, then let the caller finish sending: a connection closed in the middle loses the answer on its way."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body" and refused.status == 413 and unread:
                await send({**message, "more_body": True})  # by its length the answer is whole already
                with anyio.move_on_after(self._linger_s):
                    while (await receive()).get("more_body", False):
                        pass
                message = {"type": "http.response.body"}
            await send(message)

        await refused.answer()(scope, receive, sending)

    def _refuse_unread(self, scope: Scope) -> Refused | None:
        """What the headers alone show."""
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return Refused(400, "invalid_request", "Content-Length is not a number", headers=HANG_UP)
        most = self._max_bytes(scope["path"])
        # Lengths of many digits are not even parsed
        if len(length.lstrip("0")) > 18 or int(length) > most:
            return _too_large(most)
        if int(length) or "transfer-encoding" in headers:
            return _wrong_type(scope, headers)
        return None

    def _max_bytes(self, path: str) -> int:
        if path == UPLOAD:
            return self._config.max_upload_bytes
        if path == SESSION:
            return min(MAX_SESSION_BYTES, self._config.max_body_bytes)
        return self._config.max_body_bytes


def _always_answered(path: str) -> bool:
    """Cheap, and wanted just when all is busy. Signing in too: whoever dribbles keys must not stop the others."""
    return path in ("/healthz", "/readyz", "/metrics", SESSION) or is_page(path)


def _wrong_type(scope: Scope, headers: Headers) -> Refused | None:
    """Forms of other sites can send text/plain and the like unasked, but not JSON: one more reason to insist."""
    if scope["method"] not in ("POST", "PUT", "PATCH") or not scope["path"].startswith("/v1/"):
        return None
    wanted = "multipart/form-data" if scope["path"] == UPLOAD else "application/json"
    sent = headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent == wanted:
        return None
    return Refused(
        415,
        "unsupported_media_type",
        f"{scope['path']} takes {wanted}, and this is {sent[:100] or 'of no Content-Type'}",
    )


def _too_large(most: int) -> Refused:
    message = f"the request's body is larger than {most:,} bytes, which is the most taken here"
    return Refused(413, "too_large", message, headers=HANG_UP)


class _Cut(Exception):
    """Ends an app's reading; no one answers it."""


class _Exchange:
    """One request's messages, with its body counted and timed until the app begins to answer."""

    def __init__(self, receive: Receive, send: Send, max_bytes: int, patience_s: float) -> None:
        self.refused: Refused | None = None
        self.whole = False  # the body is in: from here on `receive` waits for the caller to go away
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._bytes = 0
        self._waited_s = 0.0
        self._answering = False

    async def receive(self) -> Message:
        if self.whole or self._answering:
            return await self._receive()
        if self.refused is None:
            message = await self._in_time()
            self._bytes += len(message.get("body", b""))
            self.whole = not message.get("more_body", False)
            if self._bytes <= self._max_bytes:
                return message
            self.refused = _too_large(self._max_bytes)
        raise _Cut

    async def _in_time(self) -> Message:
        allowed_s = self._patience_s + self._bytes / BYTES_A_SECOND
        began = anyio.current_time()
        with anyio.move_on_after(allowed_s - self._waited_s):
            message = await self._receive()
            self._waited_s += anyio.current_time() - began
            return message
        self.refused = Refused(
            408,
            "too_slow",
            f"{self._bytes:,} bytes of the request's body came in {allowed_s:.0f} s; send it faster",
            headers=HANG_UP,
        )
        raise _Cut

    async def send(self, message: Message) -> None:
        if self.refused is None:
            self._answering = True
            await self._send(message)
