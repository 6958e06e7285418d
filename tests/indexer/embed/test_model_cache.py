"""The cache of converted models: built once, checked by hash, never in the way."""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path

import pytest

from indexer.embed.model_cache import cache_folder, cached

CONTENT = b"a converted model"
NAME = f"toy-1-{hashlib.sha256(CONTENT).hexdigest()}.onnx"


class Builder:
    """Counts how often it is asked to build."""

    def __init__(self) -> None:
        self.builds = 0

    def __call__(self) -> bytes:
        self.builds += 1
        return CONTENT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def test_a_model_is_built_once_and_then_read(folder: Path) -> None:
    build = Builder()
    assert [cached("toy-1", ".onnx", build) for _ in range(3)] == [CONTENT] * 3
    assert build.builds == 1
    assert [path.name for path in folder.iterdir()] == [NAME]  # nothing half-written stays


def test_another_key_or_kind_is_another_model(folder: Path) -> None:
    build = Builder()
    for key, suffix in [("toy-1", ".onnx"), ("toy-2", ".onnx"), ("toy-1", ".npy")]:
        cached(key, suffix, build)
    assert build.builds == 3


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], b"A" + CONTENT[1:], CONTENT + b"x"])
def test_a_damaged_model_is_built_anew(
    folder: Path, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    build = Builder()
    cached("toy-1", ".onnx", build)
    (folder / NAME).write_bytes(damaged)
    assert cached("toy-1", ".onnx", build) == CONTENT
    assert build.builds == 2
    assert (folder / NAME).read_bytes() == CONTENT
    assert caplog.messages == [f"{folder / NAME} is damaged and is made anew"]


def test_a_folder_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file stands where the folder should be")
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path / "cache"))
    build = Builder()
    with caplog.at_level(logging.WARNING):
        assert [cached("toy-1", ".onnx", build) for _ in range(2)] == [CONTENT] * 2
    assert build.builds == 2
    assert caplog.messages[-1].startswith(
        f"cannot keep a converted model in {tmp_path / 'cache' / 'models'} ("
    )
    assert caplog.messages[-1].endswith("): it is converted at every start")


def test_two_at_once_leave_one_whole_file(folder: Path) -> None:
    both_build = threading.Barrier(2, timeout=10)
    results: list[bytes] = []

    def build() -> bytes:
        both_build.wait()
        return CONTENT

    threads = [
        threading.Thread(target=lambda: results.append(cached("toy-1", ".onnx", build)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [CONTENT, CONTENT]
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_the_folder_is_the_users_cache_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKESIFT_CACHE", raising=False)
    assert cache_folder().name == "lakesift" or "lakesift" in cache_folder().parts
    monkeypatch.setenv("LAKESIFT_CACHE", "somewhere/else")
    assert cache_folder() == Path("somewhere/else")
