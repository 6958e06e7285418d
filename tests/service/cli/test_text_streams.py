"""The command where the locale knows ASCII alone and Python's UTF-8 mode is switched off."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.text_streams import use_utf8
from tests.lakes import BLUE, RED, png, write

# What lakesift opens as text without saying UTF-8 is an error here; what others open is theirs.
CODE = """
import sys, warnings
packages = r"(indexer|service|training|lakesift)\\b"
warnings.filterwarnings("error", category=EncodingWarning, module=packages)
from service.cli.main import main
sys.exit(main())
"""
REPOSITORY = Path(__file__).resolve().parents[3]


def run(folder: Path, *arguments: str) -> str:
    """What the command prints."""
    ascii_only = {
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
        "PYTHONPATH": str(REPOSITORY),
        "LC_ALL": "C",
        "LANG": "C",
    }
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", CODE, *arguments],
        cwd=folder,
        env={**os.environ, **ascii_only},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("ascii")


@pytest.mark.slow
def test_every_text_is_utf8_where_the_locale_is_not(tmp_path: Path) -> None:
    photos = tmp_path / "phötos"
    write(photos / "日本" / "ü.png", png(RED))
    write(photos / "日本" / "é.png", png(BLUE))
    write(photos / "日本" / "ü.txt", "ein schöner Hund €".encode())
    columns = "file,naïve\n日本/ü.png,wért\n日本/é.png,-\n"
    (tmp_path / "cölumns.csv").write_text(columns, encoding="utf-8")
    labels = f"uri,label,labeller\n{photos}/日本/ü.png,yes,änn\n"
    (tmp_path / "läbels.csv").write_text(labels, encoding="utf-8")
    run(tmp_path, "index", "phötos", "--into", "läke", "--columns", "cölumns.csv")
    found = json.loads(
        run(
            tmp_path,
            "search",
            "läke",
            "ein schöner Hund",
            "--where",
            "\"naïve\" = 'wért'",
            "--json",
        )
    )
    [hit] = found["hits"]
    assert hit["uri"] == f"{photos}/日本/ü.png"
    assert (hit["columns"]["naïve"], hit["columns"]["caption"]) == ("wért", "ein schöner Hund €")
    run(tmp_path, "filter", "new", "läke", "hund", "--keep", "ein schöner Hund")
    run(tmp_path, "filter", "label", "läke", "hund", "läbels.csv")
    report = run(tmp_path, "filter", "report", "läke", "hund")
    assert report.startswith("hund, version 1, of l\\u00e4ke, snapshot ")
    assert "(\\u00e4nn 1)" in report
    assert f"source: {tmp_path}/ph\\u00f6tos is there" in run(tmp_path, "doctor", "läke")


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("ascii", "é 𝄞", b"\\u00e9 \\ud834\\udd1e"),
        ("latin-1", "é €", b"\xe9 \\u20ac"),
        ("utf-8", "é \udcff", "é ".encode() + b"\\udcff"),
    ],
)
def test_what_stdout_cannot_show_is_escaped_as_json_does(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str, shown: bytes
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    use_utf8()
    print(json.dumps(text, ensure_ascii=False), flush=True)
    assert written.getvalue() == b'"' + shown + b'"\n'
    if encoding != "latin-1":
        assert json.loads(written.getvalue()) == text
