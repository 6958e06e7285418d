"""Code that lies in the folder where lakesift is called is data: no process of ours runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.config import ReadLimits
from indexer.images.decoder import Decoder, ReadSettings
from indexer.processes import FOLDER, ROOT, absolute, import_path, python_code, python_command
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, RED, png

MODULES = (
    "json.py",
    "numpy.py",
    "struct.py",
    "PIL/__init__.py",
    "filelock.py",
    "sitecustomize.py",
    "indexer/__init__.py",
    "service/__init__.py",
)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a photo, and modules that leave a mark when they run."""
    folder = tmp_path / "photos"
    for name in MODULES:
        module = folder / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__)\n")
    (folder / "red.png").write_bytes(png(RED))
    monkeypatch.chdir(folder)
    return folder


def ran(photos: Path) -> str:
    mark = photos.parent / "ran"
    return mark.read_text() if mark.exists() else ""


def test_a_decoder_runs_no_code_of_the_callers_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an empty entry is the current folder
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{photos}")
    monkeypatch.syspath_prepend("")
    monkeypatch.syspath_prepend(str(photos))
    decoder = Decoder(ReadSettings(ColourEmbedder.input_shape, ReadLimits()))
    try:
        image = decoder.decode("red.png", b"red.png", None)
    finally:
        decoder.close()
    assert image.pixels[0, 0].tolist() == list(RED)
    assert ran(photos) == ""


def test_a_decoder_stands_in_the_root_folder_and_finds_relative_paths(photos: Path) -> None:
    other = photos.parent / "other"
    (other / "deep").mkdir(parents=True)
    (other / "blue.png").write_bytes(png(BLUE))
    (photos / "link").symlink_to(other / "deep")
    decoder = Decoder(ReadSettings(ColourEmbedder.input_shape, ReadLimits()))
    try:
        assert decoder.decode("red.png", b"red.png", None).pixels[0, 0].tolist() == list(RED)
        # As the kernel means `..`: the parent of what the link leads to.
        assert decoder.decode("blue.png", b"link/../blue.png", None).pixels[0, 0].tolist() == list(
            BLUE
        )
        assert decoder._process is not None
        if Path("/proc/self/cwd").exists():
            assert os.readlink(f"/proc/{decoder._process.pid}/cwd") == FOLDER  # noqa: PTH115
    finally:
        decoder.close()


def test_giants_wait_for_the_lock_that_was_named_wherever_their_decoder_stands(
    photos: Path,
) -> None:
    (photos / "giant.png").write_bytes(png(BLUE, (8000, 6000)))
    decoder = Decoder(
        ReadSettings(ColourEmbedder.input_shape, ReadLimits(), giants_lock="giants.lock")
    )
    try:
        assert decoder.decode("giant.png", b"giant.png", None).pixels[0, 0].tolist() == list(BLUE)
    finally:
        decoder.close()
    assert (photos / "giants.lock").exists()


def test_paths_are_made_absolute_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute(b"a/../\xff.png") == os.fsencode(tmp_path) + b"/a/../\xff.png"
    assert absolute(b"/a/../\xff.png") == b"/a/../\xff.png"


def test_our_processes_import_from_where_their_parent_does_less_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here, link = str(tmp_path), tmp_path / "me"
    link.symlink_to(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", "lib", here, str(link), "/opt/lib"])
    assert import_path() == ["/opt/lib", ROOT]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", ["", ROOT, "/opt/lib"])
    # lakesift's own folder stays, wherever the caller is
    assert import_path() == [ROOT, "/opt/lib"]


def test_a_command_and_a_few_lines_get_their_arguments(photos: Path) -> None:
    said = subprocess.run(
        python_code("print(sys.argv[1:], sys.flags.isolated)", "a b"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "['a b'] 1\n"
    command = python_command("json.tool", "--compact", str(photos.parent / "in.json"))
    (photos.parent / "in.json").write_text('{"a":   1}')
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"a": 1}
    assert ran(photos) == ""


def test_the_command_runs_no_code_of_the_folder_it_is_called_in(photos: Path) -> None:
    """As the installed `lakesift` command is: a script, beside which no photos lie."""
    script = photos.parent / "bin" / "lakesift"
    script.parent.mkdir()
    script.write_text(
        f"import sys\nsys.path.append({ROOT!r})\nfrom service.cli.main import main\nsys.exit(main())\n"
    )
    for arguments in (
        ["index", ".", "--into", "../my.lake"],
        ["search", "../my.lake", "--image", "red.png"],
    ):
        done = subprocess.run(
            [sys.executable, script, *arguments], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert ran(photos) == ""


def test_python_m_leaves_the_folder_it_is_called_in(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("json.py", "numpy.py", "argparse.py"):
        (photos / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__)\n")
    environment = {**os.environ, "PYTHONPATH": ROOT}
    command = [sys.executable, "-m", "service.cli", "models"]
    done = subprocess.run(
        command, cwd=photos, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert ran(photos) == ""
