"""`search --explain` and `--diversity`, as a person reads them.

Rows 1 to 4 are blue, green, red and yellow.
"""

from __future__ import annotations

import json

import pytest

from service.cli.main import main
from service.lake import Lake
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("options"))
    for name, colour in (("a", BLUE), ("b", GREEN), ("c", RED), ("d", YELLOW)):
        desk.add(f"{name}.png", colour)
    desk.index()
    return desk


@pytest.fixture
def lake(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> str:
    whole = Lake.open
    monkeypatch.setattr(Lake, "open", lambda folder, **_: whole(folder, desk.model))
    return str(desk.lake)


def test_each_hit_is_explained_below_it(lake: str, capsys: Capture) -> None:
    """2 red - green is (2, -1, 0), of length 2.236."""
    assert (
        main(["search", lake, "red -green", "--row", "3", "--where", "row_id > 2", "--explain"])
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "score", "0.894", "+0.447", "+0.000", "+0.447", "0.316", "+0.316", "-0.316", "+0.316",
    ]  # fmt: skip
    assert lines[6].split(maxsplit=1)[1] == '"red", cosine 0.707'
    assert lines[7].split(maxsplit=1)[1] == '"green", weight -1, cosine 0.707'
    assert lines[8].split(maxsplit=1)[1] == "row 3, cosine 0.707"


def test_in_json(lake: str, capsys: Capture) -> None:
    assert main(["search", lake, "red", "--explain", "-k", "1", "--json"]) == 0
    [hit] = json.loads(capsys.readouterr().out)["hits"]
    assert hit["explain"] == [
        {"kind": "text", "value": "red", "weight": 1.0, "cosine": 1.0, "share": 1.0}
    ]


@pytest.mark.parametrize("shape", ["--paths", "--print0"])
def test_paths_alone_have_no_place_for_it(lake: str, capsys: Capture, shape: str) -> None:
    assert main(["search", lake, "red", "--explain", shape]) == 2
    sentence = f"--explain: paths alone have no place for it; leave {shape} out, or say --json"
    assert sentence in capsys.readouterr().err


def rows(capsys: Capture) -> list[int]:
    return [hit["row_id"] for hit in json.loads(capsys.readouterr().out)["hits"]]


def test_hits_that_differ(lake: str, capsys: Capture) -> None:
    assert main(["search", lake, "red", "-k", "2", "--json"]) == 0
    assert rows(capsys) == [3, 4]
    assert main(["search", lake, "red", "-k", "2", "--json", "--diversity", "1"]) == 0
    assert rows(capsys) == [3, 1]


def test_more_than_all_is_refused(lake: str, capsys: Capture) -> None:
    assert main(["search", lake, "red", "--diversity", "1.5"]) == 2
    assert "--diversity: 1.5 is not in 0 (off) to 1" in capsys.readouterr().err


def test_sorted_with_and_without_a_query(lake: str, capsys: Capture) -> None:
    def rows(*options: str) -> list[str]:
        assert main(["search", lake, *options]) == 0
        return [
            line.split()[-1].rpartition("/")[2] for line in capsys.readouterr().out.splitlines()[1:]
        ]

    assert rows("--sort", "path:down") == ["d.png", "c.png", "b.png", "a.png"]
    assert rows("red", "--sort", "match:up", "-k", "2") == ["a.png", "b.png"]
    assert rows("red", "--sort", "row_id:down", "--where", "row_id < 4") == [
        "c.png",
        "b.png",
        "a.png",
    ]
    assert rows("--sort", "random:1") == rows("--sort", "random:1", "--all")


def test_a_sort_that_is_none(lake: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["search", lake, "--sort", "random:up"])
    assert "--sort: random has no direction" in capsys.readouterr().err
    assert main(["search", lake, "red", "--sort", "colour"]) == 2
    assert "--sort: there is no column colour; the columns are" in capsys.readouterr().err
