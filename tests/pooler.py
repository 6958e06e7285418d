"""A pooler before Postgres in its mode of transactions, as PgBouncer is one: whoever begins a
transaction gets the connection that was idle for the longest, in whatever state others left it.
"""

from __future__ import annotations

import queue
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_SERVERS = 4


@dataclass
class Pooler:
    """`url` is that of the same database through it."""

    place: str  # of Postgres's own socket
    database: str
    user: str = "postgres"
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    idle: queue.Queue[socket.socket] = field(default_factory=queue.Queue)
    greeting: bytes = b""

    @property
    def url(self) -> str:
        port = self.listening.getsockname()[1]
        return f"postgresql://{self.user}@127.0.0.1:{port}/{self.database}?sslmode=disable"

    def connect(self) -> None:
        """One more of the server's own connections."""
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.place)
        said = b"".join(
            each.encode() + b"\0" for each in ("user", self.user, "database", self.database)
        )
        server.sendall(struct.pack("!ii", len(said) + 9, 196_608) + said + b"\0")
        greeting = b""
        while not greeting.endswith(b"Z\0\0\0\5I"):
            greeting += server.recv(65_536)
        self.greeting = greeting
        self.idle.put(server)

    def serve(self) -> None:
        for _ in range(_SERVERS):
            self.connect()
        with suppress(OSError):  # it was closed
            while True:
                client, _ = self.listening.accept()
                threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        with client:
            (length,) = struct.unpack("!i", _exactly(client, 4))
            _exactly(client, length - 4)
            client.sendall(self.greeting)
            while data := _received(client):
                if data[:1] == b"X":  # good-bye: the server's connection is for others
                    return
                server = self.idle.get()
                if not self._transaction(client, server, data):
                    server.close()  # what was under way is undone
                    self.connect()
                    return
                self.idle.put(server)

    def _transaction(self, client: socket.socket, server: socket.socket, data: bytes) -> bool:
        """:returns: whether it came to its end."""
        server.sendall(data)
        rest = b""
        with selectors.DefaultSelector() as selector:
            for each in (client, server):
                selector.register(each, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    data = _received(key.fileobj)
                    if not data:
                        return False
                    if key.fileobj is client:
                        server.sendall(data)
                        continue
                    client.sendall(data)
                    state, rest = _state(rest + data)
                    if state == b"I":
                        return True


def _received(one: object) -> bytes:
    assert isinstance(one, socket.socket)
    with suppress(OSError):
        return one.recv(65_536)
    return b""


def _exactly(one: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length and (more := one.recv(length - len(data))):
        data += more
    return data


def _state(data: bytes) -> tuple[bytes | None, bytes]:
    """Of the last whole message, if that says that the server is ready; and half a message."""
    state = None
    while len(data) >= 5:
        (length,) = struct.unpack_from("!i", data, 1)
        if len(data) < 1 + length:
            break
        state = data[5:6] if data[:1] == b"Z" else None
        data = data[1 + length :]
    return state, data


@contextmanager
def pooled(folder: str, database: str) -> Iterator[str]:
    """The address of a database through a pooler.

    :param folder: in which Postgres has its socket.
    """
    pooler = Pooler(f"{folder}/.s.PGSQL.5432", database)
    threading.Thread(target=pooler.serve, daemon=True).start()
    try:
        yield pooler.url
    finally:
        pooler.listening.close()
        while not pooler.idle.empty():
            pooler.idle.get().close()
