from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexer.disk.layout import Layout
from indexer.errors import BadRequest, LakeDamaged, LakeError, LakeLocked, UnknownFilter
from indexer.run.writing.compact import vacuum
from service.relevance.decisions.store import FilterStore, diff
from service.relevance.definition import (
    Copied,
    ExampleImage,
    Examples,
    LabelsUsed,
    Part,
    Target,
    Thresholds,
)
from service.relevance.labels.book import LabelBook, NewLabel
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scorer
from tests.bad_images import as_nobody
from tests.lakes import BLUE, GREEN, RED, Desk
from tests.service.relevance.definitions import definition

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture
def store(tmp_path: Path) -> FilterStore:
    return FilterStore(Layout(tmp_path))


def test_versions_are_written_and_read(store: FilterStore, tmp_path: Path) -> None:
    assert store.names() == []
    first, second = definition(), definition(version=2, reason="applied")
    assert store.add(first) == tmp_path / "filters" / "hospital" / "000001.json"
    store.add(second)
    store.add(definition("a.b"))
    assert store.names() == ["a.b", "hospital"]
    assert store.versions("hospital") == [1, 2]
    assert store.read("hospital") == second
    assert store.read("hospital", 1) == first
    assert (tmp_path / "filters" / "hospital" / "000002.json").read_bytes() == second.to_json()
    assert sorted(path.name for path in (tmp_path / "filters" / "hospital").iterdir()) == [
        "000001.json",
        "000002.json",
    ]


def test_other_things_in_the_folder_are_no_versions(store: FilterStore, tmp_path: Path) -> None:
    store.add(definition())
    folder = tmp_path / "filters" / "hospital"
    for name in (
        "1.json",
        "000000.json",
        "0000002.json",
        "audit-1.json",
        "000002.json.01X.new",
        "٠٠٠٠٠٣.json",
    ):
        (folder / name).write_text("{}")
    (tmp_path / "filters" / "empty").mkdir()
    (tmp_path / "filters" / "notes.txt").write_text("")
    assert store.versions("hospital") == [1]
    assert store.names() == ["hospital"]


def test_a_version_is_written_once(store: FilterStore, tmp_path: Path) -> None:
    store.add(definition())
    store.add(definition(version=2))
    before = (tmp_path / "filters" / "hospital" / "000002.json").read_bytes()
    with pytest.raises(BadRequest) as error:
        store.add(definition(version=2, reason="other"))
    assert str(error.value) == (
        "version: 'hospital' has a version 2 already, written by somebody else meanwhile; try again"
    )
    with pytest.raises(
        BadRequest, match=r"^name: there is a filter 'hospital' already; choose another name, or"
    ):
        store.add(definition())
    with pytest.raises(BadRequest, match=r"^version: the next one of 'hospital' is 3, not 4$"):
        store.add(definition(version=4))
    with pytest.raises(BadRequest, match=r"^version: the next one of 'office' is 1, not 2$"):
        store.add(definition("office", 2))
    assert (tmp_path / "filters" / "hospital" / "000002.json").read_bytes() == before
    assert not (tmp_path / "filters" / "office").exists()
    assert len(list((tmp_path / "filters" / "hospital").iterdir())) == 2, "nothing is left beside"


