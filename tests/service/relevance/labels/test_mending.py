from __future__ import annotations

import random
from pathlib import Path

import pytest

from indexer.disk.layout import Layout
from indexer.errors import LakeDamaged
from service.relevance.decisions.store import FilterStore
from service.relevance.labels.book import LabelBook, NewLabel, Record
from service.relevance.labels.mending import believed
from tests.service.relevance.definitions import as_older_versions_wrote, definition

AT = "2026-03-01T12:00:00.000+01:00"


@pytest.fixture
def book(tmp_path: Path) -> LabelBook:
    book = LabelBook(tmp_path)
    book.add([NewLabel(row, "yes" if row % 2 else "no", "ünal") for row in range(1, 7)])
    return book


def lines_of(book: LabelBook) -> list[bytes]:
    return book.path.read_bytes().splitlines(keepends=True)


def test_what_each_damage_costs(book: LabelBook) -> None:
    """Worked out by hand: which of six lines stay."""
    lines = lines_of(book)
    spoilt = lines[2].replace(b'"row_id": 3', b'"row_id": 7')
    head = lines[2][-35:-3]
    other_head = lines[2].replace(head, b"0" * 32)
    cut = lines[2].replace(b'", "chain', b'", "chbin')
    for damaged, kept, lost in (
        (lines, [1, 2, 3, 4, 5, 6], []),
        ([*lines[:2], spoilt, *lines[3:]], [1, 2, 4, 5, 6], [3]),
        # the next line's head tells that the line itself is right
        ([*lines[:2], other_head, *lines[3:]], [1, 2, 3, 4, 5, 6], []),
        ([*lines[:2], cut, *lines[3:]], [1, 2, 4, 5, 6], [3]),
        ([*lines[:2], b"x\n", *lines[3:]], [1, 2, 5, 6], [3, 4]),
        ([*lines[:2], *lines[3:]], [1, 2, 5, 6], [3]),
        ([*lines[:2], lines[3], lines[2], *lines[4:]], [1, 2, 6], [3, 4, 5]),
        ([*lines[:3], lines[2], *lines[3:]], [1, 2, 3, 4, 5, 6], [4]),
        (lines[1:], [3, 4, 5, 6], [1]),
        ([*lines[:5], lines[5][:-1] + b"*"], [1, 2, 3, 4, 5, 6], []),
        ([*lines[:5], lines[5][:-9]], [1, 2, 3, 4, 5], []),
        ([*lines[:5], lines[5][:-1]], [1, 2, 3, 4, 5, 6], []),
        ([b"\xef\xbb\xbf", *lines], [1, 2, 3, 4, 5, 6], []),
        ([line[:-1] + b"\r\n" for line in lines], [1, 2, 3, 4, 5, 6], []),
        ([*lines[:5], other_head], [1, 2, 3, 4, 5], [6]),
        ([], [], []),
    ):
        records, numbers = believed(b"".join(damaged))
        assert [record.row_id for record in records] == kept
        assert numbers == lost


def test_a_flipped_bit_costs_two_lines_at_most_and_never_makes_one(book: LabelBook) -> None:
    data, records = book.path.read_bytes(), book.records()
    draw = random.Random(4)
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << draw.randrange(8)
        kept, _ = believed(bytes(flipped))
        assert len(kept) >= 4 and all(record in records for record in kept)


def test_lines_of_older_versions_are_kept(tmp_path: Path) -> None:
    (tmp_path / "hospital").mkdir()
    book = LabelBook(tmp_path / "hospital")
    book.add([NewLabel(row, "yes") for row in (1, 2, 3)])
    as_older_versions_wrote(book.folder)
    LabelBook(book.folder).add([NewLabel(4, "yes"), NewLabel(5, "yes")])
    one, _two, three, four, five = lines_of(book)
    kept, lost = believed(one + b"x\n" + three + four + five)
    # what the older lines were is not known any more, so the first of the chain cannot be checked
    assert ([record.row_id for record in kept], lost) == ([1, 3, 5], [2, 4])


def test_mending_goes_on_with_what_can_be_believed(tmp_path: Path) -> None:
    store = FilterStore(Layout(tmp_path))
    store.add(definition())
    book = store.labels("hospital")
    book.add([NewLabel(row, "yes", "ann") for row in (1, 2, 3, 4)])
    store.add(definition(version=2))
    found = store.mend("hospital")
    assert (found.version, found.lines, found.lost, found.missing) == (2, 4, (), 0)
    assert found.damaged is None and store.versions("hospital") == [1, 2]
    lines = lines_of(book)
    damaged = b"".join([lines[0], lines[1].replace(b'"yes"', b'"no"'), lines[2]])
    book.path.write_bytes(damaged)
    with pytest.raises(LakeDamaged, match="lakesift filter mend"):
        book.answers()
    found = store.mend("hospital")
    assert (found.version, found.lines, found.lost, found.missing) == (3, 2, (2,), 1)
    assert found.damaged is not None and Path(found.damaged).read_bytes() == damaged
    assert {row: each.label for row, each in book.answers().items()} == {1: "yes", 3: "yes"}
    latest = store.read("hospital")
    assert latest.reason == "labels mended: 2 lines lost" and latest.thresholds is None
    assert latest.labels is not None and latest.labels.count == 2
    book.add([NewLabel(2, "no", "ann")])
    assert [record.seq for record in store.labels("hospital").records()] == [1, 3, 4]
    book.path.unlink()
    found = store.mend("hospital")
    assert (found.version, found.lines, found.lost, found.missing) == (4, 0, (), 2)
    assert found.damaged is None and store.labels("hospital").answers() == {}


def test_a_mending_that_was_killed_is_done_again(tmp_path: Path) -> None:
    store = FilterStore(Layout(tmp_path))
    store.add(definition())
    book = store.labels("hospital")
    book.add([NewLabel(row, "yes", "ann") for row in (1, 2)])
    store.add(definition(version=2))
    # the book was written anew, and the version that is held to it was not
    book.path.unlink()
    record = Record(2, 2, "yes", "ann", AT, "teach")
    LabelBook(book.folder, is_held=False).receive([record])
    with pytest.raises(LakeDamaged):
        book.answers()
    assert store.mend("hospital").version == 3
    assert store.labels("hospital").records() == [record]
