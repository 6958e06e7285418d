"""`lakesift serve --workers 2` as a person starts, uses and stops it: real processes, a real port.

Which worker answers is chosen by stopping the other one (SIGSTOP): it can take no connection then.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from indexer.errors import LakeNotFound
from service.api.serving.keys import KeyStore
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 120.0  # for what takes a moment on an idle machine
RED_VECTOR = [1.0, 0.0, 0.0]

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")


@dataclass(frozen=True)
class Service:
    """One that runs."""

    process: subprocess.Popen[str]
    port: int
    said: list[str]
    shared: Path  # where its supervisor makes the folder of what the workers share

    @property
    def workers(self) -> list[int]:
        """Their pids, oldest first."""
        return children(self.process.pid)


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return sorted(map(int, text.split()))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def environment_of(folder: Path) -> dict[str, str]:
    shared = folder / "tmp"
    shared.mkdir(exist_ok=True)
    own = {"LAKESIFT_STATE": str(folder / "state"), "PYTHONPATH": str(ROOT), "TMPDIR": str(shared)}
    return {**os.environ, **own}


@contextmanager
def serving(
    folder: Path, lake: Path, *arguments: str, knobs: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """`serve --workers 2`, once it says that it serves."""
    command = [sys.executable, "-m", "service.cli", "serve", str(lake), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--workers", "2", *arguments],
        env=environment_of(folder) | dict(knobs or {}),
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    workers: Sequence[int] = ()
    try:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"serving at http://127\.0\.0\.1:(\d+) \(Ctrl-C stops\)\n", line):
                break
        assert found, "".join(said)
        service = Service(process, int(found[1]), said, folder / "tmp")
        workers = service.workers
        assert len(workers) == 2
        yield service
    finally:
        for pid in {*workers, *children(process.pid)}:
            if is_running(pid):
                os.kill(pid, signal.SIGCONT)
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Rows 1 to 4, in order of path: blue, green, red, yellow."""
    desk = Desk(tmp_path_factory.mktemp("workers"))
    for name, colour in (("a", BLUE), ("b", GREEN), ("c", RED), ("d", YELLOW)):
        desk.add(f"{name}.png", colour)
    desk.index()
    return desk


@pytest.fixture(scope="module")
def secret(desk: Desk) -> str:
    return KeyStore(desk.root / "state").add("curator", "write")[1]


@pytest.fixture(scope="module")
def service(desk: Desk, secret: str) -> Iterator[Service]:
    """It asks for keys, and two uploads may be on their way."""
    knobs = {"LAKESIFT_MAX_UPLOADS": "1", "LAKESIFT_BODY_PATIENCE_S": str(PATIENCE_S)}
    with serving(desk.root, desk.lake, "--require-key", knobs=knobs) as found:
        yield found


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Inside, these processes do nothing."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


Answer = tuple[int, Mapping[str, str], bytes]


class Caller:
    """Somebody whom one worker answers: the others can take no connection of theirs."""

    def __init__(self, service: Service, worker: int, headers: Mapping[str, str]) -> None:
        self.worker = worker
        self._service = service
        self._headers = dict(headers)

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        sent = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        port, others = self._service.port, set(self._service.workers) - {self.worker}
        with (
            stopped(*others),
            closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as line,
        ):
            line.request(method, path, sent, self._headers | kind | dict(headers or {}))
            answer = line.getresponse()
            return answer.status, dict(answer.headers.items()), answer.read()

    def json(self, method: str, path: str, body: object = None) -> Any:
        status, _, data = self.ask(method, path, body)
        assert status in (200, 201), data
        return json.loads(data)


def callers(service: Service, headers: Mapping[str, str]) -> list[Caller]:
    """One for each worker, the elder first."""
    until(lambda: len(service.workers) == 2)
    return [Caller(service, pid, headers) for pid in service.workers]


@pytest.fixture
def both(service: Service, secret: str) -> list[Caller]:
    return callers(service, {"X-API-Key": secret})


def test_it_says_what_it_serves_once(service: Service) -> None:
    assert [line for line in service.said if "warning" not in line.lower()] == [
        "my: 4 images, snapshot 2\n",
        f"serving at http://127.0.0.1:{service.port} (Ctrl-C stops)\n",
    ]


