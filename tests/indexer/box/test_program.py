"""A program of the system in its box: what it may read, and what it is refused."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.box import linux
from indexer.processes import FOLDER, python_command

MEMORY_BYTES, WORK_S = 1_000_000_000, 20


def run(given: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    lifeline = subprocess.PIPE  # any open file will do: nobody here dies
    with given.open("rb") as file, subprocess.Popen(["cat"], stdin=lifeline) as other:
        assert other.stdin is not None
        descriptor = other.stdin.fileno()
        limits = map(str, (MEMORY_BYTES, WORK_S, descriptor))
        try:
            return subprocess.run(
                python_command("indexer.box.program", *limits, *command),
                stdin=file,
                capture_output=True,
                pass_fds=[descriptor],
                cwd=FOLDER,
                check=False,
            )
        finally:
            other.stdin.close()


@pytest.fixture
def given(tmp_path: Path) -> Path:
    if sys.platform != "linux":
        pytest.skip("elsewhere there are no walls")
    path = tmp_path / "given"
    path.write_text("what was given")
    (tmp_path / "beside").write_text("a secret")
    return path


def test_it_opens_the_one_file_that_it_was_given_and_no_other(given: Path) -> None:
    if not _has_landlock():
        pytest.skip("the kernel has no Landlock")
    assert run(given, "/bin/cat", "/dev/fd/0").stdout == b"what was given"
    assert run(given, "/bin/cat", "/dev/fd/0", "/dev/fd/0").stdout == 2 * b"what was given"
    for other in (given.parent / "beside", Path("/etc/passwd")):
        refused = run(given, "/bin/cat", str(other))
        assert (refused.returncode, refused.stdout) == (1, b"")
        assert b"Permission denied" in refused.stderr


def test_it_writes_nothing(given: Path) -> None:
    made = run(given, "/usr/bin/touch", str(given.parent / "made"))
    assert made.returncode == 1
    assert not (given.parent / "made").exists()


def test_it_has_no_network_and_starts_no_process(given: Path) -> None:
    if linux.machine() not in ("x86_64", "aarch64"):
        pytest.skip("no list of system calls for this machine")
    with socket.create_server(("127.0.0.1", 0)) as server:
        shell = run(given, "/bin/bash", "-c", f": < /dev/tcp/127.0.0.1/{server.getsockname()[1]}")
    assert b"Operation not permitted" in shell.stderr
    child = run(given, "/bin/sh", "-c", "/bin/echo from a child; /bin/echo and on")
    assert b"from a child" not in child.stdout
    assert b"fork" in child.stderr


def _has_landlock() -> bool:
    try:
        linux.system_call(linux.LANDLOCK_CREATE_RULESET, None, 0, 1)
    except OSError:
        return False
    return True
