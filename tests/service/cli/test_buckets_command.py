"""`lakesift publish` and `lakesift pull` as a person meets them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from service.cli.main import main
from tests.lakes import Desk

PAGE = Path(__file__).parents[3] / "docs" / "buckets.md"


def test_the_page_s_commands_send_a_lake_and_fetch_it(
    tmp_path: Path,
    bucket: tuple[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    desk = Desk(tmp_path)
    for number in range(3):
        desk.add(f"{number}.png", (255, number * 20, 0))
    desk.index()
    files = len(desk.manifest.checks)
    lines = [
        each
        for each in PAGE.read_text().splitlines()
        if each.startswith("lakesift p") and "--watch" not in each
    ]
    said = []
    for line in lines:
        words = shlex.split(line.replace("//bucket/", f"//{bucket[0]}/"), comments=True)
        assert main(words[1:]) == 0
        said.append(capsys.readouterr().err.splitlines()[-1])
    url = f"s3://{bucket[0]}/lakes/my.lake"
    sent, fetched, again = (line.partition(": ") for line in said)
    assert sent[0] == f"{url} has snapshot {desk.manifest.snapshot} of 3 images"
    assert sent[2].startswith(f"{files} files, ") and sent[2].endswith(" sent; 0 were there")
    assert fetched[0] == f"copy.lake has snapshot {desk.manifest.snapshot} of 3 images"
    assert again[2] == f"0 files, 0 bytes, sent; {files} were there"
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    assert main(["pull", url, "my.lake"]) == 0
    ahead = "my.lake goes on from what"
    assert capsys.readouterr().err.startswith(ahead)
    assert main(["publish", "my.lake", url, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["interrupted"]) == (4, False)


def test_a_wrong_place_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bucket: tuple[str, Any]
) -> None:
    lake = str(tmp_path / "my.lake")
    assert main(["publish", lake, "s3://bucket/my.lake"]) == 1
    assert f"{lake} is not a lake" in capsys.readouterr().err
    assert main(["pull", "my.lake", lake]) == 2
    assert capsys.readouterr().err == (
        "lakesift: bucket: my.lake is no folder in a bucket; give s3://bucket/folder, gs://bucket/folder or "
        "az://container/folder\n"
    )
    assert main(["pull", f"s3://{bucket[0]}/none", lake]) == 1
    assert "nothing was published there" in capsys.readouterr().err
    assert not Path(lake).exists()
