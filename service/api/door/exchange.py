"""One request and its answer, with the body counted and timed,
and the line closed so that the answer arrives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.answers import Refused

BYTES_A_SECOND = 64_000  # each so many give a body a second more: a slow line is not a dribble


def has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


def too_large(most: int) -> Refused:
    return Refused(
        413,
        "too_large",
        f"the request's body is larger than {most:,} bytes, which is the most taken here",
    )


class _Cut(Exception):
    """Ends an app's reading. What the app makes of it is not sent."""


class Exchange:
    """The ASGI messages of one request.
    Until the app begins to answer, its body is counted and timed.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        max_bytes: int,
        patience_s: float,
        linger_s: float,
        whole: Callable[[], None] = lambda: None,
        begun: Callable[[], None] = lambda: None,
        gone: Callable[[], None] | None = None,
    ) -> None:
        """:param max_bytes: of the body; more is 413.
        :param patience_s: to wait for the body, all told, and a second more for each
            BYTES_A_SECOND; then 408.
        :param linger_s: to read on, and throw away, what the caller still sends when the answer is
            out.
        :param whole: called once the body is, before the app has its last piece; it may raise
            Refused.
        :param begun: called when the app begins to answer: what is left is to send.
        :param gone: called if the caller goes away before that; None: nobody looks.
        """
        self._scope = scope
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._linger_s = linger_s
        self._bytes = 0
        self._waited_s = 0.0
        self._whole = not has_body(Headers(scope=scope))
        self._tell_whole = whole
        self._tell_begun = begun
        self._tell_gone = gone
        self._watching: asyncio.Task[None] | None = None
        self._refused: Refused | None = None
        self._answering = False
        # the answer goes out before the body is in: this connection ends with it
        self._hanging_up = False
        self._unended = False  # its last message is still to be sent

    async def run(self, app: ASGIApp) -> None:
        """Let an app answer; if the body was cut, this answers in its place."""
        try:
            if self._whole:
                self._is_whole()
            await app(self._scope, self._taking, self._giving)
        except Exception:
            if self._refused is None:
                raise
        finally:
            await self._look_away()
        if self._refused is not None:
            await self.refuse(self._refused)

    async def refuse(self, refused: Refused) -> None:
        await refused.answer()(self._scope, self._receive, self._pass_on)

    async def finish(self) -> None:
        """Let a caller finish sending: a connection closed in the
        middle of it loses the answer on its way.
        """
        if self._unended:
            with anyio.move_on_after(self._linger_s):
                while not self._whole:
                    self._whole = not (await self._receive()).get("more_body", False)
            await self._send({"type": "http.response.body"})

    async def _taking(self) -> Message:
        """The app's `receive`."""
        if self._refused is not None:
            raise _Cut
        if self._whole or self._answering:
            return await self._receive()
        message = await self._in_time()
        self._bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._bytes > self._max_bytes and not self._answering:
            self._refused = too_large(self._max_bytes)
            raise _Cut
        if self._whole and message["type"] == "http.request":
            self._is_whole()
        return message

    def _is_whole(self) -> None:
        try:
            self._tell_whole()
        except Refused as refused:
            self._refused = refused
            raise _Cut from None
        if self._tell_gone is not None:
            self._watching = asyncio.create_task(self._watch(self._tell_gone))

    async def _watch(self, tell: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._answering:
            tell()

    async def _look_away(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _in_time(self) -> Message:
        allowed_s = self._patience_s + self._bytes / BYTES_A_SECOND
        began = time.monotonic()
        # not anyio's: its scopes took as long as all else here
        with suppress(TimeoutError):
            async with asyncio.timeout(allowed_s - self._waited_s):
                message = await self._receive()
            self._waited_s += time.monotonic() - began
            return message
        # it listens for the caller to go away, and may do so for as long as it answers
        if self._answering:
            return await self._receive()
        self._refused = Refused(
            408,
            "too_slow",
            f"{self._bytes:,} bytes of the request's body came in {allowed_s:.0f} s; send it faster",
        )
        raise _Cut

    async def _giving(self, message: Message) -> None:
        """The app's `send`."""
        if self._refused is None:
            await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answering = True
            self._tell_begun()
            await self._look_away()
            self._hanging_up = not self._whole
            if self._hanging_up:
                MutableHeaders(scope=message)["Connection"] = "close"
        elif self._hanging_up and not message.get("more_body", False):
            self._unended = True
            message = {**message, "more_body": True}  # by its length the answer is whole already
        await self._send(message)
