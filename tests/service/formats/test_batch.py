"""What is written of columns is what is written of one item after the other."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from service.formats.batch import Batch
from service.formats.exporting import export
from service.formats.format_list import FORMATS
from service.formats.item import Item
from tests.service.formats.batches import ROWS, SCHEMA, Given
from tests.service.formats.test_exporting import contents
from tests.service.formats.things import HANDOVER, names

BY_NAME = [name for name, form in FORMATS.items() if form.writes and not form.copies]


def bytes_of(one: Item) -> bytes:
    return b"image %d" % one.row_id


@pytest.mark.parametrize("root", [None, "/photos/", "s3://shop"])
@pytest.mark.parametrize("chunk", [None, 4])
@pytest.mark.parametrize("format", BY_NAME)
def test_columns_make_the_same_bytes_as_items(
    tmp_path: Path, format: str, chunk: int | None, root: str | None
) -> None:
    given, reports = Given(), []
    for way, items in (("one", list(given)), ("many", given)):
        (tmp_path / way).mkdir()
        out = tmp_path / way / "kept"
        report = export(items, HANDOVER, format, out, chunk, root=root, schema=SCHEMA)
        reports.append((report.items, report.skipped, len(report.files)))
    assert reports[0] == reports[1]
    assert names(tmp_path / "one") == names(tmp_path / "many")
    if format != "parquet":
        assert contents(tmp_path / "one") == contents(tmp_path / "many")
        return
    for name in names(tmp_path / "one"):
        one, many = (pq.ParquetFile(tmp_path / way / name) for way in ("one", "many"))
        assert one.schema_arrow.equals(many.schema_arrow, check_metadata=True)
        # NaN equals nothing
        assert str(one.read().to_pylist()) == str(many.read().to_pylist())
        assert one.metadata.num_row_groups == many.metadata.num_row_groups


def test_raw_cells_are_the_same_too(tmp_path: Path) -> None:
    given = Given()
    for way, items in (("one", list(given)), ("many", given)):
        export(items, HANDOVER, "csv", tmp_path / way, schema=SCHEMA, raw_cells=True)
    one = (tmp_path / "one").read_bytes()
    assert one == (tmp_path / "many").read_bytes()
    assert b",=1+1," in one


def test_a_line_of_each_kind_of_row_by_hand(tmp_path: Path) -> None:
    report = export(Given(), HANDOVER, "txt", tmp_path / "kept.txt", schema=SCHEMA)
    lines = (tmp_path / "kept.txt").read_bytes().split(b"\n")
    assert lines == [
        b"/photos/1.jpg",
        b"s3://shop/2.jpg",
        b"/photos/a.tar#member=x/3.jpg",
        b"/photos/4 \xff.jpg",
        "/photos/ü #6.jpg".encode(),
        b"/photos/7.jpg",
        b"/t.parquet#row=2/5",
        b"/v.mp4#stream=video&t=61.000042",
        b"/photos/a.tar#bytes=10+20",
        b"s3://shop/a.tar#member=11.jpg",
        b"/photos/12.jpg#xywh=1,2,3,4",
        b"/elsewhere/13.jpg",
        b"/photos/14.jpg",
        b"/r.mcap#stream=/cam&t=0.000005",
        b"/photos/16.jpg",
        b'/photos/a&b<c>.x/"17".tar.png',
        b"/photos/.18",
        b"/photos/19\x01'\t.jpg",
        b"http://shop/..20",
        b"",
    ]
    assert [uri for uri, _ in report.skipped] == ["/photos/a\nb.jpg"]


def test_chunks_part_batches_where_they_end(tmp_path: Path) -> None:
    plain = [row for row in ROWS if "\n" not in row["uri"]][:7]
    export(Given(plain, 5), HANDOVER, "txt", tmp_path / "kept.txt", 3, schema=SCHEMA)
    counts = [len((tmp_path / name).read_bytes().splitlines()) for name in names(tmp_path)]
    assert counts == [3, 3, 1]


def test_a_second_run_passes_over_whole_chunks_of_columns(tmp_path: Path) -> None:
    for already in (0, 7):
        report = export(Given(), HANDOVER, "csv", tmp_path / "kept.csv", 3, schema=SCHEMA)
        assert (report.items, report.already) == (len(ROWS), already)


class Counted(Given):
    """Knows how many of its batches were held by others at once."""

    most = 0

    def batches(self, names: Sequence[str] | None) -> Iterator[Batch]:
        given: list[weakref.ref[Batch]] = []
        for batch in super().batches(names):
            given.append(weakref.ref(batch))
            yield batch
            del batch
            self.most = max(self.most, sum(each() is not None for each in given))


@pytest.mark.parametrize("format", BY_NAME)
def test_no_more_than_two_batches_are_held_at_once(tmp_path: Path, format: str) -> None:
    counted = Counted(batch_rows=1)
    export(counted, HANDOVER, format, tmp_path / "kept", schema=SCHEMA)
    assert 1 <= counted.most <= 2
