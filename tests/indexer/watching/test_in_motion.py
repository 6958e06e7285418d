"""Files that are still being written: left to a later run, and nothing is lost meanwhile.

With `still_s` of an hour and a file's time a minute ago, no test depends on how fast it runs.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, YELLOW, Desk, png, write

HOUR_S = 3600


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """a.png is red (row 1) and b.png is green (row 2), both indexed."""
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    desk.add("b.png", GREEN)
    desk.index()
    desk.model.calls.clear()
    return desk


def just_now() -> float:
    return time.time() - 60


def stand_still(path: Path) -> None:
    os.utime(path, (LONG_AGO_S + 9, LONG_AGO_S + 9))


def test_a_new_file_is_left_until_it_stands_still(desk: Desk) -> None:
    young = desk.add("c.png", BLUE, just_now())
    report = desk.idle_sync(still_s=HOUR_S)
    assert (report.in_motion, report.new, report.unchanged) == (1, 0, 2)
    assert report.problems == []
    stand_still(young)
    report = desk.sync(still_s=HOUR_S)
    assert (report.in_motion, report.new) == (0, 1)
    assert desk.ids() == {"a.png": 1, "b.png": 2, "c.png": 3}


def test_none_is_left_where_nobody_asks_for_it(desk: Desk) -> None:
    desk.add("c.png", BLUE, just_now())
    report = desk.sync()
    assert (report.in_motion, report.new) == (0, 1)


def test_a_time_in_the_future_is_no_sign_of_writing(desk: Desk) -> None:
    desk.add("c.png", BLUE, time.time() + 86_400)
    assert desk.sync(still_s=HOUR_S).new == 1


def test_a_file_that_is_written_anew_keeps_its_row_until_then(desk: Desk) -> None:
    changed = desk.add("b.png", BLUE, just_now(), size=(5, 4))
    report = desk.idle_sync(still_s=HOUR_S)
    assert (report.in_motion, report.gone, report.unchanged) == (1, 0, 1)
    assert desk.ids() == {"a.png": 1, "b.png": 2}
    stand_still(changed)
    assert desk.sync(still_s=HOUR_S).changed == 1
    assert desk.ids() == {"a.png": 1, "b.png": 3}


def test_what_moves_by_copying_keeps_its_row(desk: Desk) -> None:
    """As a program does that writes new files and deletes the old ones at once."""
    copy = desk.add("c.png", GREEN, just_now())
    (desk.photos / "b.png").unlink()
    report = desk.idle_sync(still_s=HOUR_S)
    assert (report.in_motion, report.gone) == (1, 0)
    assert desk.ids() == {"a.png": 1, "b.png": 2}
    stand_still(copy)
    assert desk.idle_sync(still_s=HOUR_S).moved == 1
    assert desk.ids() == {"a.png": 1, "c.png": 2}


def test_what_is_renamed_beside_a_file_in_motion_moves_at_once(desk: Desk) -> None:
    desk.add("c.png", BLUE, just_now())
    (desk.photos / "b.png").rename(desk.photos / "d.png")
    report = desk.idle_sync(still_s=HOUR_S)
    assert (report.in_motion, report.moved, report.gone) == (1, 1, 0)
    assert desk.ids() == {"a.png": 1, "d.png": 2}


def test_rows_whose_file_is_gone_do_not_wait_for_ever(desk: Desk) -> None:
    desk.add("c.png", BLUE, just_now())
    (desk.photos / "b.png").unlink()
    assert desk.idle_sync(still_s=HOUR_S).gone == 0
    assert desk.idle_sync(still_s=HOUR_S, waits_for_writers=False).gone == 1
    assert desk.ids() == {"a.png": 1}


def test_a_shard_that_is_being_written_is_not_opened(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dealt out anew meanwhile: images keep their rows."""
    old, new = desk.photos / "0.tar", desk.photos / "1.tar"
    write(old, tar_of({"x.png": png(YELLOW), "y.png": png(BLUE)}))
    desk.sync()
    ids = {"a.png": 1, "b.png": 2, "0.tar#member=x.png": 3, "0.tar#member=y.png": 4}
    assert desk.ids() == ids
    whole = tar_of({"y.png": png(BLUE), "x.png": png(YELLOW)})
    write(new, whole[:700], just_now())
    old.unlink()
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            raise AssertionError("a shard was opened")

        patch.setattr("indexer.sources.containers.tar.open_file", refuse)
        report = desk.idle_sync(still_s=HOUR_S)
    assert (report.in_motion, report.gone, report.problems) == (1, 0, [])
    assert desk.ids() == ids
    write(new, whole, LONG_AGO_S)
    assert desk.idle_sync(still_s=HOUR_S).moved == 2
    assert desk.ids()["1.tar#member=x.png"] == 3


def test_a_source_with_nothing_but_files_in_motion_is_not_empty(desk: Desk) -> None:
    for name in ("a.png", "b.png"):
        os.utime(desk.photos / name, (just_now(), just_now()))
    report = desk.idle_sync(still_s=HOUR_S)
    assert (report.in_motion, report.rows, report.problems) == (2, 2, [])