def test_pages_of_one_order_come_from_whichever_worker(both: list[Caller]) -> None:
    first, second = both
    whole = first.json("POST", "/v1/search", {"vector": RED_VECTOR, "k": 4})
    # cosines with red: itself 1, yellow 1/sqrt(2), and 0 twice, in order of row_id
    assert [hit["row_id"] for hit in whole["hits"]] == [3, 4, 1, 2]
    assert second.json("POST", "/v1/search", {"vector": RED_VECTOR, "k": 4}) == whole
    found, asked = [], {"vector": RED_VECTOR, "k": 1}
    for caller in (first, second, first, second):
        page = caller.json("POST", "/v1/search", asked)
        found += page["hits"]
        asked = {"cursor": page["next_cursor"], "k": 1}
    assert found == whole["hits"] and page["next_cursor"] is None


def test_a_new_snapshot_reaches_all(desk: Desk, both: list[Caller]) -> None:
    before = [caller.json("GET", "/v1/lakes")["lakes"][0] for caller in both]
    assert before[0] == before[1]
    desk.add("e.png", (250, 0, 10))
    desk.sync()

    def has_come(caller: Caller) -> bool:
        return bool(caller.json("GET", "/v1/lakes")["lakes"][0]["rows"] == 5)

    for caller in both:
        until(partial(has_come, caller))
        now = caller.json("GET", "/v1/lakes")["lakes"][0]
        assert now["snapshot"] == before[0]["snapshot"] + 1
        hits = caller.json("POST", "/v1/search", {"vector": RED_VECTOR, "k": 2})["hits"]
        assert [hit["row_id"] for hit in hits] == [3, 5]


def test_who_signed_in_at_one_is_known_to_the_other(service: Service, secret: str) -> None:
    first, second = callers(service, {})
    assert first.ask("GET", "/v1/lakes")[0] == 401
    status, headers, _ = first.ask("POST", "/v1/session", {"key": secret})
    assert status == 204
    cookie = {"Cookie": headers["set-cookie"].partition(";")[0]}
    assert second.ask("GET", "/v1/lakes", headers=cookie)[0] == 200
    assert second.ask("DELETE", "/v1/session", headers=cookie)[0] == 204
    assert first.ask("GET", "/v1/lakes", headers=cookie)[0] == 401


def test_wrong_keys_are_counted_by_all_together(service: Service) -> None:
    found = callers(service, {"X-API-Key": "lks_wrong"})
    tries = [found[number % 2].ask("GET", "/v1/lakes")[0] for number in range(12)]
    assert tries == [401] * 10 + [429] * 2


def test_uploads_are_counted_by_all_together(
    service: Service, secret: str, both: list[Caller]
) -> None:
    elder, younger = both
    half = (
        "POST /v1/search/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        f"X-API-Key: {secret}\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
    )
    form = {"Content-Type": "multipart/form-data; boundary=x"}

    def status() -> int:
        return younger.ask("POST", "/v1/search/upload", headers=form)[0]

    assert status() == 422  # it holds no image
    with ExitStack() as stack, stopped(younger.worker):
        for _ in range(2):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            line.sendall(half.encode())
        assert elder.ask("GET", "/healthz")[0] == 200
        until(lambda: status() == 429)
    until(lambda: status() == 422)  # they have gone


def counted(caller: Caller) -> dict[str, float]:
    _, _, text = caller.ask("GET", "/metrics")
    samples = [
        sample
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    ]
    searches = [
        sample.value
        for sample in samples
        if sample.name == "lakesift_requests_total" and sample.labels["route"] == "/v1/search"
    ]
    timed = [
        sample.value
        for sample in samples
        if sample.name == "lakesift_request_seconds_count"
        and sample.labels["route"] == "/v1/search"
    ]
    rest = {sample.name: sample.value for sample in samples if "lake" in sample.labels}
    [flying] = [s.value for s in samples if s.name == "lakesift_requests_in_flight"]
    return {**rest, "searches": sum(searches), "timed": sum(timed), "in_flight": flying}


