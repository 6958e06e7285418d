"""The folder of bad files, indexed from the command line with the model that ships."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from indexer.sources.names import uri_of
from service.cli.main import main
from tests.bad_images import BAD_FOLDER_LIMITS, make_bad_folder

ODD_NAMES = (
    "new\nline.jpg",
    'quote\'s "and" `ticks` $HOME; %41 #.jpg',
    os.fsdecode(b"not utf-8 \xff\xe9.jpg"),
    "ünï©ödé \U0001f4f7.jpg",
)
# Linux: prctl(2), capabilities(7)
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
Capture = pytest.CaptureFixture[str]
CaptureBytes = pytest.CaptureFixture[bytes]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, str | None], int]:
    """The folder, its lake, what must become of each file, and the exit code of `index`."""
    root = tmp_path_factory.mktemp("bad")
    folder, lake = root / "photos", root / "my.lake"
    folder.mkdir()
    expected = make_bad_folder(folder)
    expected["no permission.jpg"] = "permission denied"
    code = _run("index", str(folder), "--into", str(lake), *_limits())
    return folder, lake, expected, code


def _run(*arguments: str) -> int:
    """The command as a process that may read only what its files'
    modes allow, even where it is root's.
    """
    command = [sys.executable, "-m", "service.cli", *arguments]
    return subprocess.run(command, preexec_fn=_without_superpowers, timeout=120).returncode


def _without_superpowers() -> None:
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            assert libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0


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
    assert skipped.keys() == {
        _uri(folder, name) for name, reason in expected.items() if reason is not None
    }
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
    assert sorted(paths) == sorted(
        os.fsencode(folder / name) for name in expected if expected[name] is None
    )
    assert all(Path(os.fsdecode(path)).exists() for path in paths)


def test_sync_of_the_bad_folder_changes_nothing(
    bad: tuple[Path, Path, dict[str, str | None], int], capsys: Capture
) -> None:
    _, lake, expected, _ = bad
    before = _document(capsys, "search", str(lake), "a photo", "--all", "--json")["hits"]
    capsys.readouterr()
    assert (
        _run("sync", str(lake), *_limits()) == 0
    )  # one more try of what may pass, such as a missing permission
    report = _document(capsys, "info", str(lake), "--json")
    broken = sum(reason is not None for reason in expected.values())
    assert (report["images"], report["skipped"]) == (len(expected) - broken, broken)
    assert _document(capsys, "search", str(lake), "a photo", "--all", "--json")["hits"] == before


def test_a_file_without_permission_is_indexed_once_it_may_be_read(
    bad: tuple[Path, Path, dict[str, str | None], int], capsys: Capture
) -> None:
    folder, lake, expected, _ = bad
    (folder / "no permission.jpg").chmod(0o644)
    report = _document(capsys, "sync", str(lake), "--json", *_limits())
    broken = sum(reason is not None for reason in expected.values())
    assert (report["new"], report["rows"], report["skipped"]) == (
        1,
        len(expected) - broken + 1,
        broken - 1,
    )
