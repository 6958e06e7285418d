"""`lakesift engine` as a person meets it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.engines.engine import Candidates, Engine, State
from indexer.engines.opening import open_engine
from indexer.engines.pushing import push_lake
from service.cli.main import main
from tests.lakes import BLUE, RED, Desk
from tests.service.lakes import Maker

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "engines.md"

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
    which = "lakesift: ENGINE: which one? write postgresql://... or milvus://..., or set LAKESIFT_ENGINE\n"
    assert capsys.readouterr().err == which
    assert main(["engine", "push", str(desk.lake), "postgresql://me:pw@127.0.0.1:1/x"]) == 1
    away = "lakesift: postgresql://me@127.0.0.1:1/x: it cannot be reached (Connection refused)\n"
    assert capsys.readouterr().err.endswith(away)


def test_the_page_s_commands_do_what_it_says(
    desk: Desk,
    database: str,
    milvus_database: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(desk.root)
    page = PAGE.read_text().splitlines()
    said = []
    for line in [each for each in page if each.startswith("lakesift engine ")]:
        here = line.replace("postgresql://me@db.example/lakes", database)
        here = here.replace("milvus://db.example:19530/lakes", milvus_database)
        assert main(shlex.split(here, comments=True)[1:]) == 0, line
        told = capsys.readouterr()
        said.append((told.out or told.err).splitlines()[-1])
    unmeasured = (
        "recall: not measured yet; a service with --engine measures one in a hundred searches"
    )
    pushed, status, pushed_to_milvus, status_of_milvus, dropped = said
    for answer in (pushed, pushed_to_milvus):
        assert answer.endswith("of my, 2 images: 2 rows sent, 0 removed")
    assert status == status_of_milvus == unmeasured
    assert dropped == f"{database} has nothing of my any more"


def engine_findings(
    capsys: pytest.CaptureFixture[str], lake: Path, *options: str
) -> list[tuple[bool, str]]:
    main(["doctor", str(lake), "--json", "--trust-model", *options])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return [(each["ok"], each["detail"]) for each in findings if each["what"] == "engine"]


@pytest.fixture(params=["database", "milvus_database"])
def address(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_the_doctor_says_what_an_engine_holds_and_finds(
    tmp_path: Path,
    address: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 150 rows on a quarter of a circle the 100 nearest are known without a search."""
    maker = Maker(tmp_path / "my.lake")
    for number in range(150):
        maker.add((150 - number, number, 0))
    maker.open().close()
    lake = maker.layout.root
    push = f"lakesift engine push {lake} ENGINE"
    monkeypatch.delenv("LAKESIFT_ENGINE", raising=False)
    assert engine_findings(capsys, lake) == []
    assert engine_findings(capsys, lake, "--engine", address) == [
        (False, f"{address} has nothing of my; push it with: {push}")
    ]

    with closing(open_engine(address)) as engine:
        push_lake(lake, engine)
        state, images, texts = engine_findings(capsys, lake, "--engine", address)
        assert state[0] and state[1].startswith(
            f"{engine.kind} at {address}: 150 rows, snapshot 1, pushed 20"
        )
        well = "found 1.000 of the 10 nearest and 1.000 of the 100 nearest, of 400 candidates"
        assert images == (True, f"40 searches by image {well}")
        assert texts[0] and texts[1].startswith("searches by text were not looked at: ")

        # As a service, which asks for nine times as many where a page needs them.
        monkeypatch.setenv("LAKESIFT_ENGINE", address)
        _, images, _ = engine_findings(capsys, lake, "--engine-candidates", "50")
        assert images == (True, f"40 searches by image {well.replace('400', '450')}")

        # Every other row is gone there, behind the back of the push, and every answer is whole:
        # what it lacks is searched here.
        with engine.pushing("my") as pushing:
            pushing.remove(np.arange(1, 151, 2), [])
        state, images, _ = engine_findings(capsys, lake)
        assert state[0] and state[1].endswith(
            f"the lake is at snapshot 1: 75 of its rows are not there, 0 there are gone; push again with: {push}"
        )
        assert images == (True, f"40 searches by image {well}")

        # An engine that does not name the 30 nearest of a query.
        asked = type(engine).candidates

        def bad(self: Engine, state: State, vector: Any, count: int, where: Any) -> Candidates:
            found = asked(self, state, -vector, 120, where)
            return Candidates(found.version, found.row_ids)

        push_lake(lake, engine)
        monkeypatch.setattr(type(engine), "candidates", bad)
        _, images, _ = engine_findings(capsys, lake, "--engine-candidates", "800")
        assert images == (
            False,
            "40 searches by image found 0.000 of the 10 nearest and 0.700 of the 100 nearest, of 800 candidates; ask "
            f"for more: `lakesift serve {lake} --engine ENGINE --engine-candidates 2400`",
        )


def test_the_doctor_tells_an_engine_that_is_away(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    found = engine_findings(capsys, desk.lake, "--engine", "postgresql://me:pw@127.0.0.1:1/x")
    away = "postgresql://me@127.0.0.1:1/x: it cannot be reached (Connection refused)"
    assert found == [(False, away)]
    assert main(["doctor", str(desk.lake), "--engine", "http://x"]) == 1
    assert "BAD  engine: ENGINE: its address begins with none of" in capsys.readouterr().out


def test_workers_of_a_service_search_on_the_engine(desk: Desk, database: str) -> None:
    assert main(["engine", "push", str(desk.lake), database]) == 0
    command = [sys.executable, "-m", "service.cli", "serve", str(desk.lake), "--port", "0"]
    command += ["--workers", "2", "--engine", database, "--engine-outage", "503", "--trust-model"]
    environ = {**os.environ, "LAKESIFT_STATE": str(desk.root / "state"), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environ, cwd=desk.root
    ) as process:
        assert process.stderr is not None
        said = ""
        try:
            while "serving at" not in said and (line := process.stderr.readline()):
                said += line
            assert "my is searched on pgvector\n" in said
            [url] = re.findall(r"serving at (\S+)", said)
            body = json.dumps({"vector": [1, 0, 0], "k": 2}).encode()
            request = urllib.request.Request(
                f"{url}/v1/search", body, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = json.load(answer)
        finally:
            process.terminate()
            process.stderr.read()
    red = desk.ids()["red.png"]
    assert (found["hits"][0]["row_id"], found["hits"][0]["score"]) == (red, 1.0)
    assert found["searched"]["engine"] == "pgvector"
    assert database not in said
