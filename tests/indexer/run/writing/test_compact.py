"""`compact_lake` and `vacuum_lake`: what a caller with a lake's folder gets back, and when they
refuse.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.manifest import SegmentEntry
from indexer.errors import LakeError, LakeLocked, LakeNotFound
from indexer.run.writing.compact import _choose, compact_lake, vacuum_lake
from tests.indexer.lakes import contents, current, index, resync, write_photo


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Snapshots 2 to 5: four photos indexed one after the other, a segment each; then the third
    photo is deleted. (Snapshot 1 is that of the empty lake.)
    """
    photos = tmp_path / "photos"
    for number in range(4):
        write_photo(photos / f"{number}.png", (250, 60 * number, 10))
        index(tmp_path / "my.lake", photos)
    (photos / "2.png").unlink()
    resync(tmp_path / "my.lake")
    return tmp_path / "my.lake"


def test_one_segment_is_left_with_the_live_rows_as_they_were(lake: Path) -> None:
    before, rows = current(lake), contents(lake)
    report = compact_lake(lake)
    assert (report.segments_before, report.segments, report.rows) == (len(before.segments), 1, 3)
    assert report.snapshot == current(lake).snapshot > before.snapshot
    assert (report.problems, current(lake).tombstones) == ([], ())
    assert contents(lake) == rows
    again = compact_lake(lake)
    assert (again.segments_before, again.segments) == (1, 1)
    assert again.snapshot == report.snapshot, "nothing was to be done, so nothing was written"


def test_no_more_is_merged_than_asked_for(lake: Path) -> None:
    assert len(current(lake).segments) >= 3
    assert compact_lake(lake, max_segments=2).segments == 2
    assert len(contents(lake)) == 3


def segment(rows: int) -> SegmentEntry:
    return SegmentEntry(str(rows), rows, {}, None)


@pytest.mark.parametrize(
    ("sizes", "merged"),
    [
        # at most four may be left
        ([100, 3, 4, 5], []),
        ([100, 3, 4, 5, 6], [3, 4, 5, 6]),
        ([100, 3, 4, 18, 19], [3, 4]),
        ([100, 3, 4, 7, 50], [3, 4, 7]),
        ([7, 3, 4, 14, 28], [7, 3, 4, 14, 28]),
    ],
)
def test_a_run_merges_segments_with_their_peers(sizes: list[int], merged: list[int]) -> None:
    """Else a lake that is followed rewrites a twelfth of what came new at each pass."""
    entries = [segment(rows) for rows in sizes]
    alive = {entry.id: entry.rows for entry in entries}
    chosen = _choose(entries, alive, 4, 1_000, with_peers=True)
    assert [entry.rows for entry in chosen] == merged


def test_peers_do_not_grow_past_what_fits_into_memory() -> None:
    entries = [segment(rows) for rows in (3, 4, 5, 6)]
    alive = {entry.id: entry.rows for entry in entries}
    assert [e.rows for e in _choose(entries, alive, 3, 11, with_peers=True)] == [3, 4]


def test_a_damaged_segment_is_told_and_left_alone(lake: Path) -> None:
    broken = current(lake).segments[0].id
    path = lake / "segments" / broken / "vectors.faiss"
    path.write_bytes(path.read_bytes()[:-1])
    report = compact_lake(lake)
    assert report.problems[0].startswith(f"{path} is damaged: ")
    assert broken in {entry.id for entry in current(lake).segments}
    assert report.segments == 2, "the others became one"


def test_vacuum_keeps_the_current_snapshot_and_what_was_current_in_the_time_given(
    lake: Path,
) -> None:
    numbers = [int(path.stem) for path in Layout(lake).snapshots()]
    assert vacuum_lake(lake).snapshots == 0, "all were current within the last hour"
    two_hours_ago = time.time() - 7_200
    for number in numbers:
        os.utime(Layout(lake).snapshot(number), (two_hours_ago, two_hours_ago))
    assert vacuum_lake(lake, keep_s=7_300).snapshots == 0
    report = vacuum_lake(lake)
    assert (report.snapshots, report.kept_snapshots, report.held) == (len(numbers) - 1, 1, False)
    assert [int(path.stem) for path in Layout(lake).snapshots()] == numbers[:1]
    assert len(contents(lake)) == 3


def test_a_clock_that_was_set_back_keeps_no_snapshot_for_years(lake: Path) -> None:
    """The hour begins with the first vacuum that sees it."""
    numbers = [int(path.stem) for path in Layout(lake).snapshots()]
    in_a_year = time.time() + 365 * 86_400
    for number in numbers:
        os.utime(Layout(lake).snapshot(number), (in_a_year, in_a_year))
    before = time.time()
    assert vacuum_lake(lake).snapshots == 0
    for number in numbers:
        assert before <= Layout(lake).snapshot(number).stat().st_mtime <= time.time()
        hour_ago = time.time() - 3_700
        os.utime(Layout(lake).snapshot(number), (hour_ago, hour_ago))  # as an hour later
    assert vacuum_lake(lake).snapshots == len(numbers) - 1


def test_vacuum_is_not_sure_which_snapshot_is_current(lake: Path) -> None:
    (lake / "manifest.json").write_text("{}")
    kept = Layout(lake).snapshots()
    with pytest.raises(LakeError, match=f"^nothing deleted: {lake}/manifest.json is damaged: "):
        vacuum_lake(lake, keep_s=0)
    assert Layout(lake).snapshots() == kept


def test_a_folder_that_is_no_lake_stays_as_it_is(tmp_path: Path) -> None:
    for call in (compact_lake, vacuum_lake):
        with pytest.raises(LakeNotFound):
            call(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_who_comes_while_another_writes_is_refused(lake: Path) -> None:
    with writer(Layout(lake)):
        for call in (compact_lake, vacuum_lake):
            with pytest.raises(LakeLocked):
                call(lake)
        assert compact_lake(lake, use_lock=False).segments == 1
