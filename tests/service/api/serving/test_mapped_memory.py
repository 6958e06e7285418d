"""Pages of a lake's files are given back where they are many, after much of it was read."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path

import pytest

from indexer.disk.layout import Layout
from service.api.serving import mapped_memory
from service.api.serving.mapped_memory import MappedMemory
from service.snapshot.snapshot import Snapshot


def snapshot_of(name: str) -> Snapshot:
    """All that is asked of it here is where its lake lies."""
    snapshot = Snapshot.__new__(Snapshot)
    snapshot.layout = Layout(Path(name))
    return snapshot


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Path], threading.Semaphore, list[bool]]:
    """Folders given back; released as each was looked at; whether it is much."""
    folders: list[Path] = []
    looked, is_much = threading.Semaphore(0), [True]

    def much() -> bool:
        looked.release()
        return is_much[0]

    def give(snapshot: Snapshot) -> int:
        folders.append(snapshot.layout.root)
        if snapshot.layout.root.name == "refused":
            raise OSError("no")
        return 1

    monkeypatch.setattr(mapped_memory, "is_much", much)
    monkeypatch.setattr(mapped_memory, "give_back", give)
    return folders, looked, is_much


def test_it_gives_back_what_was_read_and_goes_on_after_a_refusal(
    given: tuple[list[Path], threading.Semaphore, list[bool]],
) -> None:
    folders, looked, is_much = given
    memory = MappedMemory()
    memory.start()
    is_much[0] = False
    memory.was_read(snapshot_of("small"))
    assert looked.acquire(timeout=60)
    is_much[0] = True
    memory.was_read(snapshot_of("refused"))
    assert looked.acquire(timeout=60)
    memory.was_read(snapshot_of("large"))
    assert looked.acquire(timeout=60)
    memory.close()
    assert folders == [Path("refused"), Path("large")]
    assert not looked.acquire(blocking=False), "nobody read anything since"


def test_no_snapshot_is_held_once_it_was_looked_at(
    given: tuple[list[Path], threading.Semaphore, list[bool]],
) -> None:
    """Nor while nobody asks: files that only it maps can be deleted."""
    gone = threading.Event()
    memory, snapshot = MappedMemory(), snapshot_of("old")
    weakref.finalize(snapshot, gone.set)
    memory.start()
    memory.was_read(snapshot)
    del snapshot
    assert gone.wait(60)
    memory.close()
