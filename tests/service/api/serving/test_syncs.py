"""Syncs that callers begin: real ones, each in a process of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.errors import LakeError, LakeLocked
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.api.serving.syncs import Syncs
from service.cli.main import main
from tests.lakes import GREEN, RED, Desk
from tests.service.api.conftest import HOST

PATIENCE_S = 200.0


@pytest.fixture
def client(desk: Desk, tmp_path: Path) -> Iterator[TestClient]:
    """Four colours, of a model that no command has."""
    keys = KeyStore(tmp_path / "state")
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=keys)
    with TestClient(app, base_url=HOST) as client:
        yield client


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TestClient, Path]]:
    """A lake of the model that ships, and the folder of its one photo."""
    monkeypatch.setenv("LAKESIFT_DECODERS", "1")
    folder, lake = tmp_path / "photos", tmp_path / "real.lake"
    folder.mkdir()
    Image.new("RGB", (64, 64), RED).save(folder / "red.png")
    assert main(["index", str(folder), "--into", str(lake)]) == 0
    app = create_app({"my": lake}, ServeConfig(), keys=KeyStore(tmp_path / "state"))
    with TestClient(app, base_url=HOST) as client:
        yield client, folder


def ended(client: TestClient) -> dict[str, Any]:
    """What is told once nobody writes any more."""
    deadline = time.monotonic() + PATIENCE_S
    while (told := client.get("/v1/lakes/my/sync").json())["state"] != "idle":
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    assert told["ours"] is False and told["by"] is None and told["stage"] is None
    return dict(told["ended"])


def test_a_lake_that_nobody_writes(client: TestClient) -> None:
    assert client.get("/v1/lakes/my/sync").json() == {
        "lake": "my",
        "state": "idle",
        "by": None,
        "since": None,
        "ours": False,
        "stage": None,
        "ended": None,
    }


def test_a_new_photo_is_found_after_a_sync(photos: tuple[TestClient, Path]) -> None:
    client, folder = photos
    Image.new("RGB", (64, 64), GREEN).save(folder / "green.png")
    os.utime(folder / "green.png", (1_600_000_000, 1_600_000_000))
    begun = client.post("/v1/lakes/my/sync")
    assert begun.status_code == 202
    told = ended(client)
    assert told["failure"] is None and told["interrupted"] is False
    assert (told["new"], told["unchanged"], told["gone"], told["rows"]) == (1, 1, 0, 2)
    deadline = time.monotonic() + PATIENCE_S
    while len(client.get("/v1/lakes/my/rows").json()["rows"]) != 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_sync_can_be_stopped_and_gone_on_with(photos: tuple[TestClient, Path]) -> None:
    client, folder = photos
    rng = np.random.default_rng(0)
    for number in range(30):
        pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        os.utime(folder / f"{number}.png", (1_600_000_000, 1_600_000_000))
    begun = client.post("/v1/lakes/my/sync").json()
    assert (begun["state"], begun["ours"]) == ("writing", True)
    assert begun["by"].startswith("`lakesift sync` on ") and begun["ended"] is None
    again = client.post("/v1/lakes/my/sync")
    assert again.status_code == 503 and again.json()["error"]["code"] == "lake_locked"
    assert client.delete("/v1/lakes/my/sync").status_code == 202
    told = ended(client)
    assert told["interrupted"] is True and told["new"] < 30
    assert client.delete("/v1/lakes/my/sync").json()["error"]["code"] == "no_sync"
    client.post("/v1/lakes/my/sync")
    told = ended(client)
    assert told["interrupted"] is False and told["rows"] == 31


def test_nothing_new_is_no_failure(client: TestClient) -> None:
    assert client.post("/v1/lakes/my/sync").status_code == 202
    told = ended(client)
    assert told["failure"] is None
    assert (told["new"], told["unchanged"], told["rows"]) == (0, 4, 4)


def test_a_failure_is_its_own_sentence(client: TestClient, desk: Desk) -> None:
    desk.add("e-new.png", RED)
    answer = client.post("/v1/lakes/my/sync")
    told = ended(client)
    # It held the lake before it failed, or it did not: on a busy machine either.
    assert answer.status_code in (202, 503)
    assert "colour" in told["failure"] and told["new"] is None
    assert not told["failure"].startswith("lakesift:")


def test_who_writes_from_elsewhere_is_named_and_left_alone(client: TestClient, desk: Desk) -> None:
    with writer(Layout(desk.lake)):
        told = client.get("/v1/lakes/my/sync").json()
        assert (told["state"], told["ours"]) == ("writing", False)
        refused = client.post("/v1/lakes/my/sync")
        assert refused.status_code == 503
        assert (
            f"is being written by process {os.getpid()} on " in refused.json()["error"]["message"]
        )
        stop = client.delete("/v1/lakes/my/sync")
        assert (stop.status_code, stop.json()["error"]["code"]) == (409, "no_sync")


def test_two_who_begin_at_once(desk: Desk, tmp_path: Path) -> None:
    syncs = Syncs(tmp_path / "state")
    with syncs._held(desk.lake), pytest.raises(LakeLocked, match="a sync that was begun here"):
        Syncs(tmp_path / "state").begin(desk.lake)


def test_a_killed_sync_is_no_longer_under_way(
    photos: tuple[TestClient, Path], tmp_path: Path
) -> None:
    client, folder = photos
    for number in range(30):
        Image.new("RGB", (64, 64), (8 * number, 0, 0)).save(folder / f"{number}.png")
        os.utime(folder / f"{number}.png", (1_600_000_000, 1_600_000_000))
    client.post("/v1/lakes/my/sync")
    told = Syncs(tmp_path / "state").told(tmp_path / "real.lake")
    assert told.writer is not None and told.is_ours
    os.kill(told.writer.pid, 9)
    failed = ended(client)
    assert failed["failure"] == "it was ended from outside; what it had committed is there"
    client.post("/v1/lakes/my/sync")
    assert ended(client)["rows"] == 31


def test_what_a_killed_container_left_keeps_nobody_out(client: TestClient, desk: Desk) -> None:
    note = {"pid": 1, "host": "a-container-that-is-gone", "command": "x", "since": "then"}
    Layout(desk.lake).writer_note.write_text(json.dumps(note))
    assert client.get("/v1/lakes/my/sync").json()["state"] == "idle"
    assert client.post("/v1/lakes/my/sync").status_code == 202
    assert ended(client)["rows"] == 4


@pytest.fixture
def leader() -> Iterator[int]:
    """The number of a process that has nothing to do with any sync, and leads its session."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def noted(state: Path, lake: Path, pid: int) -> Syncs:
    """Of a lake whose last sync had that number, and ended."""
    syncs = Syncs(state)
    with syncs._held(lake):
        syncs._note(lake, pid)
        syncs._file(lake, ".out").write_text("{}")
        syncs._file(lake, ".err").write_text("")
    return syncs


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "SRD"


