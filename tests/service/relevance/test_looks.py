"""An audit with a budget on a lake: its draws are shared out anew at its looks, and stay so."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from indexer.disk.layout import Layout
from indexer.errors import LakeDamaged, LakeError
from service.cli.main import main
from service.lake import Lake
from service.relevance import Filter, Filters, Target
from service.relevance.decisions.answers import AppliedAnswer
from service.relevance.decisions.soundness import soundness
from service.relevance.decisions.store import FilterStore
from service.relevance.labels.book import NewLabel
from service.relevance.promise.shares import Shares
from tests.indexer.buckets.test_killed import Died, dies_at
from tests.lakes import Desk

REDS, OTHERS = 30, 90
BUDGET = 60  # looks after 20, 30 and 40 draws


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Rows 1 to 30 are reddish, the others are not."""
    desk = Desk(tmp_path_factory.mktemp("looks"))
    for number in range(REDS + OTHERS):
        is_red = number < REDS
        desk.add(
            f"{number:03d}.png",
            (255, number * 3, 0) if is_red else (150 - number, 0, 160 + number - REDS),
        )
    desk.index()
    return desk


@pytest.fixture
def lake(desk: Desk, tmp_path: Path) -> Lake:
    shutil.copytree(desk.lake, tmp_path / "my.lake")
    return Lake.open(tmp_path / "my.lake", desk.model)


def anew(lake: Lake) -> Filter:
    """As another process has it."""
    return Filters(Lake.open(lake.folder)).open("reds")


def reds(lake: Lake) -> Filter:
    filter = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
    answer(filter, [row.row_id for row in filter.next(12).rows])
    return filter


def answer(filter: Filter, rows: Sequence[int], labeller: str = "ann") -> None:
    filter.label(
        [
            {"row_id": row, "label": "yes" if row <= REDS else "no", "labeller": labeller}
            for row in rows
        ]
    )


def asked(filter: Filter, count: int, budget: int | None = None) -> list[int]:
    return [row.row_id for row in filter.next(count, "audit", budget=budget).rows]


def folder_of(filter: Filter) -> Path:
    return filter.labels.book.folder / "audits"


def shares(filter: Filter) -> list[str]:
    return sorted(path.name for path in folder_of(filter).glob("*.shares-*.json"))


def told_by_doctor(lake: Lake) -> list[str]:
    return soundness(FilterStore(Layout(lake.folder)), "reds", deep=True).problems


def test_who_asks_for_rows_beyond_a_look_has_the_draws_shared_out_by_what_is_answered(
    lake: Lake,
) -> None:
    filter = reds(lake)
    first = asked(filter, 15, budget=BUDGET)
    assert (len(first), shares(filter)) == (15, [])
    answer(filter, first[:12])
    more = asked(filter, 8)
    assert (more[:3], len(more), shares(filter)) == (first[12:], 8, [])
    # The ninth that nobody has answered is the first behind the look.
    assert asked(filter, 9)[:8] == more
    assert shares(filter) == ["000001.shares-01.json"]
    first_shares = folder_of(filter) / "000001.shares-01.json"
    written = json.loads(first_shares.read_bytes())
    assert (written["look"], written["first"], written["answers"]) == (1, 20, 12)
    # A whole page of sixty at once asks for all of them.
    assert len(asked(filter, 60)) == 48
    assert shares(filter) == [f"000001.shares-{look:02d}.json" for look in (1, 2, 3)]
    assert json.loads(first_shares.read_bytes()) == written