def test_of_many_writers_of_a_version_one_wins(store: FilterStore, tmp_path: Path) -> None:
    """In two processes of four threads each, which all start at once."""
    code = (
        "import sys, threading; from pathlib import Path\n"
        "from indexer.errors import BadRequest; from indexer.disk.layout import Layout\n"
        "from service.relevance.decisions.store import FilterStore\n"
        "from tests.service.relevance.definitions import definition\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "def add(who):\n"
        "    for version in range(1, 21):\n"
        "        try: FilterStore(Layout(Path(sys.argv[1]))).add(definition(version=version, reason=who))\n"
        "        except BadRequest: sys.stdout.write('lost\\n')\n"
        "        else: sys.stdout.write(f'won {who} {version}\\n')\n"
        "threads = [threading.Thread(target=add, args=(f'{sys.argv[2]}{n}',)) for n in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), who],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in "ab"
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [
        line for process in processes for line in process.communicate(timeout=120)[0].splitlines()
    ]
    won = {int(line.split()[2]): line.split()[1] for line in lines if line.startswith("won")}
    assert len(lines) == 8 * 20 and len([line for line in lines if line.startswith("won")]) == 20
    assert sorted(won) == store.versions("hospital") == list(range(1, 21))
    assert {version: store.read("hospital", version).reason for version in won} == won


def test_a_filter_that_is_not_there_is_told_with_the_nearest_name(
    store: FilterStore, tmp_path: Path
) -> None:
    store.add(definition())
    for ask in (store.read, store.versions, store.folder, store.labels, store.delete):
        with pytest.raises(UnknownFilter) as error:
            ask("hospitl")
        assert str(error.value) == f"{tmp_path} has no filter 'hospitl'; did you mean 'hospital'?"
        assert error.value.nearest == "hospital"
    with pytest.raises(
        UnknownFilter, match="has no filter 'xyz'; see what there is: lakesift filter list"
    ):
        store.read("xyz")
    with pytest.raises(
        BadRequest, match=r"^version: 'hospital' has no version 2; its latest is 1$"
    ):
        store.read("hospital", 2)


def test_names_cannot_leave_the_folder(store: FilterStore, tmp_path: Path) -> None:
    store.add(definition())
    (tmp_path / "000001.json").write_bytes(definition().to_json())
    for name in ("..", ".", "../filters/hospital", "/etc", "", ".deleted", "hospital/", "Hospital"):
        for ask in (store.read, store.versions, store.delete, store.labels):
            with pytest.raises(BadRequest, match="is no name for a filter"):
                ask(name)
        with pytest.raises(BadRequest, match="is no name for a filter"):
            store.copy("hospital", name)


def test_a_broken_version_is_named_and_the_others_read(store: FilterStore) -> None:
    path = store.add(definition())
    store.add(definition(version=2))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LakeDamaged) as damage:
        store.read("hospital", 1)
    assert str(damage.value).startswith(f"{path} is damaged: ")
    assert store.read("hospital").version == 2
    path.write_bytes(definition("office", 3).to_json())
    with pytest.raises(
        LakeDamaged,
        match=r"000001\.json is damaged: it says that it is version 3 of 'office'; put it back",
    ):
        store.read("hospital", 1)


def labelled(store: FilterStore) -> None:
    """A filter of two versions, the second audited and applied, with three labels."""
    store.add(definition())
    store.add(
        definition(
            version=2,
            calibration=Calibration(2.0, 0.5),
            audit=1,
            thresholds=Thresholds(0.5, 0.25),
            labels=LabelsUsed(2, 1, 1, 0, "0" * 64),
            measured={"kept": 3},
        )
    )
    book = store.labels("hospital")
    book.add(
        [
            NewLabel(1, "yes", "ann", "audit"),
            NewLabel(2, "no", "ann", "teach"),
            NewLabel(3, "no", "ann"),
        ]
    )
    book.undo(row_id=3)


def test_a_copy_has_the_rule_and_no_promise(store: FilterStore) -> None:
    labelled(store)
    copied = store.copy("hospital", "clinic")
    assert copied == store.read("clinic")
    assert copied == definition(
        "clinic",
        created_at=copied.created_at,
        reason="copied from version 2 of hospital",
        copied=Copied("hospital", definition().created_at, 0),
    )
    assert store.labels("clinic").records() == []
    assert store.read("hospital").audit == 1
    with pytest.raises(
        BadRequest, match="name: there is a filter 'clinic' already; choose another name"
    ):
        store.copy("hospital", "clinic")


