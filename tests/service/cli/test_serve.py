"""`lakesift serve` as a person starts, uses and stops it: a real process, a real port."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from service.api.server import GRACE_S
from tests.lakes import RED, Desk

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "LAKESIFT_STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    return desk.lake


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "service.cli", *map(str, arguments)]


@contextmanager
def serving(
    environment: dict[str, str], *arguments: str | Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL, once it says that it serves."""
    process = subprocess.Popen(
        command("serve", *arguments), env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            found = re.search(r"serving at (http://\S+) \(Ctrl-C stops\)\n", line)
            if found:
                labelling = f"filters are made and taught at {found[1]}/label\n"
                assert process.stderr.readline() == labelling
                yield process, found[1]
                break
        else:
            raise AssertionError(f"it ended: {''.join(said)}")
    finally:
        process.kill()
        process.communicate()


def refused(environment: dict[str, str], *arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        command("serve", *arguments), env=environment, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(
    environment: dict[str, str], lake: Path, name: signal.Signals
) -> None:
    with serving(environment, lake, "--port", "0") as (process, url):
        assert httpx.get(f"{url}/healthz").json() == {"alive": True}
        assert httpx.get(f"{url}/v1/lakes").json()["lakes"][0]["rows"] == 1
        assert len(list((lake / "readers").glob("*.lock"))) == 1
        process.send_signal(name)
        _, said = process.communicate(timeout=20)
        assert process.returncode == (0 if name == signal.SIGINT else -signal.SIGTERM)
        assert "Traceback" not in said
    assert list((lake / "readers").glob("*.lock")) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_at_sigterm_it_says_so_and_answers_until_nobody_asks_it(
    environment: dict[str, str], lake: Path, workers: str
) -> None:
    arguments = ("--port", "0", "--drain", "4s", "--workers", workers)
    with serving(environment, lake, *arguments) as (process, url):
        stopping = {"ready": False, "lakes": {"my": "the service is stopping; ask another one"}}
        assert httpx.get(f"{url}/readyz", timeout=60).json() != stopping
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        while (ready := httpx.get(f"{url}/readyz")).json() != stopping:
            assert time.monotonic() < began + 3
        assert ready.status_code == 503
        # callers that came on new connections meanwhile are answered as ever
        answered = 0
        while time.monotonic() < began + 3:
            assert httpx.get(f"{url}/v1/lakes").status_code == 200
            answered += 1
        assert answered > 5 and httpx.get(f"{url}/healthz").json() == {"alive": True}
        _, said = process.communicate(timeout=20)
        assert 4 <= time.monotonic() - began < 4 + GRACE_S + 5
        assert process.returncode == -signal.SIGTERM
        assert "stopping in 4 s; /readyz says 503 meanwhile" in said
        assert "Traceback" not in said and "is killed" not in said
    assert list((lake / "readers").glob("*.lock")) == []


def test_ctrl_c_drains_nothing_and_a_second_sigterm_ends_it(
    environment: dict[str, str], lake: Path
) -> None:
    for signals in ((signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)):
        with serving(environment, lake, "--port", "0", "--drain", "60s") as (process, _):
            began = time.monotonic()
            for each in signals:
                process.send_signal(each)
                time.sleep(0.5)
            process.communicate(timeout=30)
            assert time.monotonic() - began < 20


@contextmanager
def unfinished(url: str) -> Iterator[None]:
    """Inside, a caller has begun to send an upload and sends no more."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), address.port or 0)) as caller:
        caller.sendall(
            f"POST /v1/search/upload HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode()
        )
        # what came before it has been taken by then
        assert httpx.get(f"{url}/healthz").status_code == 200
        yield


def test_a_caller_who_never_ends_does_not_keep_it(environment: dict[str, str], lake: Path) -> None:
    with serving(environment, lake, "--port", "0") as (process, url), unfinished(url):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=GRACE_S + 55)
        assert process.returncode == 0
        assert "requests are under way; they have 5 s to end" in said
        assert "Traceback" not in said
        assert said.endswith("stopped\n")


def test_a_second_ctrl_c_does_not_wait(environment: dict[str, str], lake: Path) -> None:
    with serving(environment, lake, "--port", "0") as (process, url), unfinished(url):
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "under way" not in process.stderr.readline():
            pass
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert time.monotonic() - began < GRACE_S
        assert said == "stopped\n"
        assert process.returncode == 0
    assert list((lake / "readers").glob("*.lock")) == []


def test_a_port_in_use_is_a_sentence(environment: dict[str, str], lake: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refused(environment, lake, "--port", str(port)) == (
            2,
            f"lakesift: --port: {port} is in use on 127.0.0.1; choose another, or stop what uses it\n",
        )


def test_an_address_that_is_not_ours_is_a_sentence(environment: dict[str, str], lake: Path) -> None:
    environment["LAKESIFT_PORT"] = "0"
    subprocess.run(command("key", "add", "me"), env=environment, capture_output=True, check=True)
    assert refused(environment, lake, "--host", "203.0.113.7") == (
        2,
        "lakesift: --host: 203.0.113.7 is not an address of this machine\n",
    )
    code, said = refused(environment, lake, "--host", "no.such.host.invalid")
    assert code == 2 and said.startswith("lakesift: --host: no.such.host.invalid is no address")


def test_a_port_that_is_no_number_is_a_sentence(environment: dict[str, str], lake: Path) -> None:
    for text in ("http", "-1", "65536"):
        code, said = refused(environment, lake, f"--port={text}")
        assert code == 2
        assert said.endswith(
            f"--port: {text!r} is not a port; those are numbers from 0 to 65535\n"
            "help: lakesift serve --help\n"
        )


def test_others_are_only_served_with_keys(environment: dict[str, str], lake: Path) -> None:
    code, said = refused(environment, lake, "--host", "0.0.0.0", "--port", "0")
    assert code == 2
    assert "there is no key yet; make one with: lakesift key add NAME" in said
    made = subprocess.run(
        command("key", "add", "me"), env=environment, capture_output=True, text=True, check=True
    )
    with serving(environment, lake, "--host", "0.0.0.0", "--port", "0") as (_, url):
        assert httpx.get(f"{url}/v1/lakes").status_code == 401
        answer = httpx.get(
            f"{url}/v1/lakes", headers={"Authorization": f"Bearer {made.stdout.strip()}"}
        )
        assert answer.status_code == 200
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_what_is_not_a_lake_is_a_sentence(environment: dict[str, str], tmp_path: Path) -> None:
    code, said = refused(environment, tmp_path / "photos", "--port", "0")
    assert code == 1
    assert said.startswith(
        f"lakesift: {tmp_path / 'photos'} is not a lake (it has no manifest.json)"
    )


def test_a_second_service_on_the_same_lake_is_welcome(
    environment: dict[str, str], lake: Path
) -> None:
    with (
        serving(environment, lake, "--port", "0") as (_, first),
        serving(environment, lake, "--port", "0") as (_, second),
    ):
        assert httpx.get(f"{first}/v1/lakes").json() == httpx.get(f"{second}/v1/lakes").json()
