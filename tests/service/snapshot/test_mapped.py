"""Pages of mapped files that are given back: a snapshot's alone, and none that would be lost."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from indexer.disk.stored_vectors import NewVectors
from service.lake import Lake
from service.snapshot import mapped
from service.snapshot.mapped import PAGE, give_back, is_much, mapped_bytes, memory_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")

DIM, ROWS = 64, 20_000
VECTORS_BYTES = ROWS * DIM * 2


def resident(folder: Path, name: str) -> int:
    """Bytes of the folder's files of this name that are mapped and there, as the kernel counts."""
    found, is_below = 0, False
    for line in Path("/proc/self/smaps").read_text().rstrip("\n").split("\n"):
        if "-" in line.split()[0]:
            is_below = f"{folder}/" in line and line.endswith(f"/{name}")
        elif is_below and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "a lake\u2028of two lines"
    draw = PhotoLike(DIM, groups=10).photos
    write_synthetic_lake(folder, ROWS, DIM, segment_rows=ROWS, vectors=draw)
    return folder


def test_what_was_read_is_given_back_and_read_again(lake: Path) -> None:
    with Lake.open(lake) as opened:
        before = [(hit.row_id, hit.score) for hit in opened.search(row_id=7)]
        assert resident(lake, "vectors.faiss") >= VECTORS_BYTES
        assert give_back(opened.snapshot) >= VECTORS_BYTES - 2 * PAGE
        assert resident(lake, "vectors.faiss") < 4 * PAGE
        assert [(hit.row_id, hit.score) for hit in opened.search(row_id=7)] == before
        assert resident(lake, "vectors.faiss") >= VECTORS_BYTES


def test_other_files_stay_and_so_does_what_is_in_memory_alone(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/file").write_bytes(bytes(range(256)) * 4_096)
    with (tmp_path / "beside/file").open("rb") as file, Lake.open(lake) as opened:
        other = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        assert sum(other[:]) == 4_096 * 255 * 128
        there = resident(tmp_path / "beside", "file")
        assert there >= 2**20
        # As a part whose vectors are in memory alone: to give those back would lose them.
        vectors = NewVectors(DIM)
        opened.snapshot.parts[0].vectors.copy_to(vectors)
        kept = vectors.stored()
        before = kept.take(np.arange(ROWS))
        opened.snapshot.parts[0].segment.__dict__["vectors"] = kept
        assert give_back(opened.snapshot) == 0
        assert kept.take(np.arange(ROWS)).tobytes() == before.tobytes()
        assert resident(tmp_path / "beside", "file") == there
        other.close()


def test_what_files_take_beside_the_memory_there_is(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2**28 < memory_bytes() < 2**50
    with Lake.open(lake) as opened:
        opened.search(row_id=7)
        assert mapped_bytes() >= resident(lake, "vectors.faiss") >= VECTORS_BYTES
        monkeypatch.setattr(mapped, "memory_bytes", lambda: 8 * 2**50)
        assert not is_much()
        monkeypatch.setattr(mapped, "memory_bytes", lambda: 8 * VECTORS_BYTES - 8)
        assert is_much()


@pytest.mark.parametrize(
    ("said", "want"), [("max\n", lambda whole: whole), ("1000000\n", lambda _: 1_000_000)]
)
def test_a_control_group_may_allow_less(
    said: str, want: Callable[[int], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = memory_bytes.__wrapped__()
    (tmp_path / "memory.max").write_text(said)
    monkeypatch.setattr(mapped, "_LIMIT", tmp_path / "memory.max")
    assert memory_bytes.__wrapped__() == want(whole)
