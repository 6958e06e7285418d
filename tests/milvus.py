"""One real Milvus Lite as a server for all tests of a process, and databases on it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_numbers = itertools.count(1)


class Milvus:
    """A server in a process of its own, which listens on this machine alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        self.start()

    def url(self, database: str) -> str:
        return f"milvus://127.0.0.1:{self._port}/{database}"

    def client(self, database: str = "") -> Any:
        """One that knows nothing of our code."""
        from indexer.engines.milvus.connection import pymilvus

        client = pymilvus().MilvusClient
        return client(
            f"http://127.0.0.1:{self._port}", db_name=database, timeout=10, dedicated=True
        )

    def start(self) -> None:
        command = [sys.executable, "-m", "milvus_lite.cmdline", "server", "--host", "127.0.0.1"]
        command += ["--data-dir", str(self._folder), "--port", str(self._port)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline and self._process.poll() is None
                time.sleep(0.05)

    def stop(self) -> None:
        """As a machine that fails."""
        self._process.kill()
        self._process.wait()

    def hold(self) -> None:
        """It takes connections, and answers nobody."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def milvus() -> Iterator[Milvus]:
    folder = Path(tempfile.mkdtemp(prefix="lakesift-milvus-"))
    server = Milvus(folder / "lite")
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def milvus_database(milvus: Milvus) -> str:
    """The address of a new, empty database."""
    name = f"tests_{next(_numbers)}"
    client = milvus.client()
    client.create_database(name)
    client.close()
    return milvus.url(name)


def database_of(url: str) -> str:
    return url.rpartition("/")[2]
