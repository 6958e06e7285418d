"""Snapshots beside the current one: which can be had,
what they share, and what `vacuum` leaves them.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from indexer.disk.locks import snapshots_being_read
from indexer.disk.tables import Place
from indexer.errors import SnapshotGone
from indexer.run.writing.compact import vacuum
from service import Lake, Query
from service.search.search import search
from service.search.understood import understand
from service.snapshot.older import KEPT
from service.snapshot.snapshot import Snapshot
from tests.service.lakes import Maker


def rows_of(snapshot: Snapshot, lake: Lake) -> list[int]:
    return [
        hit.row_id
        for hit in search(
            understand(snapshot, Query(texts=[("red", 1.0)], k=None), lambda: lake.embedder)
        )
    ]


def commit_one(maker: Maker) -> int:
    """One more row in a segment of its own; the snapshot's number."""
    maker.add((1, 0, 0))
    maker.commits.commit()
    return maker.commits.manifest.snapshot


def sweep(maker: Maker) -> None:
    """`vacuum` of all that nobody reads, an hour later."""
    for path in maker.layout.manifests.iterdir():
        os.utime(path, (time.time() - 7_200,) * 2)
    vacuum(maker.layout, maker.commits.manifest, keep_s=0)


def test_older_snapshots_answer_as_they_did(maker: Maker) -> None:
    numbers = [commit_one(maker) for _ in range(6)]
    lake = maker.open()
    assert lake.at(numbers[-1]) is lake.snapshot
    for place, number in enumerate(numbers):
        assert lake.at(number).number == number
        assert rows_of(lake.at(number), lake) == list(range(1, place + 2))


def test_a_snapshot_left_behind_by_a_reload_is_still_open(maker: Maker) -> None:
    number = commit_one(maker)
    lake = maker.open()
    old = lake.snapshot
    commit_one(maker)
    assert lake.reload()
    assert lake.at(number) is old
    assert lake.at(number + 1) is lake.snapshot


def test_a_snapshot_newer_than_its_own_is_answered(maker: Maker) -> None:
    """Another process has moved to it already, and its cursor comes here."""
    number = commit_one(maker)
    lake = maker.open()
    newer = commit_one(maker)
    assert lake.snapshot.number == number
    assert rows_of(lake.at(newer), lake) == [1, 2]


def test_the_last_used_stay_open_and_are_held_against_vacuum(maker: Maker) -> None:
    numbers = [commit_one(maker) for _ in range(KEPT + 3)]
    lake = maker.open()
    opened = [lake.at(number) for number in numbers[:KEPT]]
    assert snapshots_being_read(maker.layout) == {*numbers[:KEPT], numbers[-1]}
    assert lake.at(numbers[0]) is opened[0]  # used again: the second is the one to go
    lake.at(numbers[KEPT])
    assert snapshots_being_read(maker.layout) == {numbers[0], *numbers[2 : KEPT + 1], numbers[-1]}
    sweep(maker)
    assert rows_of(lake.at(numbers[0]), lake) == [1]
    for gone in (numbers[1], numbers[-2]):
        with pytest.raises(SnapshotGone) as caught:
            lake.at(gone)
        assert (caught.value.lake, caught.value.number) == (str(lake.folder), gone)
    lake.close()
    assert snapshots_being_read(maker.layout) == set()


def test_a_snapshot_that_is_gone_is_named(maker: Maker) -> None:
    commit_one(maker)
    lake = maker.open()
    for number in (0, -1, 99, 2**60):
        with pytest.raises(SnapshotGone) as caught:
            lake.at(number)
        assert str(caught.value) == (
            f"snapshot {number} of {lake.folder} is no longer on disk; begin again from the current snapshot"
        )
    assert snapshots_being_read(maker.layout) == {lake.snapshot.number}


