"""One real S3 server of our own for all tests of a process, and buckets on it.

`tests/conftest.py` gives them to every test: a second server would not be asked, since s3fs keeps
what it opened first.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a moto_server process, which the usual AWS_ variables name while it runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    before = dict(os.environ)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(url, server)
            os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=url)
            yield url
        finally:
            os.environ.clear()
            os.environ.update(before)
            server.terminate()


@pytest.fixture
def bucket(s3_server: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """A new bucket's name, and s3fs to fill it with."""
    import s3fs  # not at the top: most runs need none

    fs = s3fs.S3FileSystem(use_listings_cache=False)
    name = f"bucket-{abs(hash(request.node.name))}"
    fs.mkdir(name)
    yield name, fs
    fs.rm(name, recursive=True)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"moto_server did not answer on {url}")
