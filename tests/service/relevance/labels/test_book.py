from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from indexer.disk.chain import mark_of
from indexer.disk.filter_checks import LabelsMark
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.errors import BadRequest, CannotUndo, LakeDamaged, LakeError
from service.relevance.decisions.store import FilterStore
from service.relevance.labels import book as book_module
from service.relevance.labels.agreement import Agreement
from service.relevance.labels.book import (
    UNNAMED,
    Answer,
    LabelBook,
    NewLabel,
    Record,
    labels_used,
)
from tests.lakes import RED, Desk
from tests.service.relevance.definitions import definition

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

REPOSITORY = Path(__file__).parents[4]
LABELLER = """
import sys, time
from pathlib import Path
from service.relevance.labels.book import LabelBook, NewLabel
folder, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
book = LabelBook(folder)
print("ready", flush=True)
sys.stdin.readline()
for row_id in range(1, count + 1):
    book.add([NewLabel(row_id, "yes", who), NewLabel(row_id + count, "no", who)])
    print(row_id, flush=True)
"""


@pytest.fixture
def book(tmp_path: Path) -> LabelBook:
    return LabelBook(tmp_path)


def yes(row_id: int, labeller: str = "ann") -> NewLabel:
    return NewLabel(row_id, "yes", labeller)


def no(row_id: int, labeller: str = "ann") -> NewLabel:
    return NewLabel(row_id, "no", labeller)


def said(book: LabelBook) -> dict[int, str]:
    return {row_id: answer.label for row_id, answer in book.answers().items()}


