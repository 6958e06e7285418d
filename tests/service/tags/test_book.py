"""The log of tags: acts, what follows from them, and whatever may befall the file."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from indexer.arrays import Positions
from indexer.errors import BadCursor, BadRequest, CannotUndo, LakeDamaged, LakeError
from service.tags import book as book_module
from service.tags.book import TagBook
from service.tags.mending import mend
from service.tags.row_sets import MAX_RANGES

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

REPOSITORY = Path(__file__).parents[3]
OURS = (str(REPOSITORY / "service"), str(REPOSITORY / "indexer"))
TAGGER = """
import sys
import numpy as np
from service.tags.book import TagBook
folder, who, count, apart = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
book = TagBook(folder)
print("ready", flush=True)
sys.stdin.readline()
for number in range(1, count + 1):
    book.add(f"{who}{number % 5}", np.arange(number, number + apart * 2, 2), who)
    print(number, flush=True)
"""


@pytest.fixture
def book(tmp_path: Path) -> TagBook:
    return TagBook(tmp_path / "tags")


def ids(*numbers: int) -> Positions:
    return np.array(numbers, np.int64)


def said(book: TagBook) -> dict[str, list[int]]:
    tags = book.tags()
    return {name: tags.rows(name).tolist() for name in tags.names}


def start(folder: Path, who: str, count: int, apart: int = 1) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", TAGGER, str(folder), who, str(count), str(apart)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_a_lake_that_nobody_tagged_has_no_tags_and_gets_no_folder(book: TagBook) -> None:
    assert said(book) == {} and book.undo() is None
    assert not book.folder.exists()


def test_a_line_is_json_with_ranges_of_rows(book: TagBook) -> None:
    act = book.add("Night", ids(7, 3, 5, 4, 3), "ann")
    line = json.loads(book.path.read_bytes())
    chain = line.pop("chain")
    assert len(chain) == 32
    assert line == {
        "seq": 1, "act": "add", "tag": "Night", "rows": 4, "ranges": [[3, 5], [7, 7]],
        "by": "ann", "at": act.at,
    }  # fmt: skip
    assert said(book) == {"Night": [3, 4, 5, 7]}


def test_tags_are_given_taken_and_taken_back(book: TagBook) -> None:
    book.add("night", ids(1, 2, 3))
    book.add("tram", ids(3))
    book.remove("NIGHT", ids(2, 9))
    assert said(book) == {"night": [1, 3], "tram": [3]}
    undone = book.undo()
    assert undone is not None and (undone.seq, undone.tag, undone.is_add) == (3, "night", False)
    assert said(book) == {"night": [1, 2, 3], "tram": [3]}
    assert [act.seq for act in (book.undo(), book.undo()) if act is not None] == [2, 1]
    assert book.undo() is None
    assert said(book) == said(TagBook(book.folder)) == {}


def test_what_rows_were_called_is_known_of_every_act(book: TagBook) -> None:
    book.add("Night", ids(1, 2))
    book.add("tram", ids(2))
    book.undo()
    book.remove("night", ids(1))
    book.add("night", np.arange(1, 2 * MAX_RANGES + 2, 2))

    def then(act: int) -> dict[str, list[int]]:
        tags = book.tags_at(act)
        assert tags.seq == act
        return {name: tags.rows(name).tolist() for name in tags.names}

    assert then(0) == {}
    assert then(1) == {"Night": [1, 2]}
    assert then(2) == {"Night": [1, 2], "tram": [2]}
    assert then(3) == {"Night": [1, 2]}
    assert then(4) == {"Night": [2]}
    assert then(5) == said(book)
    assert then(2) == {"Night": [1, 2], "tram": [2]}
    with pytest.raises(BadCursor, match="not in the lake's log any more; search again"):
        book.tags_at(6)


def test_no_act_is_written_that_a_reader_would_refuse(
    book: TagBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_module, "MAX_ROWS", 3)
    book.add("night", ids(1, 2, 3, 3))
    with pytest.raises(BadRequest, match="they are 4, and one act tags at most 3"):
        book.add("night", ids(1, 2, 3, 4))
    assert said(book) == {"night": [1, 2, 3]}


def test_what_two_acts_gave_stays_when_one_is_taken_back(book: TagBook) -> None:
    book.add("night", ids(1, 2), "ann")
    book.add("night", ids(2, 3), "bob")
    undone = book.undo("ann")
    assert undone is not None and undone.seq == 1
    assert said(book) == {"night": [2, 3]}
    assert book.undo("cem") is None


def test_the_act_that_is_meant_or_none(book: TagBook) -> None:
    def refusal(act: int, by: str | None = None) -> str:
        before = book.acts()
        with pytest.raises(CannotUndo) as told:
            book.undo(by, act)
        assert (told.value.number, book.acts()) == (act, before)
        return str(told.value)

    assert refusal(1) == "act: there is no act 1 that gave or took a tag"
    book.add("night", ids(1), "ann")
    book.remove("night", ids(1), "bob")
    assert refusal(1) == (
        "act: act 1 is not the last: bob took the tag night since, in act 2; take that back first, "
        "or change the tag by a new act"
    )
    assert refusal(2, "ann") == "act: act 2 is of bob, who alone takes it back"
    undone = book.undo(act=2)
    assert undone is not None and undone.seq == 2
    assert refusal(2) == "act: act 2 was taken back already"
    assert refusal(3) == "act: there is no act 3 that gave or took a tag"
    undone = book.undo("ann", 1)
    assert undone is not None and said(book) == {}
    assert refusal(1) == "act: act 1 was taken back already"


def test_a_tag_is_called_as_it_was_first(book: TagBook) -> None:
    book.add("Night", ids(1))
    assert book.add("NIGHT", ids(2)).tag == "Night"
    assert said(book) == {"Night": [1, 2]}
    book.undo()
    book.undo()
    book.add("NIGHT", ids(2))
    assert said(book) == {"NIGHT": [2]}


def test_rows_that_lie_apart_lie_in_a_file_beside_the_log(book: TagBook) -> None:
    import pyarrow.parquet as pq

    few, many = np.arange(1, 2 * MAX_RANGES, 2), np.arange(1, 2 * MAX_RANGES + 2, 2)
    assert book.add("few", few).rows is not None
    assert list(book.folder.glob("*.parquet")) == []
    act = book.add("many", many)
    assert act.rows is not None and act.rows.file is not None
    assert pq.read_table(book.folder / act.rows.file)["row_id"].to_pylist() == many.tolist()
    assert said(TagBook(book.folder)) == {"few": few.tolist(), "many": many.tolist()}


def test_a_reader_has_the_same_answer_until_somebody_tags(book: TagBook) -> None:
    book.add("night", ids(1))
    reader = TagBook(book.folder)
    first = reader.tags()
    assert reader.tags() is first
    book.add("night", ids(4))
    assert reader.tags() is not first
    assert (first.rows("night").tolist(), said(reader)) == ([1], {"night": [1, 4]})


def test_a_name_that_is_none_writes_nothing(book: TagBook, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadRequest, match="no name for a tag"):
        book.add("a/b", ids(1))
    with pytest.raises(BadRequest, match="printable"):
        book.add("night", ids(1), "")
    monkeypatch.setattr(book_module, "MAX_TAGS", 1)
    book.add("night", ids(1))
    with pytest.raises(BadRequest, match="the lake has 1 tags, and can have no more"):
        book.add("tram", ids(1))
    book.add("Night", ids(2))
    assert said(book) == {"night": [1, 2]}


def test_two_processes_tag_at_once_and_lose_nothing(tmp_path: Path) -> None:
    processes = [start(tmp_path / "tags", who, 60) for who in ("ann", "bob")]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    book = TagBook(tmp_path / "tags")
    assert [act.seq for act in book.acts()] == list(range(1, 121))
    rows = {f"{who}{k}": list(range(k or 5, 61, 5)) for who in ("ann", "bob") for k in range(5)}
    assert said(book) == rows


def test_threads_of_one_book_lose_nothing(book: TagBook) -> None:
    def work(who: str) -> None:
        for number in range(1, 21):
            book.add(who, ids(number))

    threads = [threading.Thread(target=work, args=(who,)) for who in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said(TagBook(book.folder)) == {who: list(range(1, 21)) for who in "abc"}


def test_a_killed_tagger_loses_nothing_it_was_told_is_saved(tmp_path: Path) -> None:
    process = start(tmp_path / "tags", "ann", 100_000, apart=MAX_RANGES + 1)
    go(process)
    assert process.stdout is not None and process.stdin is not None
    for _ in range(10):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    saved = 10 + len([line for line in process.stdout.read().split("\n")[:-1] if line])
    process.wait()
    process.stdin.close()
    process.stdout.close()
    book = TagBook(tmp_path / "tags")
    acts = book.acts()
    assert len(acts) >= saved
    assert book.add("night", np.arange(1, 2 * MAX_RANGES + 2, 2)).seq == len(acts) + 1
    # what it had not named yet is gone with it
    files = {act.rows.file for act in book.acts() if act.rows is not None}
    assert {path.name for path in book.folder.glob("*.parquet")} == files
    assert sum(map(len, said(book).values())) > 0


def interrupted_at(step: int, work: Callable[[], object]) -> bool:
    """Ctrl-C before the step-th line of ours that the work runs; False: it has fewer."""
    lines = itertools.count(1)

    def look(frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and next(lines) == step:
            raise KeyboardInterrupt
        return look if frame.f_code.co_filename.startswith(OURS) else None

    before = sys.gettrace()
    sys.settrace(look)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


# A file that was just opened is closed by whoever collects it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", ["ranges", "file", "undo"])
def test_ctrl_c_at_any_line_does_all_of_an_act_or_nothing(tmp_path: Path, what: str) -> None:
    """As in a notebook, where the same book goes on."""
    rows = np.arange(1, 2 * MAX_RANGES + 2, 2) if what == "file" else ids(7, 9)

    def work(book: TagBook) -> object:
        return book.undo() if what == "undo" else book.add("tram", rows)

    done = 0
    for step in itertools.count(1, 5):  # every fifth: each takes hundredths of a second
        book = TagBook(tmp_path / str(step))
        if what == "undo":
            book.add("night", ids(1))
            book.add("tram", rows)
        if not interrupted_at(step, partial(work, book)):
            break
        before, after = {}, {"tram": rows.tolist()}
        if what == "undo":
            before, after = {"night": [1], **after}, {"night": [1]}
        found = said(book)
        assert found in (before, after) and said(TagBook(book.folder)) == found
        done += found == after
        book.add("rain", ids(5))
        assert said(TagBook(book.folder)) == said(book) == {**found, "rain": [5]}
    assert step > 50 and 0 < done < step


def test_half_a_line_left_by_a_crash_costs_only_itself(book: TagBook) -> None:
    book.add("night", ids(1))
    whole = book.path.read_bytes()
    book.add("Übung", ids(2))
    longer = book.path.read_bytes()
    for length in range(len(whole), len(longer)):
        book.path.write_bytes(longer[:length])
        assert said(TagBook(book.folder)) == {"night": [1]}
    book.path.write_bytes(longer[:-9])
    assert TagBook(book.folder).add("tram", ids(3)).seq == 2
    assert said(TagBook(book.folder)) == {"night": [1], "tram": [3]}


def test_lines_that_a_full_disk_took_back_are_forgotten(book: TagBook) -> None:
    book.add("night", ids(1))
    kept = book.path.stat().st_size
    book.add("night", ids(2))
    reader = TagBook(book.folder)
    assert said(reader) == {"night": [1, 2]}
    os.truncate(book.path, kept)
    TagBook(book.folder).add("night", ids(3))
    assert said(reader) == {"night": [1, 3]}


@pytest.mark.skipif(resource is None, reason="this system limits no file sizes")
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half(book: TagBook) -> None:
    book.add("night", ids(1))
    before = book.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # a write stops half-way, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
    try:
        with pytest.raises(LakeError) as line:
            book.add("night", ids(2))
        with pytest.raises(LakeError) as rows:
            book.add("night", np.arange(1, 3 * MAX_RANGES, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reason = (
        "cannot be written (File too large); tags are stored in the lake's folder, and nothing was "
        "tagged: see to it and try again"
    )
    assert (str(line.value), str(rows.value)) == (
        f"{book.path} {reason}",
        f"{book.folder} {reason}",
    )
    assert book.path.read_bytes() == before and list(book.folder.glob("*.parquet")) == []
    assert book.add("night", ids(2)).seq == 2


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "lake").write_bytes(b"")
    with pytest.raises(LakeError, match=r"cannot be written .*nothing was tagged"):
        TagBook(tmp_path / "lake" / "tags").add("night", ids(1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda line: line.replace(b"tram", b"tran"), "line 2 is not the one that comes next"),
        (lambda line: b"", "line 2 is not the one that comes next"),
        (lambda line: b"{}\n", "line 2 has no chain, and the line before it has"),
        (lambda line: b"\xff\n", "line 2 has no chain"),
    ],
)
def test_a_damaged_line_is_a_sentence_and_can_be_put_aside(
    book: TagBook, change: object, reason: str
) -> None:
    assert callable(change)
    for name, row in (("night", 1), ("tram", 2), ("rain", 3)):
        book.add(name, ids(row))
    lines = book.path.read_bytes().splitlines(keepends=True)
    book.path.write_bytes(lines[0] + change(lines[1]) + lines[2])
    damaged = TagBook(book.folder)
    with pytest.raises(LakeDamaged) as found:
        damaged.tags()
    assert str(found.value).startswith(f"{book.path} is damaged: {reason}")
    way_out = f"`lakesift tag {book.folder.parent} --mend` puts aside what is damaged"
    assert str(found.value).endswith(way_out)
    with pytest.raises(LakeDamaged):
        damaged.add("night", ids(9))
    done = mend(damaged)
    assert done.aside is not None and done.aside.read_bytes().startswith(lines[0])
    is_whole = change(lines[1]) == b""  # then the line after the gap says that one was before it
    assert said(damaged) == ({"night": [1]} if is_whole else {"night": [1], "rain": [3]})
    assert damaged.add("night", ids(9)).seq > 1
    assert mend(damaged).aside is None


def test_rows_that_are_gone_are_a_sentence_and_can_be_put_aside(book: TagBook) -> None:
    many = np.arange(1, 3 * MAX_RANGES, 2)
    book.add("night", ids(1))
    act = book.add("tram", many)
    book.add("rain", ids(2))
    assert act.rows is not None and act.rows.file is not None
    path = book.folder / act.rows.file
    data = path.read_bytes()
    for damage, reason in (
        (data[:-1] + bytes([data[-1] ^ 1]), "its bytes are not those that were written"),
        (None, "No such file or directory"),
    ):
        path.unlink() if damage is None else path.write_bytes(damage)
        with pytest.raises(LakeDamaged) as found:
            TagBook(book.folder).tags()
        assert str(found.value).startswith(f"{path} is damaged: {reason}; `lakesift tag ")
    done = mend(book)
    assert (done.kept, done.lost) == (2, 1)
    assert said(book) == {"night": [1], "rain": [2]}


@pytest.mark.parametrize(
    "rows",
    [
        {"rows": 2**40, "ranges": [[1, 2**40]]},
        {"rows": 3, "ranges": [[1, 2]]},
        {"rows": 2, "ranges": [[2, 2], [1, 1]]},
        {"rows": 1, "ranges": [[0, 0]]},
        {"rows": 1, "file": "../../etc/passwd", "sha256": "0"},
    ],
)
def test_a_line_of_somebody_else_names_rows_and_no_paths(
    book: TagBook, rows: dict[str, object]
) -> None:
    from indexer.disk.chain import lines_of

    line = {"seq": 1, "act": "add", "tag": "night", **rows, "by": "x", "at": "now"}
    book.folder.mkdir()
    book.path.write_bytes(lines_of([json.dumps(line).encode()]))
    with pytest.raises(LakeDamaged, match="line 1 "):
        book.tags()


def test_a_link_is_not_followed(book: TagBook, tmp_path: Path) -> None:
    book.add("night", ids(1))
    elsewhere = tmp_path / "elsewhere"
    book.path.rename(elsewhere)
    book.path.symlink_to(elsewhere)
    with pytest.raises(LakeDamaged, match="it is a link"):
        book.tags()
    with pytest.raises(LakeError, match="it is a link"):
        book.add("night", ids(2))
