"""Tables in a bucket, against a real S3 server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ColourEmbedder
from tests.indexer.catalogue.tables import KINDS, Made, image, rows
from tests.indexer.catalogue.test_tables import by_number, ids, refuse_to_open, shown
from tests.lakes import RED, Desk, live_rows, png

Bucket = tuple[str, Any]


def upload(made: Made, fs: Any, where: str) -> None:
    """The bucket's copy of a table becomes what lies on disk."""
    if fs.exists(where):
        fs.rm(where, recursive=True)
    for path in made.folder.rglob("*"):
        if path.is_file():
            fs.put_file(str(path), f"{where}/{path.relative_to(made.folder)}")


@pytest.mark.parametrize("kind", KINDS)
def test_tables_beside_photos_in_a_bucket(
    tmp_path: Path, bucket: Bucket, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, fs = bucket
    desk, made = Desk(tmp_path, ColourEmbedder()), KINDS[kind](tmp_path / "made" / "t")
    made.folder.parent.mkdir()
    made.append(rows(range(3)))
    made.append(rows(range(3, 5)))
    where = f"{name}/x/a.t"
    upload(made, fs, where)
    fs.pipe(f"{name}/x/red.png", png(RED))
    report = desk.index(f"s3://{name}/x")
    assert (report.new, report.skipped, report.problems) == (6, 0, [])
    tabled = [row for row in live_rows(desk.lake).values() if row["member"]]
    assert {row["uri"].startswith(f"s3://{where}/") for row in tabled} == {True}
    with monkeypatch.context() as patched:
        refuse_to_open(patched)
        report = desk.idle_sync()
        assert (report.unchanged, report.gone, report.problems) == (6, 0, [])
    before = ids(desk)
    made.delete("n = 4")
    made.compact()
    made.append(rows([5]))
    upload(made, fs, where)
    report = desk.sync()
    assert (report.new, report.moved, report.gone, report.problems) == (1, 4, 1, [])
    assert {n: i for n, i in ids(desk).items() if n != 5} == {
        n: i for n, i in before.items() if n != 4
    }
    assert by_number(desk)[5]["side"] == "odd"
    del_photo = {n: data for n, data in shown(desk).items() if n is not None}
    assert del_photo == {n: image(n) for n in (0, 1, 2, 3, 5)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_of_its_own_whose_log_is_lost_deletes_nothing(
    tmp_path: Path, bucket: Bucket, kind: str
) -> None:
    name, fs = bucket
    desk, made = Desk(tmp_path, ColourEmbedder()), KINDS[kind](tmp_path / "made" / "t")
    made.folder.parent.mkdir()
    made.append(rows(range(3)))
    upload(made, fs, f"{name}/t")
    assert desk.index(f"s3://{name}/t/").new == 3
    made.break_log()
    upload(made, fs, f"{name}/t")
    report = desk.idle_sync()
    assert (report.gone, len(live_rows(desk.lake)), len(report.problems)) == (0, 3, 1)