def test_who_is_killed_at_any_step_of_sharing_out_has_shown_nothing_and_goes_on(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    filter = reds(lake)
    answer(filter, asked(filter, 19, budget=BUDGET))
    assert shares(filter) == []
    there_when_killed = []
    for at in itertools.count(1):
        shutil.copytree(lake.folder, copy := lake.folder.with_name(f"killed-{at}.lake"))
        killed = anew(Lake.open(copy, lake.embedder))
        with monkeypatch.context() as patch:
            dies_at(patch, ["os.fsync", "os.link", "os.unlink"], at)
            try:
                asked(killed, 5)
                is_done = True
            except Died:
                is_done = False
        left = [path.read_bytes() for path in map(folder_of(killed).joinpath, shares(killed))]
        there_when_killed.append(len(left))
        rows = asked(anew(Lake.open(copy)), 5)
        assert (len(rows), asked(anew(Lake.open(copy)), 5)) == (5, rows)
        [name] = shares(killed)
        assert name == "000001.shares-01.json"
        assert left in ([], [(folder_of(killed) / name).read_bytes()])
        assert told_by_doctor(Lake.open(copy)) == []
        if is_done:
            break
    # Its bytes, its name, the other name taken away, the folder: and the last one ran to its end.
    assert there_when_killed == [0, 0, 1, 1, 1]


def test_the_command_says_where_a_page_goes_past_a_look(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    filter = reds(lake)
    words = ["filter", "next", str(lake.folder), "reds", "--purpose", "audit", "-n"]
    # Twenty draws lead up to the first look: of forty no more than a usual page lies behind it.
    assert main([*words, "40", "--budget", str(BUDGET)]) == 0
    assert "note:" not in capsys.readouterr().err
    answer(filter, asked(filter, 5))
    assert main([*words, "36"]) == 0
    assert (
        "note: these were drawn before the answers to the first 15 of them could teach the plan, so the promise may "
        "take more labels: ask for fewer at a time (-n 15)\n"
    ) in capsys.readouterr().err


def test_the_draws_stay_whoever_reads_them_and_whatever_is_taken_back(lake: Lake) -> None:
    filter = reds(lake)
    rows: list[int] = []
    for _ in range(6):
        rows += (page := asked(filter, 10, budget=BUDGET if not rows else None))
        answer(filter, page)
    assert len(set(rows)) == len(rows) == BUDGET
    assert asked(filter, 10) == []
    standing = filter.standing()
    assert standing is not None
    drawn = standing.audit.draws(BUDGET)[1].tolist()
    assert drawn == rows
    other = anew(lake)
    again = other.standing()
    assert again is not None
    assert again.audit.draws(BUDGET)[1].tolist() == rows
    assert again.evidence[0].best.tolist() == standing.evidence[0].best.tolist()
    assert again.audit.shares_of(BUDGET).shape == (BUDGET, len(again.audit.sizes))
    filter.labels.undo(rows[2])
    assert asked(filter, 10) == [rows[2]]
    answer(filter, [rows[2]])
    back = filter.standing()
    assert back is not None and back.evidence[0].best.tolist() == again.evidence[0].best.tolist()


def test_answers_that_were_there_before_a_look_count_once_it_is_reached(lake: Lake) -> None:
    """As of somebody who fills in a table of every image."""
    filter = reds(lake)
    asked(filter, 1, budget=BUDGET)
    answer(filter, range(1, REDS + OTHERS + 1))
    audit = filter.progress().audit
    # Beyond the budget there is no look, and all else is answered too.
    assert audit is not None and audit.answered == REDS + OTHERS - 12
    assert shares(filter) == [f"000001.shares-{look:02d}.json" for look in (1, 2, 3)]
    assert isinstance(filter.apply(), AppliedAnswer)


def test_somebody_else_who_was_first_at_a_look_is_followed(lake: Lake) -> None:
    filter, other = reds(lake), anew(lake)
    first = asked(filter, 20, budget=BUDGET)
    theirs: list[int] = []

    def late(*given: Any) -> Shares:
        """Between the look and the writing down the other one has come, with fewer answers."""
        racing.stop()
        theirs.extend(asked(other, 10))
        return Shares(1, 20, 20, (0.2,) * 5, "")

    answer(filter, first[:15])
    racing = patch("service.relevance.promise.auditing.shares_anew", late)
    racing.start()
    found = asked(filter, 10)
    assert len(theirs) == 10 and found == theirs
    standing = filter.standing()
    assert standing is not None and len(standing.audit.later) == 1


def test_a_disk_that_is_full_at_a_look_is_told_and_loses_no_answer(lake: Lake) -> None:
    filter = reds(lake)
    first = asked(filter, 20, budget=BUDGET)
    full = OSError(28, "No space left on device")
    with patch("service.relevance.promise.shares.write_once", side_effect=full):
        answer(filter, first)
        with pytest.raises(LakeError, match=r"cannot be written \(No space.*past its draw 20"):
            asked(filter, 5)
        audit = filter.progress().audit
        assert audit is not None and audit.answered == 20
    assert shares(filter) == []
    assert len(asked(filter, 5)) == 5


def test_a_version_that_was_applied_holds_the_shares_to_their_bytes(lake: Lake) -> None:
    filter = reds(lake)
    for budget in (BUDGET, None, None):
        answer(filter, asked(filter, 20, budget=budget))
    applied = filter.apply()
    assert isinstance(applied, AppliedAnswer)
    checks = filter.definition.checks
    assert checks is not None
    names = [f"audits/000001.shares-{look:02d}.json" for look in (1, 2, 3)]
    assert [name for name in checks.files if "shares" in name] == names
    last = folder_of(filter) / "000001.shares-03.json"
    kept = last.read_bytes()
    for spoil in (
        lambda: last.unlink(),
        lambda: last.write_bytes(kept.replace(b'"answers": ', b'"answers": 1')),
    ):
        spoil()
        fresh = anew(lake)
        with pytest.raises(LakeDamaged, match=r"shares-03\.json"):
            fresh.standing()
        last.write_bytes(kept)
    assert anew(lake).standing() is not None


def test_shares_that_are_lost_before_a_version_knew_them_are_not_chosen_anew(lake: Lake) -> None:
    """To choose them after rows drawn by them were seen would be to choose by what they bring."""
    filter = reds(lake)
    answer(filter, asked(filter, 20, budget=BUDGET))
    answer(filter, (beyond := asked(filter, 3)))
    for row in beyond[1:]:
        filter.labels.undo(row)
    lost = folder_of(filter) / "000001.shares-01.json"
    kept = lost.read_bytes()
    lost.unlink()
    fresh = anew(lake)
    # One answer is enough, and it need not be in force any more.
    for _ in range(2):
        with pytest.raises(LakeDamaged, match=r"shares-01\.json.* missing, .*--again"):
            asked(fresh, 5)
        with pytest.raises(LakeDamaged, match=r"shares-01\.json"):
            fresh.apply()
        assert re.search(r"shares-01\.json.* missing", told_by_doctor(lake)[0])
        fresh.labels.undo(beyond[0])
    # Answers are saved all the same, and nothing is written.
    answer(fresh, [beyond[0]])
    assert (len(fresh.answers()), shares(fresh)) == (12 + 20 + 1, [])
    lost.write_bytes(kept)
    assert asked(anew(lake), 2) == beyond[1:]
    assert told_by_doctor(lake) == []


def test_an_audit_begun_after_one_that_lost_its_shares_passes_its_looks(lake: Lake) -> None:
    """What was skipped, or taken back, was asked for by the audit before."""
    filter = reds(lake)
    answer(filter, asked(filter, 20, budget=BUDGET))
    beyond = asked(filter, 4)
    answer(filter, beyond)
    filter.labels.undo(beyond[0])
    (folder_of(filter) / "000001.shares-01.json").unlink()
    fresh = anew(lake)
    page = [row.row_id for row in fresh.next(20, "audit", again=True, budget=BUDGET).rows]
    answer(fresh, page)
    answer(fresh, asked(fresh, 5))
    assert shares(fresh) == ["000002.shares-01.json"]
    assert told_by_doctor(lake) == []


def test_an_answer_to_the_audit_before_that_came_while_one_was_begun_is_no_sign_of_loss(
    lake: Lake,
) -> None:
    filter = reds(lake)
    late = asked(filter, 30, budget=BUDGET)
    purpose = filter.labels._labelling()._purpose_of
    fresh = anew(lake)
    page = [row.row_id for row in fresh.next(20, "audit", again=True, budget=BUDGET).rows]
    theirs = [row for row in late if row not in page]
    assert purpose(theirs[0]) == "audit"
    fresh.labels.book.add([NewLabel(row, "no", "bob", purpose(row)) for row in theirs[:5]])
    answer(fresh, page)
    assert len(asked(fresh, 5)) == 5
    assert shares(fresh) == ["000001.shares-01.json", "000002.shares-01.json"]


def test_without_a_budget_and_for_precision_nothing_is_shared_out_anew(lake: Lake) -> None:
    filter = reds(lake)
    asked(filter, 40)
    standing = filter.standing()
    assert standing is not None and standing.audit.design.looks == ()
    assert b"looks" not in (folder_of(filter) / "000001.json").read_bytes()
    precise = Filters(lake).create("pure", keep_texts=["red"], target=Target(None, 0.8, 0.95))
    asked(precise, 40, budget=BUDGET)
    found = precise.standing()
    assert found is not None and found.audit.design.looks == ()
