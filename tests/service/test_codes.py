"""A lake with codes answers as one without, whatever becomes of the codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from indexer.config import IndexConfig
from indexer.disk.codes import CodeBlock
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, publish, read_manifest
from indexer.disk.tables import Place, write_tombstones
from indexer.report import Silent, SyncReport
from indexer.run import coding
from indexer.run.coding import add_codes, with_codes
from indexer.run.writing.compact import compact_lake, vacuum_lake
from service import Hit, Lake
from service.cli.main import main
from service.search import ranking
from service.search.query import MaxPer
from service.snapshot.scan import rows
from service.snapshot.scan.coded import Coded

DIM, ROWS = 24, 3_000
QUERIES = random_unit_rows(3, DIM, np.random.default_rng(9))


@pytest.fixture(autouse=True)
def large_from_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "PARALLEL_FROM_ROWS", 100)
    monkeypatch.setattr(rows, "pay_from_rows", lambda: 100)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Three segments; every seventh row is gone."""
    folder = tmp_path / "my.lake"
    made = write_synthetic_lake(folder, ROWS, DIM, segment_rows=ROWS // 3)
    dead = [Place(s.id, at) for s in made.segments for at in range(0, s.rows, 7)]
    publish(Layout(folder), replace(made, tombstones=(write_tombstones(Layout(folder), dead),)))
    return folder


def current(lake: Path) -> Manifest:
    return read_manifest(Layout(lake))[0]


def files(lake: Path) -> list[str]:
    return sorted(path.name for path in (lake / "codes").iterdir())


def found(lake: Path) -> list[list[Hit]]:
    with Lake.open(lake) as opened:
        return [
            hits
            for query in QUERIES
            for hits in (
                opened.search(vector=query, k=10),
                opened.search(vector=query, k=300, where="camera LIKE 'Canon%'"),
                opened.search(vector=query, k=20, collapse=True, min_z=1.0),
                opened.search(vector=query, k=5, offset=50, max_per=MaxPer("camera", 2)),
            )
        ]


def with_codes_of(lake: Path) -> Manifest:
    return add_codes(Layout(lake), current(lake), segment_from_rows=1)


def coded_rows(lake: Path) -> int:
    """Of the segments whose codes a search reads."""
    with Lake.open(lake) as opened:
        return sum(part.rows for part in opened.snapshot.parts if part.codes is not None)


def test_answers_are_the_same_with_codes_and_without(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = found(lake)
    assert coded_rows(lake) == 0
    read: list[int] = []
    look = Coded.read

    def noticed(coded: Coded, block: CodeBlock, *rest: Any) -> None:
        read.append(len(block))
        look(coded, block, *rest)

    monkeypatch.setattr(Coded, "read", noticed)
    with_codes_of(lake)
    assert coded_rows(lake) == ROWS
    assert found(lake) == before
    assert len(read) > 0, "it was codes that were read"
    with Lake.open(lake) as opened:
        frames = {id(part.codes.frame) for part in opened.snapshot.parts if part.codes is not None}
        assert len(frames) == 1, "a query is turned once for all segments"


def test_codes_are_made_once_and_for_what_has_none(lake: Path) -> None:
    first = with_codes_of(lake)
    assert with_codes_of(lake) == first
    names = files(lake)
    assert len(names) == 3
    merged = compact_lake(lake, max_segments=2, codes=True)
    assert (merged.segments, merged.coded) == (2, sum(s.rows for s in current(lake).segments))
    assert len(set(files(lake)) - set(names)) == 2, "of segments that left their dead rows behind"


def test_small_segments_and_small_lakes_get_none_unless_asked(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compact_lake(lake, max_segments=3).coded == 0
    assert not (lake / "codes").exists()
    monkeypatch.setenv("LAKESIFT_CODES_FROM_ROWS", "2000")
    monkeypatch.setattr("indexer.run.writing.compact.SEGMENT_FROM_ROWS", 600)
    assert compact_lake(lake, max_segments=3).coded == sum(s.rows for s in current(lake).segments)


def test_dropped_codes_leave_a_lake_that_answers(lake: Path) -> None:
    before = found(lake)
    with_codes_of(lake)
    assert compact_lake(lake, max_segments=3, codes=False).coded == 0
    assert (found(lake), coded_rows(lake)) == (before, 0)
    assert len(files(lake)) == 3, "an older snapshot names them"
    vacuum_lake(lake, keep_s=0)
    assert files(lake) == []
    assert found(lake) == before


def test_vacuum_keeps_codes_in_use_and_deletes_what_a_crash_left(lake: Path) -> None:
    with_codes_of(lake)
    names = files(lake)
    (lake / "codes" / "01JUNK.arrow").write_bytes(b"")
    vacuum_lake(lake, keep_s=0)
    assert files(lake) == names
    assert coded_rows(lake) == ROWS


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "other"])
def test_damaged_codes_are_told_left_aside_and_made_anew(lake: Path, damage: str) -> None:
    before = found(lake)
    manifest = with_codes_of(lake)
    assert manifest.segments[0].codes is not None
    path = Layout(lake).codes_file(manifest.segments[0].codes.id)
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes({"cut": data[:-1], "flipped": flipped, "other": b"x" * len(data)}[damage])
    assert found(lake) == before
    assert coded_rows(lake) == ROWS - manifest.segments[0].rows
    with Lake.open(lake) as opened:
        [problem] = opened.problems
    assert problem.startswith(f"{path} is damaged: ")
    assert problem.endswith(
        "; searches are right without it, but slower, and the next `lakesift sync` makes it anew"
    )
    assert compact_lake(lake, max_segments=3, codes=True).problems == [problem]
    assert compact_lake(lake, max_segments=3, codes=True).problems == []
    assert (found(lake), coded_rows(lake)) == (before, sum(s.rows for s in current(lake).segments))


def test_codes_that_a_manifest_vouches_for_but_are_none(lake: Path) -> None:
    """As a stranger's lake may have them."""
    before = found(lake)
    manifest = with_codes_of(lake)
    first = manifest.segments[0]
    assert first.codes is not None
    swapped = replace(first.codes, file=first.files["rows.parquet"])
    rows = lake / "segments" / first.id / "rows.parquet"
    Layout(lake).codes_file(first.codes.id).write_bytes(rows.read_bytes())
    segments = (replace(first, codes=swapped), *manifest.segments[1:])
    publish(Layout(lake), replace(manifest, segments=segments))
    with Lake.open(lake) as opened:
        [problem] = opened.problems
    assert "Arrow cannot read it" in problem
    assert found(lake) == before


def test_a_reader_moves_to_codes_and_away_from_them(lake: Path) -> None:
    before = found(lake)
    with Lake.open(lake) as opened:
        segments = [part.segment for part in opened.snapshot.parts]
        with_codes_of(lake)
        assert opened.reload()
        assert all(part.codes is not None for part in opened.snapshot.parts)
        assert [part.segment for part in opened.snapshot.parts] == segments, "still mapped"
        assert opened.search(vector=QUERIES[0], k=10) == before[0]
        codes = [part.codes for part in opened.snapshot.parts]
        publish(Layout(lake), current(lake))
        assert opened.reload()
        assert [part.codes for part in opened.snapshot.parts] == codes, "not opened twice"
        assert codes[0] is not None
        less = opened.snapshot.without({codes[0].id: "broken", "unknown": "not here"})
        assert [part.codes is None for part in less.parts] == [True, False, False]
        assert less.problems == ["broken"]


def test_a_run_makes_codes_and_a_full_disk_is_a_note(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coding, "SEGMENT_FROM_ROWS", 1)
    layout, report = Layout(lake), SyncReport(str(lake))
    config = IndexConfig(codes_from_rows=ROWS)
    assert with_codes(layout, current(lake), config, report, Silent()) == current(lake)
    config = IndexConfig(codes_from_rows=100)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(coding, "write_codes", full)
        assert with_codes(layout, current(lake), config, report, Silent()) == current(lake)
    assert report.notes == [
        "no codes were made, so that searches are slower (No space left on device); "
        "the next `lakesift sync` tries again"
    ]
    assert list((lake / "staging").iterdir()) == []
    with_codes(layout, current(lake), config, report, Silent())
    assert coded_rows(lake) == ROWS
    assert len(report.notes) == 1


def test_vectors_that_are_no_numbers_get_no_codes(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexer.disk.stored_vectors import StoredVectors

    monkeypatch.setattr(StoredVectors, "are_finite", False)
    assert with_codes_of(lake).segments[0].codes is None
    assert files(lake) == []


def test_the_command_makes_tells_and_drops_them(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compact", str(lake), "--codes"]) == 0
    assert "2,571 images, 2,571 rows with codes" in capsys.readouterr().err
    assert main(["info", str(lake)]) == 0
    assert "with codes    2,571" in capsys.readouterr().out
    assert main(["compact", str(lake), "--no-codes", "--json"]) == 0
    assert '"coded": 0' in capsys.readouterr().out
