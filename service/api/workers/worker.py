"""One of several processes that answer together, as its supervisor starts it:
`python -I ... service.api.workers.worker CHANNEL SOCKET`, both numbers of open files.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from indexer.errors import LakeError
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.server import GRACE_S, Server
from service.api.serving.hub import Hub
from service.api.serving.shared_arrays import SharedArrays
from service.api.workers.accepting import Acceptor
from service.api.workers.messages import DRAIN, END_NOW, Duty, Report

ALONE_S = GRACE_S + 4.0  # from its supervisor's death to its own, at the latest
LOOK_S = 0.05


class Channel:
    """The supervisor's end of the line, read by a thread of its own."""

    def __init__(self, number: int) -> None:
        """:param number: of the open file."""
        self._socket = socket.socket(fileno=number)
        self._socket.set_inheritable(False)
        self._lines = self._socket.makefile("rb")
        first = self._lines.readline()
        if not first:  # the supervisor is gone already
            raise SystemExit(1)
        self.duty = Duty.from_line(first)
        self.is_draining = False
        self.is_ending = False
        self.is_ending_now = False
        self.is_orphaned = False
        threading.Thread(target=self._listen, name="supervisor", daemon=True).start()

    def tell(self, report: Report) -> None:
        self._socket.sendall(report.to_line())

    def _listen(self) -> None:
        try:
            for line in self._lines:
                if line == DRAIN:
                    self.is_draining = True
                    continue
                self.is_ending = True
                self.is_ending_now |= line == END_NOW
        except OSError:
            pass
        # The system closed the other end: the supervisor died without a word.
        self.is_orphaned = not self.is_ending
        self.is_ending = True
        threading.Event().wait(ALONE_S)
        os._exit(1)


class WorkerServer(Server):
    """Answers until its supervisor ends it or is gone."""

    def __init__(
        self, app: FastAPI, listening: socket.socket, channel: Channel, arrays: SharedArrays
    ) -> None:
        self._arrays = arrays
        super().__init__(app, changed=self._count_connections)
        self._hub: Hub = app.state.hub
        self._listening = listening
        self._channel = channel
        self._acceptor: Acceptor | None = None

    def _count_connections(self, count: int) -> None:
        self._arrays.connections[self._arrays.worker] = count

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        while self._channel.duty.replaces and not (
            self._hub.has_loaded or self._channel.is_ending
        ):  # the others answer meanwhile, and nobody should wait for this one's model
            await asyncio.sleep(LOOK_S)
        kind: Any = self.config.http_protocol_class
        protocol = partial(
            kind,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self._acceptor = Acceptor(self._listening, protocol, self._arrays)
        self._acceptor.start()
        self._channel.tell(Report("serving"))

    async def on_tick(self, counter: int) -> bool:
        self.should_exit |= self._channel.is_ending
        if self._channel.is_draining and not self._app.state.is_leaving:
            self.drain()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._acceptor is not None:
            self._acceptor.stop()
        watching = asyncio.create_task(self._end_now_if_told())
        try:
            await super().shutdown([self._listening])
        finally:
            watching.cancel()

    async def _end_now_if_told(self) -> None:
        while not self._channel.is_ending_now:
            await asyncio.sleep(LOOK_S)
        self.force_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Ctrl-C is the supervisor's affair: it tells its workers. Whoever ends one of them by
        SIGTERM lets it end what it is at.
        """
        signal.signal(signal.SIGTERM, self.handle_exit)
        yield


def share_of(config: ServeConfig, worker: int) -> ServeConfig:
    """One worker's settings: its part of the connections, and all else as it is for all."""
    part, rest = divmod(config.max_connections, config.workers)
    return replace(config, max_connections=part + (worker < rest))


def main(channel_number: int, socket_number: int) -> None:
    # A handler, which programs that it starts do not inherit, as they would inherit being deaf.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    channel = Channel(channel_number)
    listening = socket.socket(fileno=socket_number)
    listening.set_inheritable(False)
    duty = channel.duty
    name = f"worker {duty.worker + 1}"
    logging.basicConfig(format=f"%(levelname)s: {name}: %(message)s", level=logging.INFO)
    folder = Path(duty.folder)
    try:
        arrays = SharedArrays(folder, duty.worker, duty.config.workers)
        app = create_app(
            [Path(lake) for lake in duty.lakes],
            share_of(duty.config, duty.worker),
            arrays=arrays,
        )
    except LakeError as error:
        channel.tell(Report.of_error(error))
        return
    channel.tell(Report("opened", app.state.hub.introduction()))
    WorkerServer(app, listening, channel, arrays).run()
    if channel.is_orphaned:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