def test_two_who_look_see_no_sync_in_each_other(desk: Desk, tmp_path: Path, leader: int) -> None:
    syncs = noted(tmp_path / "state", desk.lake, leader)
    with syncs._file(desk.lake, ".lock").open("rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        assert syncs.told(desk.lake).is_ours is False
        assert syncs.stop(desk.lake) is False
    assert lives(leader)


def test_nobody_is_stopped_by_the_number_of_the_last_sync(
    desk: Desk, tmp_path: Path, leader: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another process's by the time the next one begins."""
    syncs = noted(tmp_path / "state", desk.lake, leader)
    stopped = []

    def noting(lake: Path, pid: int) -> None:
        stopped.append(syncs.stop(lake))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(syncs, "_note", noting)
    with pytest.raises(
        LakeError, match=r"no sync can be begun here: .*syncs: No space left on device"
    ):
        syncs.begin(desk.lake)
    assert stopped == [False] and lives(leader)
    # What was begun and could not be noted is gone, too.
    told = syncs.told(desk.lake)
    assert (told.writer, told.is_ours, told.ended) == (None, False, None)
    with syncs._held(desk.lake):
        pass


def test_a_number_that_is_no_leader_s_is_not_stopped(desk: Desk, tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "600"])
    try:
        syncs = noted(tmp_path / "state", desk.lake, process.pid)
        with syncs._held(desk.lake):
            assert syncs.stop(desk.lake) is False
        assert lives(process.pid)
    finally:
        process.kill()
        process.wait()


def test_a_state_folder_that_cannot_be_written(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(LakeError, match="LAKESIFT_STATE names another folder"):
        Syncs(tmp_path / "state").begin(desk.lake)


def test_a_key_that_only_reads_begins_nothing(desk: Desk, tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "state")
    secrets = {scope: keys.add(scope, scope)[1] for scope in ("read", "label", "write")}
    app = create_app(
        {"my": desk.lake}, ServeConfig(require_key=True), embedder=desk.model, keys=keys
    )
    with TestClient(app, base_url=HOST) as client:
        for scope, status in {"read": 403, "label": 403, "write": 202}.items():
            headers = {"X-API-Key": secrets[scope]}
            assert client.get("/v1/lakes/my/sync", headers=headers).status_code == 200
            assert client.post("/v1/lakes/my/sync", headers=headers).status_code == status
        deadline = time.monotonic() + PATIENCE_S
        while Syncs(tmp_path / "state").told(desk.lake).is_ours:
            assert time.monotonic() < deadline
            time.sleep(0.05)
