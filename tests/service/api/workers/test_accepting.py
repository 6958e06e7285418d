"""Two that take connections from one socket, in one event loop."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from service.api.config import ServeConfig
from service.api.server import listen
from service.api.serving.shared_arrays import SharedArrays
from service.api.workers import accepting
from service.api.workers.accepting import Acceptor


class Answering(asyncio.Protocol):
    """Says which worker it is of, and counts its connections."""

    def __init__(self, arrays: SharedArrays, open_here: set[Answering]) -> None:
        self._arrays = arrays
        self._open_here = open_here

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._open_here.add(self)
        self._arrays.connections[self._arrays.worker] = len(self._open_here)
        transport.write(b"%d" % self._arrays.worker)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_here.discard(self)
        self._arrays.connections[self._arrays.worker] = len(self._open_here)


def worker(folder: Path, number: int, listening: socket.socket) -> Acceptor:
    arrays = SharedArrays(folder, number, 2)
    open_here: set[Answering] = set()
    return Acceptor(listening, lambda: Answering(arrays, open_here), arrays)


async def who_answers(port: int) -> tuple[int, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return int(await reader.readexactly(1)), writer


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def test_each_has_as_many_and_one_that_has_fewer_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that no busy machine lets it end between a caller's coming and the other's turn.
    monkeypatch.setattr(accepting, "LEFT_TO_OTHERS_S", 0.5)

    async def ask() -> None:
        with listen(ServeConfig(port=0)) as listening, listening.dup() as again:
            port = listening.getsockname()[1]
            workers = [worker(tmp_path, 0, listening), worker(tmp_path, 1, again)]
            for each in workers:
                each.start()
            callers = [await who_answers(port) for _ in range(6)]
            for caller, writer in callers:
                if caller == 0:
                    await close(writer)
            counts = SharedArrays(tmp_path, 0, 2).connections
            while counts[0]:
                await asyncio.sleep(0.001)
            # Nobody leaves an earlier caller to the other any more.
            await asyncio.sleep(2 * accepting.LEFT_TO_OTHERS_S)
            more = [await who_answers(port) for _ in range(3)]
            for _, writer in [*callers, *more]:
                await close(writer)
            for each in workers:
                each.stop()
        assert sorted(caller for caller, _ in callers) == [0, 0, 0, 1, 1, 1]
        assert [caller for caller, _ in more] == [0, 0, 0]

    asyncio.run(ask())


def test_one_that_has_more_takes_them_where_the_other_does_not(tmp_path: Path) -> None:
    async def ask() -> None:
        with listen(ServeConfig(port=0)) as listening:
            port = listening.getsockname()[1]
            only = worker(tmp_path, 0, listening)
            only.start()
            other = SharedArrays(tmp_path, 1, 2)
            other.alive[1] = 1  # it has none, and is busy with something
            callers = [await who_answers(port) for _ in range(3)]
            for _, writer in callers:
                await close(writer)
            only.stop()
        assert [caller for caller, _ in callers] == [0, 0, 0]

    asyncio.run(ask())
