"""Connections for several processes that listen on one socket: each has about as many.

Left alone, whichever process wakes first takes all that wait, and callers who keep their connection
stay with it: eight callers were answered by one worker while another had nothing to do.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

import numpy as np

from service.api.serving.shared_arrays import SharedArrays

log = logging.getLogger(__name__)

# for those who have fewer; if they are at something, this one takes it after all
LEFT_TO_OTHERS_S = 0.002
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
EXHAUSTED_PAUSE_S = 1.0


class Acceptor:
    """Takes connections one at a time, and leaves new ones to a worker who has fewer."""

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        arrays: SharedArrays,
    ) -> None:
        """:param protocol: makes what answers one connection.
        :param arrays: its `connections` has how many each worker has; this one's entry is written
            by whoever opens and closes them, too.
        """
        self._listening = listening
        self._protocol = protocol
        self._arrays = arrays
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        self._beginning: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._listening.setblocking(False)
        self._arrays.alive[self._arrays.worker] = 1
        self._listen()

    def stop(self) -> None:
        self._arrays.alive[self._arrays.worker] = 0
        self._loop.remove_reader(self._listening.fileno())
        if self._later is not None:
            self._later.cancel()

    def _listen(self) -> None:
        self._later = None
        self._loop.add_reader(self._listening.fileno(), self._has_come)

    def _has_come(self) -> None:
        if self._another_has_fewer():
            self._pause(LEFT_TO_OTHERS_S, self._take_and_listen)
        else:
            self._take()

    def _another_has_fewer(self) -> bool:
        counts = self._arrays.connections[self._arrays.alive.astype(bool)]
        mine = self._arrays.connections[self._arrays.worker]
        return bool(np.any(counts < mine))

    def _take_and_listen(self) -> None:
        self._listen()
        self._take()

    def _take(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was first, or the caller has gone
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            log.error("no connection can be taken: %s", error.strerror)
            self._pause(EXHAUSTED_PAUSE_S, self._listen)
            return
        # It counts at once: the others look while it begins.
        self._arrays.connections[self._arrays.worker] += 1
        connection.setblocking(False)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        beginning = self._loop.create_task(self._begin(connection))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # the caller has gone
            self._arrays.connections[self._arrays.worker] -= 1
            connection.close()

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._later = self._loop.call_later(seconds, then)