def test_a_copy_with_labels_is_taught_by_what_was_audited(store: FilterStore) -> None:
    labelled(store)
    copied = store.copy("hospital", "clinic", labels=True)
    assert (copied.calibration, copied.audit, copied.thresholds) == (
        Calibration(2.0, 0.5),
        None,
        None,
    )
    assert copied.labels == LabelsUsed(2, 1, 1, 0, "0" * 64) and copied.measured is None
    answers = store.labels("clinic").answers()
    assert {row: (answer.label, answer.purpose) for row, answer in answers.items()} == {
        1: ("yes", "teach"),
        2: ("no", "teach"),
    }
    assert [record.row_id for record in store.labels("clinic").records()].count(3) == 2
    store.labels("clinic").add([NewLabel(9, "yes")])
    assert sorted(store.labels("hospital").answers()) == [1, 2]
    assert store.labels("hospital").answers()[1].purpose == "audit"


def begin_audit(store: FilterStore, name: str) -> int:
    """As `Filter` does, as far as counting goes."""
    with store.next_audit(name) as number:
        folder = store.folder(name) / "audits"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:06d}.json").write_text("{}")
    return number


def test_the_audits_of_a_filter_and_all_its_copies_are_counted_together(store: FilterStore) -> None:
    store.add(definition())
    store.add(definition("office", created_at="2026-03-02T12:00:00.000+01:00"))
    early = store.copy("hospital", "early")
    assert begin_audit(store, "hospital") == 1
    late = store.copy("hospital", "late")
    later = store.copy("late", "later")
    assert [copy.copied and copy.copied.audits for copy in (early, late, later)] == [0, 1, 1]
    assert {copy.copied and copy.copied.origin for copy in (early, late, later)} == {"hospital"}
    assert begin_audit(store, "early") == 2, (
        "one made before the first audit is no other try either"
    )
    assert begin_audit(store, "later") == 3
    assert begin_audit(store, "hospital") == 4
    store.delete("hospital")
    assert begin_audit(store, "late") == 5, "what was deleted counts"
    assert store.audits_begun("office") == 0
    store.add(definition(created_at="2026-04-01T12:00:00.000+02:00"))
    assert store.audits_begun("hospital") == 0, "of the same name, made anew"


def test_a_copy_remembers_what_was_begun_when_its_source_is_gone_for_good(
    store: FilterStore,
) -> None:
    store.add(definition())
    assert [begin_audit(store, "hospital") for _ in range(2)] == [1, 2]
    store.copy("hospital", "clinic")
    shutil.rmtree(store.delete("hospital"))
    assert begin_audit(store, "clinic") == 3


def test_a_copy_into_another_lake_takes_a_part_and_leaves_the_rest(store: FilterStore) -> None:
    store.add(definition())
    store.copy("hospital", "clinic")
    assert begin_audit(store, "clinic") == 1
    first = store.give("hospital", "new.lake", "ward")
    second = store.give("clinic", "other.lake", "hospital")
    assert (first.origin, first.audits, second.audits) == ("hospital", 1, 1)
    assert [(given.part.one_in, given.part.given) for given in (first, second)] == [(2, 0), (6, 0)]
    assert first.branch != second.branch != store.copied_from("hospital").branch
    written = json.loads((store.folder("hospital") / "given" / "000001.json").read_bytes())
    assert (written["into"], written["filter"], written["one_in"]) == ("new.lake", "ward", 2)
    assert written["branch"] == first.part.branch
    assert [store.one_in(name) for name in ("hospital", "clinic")] == [3, 3]
    late = store.copy("hospital", "late")
    assert late.copied == Copied("hospital", definition().created_at, 1, Part(None, 1, 2))
    shutil.rmtree(store.delete("hospital"))
    shutil.rmtree(store.delete("clinic"))
    assert (store.one_in("late"), store.audits_begun("late")) == (3, 1), "it remembers"


def test_a_copy_from_another_lake_counts_apart_from_those_that_are_here(store: FilterStore) -> None:
    store.add(definition())
    taken = Copied("hospital", definition().created_at, 1, Part("01J", 6, 0))
    store.add(definition("back", created_at="2026-03-02T12:00:00.000+01:00", copied=taken))
    assert begin_audit(store, "back") == 2
    assert store.audits_begun("hospital") == 0
    assert (store.one_in("hospital"), store.one_in("back")) == (1, 6)
    further = store.give("back", "third.lake", "back")
    assert (further.audits, further.part.one_in) == (2, 12)
    assert (store.one_in("hospital"), store.one_in("back")) == (1, 12)
    assert store.copy("back", "again").copied == replace(taken, audits=2, part=Part("01J", 6, 1))


