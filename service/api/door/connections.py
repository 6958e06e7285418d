"""The connections themselves: what a caller may hold before a request is one, and after its answer.

uvicorn ends idle connections, and none of these: a head that never ends, in bytes or in time; a
body's framing that outweighs the body; an answer that nobody reads, whether it is still being
written or done. Nor has it a number that more connections must not pass without shutting honest
callers out. Here each has its limit. Knows no routes, no keys and no ASGI.

Source: https://github.com/Kludex/uvicorn/issues/157 (what uvicorn leaves to others: its
`h11_max_incomplete_event_size` is h11's alone).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.answers import Refused
from service.api.config import ServeConfig

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
LINGER_S = 2.0  # to read on, and throw away, what a refused caller still sends
FRAMING = 8  # bytes of chunk sizes for one of the body: chunks of one byte have 5
STUCK_S = (
    5.0  # an answer that moved so long ago gives its connection to whoever comes when all are taken
)
# Of an answer, unsent in the kernel: with megabytes there, nothing moves for minutes on a slow line
# that is read well.
UNSENT_BYTES = 131_072


def keep_little_unsent(listening: socket.socket) -> None:
    """For all connections that come by this socket, where the system can do it."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and listening.family in (socket.AF_INET, socket.AF_INET6):
        listening.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


class Connections:
    """Those that are open, and the one look a second at all of them."""

    def __init__(
        self, config: ServeConfig, *, changed: Callable[[int], None] = lambda count: None
    ) -> None:
        """:param changed: told how many are open, whenever that is another number."""
        self.config = config
        self._tell_changed = changed
        shortest_s = min(config.head_patience_s, config.write_patience_s)
        self._look_every_s = min(LOOK_EVERY_S, max(shortest_s / 4, LOOK_EVERY_S / 20))
        self._open: dict[Connection, None] = {}  # oldest first
        self._looking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> bool:
        """False where all are taken, and each by somebody who is being answered."""
        if len(self._open) >= self.config.max_connections and not self._make_room(connection):
            return False
        self._open[connection] = None
        self._tell_changed(len(self._open))
        if self._looking is None:
            self._looking = connection.loop.call_later(self._look_every_s, self._look)
        return True

    def discard(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        self._tell_changed(len(self._open))

    def _make_room(self, newcomer: Connection) -> bool:
        """Whoever has waited longest without a whole head goes,
        then the answer that has not moved for longest.
        """
        now = newcomer.loop.time()
        for least_s, idle_s in ((0.0, Connection.idle_s), (STUCK_S, Connection.stuck_s)):
            longest = max(self._open, key=lambda each: idle_s(each, now))
            if idle_s(longest, now) >= least_s:
                self.discard(longest)
                longest.transport.abort()
                return True
        return False

    def _look(self) -> None:
        self._looking = None
        for connection in list(self._open):
            connection.look()
        if self._open:
            loop = next(iter(self._open)).loop
            self._looking = loop.call_later(self._look_every_s, self._look)


class Connection(HttpToolsProtocol):
    """uvicorn's, with limits."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        """:param args, kwargs: uvicorn's."""
        super().__init__(*args, **kwargs)
        self._connections = connections
        self._limits = connections.config
        # Since when a head is waited for; None: a request is under way.
        self._head_since: float | None = None
        self._in_message = False
        self._in_head = False
        self._piece = 0  # bytes that came last, none of an earlier message among them
        self._raw = 0  # bytes of this message
        self._fair = 0  # as many as it may have
        self._unsent = 0  # bytes of the answer, when they were looked at
        self._moved_at = 0.0
        self._is_leaving = False

    # -- what asyncio tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since = self._moved_at = self.loop.time()
        if not self._connections.add(self):
            count = self._limits.max_connections
            self._leave(
                Refused(
                    503,
                    "too_busy",
                    f"{count} connections are being answered, which is the limit; try again",
                    headers={"Retry-After": "1"},
                )
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_leaving:
            return
        self._piece = 0 if self._in_message else len(data)
        if self._in_message:
            self._raw += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_message and self._raw > self._fair:
            self._refuse_large()
        elif self._head_since is None and not self._is_answering and not self._in_message:
            # Line ends between requests begin none, but stop uvicorn's own clock.
            self._head_since = self.loop.time()

    def resume_writing(self) -> None:
        self._moved_at = self.loop.time()
        super().resume_writing()

    # -- what the parser tells

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_message = self._in_head = True
        self._raw, self._piece = self._piece, 0
        self._fair = self._limits.max_head_bytes
        if self._head_since is None:
            self._head_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer, which must not become a header of what runs
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_since = None
        # A head that came whole and is too large is refused by Limits, in the house's words.
        self._fair += self._raw
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._fair += (1 + FRAMING) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    # -- the limits

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def idle_s(self, now: float) -> float:
        """How long it has had no request under way; less than nothing: it has one."""
        if self._head_since is not None and not self._is_answering:
            return now - self._head_since
        return 0.0 if self.timeout_keep_alive_task is not None else -1.0

    def stuck_s(self, now: float) -> float:
        """How long no byte of an answer has gone; less than nothing: there is none to go."""
        return now - self._moved_at if self.transport.get_write_buffer_size() else -1.0

    def look(self) -> None:
        """End it, if one of its times is over."""
        now = self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._unsent or not unsent:
            self._moved_at = now
        self._unsent = unsent
        if now - self._moved_at >= self._limits.write_patience_s:
            log.info("%s read nothing of its answer for %g s", self.client, now - self._moved_at)
            self.transport.abort()
        elif (
            self._head_since is not None
            and not (self._is_answering or self._is_leaving)
            and now - self._head_since >= self._limits.head_patience_s
        ):
            self._end_half_request()

    def _end_half_request(self) -> None:
        if (
            not self._in_message
        ):  # browsers open connections beforehand; that is no request to answer
            self.transport.close()
            return
        limit_s = self._limits.head_patience_s
        self._leave(
            Refused(408, "too_slow", f"the request's head was not whole after {limit_s:g} s")
        )

    def _refuse_large(self) -> None:
        if (
            not self._in_head or self._is_answering
        ):  # chunk extensions or trailers without end: no honest client's
            self.transport.abort()
        else:
            self._leave(head_too_large(self._limits))

    def _leave(self, refused: Refused) -> None:
        """Answer, and read on for a moment:
        a connection closed in the middle of sending loses the answer on its way.
        """
        answer = refused.answer()
        lines = [b"HTTP/1.1 %d" % refused.status + b" ", b"connection: close"]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(answer.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._unset_keepalive_if_required()
        self._is_leaving = True
        self.loop.call_later(LINGER_S, self.transport.abort)


def head_too_large(config: ServeConfig) -> Refused:
    """431: Request Header Fields Too Large (RFC 6585, 5)."""
    return Refused(
        431,
        "head_too_large",
        f"a request's address and headers may have {config.max_head_bytes:,} bytes and "
        f"{config.max_headers} headers; send long queries in the body of a POST",
    )
