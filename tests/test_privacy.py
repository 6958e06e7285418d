"""Nothing is sent anywhere, by us or by what we stand on:
no connection is tried, no device id is left behind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import sample_folders

ROOT = Path(__file__).resolve().parents[1]
NETWORK = re.compile(r"connect\(\d+, \{sa_family=AF_INET")


@pytest.fixture
def environment(tmp_path: Path, cache_of_the_tests: Path) -> dict[str, str]:
    """A user's who has just arrived, but for the converted models."""
    for name in ("home", "temp"):
        (tmp_path / name).mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LAKESIFT_CACHE", "LD_LIBRARY_PATH")
    }
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temp"),
        "PYTHONPATH": str(ROOT),
    }


def traced(environment: dict[str, str], trace: Path, *command: str) -> str:
    """The system calls to connect that a command and its children made."""
    strace = ["strace", "-f", "-e", "trace=connect", "-o", str(trace)]
    run = subprocess.run(
        [*strace, sys.executable, *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return trace.read_text()


def test_indexing_and_searching_talk_to_nobody(environment: dict[str, str], tmp_path: Path) -> None:
    photo, lake = str(Path(sample_folders()[0]) / "chelsea.png"), str(tmp_path / "my.lake")
    calls = traced(
        environment, tmp_path / "index", "-m", "service.cli", "index", photo, "--into", lake
    )
    calls += traced(environment, tmp_path / "search", "-m", "service.cli", "search", lake, "a cat")
    assert not NETWORK.search(calls), calls
    left = [
        path.relative_to(tmp_path)
        for name in ("home", "temp")
        for path in (tmp_path / name).rglob("*")
    ]
    assert left == []


def test_the_trace_would_show_a_connection(environment: dict[str, str], tmp_path: Path) -> None:
    attempt = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    assert NETWORK.search(traced(environment, tmp_path / "trace", "-c", attempt))


def test_a_user_may_decide_otherwise(environment: dict[str, str]) -> None:
    code = "import indexer, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, seen in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, **given},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == seen