def start(folder: Path, who: str, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LABELLER, str(folder), who, str(count)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_answers_without_a_name_are_one_persons_and_it_is_known_where_they_differ(
    book: LabelBook,
) -> None:
    nobody = "unnamed"
    book.add([yes(1, nobody), yes(2, nobody), yes(3, nobody), yes(4), no(5, nobody)])
    book.add([no(1, nobody), yes(2, nobody), NewLabel(3, "skip", nobody), no(4)])
    # The last one counts; who thinks anew makes no conflict, and ann has a name.
    assert said(book) == {1: "no", 2: "yes", 3: "skip", 4: "no", 5: "no"}
    assert [row for row, each in book.answers().items() if each.unnamed_differ] == [1]
    assert Agreement.of(book.answers(), {}).unnamed_differ == 1
    book.undo(1, nobody)
    assert Agreement.of(book.answers(), {}).unnamed_differ == 0
    # What settles is said in sight of the others' answers.
    book.add([no(1), NewLabel(1, "no", nobody, "settle")])
    assert Agreement.of(book.answers(), {}).unnamed_differ == 0


def test_a_line_is_this(book: LabelBook) -> None:
    book.add([NewLabel(12, "yes", "ann", "audit"), NewLabel(3, "skip")])
    assert book.undo(row_id=12) == book.records()[0]
    lines = book.path.read_text().splitlines()
    at = [json.loads(line)["at"] for line in lines]
    assert all(datetime.fromisoformat(time).utcoffset() is not None for time in at)
    first = (
        '{"seq": 1, "row_id": 12, "label": "yes", "labeller": "ann", "at": "%s", "purpose": "audit"'
    )
    second = '{"seq": 2, "row_id": 3, "label": "skip", "labeller": "unnamed", "at": "%s", "purpose": "teach"'
    third = '{"seq": 3, "row_id": 12, "label": "yes", "labeller": "ann", "at": "%s", "purpose": "audit", "undo": 1'
    assert [line[: line.index(', "chain"')] for line in lines] == [
        line % time for line, time in zip((first, second, third), at, strict=True)
    ]


def test_the_chain_is_worked_out_so(book: LabelBook) -> None:
    """Each head is of the head before it and of the line without its chain."""
    at = "2026-03-01T12:00:00.000+01:00"
    records = [
        Record(1, 12, "yes", "ann", at, "teach"),
        Record(2, 3, "no", "ünal", at, "teach"),
        Record(4, 12, "yes", "ann", at, "teach", undo=1),
    ]
    book.receive(records)
    one = f'{{"seq": 1, "row_id": 12, "label": "yes", "labeller": "ann", "at": "{at}", "purpose": "teach"'
    two = f'{{"seq": 2, "row_id": 3, "label": "no", "labeller": "ünal", "at": "{at}", "purpose": "teach"'
    three = f'{{"seq": 4, "row_id": 12, "label": "yes", "labeller": "ann", "at": "{at}", "purpose": "teach", "undo": 1'
    head, lines = "e3b0c44298fc1c149afbf4c8996fb924", []  # of no bytes at all
    for line in (one, two, three):
        head = hashlib.sha256(f"{head}{line}}}".encode()).hexdigest()[:32]
        lines.append(f'{line}, "chain": "{head}"}}\n')
    assert book.path.read_text() == "".join(lines)
    # Worked out with sha256sum: so it is on every machine, and in every version.
    assert head == "aa67ad82fccba9bea6ce13b4c2b8adca"
    assert book.settled() == mark_of(record.to_line() for record in records) == LabelsMark(3, head)
    assert LabelBook(book.folder).records() == records


def test_a_book_that_nobody_wrote_is_empty_and_stays_no_file(book: LabelBook) -> None:
    assert book.answers() == {}
    assert book.undo() is None
    assert book.add([]) == []
    assert list(book.folder.iterdir()) == []


def test_only_rows_that_nobody_else_has_answered(book: LabelBook) -> None:
    book.add([yes(1, "ben"), yes(2), NewLabel(4, "skip", "ben"), yes(5, "ben")])
    book.undo(row_id=5)
    saved = book.add([no(1), no(2), no(3), no(4), no(5)], only_open=True)
    assert [record.row_id for record in saved] == [2, 3, 5]  # 2 is one's own, 5 was taken back
    assert said(book) == {1: "yes", 2: "no", 3: "no", 4: "skip", 5: "no"}
    assert book.add([no(1)], only_open=True) == []
    # Who says no name may be anybody.
    assert book.add([NewLabel(6, "yes")], only_open=True)[0].labeller == "unnamed"
    assert book.add([NewLabel(6, "no")], only_open=True) == []


def settle(row_id: int, label: str, labeller: str = "cem") -> NewLabel:
    return NewLabel(row_id, label, labeller, "settle")


def test_what_settles_a_conflict_counts_until_it_is_taken_back(book: LabelBook) -> None:
    book.add([yes(1, "ann"), no(1, "ben"), yes(2, "ann"), yes(2, "ben")])
    assert said(book) == {1: "conflict", 2: "yes"}
    # There is nothing to settle where people agree, or where nobody answered.
    first = [settle(1, "no"), settle(2, "no"), settle(3, "no")]
    assert [record.row_id for record in book.add(first, only_disputed=True)] == [1]
    found = book.answers()[1]
    assert (found.label, found.settled) == ("no", "cem")
    assert found.labellers == {"ann": "yes", "ben": "no"}  # cem had seen theirs
    book.add([yes(1, "ben"), yes(1, "dora")])
    assert said(book)[1] == "no"
    assert LabelBook(book.folder).answers() == book.answers()
    # Another one may decide anew, one of the two as well.
    assert len(book.add([settle(1, "yes", "ann")], only_disputed=True)) == 1
    assert (book.answers()[1].label, book.answers()[1].settled) == ("yes", "ann")
    book.undo(1, "ann")  # the last she said of it
    assert (book.answers()[1].label, book.answers()[1].settled) == ("no", "cem")
    book.undo(1, "cem")
    assert (book.answers()[1].label, book.answers()[1].settled) == ("yes", None)


def test_a_skip_settles_nothing(book: LabelBook) -> None:
    with pytest.raises(BadRequest, match="a skip settles nothing: say yes or no"):
        settle(1, "skip")


def test_a_labeller_s_last_labels_of_some_rows_are_taken_back_at_once(book: LabelBook) -> None:
    assert book.undo_all([1], "ann") == []
    book.add([yes(1), no(2), yes(3, "ben"), yes(2), yes(4)])
    taken = book.undo_all([4, 2, 3, 2, 9], "ann")
    assert [(record.row_id, record.label) for record in taken] == [(4, "yes"), (2, "yes")]
    assert said(book) == {1: "yes", 2: "no", 3: "yes"}  # what was said of 2 before counts again
    assert [record.undo for record in book.records()[5:]] == [5, 4]
    assert LabelBook(book.folder).answers() == book.answers()


def test_the_latest_label_of_a_labeller_counts(book: LabelBook) -> None:
    book.add([NewLabel(1, "yes", "ann", "audit"), no(1)])
    answer = book.answers()[1]
    assert (answer.label, answer.labellers, answer.purpose, answer.seq) == (
        "no",
        {"ann": "no"},
        "audit",
        2,
    )


def test_labellers_who_differ_are_a_conflict_and_a_skip_stands_back(book: LabelBook) -> None:
    book.add([yes(1, "ann"), no(1, "bob"), yes(2, "ann"), NewLabel(2, "skip", "bob")])
    book.add(
        [
            NewLabel(3, "skip", "ann"),
            NewLabel(4, "skip", "ann"),
            no(4, "bob"),
            yes(5, "ann"),
            yes(5, "bob"),
        ]
    )
    assert said(book) == {1: "conflict", 2: "yes", 3: "skip", 4: "no", 5: "yes"}
    book.add([yes(1, "bob")])
    assert said(book)[1] == "yes"


def test_undo_takes_back_the_last_one_in_force(book: LabelBook) -> None:
    book.add([yes(1, "ann"), no(1, "ann"), yes(2, "bob"), no(3, "ann")])

    def undone(row_id: int | None = None, labeller: str | None = None) -> int | None:
        record = book.undo(row_id, labeller)
        return None if record is None else record.seq

    assert undone(labeller="bob") == 3
    assert undone(labeller="bob") is None
    assert undone(row_id=1) == 2
    assert said(book) == {1: "yes", 3: "no"}, "what ann said before counts again"
    assert undone(row_id=1, labeller="bob") is None
    assert undone() == 4
    assert undone() == 1
    assert undone() is None
    assert said(book) == {}
    assert [(record.seq, record.undo) for record in book.records() if record.row_id == 1] == [
        (1, None),
        (2, None),
        (6, 2),
        (8, 1),
    ]
    assert said(LabelBook(book.folder)) == {}, "and another reader sees it so"
    book.add([yes(1)])
    assert said(book) == {1: "yes"}


def test_the_digest_is_of_the_answers_by_row(book: LabelBook) -> None:
    book.add([no(10), yes(2), yes(2, "bob"), no(3, "bob"), yes(3), NewLabel(4, "skip")])
    used = labels_used(book.answers())
    assert (used.count, used.yes, used.no, used.skipped) == (4, 1, 1, 1)
    assert used.sha256 == hashlib.sha256(b"2\tyes\n3\tconflict\n4\tskip\n10\tno\n").hexdigest()
    book.add([yes(2)])  # the same again
    assert labels_used(book.answers()) == used


def test_two_processes_label_at_once_and_lose_nothing(tmp_path: Path) -> None:
    processes = [start(tmp_path, who, 150) for who in ("ann", "bob")]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    records = LabelBook(tmp_path).records()
    assert [record.seq for record in records] == list(range(1, 601))
    for who in ("ann", "bob"):
        mine = [(record.row_id, record.label) for record in records if record.labeller == who]
        assert mine == [pair for i in range(1, 151) for pair in ((i, "yes"), (i + 150, "no"))]
    owners = [record.labeller for record in records]
    assert any(a != b for a, b in zip(owners[:500], owners[2:], strict=False)), (
        "they did take turns"
    )


def test_threads_of_one_book_and_of_two_lose_nothing(tmp_path: Path) -> None:
    shared = LabelBook(tmp_path)

    def label(book: LabelBook, who: str) -> None:
        for row_id in range(1, 41):
            book.add([yes(row_id, who)])

    books = [shared, shared, LabelBook(tmp_path)]
    threads = [threading.Thread(target=label, args=(book, f"t{n}")) for n, book in enumerate(books)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [record.seq for record in shared.records()] == list(range(1, 121))
    assert {row: sorted(answer.labellers) for row, answer in shared.answers().items()} == {
        row: ["t0", "t1", "t2"] for row in range(1, 41)
    }


def test_a_killed_labeller_loses_nothing_it_was_told_is_saved(tmp_path: Path) -> None:
    process = start(tmp_path, "ann", 100_000)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    saved = 20 + len([line for line in process.stdout.read().split("\n")[:-1] if line])
    process.wait()
    process.stdin.close()
    process.stdout.close()
    book = LabelBook(tmp_path)
    assert len(book.records()) >= 2 * saved
    (record,) = book.add([yes(7, "bob")])
    assert [r.seq for r in LabelBook(tmp_path).records()] == list(range(1, record.seq + 1))


def test_half_a_line_left_by_a_crash_costs_only_itself(book: LabelBook) -> None:
    book.add([yes(1), no(2)])
    whole = book.path.read_bytes()
    book.add([yes(3, "ünal")])
    longer = book.path.read_bytes()
    for length in range(len(whole), len(longer)):  # every instant at which the crash may have come
        book.path.write_bytes(longer[:length])
        assert said(LabelBook(book.folder)) == {1: "yes", 2: "no"}
        assert book.path.read_bytes() == longer[:length], "readers change nothing"
    (record,) = LabelBook(book.folder).add([no(4)])
    assert record.seq == 3
    assert book.path.read_bytes().startswith(whole + record.to_line()[:-1])
    assert said(book) == {1: "yes", 2: "no", 4: "no"}, "and a book that had read more begins again"


def without_chain(book: LabelBook) -> None:
    """The lines as older versions wrote them."""
    lines = [record.to_line() + b"\n" for record in book.records()]
    book.path.write_bytes(b"".join(lines))


def test_a_line_that_is_no_label_is_named(book: LabelBook) -> None:
    book.add([yes(1), no(2), yes(3)])
    without_chain(book)
    first, second, third = book.path.read_bytes().splitlines(keepends=True)
    for broken, reason in (
        (b"\n", "Expecting value"),
        (b"7\n", "it is not a JSON object"),
        (second.replace(b'"no"', b'"perhaps"'), "label 'perhaps' or purpose 'teach' is unknown"),
        (second.replace(b'"seq": 2', b'"seq": 1'), "seq 1 comes after 1"),
        (second.replace(b'"row_id": 2', b'"row_id": 0'), "row_id is not a whole number from 1"),
        (second.replace(b"}", b', "more": 1}'), "it has the unknown field more"),
    ):
        book.path.write_bytes(first + broken + third)
        for reader in (LabelBook(book.folder), book):
            with pytest.raises(LakeDamaged) as damage:
                reader.answers()
            assert str(damage.value).startswith(
                f"{book.path} is damaged: line 2 is not a label ({reason}"
            )
        with pytest.raises(LakeDamaged):
            book.add([yes(4)])
        assert book.path.read_bytes() == first + broken + third, (
            "what cannot be read is not written over"
        )
    book.path.write_bytes(first + third)  # as the sentence says: the line taken out
    assert said(book) == {1: "yes", 3: "yes"}


def test_a_changed_moved_or_missing_line_is_noticed(book: LabelBook) -> None:
    book.add([yes(1), no(2), yes(3), no(4)])
    one, two, three, four = book.path.read_bytes().splitlines(keepends=True)
    other = LabelBook(book.folder / "other")
    other.folder.mkdir()
    other.add([yes(1), no(2)])
    theirs = other.path.read_bytes().splitlines(keepends=True)
    next_one = (
        "is not the one that comes next: it, or a line before it, was changed, taken out or moved"
    )
    for lines, number, reason in (
        ([two, three, four], 1, next_one),
        ([one, three, four], 2, next_one),
        ([one, two.replace(b'"no"', b'"yes"'), three, four], 2, next_one),
        ([one, three, two, four], 2, next_one),
        ([one, two, two, three, four], 3, next_one),
        ([one, theirs[1], three, four], 2, next_one),
        ([one, two, LINE, four], 3, "has no chain, and the line before it has"),
    ):
        book.path.write_bytes(b"".join(lines))
        for reader in (LabelBook(book.folder), book):
            for read in (reader.answers, reader.records, lambda: book.add([yes(9)]), book.undo):
                with pytest.raises(LakeDamaged) as damage:
                    read()
                assert str(damage.value) == (
                    f"{book.path} is damaged: line {number} {reason}; put it back from a backup, or keep what "
                    f"can be read: lakesift filter mend {book.folder.parent.parent} {book.folder.name}"
                )
        assert book.path.read_bytes() == b"".join(lines)
    book.path.write_bytes(one + two + three + four)  # as the sentence says
    assert said(book) == {1: "yes", 2: "no", 3: "yes", 4: "no"}


LINE = b'{"seq": 3, "row_id": 3, "label": "yes", "labeller": "ann", "at": "", "purpose": "teach"}\n'


def test_lines_of_older_versions_are_held_by_the_next_one(book: LabelBook) -> None:
    book.add([yes(1), no(2)])
    without_chain(book)
    older = book.path.read_bytes()
    assert said(LabelBook(book.folder)) == {1: "yes", 2: "no"}
    assert book.settled() == LabelsMark(2, hashlib.sha256(older).hexdigest()[:32])
    book.add([yes(3)])
    line = book.path.read_bytes()[len(older) :]
    (record,) = book.records()[2:]
    head = hashlib.sha256(hashlib.sha256(older).hexdigest()[:32].encode() + record.to_line())
    assert line == record.to_line()[:-1] + b', "chain": "%s"}\n' % head.hexdigest()[:32].encode()
    book.path.write_bytes(older.replace(b'"no"', b'"yes"') + line)
    with pytest.raises(LakeDamaged, match="line 3 is not the one that comes next"):
        LabelBook(book.folder).answers()


def test_no_flipped_bit_of_a_book_gives_another_answer(book: LabelBook) -> None:
    book.add([yes(1), no(2, "ünal"), NewLabel(3, "skip"), no(4)])
    book.undo(row_id=2)
    whole, answers, records = book.path.read_bytes(), book.answers(), book.records()
    draw = random.Random(13)
    places = [(at, draw.randrange(8)) for at in range(len(whole))]
    # The line feeds with each of their bits: a reader must not take what they end for half a line.
    places += [(at, bit) for at, byte in enumerate(whole) if byte == 10 for bit in range(8)]
    for at, bit in places:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << bit
        book.path.write_bytes(flipped)
        with pytest.raises(LakeDamaged, match=r"labels\.jsonl is damaged: line \d "):
            LabelBook(book.folder).answers()
    book.path.write_bytes(whole)
    assert (book.answers(), book.records()) == (answers, records)


def test_what_versions_say_was_there_must_be(tmp_path: Path) -> None:
    store = FilterStore(Layout(tmp_path))
    store.add(definition())
    book = store.labels("hospital")
    book.add([yes(1), no(2)])
    store.add(definition(version=2))
    book.add([yes(3)])
    lines = book.path.read_bytes().splitlines(keepends=True)
    other = LabelBook(tmp_path)
    other.add([yes(1), yes(2)])
    for left, reason in (
        (None, "it is missing, and version 2 was made with 2 of them"),
        (b"", "it has 0 lines, and version 2 was made with 2 of them"),
        (lines[0], "it has 1 line, and version 2 was made with 2 of them"),
        (lines[0] + lines[1][:-1], "it has 1 line, and version 2 was made with 2 of them"),
        (other.path.read_bytes(), "line 2 is not the one that version 2 was made with"),
    ):
        book.path.unlink(missing_ok=True)
        if left is not None:
            book.path.write_bytes(left)
        for reader in (store.labels("hospital"), book):
            for read in (reader.answers, reader.undo, lambda: book.add([yes(9)])):
                with pytest.raises(LakeDamaged) as damage:
                    read()
                assert str(damage.value) == (
                    f"{book.path} is damaged: {reason}; put it back from a backup, or keep what can be read: "
                    f"lakesift filter mend {tmp_path} hospital"
                )
        assert (book.path.read_bytes() if book.path.exists() else None) == left
    book.path.write_bytes(b"".join(lines[:2]))  # what came after version 2 is nobody's word
    assert said(book) == {1: "yes", 2: "no"}


def test_versions_made_while_others_label_count_no_line_that_is_not_there(tmp_path: Path) -> None:
    store = FilterStore(Layout(tmp_path))
    store.add(definition())
    long_open = store.labels("hospital")
    processes = [start(long_open.folder, who, 60) for who in ("ann", "bob")]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    version = 1
    while any(process.poll() is None for process in processes):
        version += 1
        store.add(definition(version=version))
        for book in (long_open, store.labels("hospital")):
            checks = store.read("hospital").checks
            counted = 0 if checks is None or checks.labels is None else checks.labels.lines
            assert len(book.records()) >= counted
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    store.add(definition(version=version + 1))
    checks = store.read("hospital").checks
    assert checks is not None and checks.labels == long_open.settled()
    assert checks.labels is not None and checks.labels.lines == 240


def test_a_row_of_many_labels_costs_each_of_them_once(
    book: LabelBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line by another labeller, and one in ten taken back: never all of a row's for each."""
    looked_at = 0
    plain = book_module._answer

    def counted(records: Sequence[Record]) -> Answer:
        nonlocal looked_at
        looked_at += len(records)
        return plain(records)

    monkeypatch.setattr(book_module, "_answer", counted)
    at, count = "2026-03-01T12:00:00.000+01:00", 20_000
    records = [Record(n, 7, "yes", f"p{n}", at, "teach") for n in range(1, count + 1)]
    records += [
        replace(record, seq=count + n, undo=record.seq) for n, record in enumerate(records[::10], 1)
    ]
    book.receive(records)
    for reader in (book, LabelBook(book.folder)):
        looked_at = 0
        answer = reader.answers()[7]
        assert (answer.label, len(answer.labellers), answer.seq) == ("yes", 18_000, count)
        assert looked_at == 18_000
        assert reader.answers() == {7: answer}
        assert looked_at == 18_000


def test_a_book_reads_on_where_another_wrote(book: LabelBook) -> None:
    other = LabelBook(book.folder)
    for row_id in range(1, 4):
        other.add([yes(row_id)])
        assert said(book) == dict.fromkeys(range(1, row_id + 1), "yes")
    book.add([no(1)])
    assert said(other)[1] == "no"
    book.path.rename(book.folder / "gone")
    assert said(book) == {}
    other.add([no(9)])
    assert said(book) == {9: "no"}


def test_lines_that_a_full_disk_took_back_are_forgotten(book: LabelBook) -> None:
    """A reader may meet whole lines of a batch that its writer
    then takes back, and that another's replace.
    """
    book.add([yes(1)])
    kept = book.path.read_bytes()
    book.add([yes(2)])
    reader = LabelBook(book.folder)
    assert said(reader) == {1: "yes", 2: "yes"}
    os.truncate(book.path, len(kept))
    LabelBook(book.folder).add([no(3), no(4)])
    assert said(reader) == {1: "yes", 3: "no", 4: "no"}


@pytest.mark.skipif(resource is None, reason="this system limits no file sizes")
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half(book: LabelBook) -> None:
    book.add([yes(1)])
    before = book.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (len(before) + 150, hard)
    )  # a write stops half-way, as on a full disk
    try:
        with pytest.raises(LakeError) as full:
            book.add([yes(row_id) for row_id in range(2, 9)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reason = "(File too large); no label was saved: see to it and try again"
    assert str(full.value) == f"{book.path} cannot be written {reason}"
    assert book.path.read_bytes() == before
    assert said(book) == {1: "yes"}
    assert book.add([no(2)])[0].seq == 2


def test_labelling_goes_on_while_a_sync_holds_the_lake(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    desk.index()
    folder = desk.lake / "filters" / "hospital"
    folder.mkdir(parents=True)
    with writer(Layout(desk.lake)):
        began = time.monotonic()
        LabelBook(folder).add([yes(1)])
        assert time.monotonic() - began < 5  # it did not wait for the writer
    assert said(LabelBook(folder)) == {1: "yes"}
    desk.sync()
    assert said(LabelBook(folder)) == {1: "yes"}


def test_a_held_book_can_be_read(book: LabelBook) -> None:
    book.add([yes(1)])
    with LabelBook(book.folder).lock():
        assert said(book) == {1: "yes"}


def test_a_deleted_filter_takes_no_labels(tmp_path: Path) -> None:
    gone = tmp_path / "hospital"
    gone.mkdir()
    book = LabelBook(gone)
    book.add([yes(1)])
    gone.rename(tmp_path / "deleted")
    sentence = f"{gone} is not there any more: the filter was deleted, and the label was not saved"
    with pytest.raises(LakeError) as error:
        book.add([no(1)])
    assert str(error.value) == sentence
    assert not gone.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"row_id": 0}, "row_id: 0 is not a row's number"),
        ({"row_id": 2**53}, "row_id: 9007199254740992 is not a row's number"),
        ({"label": "maybe"}, "label: 'maybe' is none of yes, no, skip"),
        ({"label": "conflict"}, "label: 'conflict' is none of yes, no, skip"),
        ({"purpose": "fun"}, "purpose: 'fun' is none of teach, audit, picked, settle"),
        (
            {"labeller": ""},
            "labeller: '' is not 1 to 64 printable characters, without spaces around them",
        ),
        (
            {"labeller": "a\nb"},
            r"labeller: 'a\nb' is not 1 to 64 printable characters, without spaces around them",
        ),
    ],
)
def test_a_label_out_of_range_is_refused(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadRequest) as error:
        NewLabel(**{"row_id": 1, "label": "yes", **fields})  # type: ignore[arg-type]
    assert str(error.value) == sentence


def next_millisecond() -> None:
    """Acts are told apart by their time."""
    before = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == before:
        pass


def test_undo_of_answers_by_number_takes_back_those_or_none(book: LabelBook) -> None:
    def refusal(*seqs: int, labeller: str | None = None) -> str:
        before = book.records()
        with pytest.raises(CannotUndo) as told:
            book.undo_answers(seqs, labeller)
        assert book.records() == before
        return str(told.value)

    assert refusal(1) == "seqs: there is no answer 1"
    assert not book.path.exists()
    # Two people who say no name: 1 and 2 are one's, 3 and 4 the other's.
    book.add([yes(1, UNNAMED), yes(2, UNNAMED)])
    book.add([no(1, UNNAMED), yes(3, UNNAMED)])
    assert refusal(2, 1) == (
        "seqs: answer 1 is not the last of row 1: unnamed said no since, in answer 3; take that "
        "back first, or answer the row anew"
    )
    assert [record.row_id for record in book.undo_answers([2])] == [2]
    assert said(book) == {1: "no", 3: "yes"}
    assert refusal(2) == "seqs: answer 2 was taken back already"
    assert refusal(5) == "seqs: there is no answer 5", "it is the undo's own line"
    assert refusal(99) == "seqs: there is no answer 99"
    assert refusal(4, labeller="ann") == "seqs: answer 4 is of unnamed, who alone takes it back"
    # Another's answer to the row is no hindrance, and both of one person may go at once.
    book.add([yes(1, "ann")])
    assert [record.seq for record in book.undo_answers([3, 1, 3], UNNAMED)] == [1, 3]
    assert said(book) == {1: "yes", 3: "yes"}
    assert [record.undo for record in book.records()] == [None] * 4 + [2, None, 1, 3]


def test_undo_of_an_act_takes_back_what_was_said_at_once(book: LabelBook) -> None:
    book.add([NewLabel(1, "yes", "ann")])
    next_millisecond()
    book.add([NewLabel(2, "yes", "ann"), NewLabel(3, "no", "ann"), NewLabel(1, "no", "ann")])
    book.add([NewLabel(7, "yes", "bob")])
    book.undo(3, "ann")  # one of it is taken back already
    taken = book.undo_act("ann")
    assert [(record.row_id, record.label) for record in taken] == [(2, "yes"), (1, "no")]
    # What was said of the row before counts again; others' answers stay.
    assert {row: answer.label for row, answer in book.answers().items()} == {1: "yes", 7: "yes"}
    assert [record.row_id for record in book.undo_act()] == [7]
    assert [record.row_id for record in book.undo_act("ann")] == [1]
    assert book.undo_act("ann") == []
    assert book.answers() == {}


def test_of_an_import_the_last_label_alone_is_taken_back(book: LabelBook) -> None:
    book.add([NewLabel(row, "yes", "ann") for row in range(1, 102)])
    assert [record.row_id for record in book.undo_act("ann")] == [101]
    assert len(book.answers()) == 100
    # What is left of it is as many as a person may answer in one go.
    assert len(book.undo_act("ann")) == 100
