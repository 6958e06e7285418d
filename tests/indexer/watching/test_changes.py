"""What the system tells of changes on disk. Nothing here asserts that something does not come in
time: news has an order, and all that came before a last change came before it.
"""

from __future__ import annotations

import builtins
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from indexer.disk.manifest import SourceEntry
from indexer.watching.changes import INSTALL, Changes, may_matter
from tests.lakes import GREEN, RED, Desk, png, write

SOON_S = 60.0


class Heard(Changes):
    """Keeps the paths that matter."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: set[str] = set()
        self._news = threading.Condition()

    def hear(self, paths: Iterable[str]) -> None:
        with self._news:
            self.paths |= set(filter(may_matter, paths))
            self._news.notify_all()
        super().hear(paths)

    def until(self, path: Path) -> set[str]:
        """All that was heard until this path was."""
        with self._news:
            assert self._news.wait_for(lambda: str(path) in self.paths, SOON_S), self.paths
            return set(self.paths)


@pytest.fixture
def heard() -> Any:
    changes = Heard()
    yield changes
    changes.close()


def begin(changes: Heard, folder: Path, *sources: Path | str) -> None:
    """Follow, and wait until the system listens: files are made until one is heard."""
    assert changes.follow([SourceEntry(str(source)) for source in sources]) is None
    for number in range(int(SOON_S * 10)):
        write(folder / f"begin{number}", b"")
        with changes._news:
            if changes._news.wait_for(lambda: changes.paths, 0.1):
                break
    last = write(folder / "begun", b"")
    changes.until(last)
    changes.paths.clear()
    changes.forget()


def test_a_pass_is_not_news_though_its_lake_lies_among_the_photos(
    tmp_path: Path, heard: Heard
) -> None:
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    lake = desk.photos / "deep" / "my.lake"
    lake.parent.mkdir()
    desk.index()
    shutil.move(desk.lake, lake)
    begin(heard, desk.photos, desk.photos)
    shutil.copytree(lake, tmp_path / "copy.lake")
    (lake / "labels").mkdir()
    write(lake / "segments" / "x.parquet", b"x")
    write(desk.photos / ".hidden.png", b"x")
    last = desk.add("deep/b.png", GREEN)
    assert heard.until(last) == {str(last)}


def test_a_change_ends_the_wait_and_what_is_known_does_not(tmp_path: Path, heard: Heard) -> None:
    begin(heard, tmp_path, tmp_path)
    write(tmp_path / "deep" / "er" / "a.png", png(RED))
    heard.wait(0.0, SOON_S, lambda: False)
    assert heard._changed.is_set()
    heard.forget()
    stops = iter([False, False])
    heard.wait(0.0, SOON_S, lambda: next(stops, True))
    assert next(stops, None) is None, "it was asked until it ended"


def test_a_list_that_an_editor_replaces_is_heard(tmp_path: Path, heard: Heard) -> None:
    listed = write(tmp_path / "list.txt", b"a.png\n")
    begin(heard, tmp_path, listed)
    for _ in range(2):
        heard.paths.clear()
        write(tmp_path / "list.new", b"b.png\n").rename(listed)
        heard.until(listed)


def test_a_folder_that_is_made_anew_is_listened_to_again(tmp_path: Path, heard: Heard) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    begin(heard, photos, photos)
    photos.rename(tmp_path / "old")
    photos.mkdir()
    begin(heard, photos, photos)


def test_a_glob_is_listened_to_from_its_folder_and_a_bucket_is_not(tmp_path: Path) -> None:
    changes = Heard()
    (tmp_path / "photos").mkdir()
    assert changes.follow([SourceEntry("s3://bucket/photos")]) is None
    assert changes._threads == []
    try:
        begin(changes, tmp_path / "photos", f"{tmp_path}/photos/**/*.png", "s3://bucket/photos")
        assert {(path, deep) for path, deep, *_ in changes._places} == {
            (f"{tmp_path}/photos", True)
        }
    finally:
        changes.close()
    assert changes._threads == []


def test_what_is_not_there_yet_is_heard_when_it_comes(tmp_path: Path, heard: Heard) -> None:
    begin(heard, tmp_path, tmp_path / "photos")
    (tmp_path / "photos").mkdir()
    heard.until(tmp_path / "photos")
    assert heard.follow([SourceEntry(f"{tmp_path}/no/photos")]) is None
    assert heard._threads == []


def test_without_the_library_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "watchfiles":
            raise ImportError(name)
        return plain(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    changes = Changes()
    assert changes.follow([SourceEntry("s3://bucket/photos")]) is None, "it would be of no use"
    assert changes.follow([SourceEntry(str(tmp_path))]) == INSTALL
    assert changes.follow([SourceEntry(str(tmp_path))]) == INSTALL
    changes.close()