def test_a_scrape_tells_of_all_workers(both: list[Caller]) -> None:
    first, second = both
    before = counted(first)
    for caller, times in ((first, 2), (second, 3)):
        for _ in range(times):
            caller.json("POST", "/v1/search", {"vector": RED_VECTOR, "k": 1})
    # A request is counted after its answer was sent, and each worker's count is another's to read.
    until(lambda: counted(first)["searches"] >= before["searches"] + 5)
    for caller in both:
        after = counted(caller)
        assert after["searches"] == before["searches"] + 5
        assert after["timed"] == after["searches"]
        assert after["lakesift_rows"] in (4, 5)
        # The scrape itself flies, and for a moment the one before it.
        assert after["in_flight"] >= 1
        until(lambda: counted(caller)["in_flight"] == 1)  # noqa: B023 it is called in this turn only


def test_labels_of_both_are_kept(both: list[Caller]) -> None:
    first, second = both
    said = {"name": "reds", "keep": {"row_ids": [3]}, "drop": {"row_ids": [1]}}
    first.json("POST", "/v1/lakes/my/filters", said)
    path = "/v1/lakes/my/filters/reds"
    for caller, row_id in ((second, 2), (first, 3), (second, 4)):
        answers = {"labels": [{"row_id": row_id, "label": "yes" if row_id > 2 else "no"}]}
        caller.json("POST", f"{path}/label", answers)
    told = first.json("GET", "/v1/lakes/my/filters")
    assert told == second.json("GET", "/v1/lakes/my/filters")
    assert [(each["name"], each["labels"]) for each in told["filters"]] == [("reds", 3)]


def test_one_that_is_killed_is_replaced_and_the_other_answers(
    service: Service, secret: str, both: list[Caller]
) -> None:
    elder, younger = both
    before = counted(younger)
    os.kill(elder.worker, signal.SIGKILL)
    until(lambda: elder.worker not in service.workers)
    hits = younger.json("POST", "/v1/search", {"vector": RED_VECTOR, "k": 1})["hits"]
    assert [hit["row_id"] for hit in hits] == [3]
    found = callers(service, {"X-API-Key": secret})
    assert younger.worker in service.workers
    for caller in found:
        assert caller.json("GET", "/v1/lakes")["lakes"][0]["name"] == "my"
    until(lambda: counted(found[-1])["searches"] >= before["searches"] + 1)
    until(lambda: counted(found[-1])["in_flight"] == 1)
    assert counted(found[-1])["searches"] == before["searches"] + 1
    process = service.process
    assert process.stderr is not None
    line = process.stderr.readline()
    while "is gone" not in line:
        line = process.stderr.readline()
    assert f"(process {elder.worker}) is gone: it was ended by SIGKILL; another takes" in line


def test_ctrl_c_ends_all_and_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    held = set((desk.lake / "readers").glob("*.lock"))  # by the service of the other tests
    with serving(tmp_path, desk.lake) as service:
        workers = service.workers
        assert [path.name[:17] for path in service.shared.iterdir()] == ["lakesift-workers-"]
        service.process.send_signal(signal.SIGINT)
        _, said = service.process.communicate(timeout=PATIENCE_S)
        assert service.process.returncode == 0
        assert said.endswith("stopped\n") and "Traceback" not in said and "is gone" not in said
        assert not any(map(is_running, workers))
        assert list(service.shared.iterdir()) == []
    assert set((desk.lake / "readers").glob("*.lock")) == held


def test_what_the_first_worker_refuses_is_said_as_by_one_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service.cli", "serve", str(tmp_path / "photos")]
    done = subprocess.run(
        [*command, "--port", "0", "--workers", "2"],
        env=environment_of(tmp_path),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"lakesift: {LakeNotFound(str(tmp_path / 'photos'))}\n",
    )
    assert list((tmp_path / "tmp").iterdir()) == []


def test_ctrl_c_while_the_others_start_ends_it(desk: Desk, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service.cli", "serve", str(desk.lake), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--workers", "2"],
        env=environment_of(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert (
        process.stderr.readline()
        == f"my: {len(desk.rows())} images, snapshot {desk.manifest.snapshot}\n"
    )
    until(lambda: len(children(process.pid)) == 2)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert said.endswith("stopped\n") and "Traceback" not in said and "is killed" not in said
    assert not any(map(is_running, workers))
    assert list((tmp_path / "tmp").iterdir()) == []
