"""`lakesift engine` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.cli.main import main
from tests.lakes import BLUE, RED, Desk

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.add("blue.png", BLUE)
    desk.index()
    return desk


def test_push_status_and_drop_say_what_is_there(
    desk: Desk, database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = str(desk.lake)
    monkeypatch.setenv("LAKESIFT_ENGINE", database)
    assert main(["engine", "status", lake]) == 1
    push = f"lakesift engine push {lake} ENGINE"
    assert capsys.readouterr().out == f"{database} has nothing of my; push it with: {push}\n"

    assert main(["engine", "push", lake]) == 0
    number = desk.manifest.snapshot
    pushed = f"{database} has snapshot {number} of my, 2 images: 2 rows sent, 0 removed\n"
    assert capsys.readouterr().err.endswith(pushed)
    assert main(["engine", "status", lake]) == 0
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == f"pgvector at {database}"
    assert second.startswith(f"my: 2 rows, snapshot {number}, pushed 20")
    assert rest[0].startswith("a where is narrowed there on: uri, member, offset,")
    assert "place.latitude" in rest[0] and "sha256" not in rest[0]
    assert rest[1].startswith("recall: not measured yet")

    (desk.photos / "red.png").unlink()
    desk.sync()
    assert main(["engine", "status", lake, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["is_behind"], said["missing_rows"], said["gone_rows"]) == (True, 0, 1)

    assert main(["engine", "drop", lake]) == 0
    assert capsys.readouterr().err == f"{database} has nothing of my any more\n"
    assert main(["engine", "drop", lake]) == 0
    assert capsys.readouterr().err == f"{database} had nothing of my\n"


def test_a_mistake_is_one_sentence(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKESIFT_ENGINE", raising=False)
    assert main(["engine", "push", str(desk.lake)]) == 2
    which = "lakesift: ENGINE: which one? write postgresql://..., or set LAKESIFT_ENGINE\n"
    assert capsys.readouterr().err == which
    assert main(["engine", "push", str(desk.lake), "postgresql://me:pw@127.0.0.1:1/x"]) == 1
    away = "lakesift: postgresql://me@127.0.0.1:1/x: it cannot be reached (Connection refused)\n"
    assert capsys.readouterr().err.endswith(away)