def test_what_was_deleted_goes_on_under_its_name(store: FilterStore) -> None:
    assert store.deleted_before("hospital") is None
    for number, created in enumerate(("2026-03-01", "2026-04-01"), 1):
        store.add(definition(created_at=f"{created}T12:00:00.000+01:00"))
        for _ in range(number):
            begin_audit(store, "hospital")
        store.delete("hospital")
    before = store.deleted_before("hospital")
    assert before is not None and before.audits == 2, "of those deleted, the one with least left"
    assert store.deleted_before("hosp") is None
    store.add(definition(created_at="2026-05-01T12:00:00.000+01:00", copied=before))
    assert begin_audit(store, "hospital") == 3
    store.add(definition("clinic"))
    store.delete("clinic")
    assert store.deleted_before("clinic") is None, "it was never audited"
    store.add(definition("clinic"))
    store.give("clinic", "new.lake", "clinic")
    store.delete("clinic")
    given = store.deleted_before("clinic")
    assert given is not None and given.part == Part(None, 1, 1)


def test_one_audit_begins_at_a_time(store: FilterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.relevance.decisions.store.LOCK_WAIT_S", 0.05)
    store.add(definition())
    store.copy("hospital", "clinic")
    with (
        store.next_audit("hospital"),
        pytest.raises(LakeLocked, match="filters is being written by another process or request"),
        store.next_audit("clinic"),
    ):
        raise AssertionError("two copies would begin an audit of one number")


def test_a_copy_whose_labels_cannot_be_written_is_none(store: FilterStore, tmp_path: Path) -> None:
    labelled(store)
    clinic = tmp_path / "filters" / "clinic"
    clinic.mkdir()
    (clinic / "labels.jsonl").mkdir()  # where a file has to go
    with pytest.raises(LakeError, match="no label was saved"):
        store.copy("hospital", "clinic", labels=True)
    assert store.names() == ["hospital"]
    (clinic / "labels.jsonl").rmdir()
    store.copy("hospital", "clinic", labels=True)
    assert sorted(store.labels("clinic").answers()) == [1, 2]


def test_a_deleted_filter_is_moved_away_whole(store: FilterStore, tmp_path: Path) -> None:
    labelled(store)
    book = store.labels("hospital")
    place = store.delete("hospital")
    assert place.parent == tmp_path / "filters" / ".deleted" and place.name.startswith("hospital-")
    assert store.names() == []
    with pytest.raises(LakeError, match="the filter was deleted, and the label was not saved"):
        book.add([NewLabel(1, "no")])
    assert sorted(LabelBook(place).answers()) == [1, 2]
    store.add(definition())  # the name is free again
    assert store.delete("hospital") != place
    place.rename(tmp_path / "filters" / "hospital")  # and this is how it comes back
    assert store.versions("hospital") == [1, 2]


def test_a_filter_that_is_worked_on_cannot_be_deleted_nor_worked_on_twice(
    store: FilterStore,
) -> None:
    store.add(definition())
    with store.lock("hospital"):
        store.add(definition(version=2))  # the lock's holder adds versions
        store.labels("hospital").add([NewLabel(1, "yes")])  # and others label
        for again in (store.delete, lambda name: store.lock(name).__enter__()):
            with pytest.raises(
                LakeLocked, match=r"hospital is being written by another process or request; wait"
            ):
                again("hospital")
    store.delete("hospital")


def test_vacuum_keeps_the_snapshot_that_a_filter_names(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in (("a.png", RED), ("b.png", GREEN), ("c.png", BLUE)):
        desk.add(name, colour)
        desk.index()
    layout, current = Layout(desk.lake), desk.manifest.snapshot
    first = min(int(path.stem) for path in layout.snapshots())
    assert first < current
    store = FilterStore(layout)
    store.add(definition(snapshot=first))
    store.add(definition(version=2, snapshot=current))

    def vacuumed() -> list[int]:
        vacuum(layout, desk.manifest, keep_s=0)
        return sorted(int(path.stem) for path in layout.snapshots())

    assert vacuumed() == [first, current], "an older version of a filter counts too"
    place = store.delete("hospital")
    assert vacuumed() == [first, current], "a deleted filter may come back"
    for path in place.iterdir():
        path.unlink()
    assert vacuumed() == [current]


@contextmanager
def unwritable(lake: Path) -> Iterator[None]:
    """The lake as one may read it and not write it."""
    for path in [lake, *lake.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        if os.geteuid() == 0:
            with as_nobody():
                yield
        else:
            yield
    finally:
        for path in [lake, *lake.rglob("*")]:
            path.chmod(0o755)


def test_a_lake_that_may_not_be_written_says_so() -> None:
    with tempfile.TemporaryDirectory() as public:  # pytest's own folders are for their owner alone
        Path(public).chmod(0o755)
        lake = Path(public) / "my.lake"
        lake.mkdir()
        store = FilterStore(Layout(lake))
        store.add(definition())
        store.labels("hospital").add([NewLabel(1, "yes")])
        with unwritable(lake):
            with pytest.raises(LakeError) as error:
                store.add(definition(version=2))
            assert str(error.value) == (
                f"{lake}/filters/hospital/labels.lock cannot be written (Permission denied); a lake needs a "
                "writable folder"
            )
            for write in (
                lambda: store.add(definition("office")),
                lambda: store.copy("hospital", "office"),
                lambda: store.delete("hospital"),
                lambda: store.labels("hospital").add([NewLabel(1, "no")]),
                lambda: store.labels("hospital").undo(),
            ):
                with pytest.raises(LakeError, match=r"cannot be written \(Permission denied\)"):
                    write()
            assert store.read("hospital") == definition()
            assert store.labels("hospital").answers()[1].label == "yes"
        assert store.names() == ["hospital"]


def test_what_differs_is_told_field_by_field() -> None:
    vector = np.linspace(0, 1, 512, dtype=np.float32).reshape(1, -1)
    none = np.empty((0, 512), np.float32)
    before = definition(
        scorer=Scorer("linear", vector, none), labels=LabelsUsed(2, 1, 1, 0, "0" * 64)
    )
    image = ExampleImage("a.jpg", "0" * 64, (0.5,) * 512)
    after = replace(
        before,
        version=2,
        parent=1,
        target=Target(0.98),
        thresholds=Thresholds(0.5, 0.25),
        labels=None,
        keep=Examples(("red", "pink"), (), (image,)),
        scorer=Scorer("linear", vector[:, ::-1], none),
    )
    found = {field: (old, new) for field, old, new in diff(before, after)}
    assert list(found) == [
        *("version", "parent", "keep.texts", "keep.images", "target.recall", "scorer.keep"),
        *("thresholds.keep", "thresholds.drop"),
        *("labels.count", "labels.yes", "labels.no", "labels.skipped", "labels.sha256"),
    ]
    assert found["version"] == (1, 2)
    assert found["keep.texts"] == (["red"], ["red", "pink"])
    assert found["target.recall"] == (0.95, 0.98)
    assert found["thresholds.keep"] == (None, 0.5)
    assert found["labels.skipped"] == (0, None)
    ((old,), (new,)) = found["scorer.keep"]
    assert (
        old.startswith("512 numbers, sha256 ")
        and new.startswith("512 numbers, sha256 ")
        and old != new
    )
    (shown,) = found["keep.images"][1]
    assert shown["vector"].startswith("512 numbers, sha256 ")
    assert diff(before, before) == []


def test_a_long_vector_that_differs_in_its_last_number_differs() -> None:
    def seen(last: float) -> Examples:
        return Examples(images=(ExampleImage("a.jpg", "0" * 64, (*[0.5] * 511, last)),))

    ((field, _, _),) = diff(definition(drop=seen(0.25)), definition(drop=seen(0.75)))
    assert field == "drop.images"
