"""A proxy before an S3 server, that can be busy, hang up, or answer with half of the bytes."""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

# (method, path with its query, range or "") -> one of KINDS, or None for the server's own answer
Fault: TypeAlias = Callable[[str, str, str], str | None]
KINDS = ("busy", "reset", "cut", "short")
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_BUSY = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)


@dataclass
class Faults:
    """What goes wrong; set `fault` at any time."""

    url: str
    fault: Fault = lambda method, path, part: None
    met: list[str] = field(default_factory=list)  # the faults so far
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path of each request
    # (method, path, headers) -> an answer of the store's own: status, its code, its message; of a
    # web page, if the code is ""
    answer: Callable[[str, str, Mapping[str, str]], tuple[int, str, str] | None] = (
        lambda method, path, headers: None
    )
    etag: Callable[[str], str | None] = lambda etag: etag  # what a proxy makes of it
    trickle_s: float = 0.0  # between the tenths of an answer

    def each_once(self, kind: str) -> None:
        """Every request fails the first time, and not when it is made again."""
        seen: set[tuple[str, str, str]] = set()

        def fault(*request: str) -> str | None:
            method, path, part = request
            is_first = (method, path, part) not in seen
            seen.add((method, path, part))
            return kind if is_first else None

        self.fault = fault

    def reads(self, kind: str) -> None:
        """Every read of an object's bytes fails."""
        self.fault = lambda method, path, part: kind if part else None

    def none(self) -> None:
        self.fault = lambda method, path, part: None


@contextmanager
def faulty(server: str) -> Iterator[Faults]:
    """:param server: the S3 server's URL."""
    host = urlsplit(server).netloc

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            faults.asked.append((self.command, self.path))
            if own := faults.answer(self.command, self.path, dict(self.headers)):
                status, code, message = own
                data = (
                    f"{_XML}<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
                )
                if code == "":
                    data = f"<html>\n<head><title>{message}</title></head>\n</html>".encode()
                self._send(status, [("Content-Type", "application/xml")], data, len(data))
                return
            kind = faults.fault(self.command, self.path, self.headers.get("Range") or "")
            if kind:
                faults.met.append(kind)
            if kind == "busy":
                self._send(503, [("Content-Type", "application/xml")], _BUSY, len(_BUSY))
            elif kind == "reset":
                self._hang_up()
            else:
                self._pass_on(body, kind)

        def _pass_on(self, body: bytes, kind: str | None) -> None:
            connection = http.client.HTTPConnection(host)
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            data = response.read()
            connection.close()
            own = ("transfer-encoding", "connection", "content-length", "server", "date")
            # Most stores give no checksum of a part.
            headers = [
                (name, value)
                for name, value in response.getheaders()
                if name.lower() not in own and not name.lower().startswith("x-amz-checksum")
            ]
            if self.command == "HEAD":
                told = int(response.getheader("Content-Length") or 0)
                self._send(response.status, headers, b"", told)
                return
            half = data[: len(data) // 2]
            if kind == "short":
                self._send(response.status, headers, half, len(half))
            elif kind == "cut":
                self._send(response.status, headers, half, len(data))
                self._hang_up()
            else:
                self._send(response.status, headers, data, len(data))

        def _send(
            self, status: int, headers: list[tuple[str, str]], data: bytes, length: int
        ) -> None:
            self.send_response(status)
            for name, value in headers:
                told = faults.etag(value) if name.lower() == "etag" else value
                if told is not None:
                    self.send_header(name, told)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command == "HEAD":
                return
            size = len(data) // 10 + 1 if faults.trickle_s else len(data) + 1
            for start in range(0, len(data), size):
                self.wfile.write(data[start : start + size])
                time.sleep(faults.trickle_s)

        def _hang_up(self) -> None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    faults = Faults(f"http://127.0.0.1:{proxy.server_port}")
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield faults
    finally:
        proxy.shutdown()
        proxy.server_close()
