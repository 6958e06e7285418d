"""The folder of bad files, indexed from the command line with the model that ships."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from indexer.sources.names import uri_of
from service.cli import main
from tests.bad_images import BAD_FOLDER_LIMITS, NOBODY, as_nobody, encoded, make_bad_folder, photo

ODD_NAMES = (
    "new\nline.jpg",
    'quote\'s "and" `ticks` $HOME; %41 #.jpg',
    os.fsdecode(b"not utf-8 \xff\xe9.jpg"),
    "ünï©ödé \U0001f4f7.jpg",
)
Capture = pytest.CaptureFixture[str]
CaptureBytes = pytest.CaptureFixture[bytes]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, str | None], int]:
    """The folder, its lake, what must become of each file, and the exit code of `index`."""
    root = tmp_path_factory.mktemp("bad")
    folder, lake = root / "photos", root / "my.lake"
    folder.mkdir()
    expected = make_bad_folder(folder)
    if os.geteuid() == 0:
        (folder / "no permission.jpg").unlink()  # root may read it; the last test reads as nobody
    code = main(["index", str(folder), "--into", str(lake), *_limits()])
    return folder, lake, expected, code


def _limits() -> list[str]:
    return ["--max-pixels", str(BAD_FOLDER_LIMITS.max_pixels)]


def _uri(folder: Path, name: str) -> str:
    return uri_of(os.fsencode(folder / name))[0]


def _document(capsys: Capture, *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(list(arguments)) == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def test_the_run_ends_well_and_every_file_is_indexed_or_reported(
    bad: tuple[Path, Path, dict[str, str | None], int], capsys: Capture
) -> None:
    folder, lake, expected, code = bad
    assert code == 0
    skipped = {
        file["uri"]: file["reason"]
        for file in _document(capsys, "info", str(lake), "--skipped", "--json")["skipped_files"]
    }
    hits = _document(capsys, "search", str(lake), "a photo", "--all", "--json")["hits"]
    assert len(expected) > 60
    assert {hit["uri"] for hit in hits} == {
        _uri(folder, name) for name, reason in expected.items() if reason is None
    }
    assert len(hits) == len({hit["uri"] for hit in hits})
    assert skipped.keys() == {_uri(folder, name) for name, reason in expected.items() if reason is not None}
    for name, reason in expected.items():
        assert reason is None or reason in skipped[_uri(folder, name)], name


def test_odd_names_come_back_byte_by_byte(
    bad: tuple[Path, Path, dict[str, str | None], int], capfdbinary: CaptureBytes
) -> None:
    folder, lake, expected, _ = bad
    capfdbinary.readouterr()
    assert main(["search", str(lake), "a photo", "--all", "--print0"]) == 0
    paths = capfdbinary.readouterr().out.split(b"\0")
    assert paths.pop() == b""
    assert {os.fsencode(folder / name) for name in ODD_NAMES} <= set(paths)
    assert sorted(paths) == sorted(os.fsencode(folder / name) for name in expected if expected[name] is None)
    assert all(Path(os.fsdecode(path)).exists() for path in paths)


def test_sync_of_the_bad_folder_changes_nothing(
    bad: tuple[Path, Path, dict[str, str | None], int], capsys: Capture
) -> None:
    _, lake, expected, _ = bad
    before = _document(capsys, "search", str(lake), "a photo", "--all", "--json")["hits"]
    report = _document(capsys, "sync", str(lake), "--json", *_limits())
    counts = {name: report[name] for name in ("new", "changed", "moved", "gone", "rows", "skipped")}
    broken = sum(reason is not None for reason in expected.values())
    assert counts == {
        "new": 0,
        "changed": 0,
        "moved": 0,
        "gone": 0,
        "rows": len(expected) - broken,
        "skipped": broken,
    }
    assert _document(capsys, "search", str(lake), "a photo", "--all", "--json")["hits"] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="without root the first test has this file")
def test_a_file_without_permission_is_skipped_and_indexed_once_it_may_be_read(capsys: Capture) -> None:
    with TemporaryDirectory() as root:  # not tmp_path: only its owner may enter that one
        folder, lake = Path(root, "photos"), Path(root, "my.lake")
        folder.mkdir()
        secret = folder / "no permission.jpg"
        for path in (folder / "a.jpg", secret):
            path.write_bytes(encoded(photo(), "JPEG"))
        secret.chmod(0)
        for path in (Path(root), folder, folder / "a.jpg", secret):
            os.chown(path, NOBODY, NOBODY)
        with as_nobody():
            document = _document(capsys, "index", str(folder), "--into", str(lake), "--json")
        assert (document["rows"], document["newly_skipped"]) == (
            1,
            [{"uri": str(secret), "reason": "permission denied"}],
        )
        secret.chmod(0o644)
        document = _document(capsys, "sync", str(lake), "--json")
        assert (document["new"], document["rows"], document["skipped"]) == (1, 2, 0)
