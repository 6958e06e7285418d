"""`search --histogram`, as a person reads it. Rows 1 to 4 are blue, green, red and yellow."""

from __future__ import annotations

import json

import pytest

from service.cli.main import main
from service.lake import Lake
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("histogram"))
    for name, colour in (("a", BLUE), ("b", GREEN), ("c", RED), ("d", YELLOW)):
        desk.add(f"{name}.png", colour)
    desk.index()
    return desk


@pytest.fixture
def lake(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> str:
    whole = Lake.open
    monkeypatch.setattr(Lake, "open", lambda folder, **_: whole(folder, desk.model))
    return str(desk.lake)


def test_the_best_stand_first(lake: str, capsys: Capture) -> None:
    """Scores 0, 0, 0.7071 and 1; bars of log 2 and log 3: 20.2 of 32 characters and 32."""
    assert main(["search", lake, "red", "--histogram"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 images; the best has score 1.000"
    assert lines[1].split()[:3] == ["score", "from", "images"]
    assert [line.split()[:2] for line in lines[2:]] == [
        [f"{number * 0.05:.2f}", "1" if number in (14, 20) else "2" if number == 0 else "0"]
        for number in range(20, -1, -1)
    ]
    assert lines[2].count("#") == 21
    assert lines[-1].count("#") == 32


def test_in_json(lake: str, capsys: Capture) -> None:
    command = ["search", lake, "red", "--histogram", "--where", "row_id = 3", "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["unit"], document["rows"], sum(document["counts"])) == ("score", 1, 1)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--where", "row_id = 3"], "a histogram is of a query; say what to look for, too"),
        (["red", "--paths"], "--histogram: it names no image; leave --paths and --print0 out"),
        (["red", "--min-z", "1"], "--min-z: z scores need 100 different rows"),
    ],
)
def test_what_makes_no_sense(lake: str, capsys: Capture, more: list[str], said: str) -> None:
    assert main(["search", lake, "--histogram", *more]) in (1, 2)
    assert said in capsys.readouterr().err
