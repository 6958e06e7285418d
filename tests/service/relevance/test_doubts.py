"""What a filter is unsure of, and picks that stand for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexer.errors import BadRequest, UnknownFilter
from service.cli.main import main
from service.lake import Lake
from service.relevance import Filters
from tests.lakes import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Rows 1 to 64: from green to red."""
    desk = Desk(tmp_path)
    for number in range(64):
        desk.add(f"{number:02}.png", (4 * number, 255 - 4 * number, 0), size=(8, 8))
    desk.index()
    return desk


def teach(lake: Lake) -> None:
    """Red is wanted from the middle on; of each three rows two are answered."""
    said = [
        {"row_id": row, "label": "yes" if row > 32 else "no"} for row in range(1, 65) if row % 3
    ]
    Filters(lake).create("reds", keep_texts=["red"])
    Filters(lake).open("reds").label(said)


def test_picks_lie_where_yes_and_no_meet(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        teach(lake)
        picks = Filters(lake).open("reds").pick(2)
        assert {*picks.row_ids} <= {30, 33, 36}  # of the rows that nobody answered: 3, 6, ... 63
        assert picks.labelled == 43 and picks.unsure_of == "reds"
        assert 12 in lake.pick(2).row_ids
    assert main(["curate", "pick", str(desk.lake), "-n", "2", "--unsure-of", "reds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["row_ids"] == list(picks.row_ids)
    assert main(["curate", "pick", str(desk.lake), "-n", "2", "--unsure-of", "reds"]) == 0
    said = capsys.readouterr().err
    assert "stood for what filter reds is unsure of" in said
    assert "mean cosine of what it is unsure of to its nearest pick or labelled image: " in said


def test_a_filter_that_has_learnt_nothing_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        Filters(lake).create("reds", keep_texts=["red"])
        with pytest.raises(BadRequest, match="filter reds has learnt too little"):
            Filters(lake).open("reds").pick(2)
        with pytest.raises(UnknownFilter):
            Filters(lake).open("blues")
    assert main(["curate", "pick", str(desk.lake), "-n", "2", "--unsure-of", "blues"]) == 1
    assert "blues" in capsys.readouterr().err