def test_a_snapshot_whose_files_or_manifest_are_damaged_is_gone(maker: Maker) -> None:
    maker.add((1, 0, 0))
    segment = maker.segment()
    numbers = [maker.commits.manifest.snapshot]
    maker.commits.remove(Place(segment, 0))
    numbers.append(commit_one(maker))
    numbers.append(commit_one(maker))
    lake = maker.open()
    maker.layout.snapshot(numbers[0]).write_text("{}")
    shutil.rmtree(maker.layout.segment(maker.commits.manifest.segments[1].id))
    for number in numbers[:2]:
        with pytest.raises(SnapshotGone):
            lake.at(number)
    assert rows_of(lake.snapshot, lake) == [2, 3]  # what is mapped goes on answering


def test_snapshots_share_what_they_have_in_common(maker: Maker) -> None:
    maker.add((1, 0, 0))
    maker.add((1, 0, 0))
    segment = maker.segment()
    commit_one(maker)
    lake = maker.open()
    first, second = lake.snapshot.parts
    table, row_ids = first.table, first.row_ids
    maker.commits.remove(Place(segment, 1))
    commit_one(maker)
    lake.reload()
    with_a_dead_row, same, new = lake.snapshot.parts
    assert same is second
    assert with_a_dead_row is not first
    assert with_a_dead_row.segment is first.segment
    assert with_a_dead_row.table is table
    assert with_a_dead_row.row_ids is row_ids
    assert new.rows == 1
    assert rows_of(lake.snapshot, lake) == [1, 3, 4]
    older = lake.at(1)
    assert older.parts[0].segment is first.segment
    assert rows_of(older, lake) == [1, 2]


def test_a_new_column_reaches_the_rows_of_shared_segments(maker: Maker) -> None:
    commit_one(maker)
    lake = maker.open()
    maker.add((1, 0, 0), ward="north")
    maker.commits.commit()
    lake.reload()
    assert [hit.columns["ward"] for hit in lake.search("red")] == [None, "north"]
    assert "ward" not in lake.at(1).schema.names
    assert (
        "ward"
        not in search(understand(lake.at(1), Query(texts=[("red", 1.0)]), lambda: lake.embedder))[
            0
        ].columns
    )


def test_a_reload_is_warm(maker: Maker) -> None:
    commit_one(maker)
    lake = maker.open()
    commit_one(maker)
    lake.reload()
    assert {"places", "background"} <= lake.snapshot.__dict__.keys()
    assert all({"table", "row_ids"} <= part.__dict__.keys() for part in lake.snapshot.parts)


def test_damage_to_a_shared_segment_shows_at_the_next_reload(maker: Maker) -> None:
    commit_one(maker)
    lake = maker.open()
    path = maker.layout.segment(maker.commits.manifest.segments[0].id) / "rows.parquet"
    path.rename(path.with_suffix(".away"))
    commit_one(maker)
    lake.reload()
    assert lake.problems[0] == f"{path} is damaged: it is missing; its 1 row is out of service"
    assert rows_of(lake.snapshot, lake) == [2]


def test_threads_read_old_snapshots_while_the_lake_moves_and_is_swept(
    maker: Maker, tmp_path: Path
) -> None:
    """Whatever a thread gets is the whole snapshot that it asked for, or SnapshotGone."""
    commit_one(maker)
    lake = maker.open()
    stop = threading.Event()
    errors: list[BaseException] = []
    seen: set[int] = set()

    def look(seed: int) -> None:
        turn = seed
        try:
            while not stop.is_set():
                turn += 1
                number = 1 + turn % max(1, lake.snapshot.number)
                try:
                    snapshot = lake.at(number)
                except SnapshotGone:
                    continue
                assert snapshot.number == number
                assert rows_of(snapshot, lake) == list(range(1, number + 1))
                seen.add(number)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(12):
        commit_one(maker)
        lake.reload()
        if turn % 4 == 3:
            sweep(maker)
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(seen) > 3
    assert lake.snapshot.number == 13
