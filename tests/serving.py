"""An app on a real port, served from a thread of the test's own process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from fastapi import FastAPI

from service.api.config import ServeConfig
from service.api.server import Server, listen, url_of


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Its URL, on a free port of 127.0.0.1."""
    config: ServeConfig = replace(app.state.config, port=0)
    ready = threading.Event()
    server = Server(app, started=ready.set)
    with listen(config) as sock:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        try:
            assert ready.wait(30), "the server did not start"
            yield url_of(config, sock)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the server did not stop"
