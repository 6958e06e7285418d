"""What a boxed process and its parent say to each other: whole messages, and open files, over one
socket.

A message is its length and its bytes. Whoever gives a time has it for the whole message, however
slowly the other side sends or takes it.
"""

from __future__ import annotations

import socket
import struct
import time

LENGTH = struct.Struct(">Q")
GO_ON = b"go on"  # the parent's word to one that waits
FILE = b"f"  # goes with a descriptor, which cannot travel alone


class Channel:
    """One end; used by one thread at a time. It blocks where no time is given, and whoever gives
    none never asks the system for another mode: a boxed process could not.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: bytes, until: float | None = None) -> None:
        """:param until: on the monotonic clock; None: as long as it takes.

        :raises TimeoutError: if it is not taken in time; OSError: if the other side ended.
        """
        self._have_time(until)
        self._end.sendall(LENGTH.pack(len(message)))
        self._have_time(until)
        self._end.sendall(message)

    def receive(self, max_bytes: int, until: float | None = None) -> bytes:
        """
        :raises TimeoutError: if it is not whole in time.
        :raises EOFError: if the other side ended; OSError: if the message is longer than max_bytes.
        """
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size, until))
        if length > max_bytes:
            raise OSError(f"a message of {length:,} bytes, over {max_bytes:,}")
        return self._exactly(length, until)

    def send_file(self, descriptor: int, until: float | None = None) -> None:
        """The other side gets a descriptor of its own, and can do with it what this one allows."""
        self._have_time(until)
        socket.send_fds(self._end, [FILE], [descriptor])

    def receive_file(self) -> int:
        """:raises EOFError: if the other side ended, or sent no file."""
        _, descriptors, _, _ = socket.recv_fds(self._end, len(FILE), 1)
        if not descriptors:
            raise EOFError
        return descriptors[0]

    def close(self) -> None:
        self._end.close()

    def _exactly(self, length: int, until: float | None) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            self._have_time(until)
            part = self._end.recv(length, socket.MSG_WAITALL)
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _have_time(self, until: float | None) -> None:
        if until is None:
            return
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._end.settimeout(left_s)
