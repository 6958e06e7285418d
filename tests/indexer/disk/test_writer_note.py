"""Who writes a lake, and how far it is, as others see it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.disk import writer_note
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.writer_note import NotedProgress, Stage, noted_writer, seen_writer
from indexer.report import Silent
from tests.lakes import Desk

BEGUN = Stage("embedding", 30, 120, False, 2, None, began_at=1_000.0, noted_at=1_010.0)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(writer_note, "EVERY_S", 0.0)
    (tmp_path / "my.lake").mkdir()
    return Layout(tmp_path / "my.lake")


def test_rate_and_time_left_follow_from_what_is_done() -> None:
    """30 in 10 s are 3 a second, and 90 more take 30 s."""
    assert (BEGUN.rate, BEGUN.left_s) == (3.0, 30.0)


@pytest.mark.parametrize(
    "changes", [{"total": None}, {"more": True}, {"done": 0}, {"noted_at": 1_000.0}]
)
def test_what_nobody_knows_is_not_said(changes: dict[str, object]) -> None:
    assert replace(BEGUN, **changes).left_s is None  # type: ignore[arg-type]


def test_a_writer_says_how_far_it_is_until_it_ends(layout: Layout) -> None:
    with writer(layout):
        begun = seen_writer(layout)
        assert begun is not None and (begun.pid, begun.host) == (os.getpid(), socket.gethostname())
        assert begun.stage is None
        progress = NotedProgress(Silent(), layout)
        progress.stage("listing", None)
        progress.stage("embedding", 10)
        progress.advance(3)
        progress.expect(20, more=True)
        progress.advance(2, skipped=1)
        now = seen_writer(layout)
        assert now is not None and now.stage is not None
        assert now.since == begun.since
        told = now.stage
        assert (told.name, told.done, told.total, told.more, told.skipped, told.unit) == (
            "embedding",
            5,
            20,
            True,
            1,
            None,
        )
    assert seen_writer(layout) is None
    assert [path.name for path in layout.root.iterdir()] == ["writer.lock"]


def test_it_is_noted_at_most_once_a_second(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_note, "EVERY_S", 1e9)
    with writer(layout):
        progress = NotedProgress(Silent(), layout)
        progress.stage("embedding", 10)
        progress.advance(3)
        seen = seen_writer(layout)
        assert seen is not None and seen.stage is not None and seen.stage.done == 0


def test_who_takes_no_lock_writes_no_note(layout: Layout) -> None:
    NotedProgress(Silent(), layout).stage("listing", None)
    assert not layout.writer_note.exists()


def test_another_s_note_is_left_as_it_is(layout: Layout) -> None:
    note = {"pid": os.getppid(), "host": "elsewhere", "command": "x", "since": "then"}
    layout.writer_note.write_text(json.dumps(note))
    NotedProgress(Silent(), layout).stage("listing", None)
    assert json.loads(layout.writer_note.read_text()) == note


@pytest.mark.parametrize("host", ["another-container", socket.gethostname()])
@pytest.mark.parametrize("is_lock_there", [True, False])
def test_a_note_of_a_dead_writer_names_nobody(
    layout: Layout, host: str, is_lock_there: bool
) -> None:
    """Its number may be another process's by now, as it is after each start of a container."""
    if is_lock_there:
        layout.writer_lock.touch()
    note = {"pid": os.getpid(), "host": host, "command": "lakesift sync", "since": "then"}
    layout.writer_note.write_text(json.dumps(note))
    assert noted_writer(layout) is not None
    assert seen_writer(layout) is None


def test_a_writer_whose_number_means_nothing_here_is_seen(layout: Layout) -> None:
    """As one in another container, or on a machine that shares the folder."""
    with writer(layout):
        note = json.loads(layout.writer_note.read_text()) | {"pid": 4194305}
        layout.writer_note.write_text(json.dumps(note))
        seen = seen_writer(layout)
        assert seen is not None and seen.pid == 4194305


def test_who_may_not_look_at_the_lock_goes_by_the_note(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    layout.writer_lock.touch()
    monkeypatch.setattr(writer_note, "open_file", refused)
    note = {"host": "elsewhere", "command": "x", "since": "then"}
    layout.writer_note.write_text(json.dumps({**note, "pid": 4194305}))
    assert seen_writer(layout) is not None
    here = {**note, "host": socket.gethostname()}
    layout.writer_note.write_text(json.dumps({**here, "pid": 4194305}))
    assert seen_writer(layout) is None
    layout.writer_note.write_text(json.dumps({**here, "pid": os.getpid()}))
    assert seen_writer(layout) is not None


def test_a_look_keeps_no_writer_out(layout: Layout) -> None:
    """It has the lock with others for an instant; a writer that meets it there tries again."""
    layout.writer_lock.touch()
    with layout.writer_lock.open("rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        ends = threading.Timer(0.05, fcntl.flock, (look, fcntl.LOCK_UN))
        ends.start()
        with writer(layout):
            pass
        ends.join()


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"pid": "me", "host": "h", "command": "c", "since": "s"}',
        b'{"pid": 1, "host": "h"}',
    ],
)
def test_a_note_that_cannot_be_read_names_nobody(layout: Layout, note: bytes) -> None:
    layout.writer_note.write_bytes(note)
    assert noted_writer(layout) is None


@pytest.mark.parametrize("stage", ['"far"', "[1]", '{"name": "x"}', '{"name": "x", "done": "y"}'])
def test_a_stage_that_cannot_be_read_is_none(layout: Layout, stage: str) -> None:
    layout.writer_note.write_text(
        f'{{"pid": 1, "host": "h", "command": "c", "since": "s", "stage": {stage}}}'
    )
    noted = noted_writer(layout)
    assert noted is not None and noted.stage is None


def test_a_full_disk_keeps_no_writer_from_its_work(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, note: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer_note, "put", full)
    with writer(layout):
        progress = NotedProgress(Silent(), layout)
        progress.stage("embedding", 10)
        progress.advance(3)
    assert seen_writer(layout) is None


def test_how_far_it_is_leaves_nothing_behind_where_it_cannot_be_written(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writer(layout):
        noted = layout.writer_note.read_bytes()
        progress = NotedProgress(Silent(), layout)

        def full(path: Path, target: Path) -> None:
            assert path.name == "writer.json.new" and path.exists()
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", full)
            progress.stage("embedding", 10)
        assert layout.writer_note.read_bytes() == noted
        assert not layout.writer_note.with_name("writer.json.new").exists()


def test_a_sync_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path)
    monkeypatch.setattr(writer_note, "EVERY_S", 0.0)
    desk.add("red.png", (255, 0, 0))
    seen: list[str] = []
    embed = desk.model.embed_images

    def embedding(images: object) -> object:
        now = seen_writer(Layout(desk.lake))
        assert now is not None and now.stage is not None
        seen.append(now.stage.name)
        return embed(images)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.model, "embed_images", embedding)
    desk.index()
    assert seen == ["indexing"]
