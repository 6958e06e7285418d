"""Listening: one process, one event loop, and a sentence where the port cannot be had."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from indexer.errors import BadRequest
from service.api.config import ServeConfig
from service.api.door.connections import Connection, Connections, keep_little_unsent

if TYPE_CHECKING:  # a supervisor of workers listens, and has no app
    from fastapi import FastAPI

# requests under way at Ctrl-C may take this long to end; `docker stop` kills after 10 s
GRACE_S = 5
BACKLOG = 2048

log = logging.getLogger(__name__)


def listen(config: ServeConfig) -> socket.socket:
    """A socket on the configured address, so that what is told to people is what they can open.

    :raises BadRequest: if the address is not this machine's, or the port is taken or not permitted.
    """
    try:
        found = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise BadRequest("--host", f"{config.host} is no address ({error.strerror})") from None
    family, _, _, _, address = found[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keep_little_unsent(sock)
    try:
        sock.bind(address)
        sock.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        sock.close()
        raise _cannot_listen(config, error) from None
    return sock


def _cannot_listen(config: ServeConfig, error: OSError | OverflowError) -> BadRequest:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return BadRequest(
            "--port",
            f"{config.port} is in use on {config.host}; choose another, or stop what uses it",
        )
    if number == errno.EADDRNOTAVAIL:
        return BadRequest("--host", f"{config.host} is not an address of this machine")
    if number == errno.EACCES:
        return BadRequest("--port", f"{config.port} is not permitted to you; choose one from 1024")
    return BadRequest("--port", f"{config.port} cannot be listened on ({error})")


def url_of(config: ServeConfig, sock: socket.socket) -> str:
    """What a person on this machine opens."""
    port = sock.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.host, config.host)
    return (
        f"http://[{host}]:{port}"
        if ":" in host and not host.startswith("[")
        else f"http://{host}:{port}"
    )


class Server(uvicorn.Server):
    """Answers until `should_exit` is set, or until SIGTERM and `drain_s` are over;
    requests under way are answered first. Tells when it begins.
    """

    def __init__(
        self,
        app: FastAPI,
        *,
        started: Callable[[], None] = lambda: None,
        changed: Callable[[int], None] = lambda count: None,
    ) -> None:
        """:param app: of `create_app`, whose limits its connections have, too.
        :param changed: as `Connections` has it.
        """
        config: ServeConfig = app.state.config
        # uvicorn calls it as it would call a protocol's class
        connection: Any = partial(Connection, Connections(config, changed=changed))
        super().__init__(
            uvicorn.Config(
                app,
                http=connection,
                # Without our word uvicorn believes whoever comes from this machine, as any of its
                # users can.
                proxy_headers=bool(config.trust_proxies),
                forwarded_allow_ips=list(config.trust_proxies),
                access_log=False,
                log_level=logging.WARNING,
                timeout_graceful_shutdown=GRACE_S,
                server_header=False,
                ws="none",  # there are no web sockets here
            )
        )
        self._app, self._drain_s = app, config.drain_s
        self._drain_until = math.inf
        # the same one again adds nothing
        logging.getLogger("uvicorn.error").addFilter(_is_no_cut_request)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        is_first = not self.should_exit and not self._app.state.is_leaving
        super().handle_exit(sig, frame)
        if is_first and sig == signal.SIGTERM and self._drain_s:
            self.should_exit = False
            self.drain()

    def drain(self) -> None:
        """Go on answering for `drain_s`, and say meanwhile that others are to be asked: whoever
        deals requests out hears of it before they are refused.
        """
        self._app.state.is_leaving = True
        self._drain_until = time.monotonic() + self._drain_s
        log.info("stopping in %g s; /readyz says 503 meanwhile", self._drain_s)

    async def on_tick(self, counter: int) -> bool:
        self.should_exit |= time.monotonic() >= self._drain_until
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.is_leaving = True
        if self.server_state.tasks:
            log.info(
                "requests are under way; they have %d s to end (Ctrl-C again ends them now)",
                GRACE_S,
            )
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would leave the lakes open, and lament over it
            await self.lifespan.shutdown()


def _is_no_cut_request(record: logging.LogRecord) -> bool:
    """Not the traceback of a request that `GRACE_S` cut off:
    that they are cut off is a line of its own.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def run(app: FastAPI, sock: socket.socket, *, started: Callable[[], None] = lambda: None) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    Server(app, started=started).run(sockets=[sock])
