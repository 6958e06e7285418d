"""Every kind of file of a filter, damaged:
never another answer in silence, and `doctor` names it.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from indexer.disk.checks import check_of
from indexer.errors import BadRequest, LakeDamaged, LakeError
from indexer.run.writing.compact import vacuum_lake
from service.cli.main import main
from service.lake import Lake
from service.relevance.definition import Target
from service.relevance.filters import Filters
from tests.lakes import Desk
from tests.service.relevance.definitions import as_older_versions_wrote

LEDGER, DESIGN, POPULATION = "ledger/000003.parquet", "audits/000001.json", "audits/000001.parquet"
FLIPS = 340
EXCHANGED = {"keep": "drop", "drop": "keep", "ask": "ask"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 photos in shades of red; `reds` was taught, audited and applied, `blues` is a draft."""
    desk = Desk(tmp_path_factory.mktemp("whole"))
    for number in range(24):
        desk.add(f"{number:02d}.png", (number * 10, 0, 255 - number * 10))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        filters = Filters(lake)
        filters.create("blues", keep_texts=["blue"])
        reds = filters.create("reds", keep_texts=["red"], target=Target(0.5, None, 0.5))
        for purpose in ("teach", "audit"):
            while rows := reds.next(8, purpose).rows:
                labels = ["yes" if row.row_id > 12 else "no" for row in rows]
                reds.label(
                    [
                        {"row_id": row.row_id, "label": label, "labeller": "ünal"}
                        for row, label in zip(rows, labels, strict=True)
                    ]
                )
                if purpose == "teach":
                    break
        assert reds.apply().refused is False
    return desk.lake


@pytest.fixture
def desk(whole: Path, tmp_path: Path) -> Desk:
    shutil.copytree(whole.parent, tmp_path / "desk")
    return Desk(tmp_path / "desk")


@pytest.fixture
def reds(desk: Desk) -> Path:
    return desk.lake / "filters" / "reds"


def doctor(desk: Desk, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    main(["doctor", str(desk.lake), "--json", *options])
    found = json.loads(capsys.readouterr().out)["findings"]
    return [each for each in found if each["what"] == "filter"]


def test_doctor_says_of_a_whole_filter_what_is_there(
    desk: Desk, reds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = len((reds / "labels.jsonl").read_bytes().splitlines())
    blues = "blues: 1 version, 0 files of audits and ledgers, 0 lines of labels, as written"
    detail = f"reds: 3 versions, 3 files of audits and ledgers, {lines} lines of labels, as written"
    for options in ([], ["--deep"]):
        found = doctor(desk, capsys, *options)
        assert found == [
            {"what": "filter", "ok": True, "detail": blues},
            {"what": "filter", "ok": True, "detail": detail},
        ]


def test_a_version_knows_the_bytes_it_rests_on(reds: Path) -> None:
    document = json.loads((reds / "000003.json").read_bytes())
    files = document["checks"]["files"]
    assert files == {name: check_of(reds / name).to_json() for name in (DESIGN, POPULATION, LEDGER)}
    lines = (reds / "labels.jsonl").read_bytes().splitlines()
    head = json.loads(lines[-1])["chain"]
    assert document["checks"]["labels"] == {"lines": len(lines), "head": head}
    begun = json.loads((reds / "000002.json").read_bytes())["checks"]
    assert {name: begun["files"][name] for name in (DESIGN, POPULATION)} == begun["files"]
    assert begun["labels"] == {"lines": 8, "head": json.loads(lines[7])["chain"]}
    assert "checks" not in json.loads((reds / "000001.json").read_bytes())


def exchange(path: Path) -> None:
    table = pq.read_table(path)
    column = table.schema.get_field_index("decision")
    names = pa.array([EXCHANGED[name] for name in table["decision"].to_pylist()])
    pq.write_table(table.set_column(column, "decision", names), path)


def test_a_ledger_with_keep_and_drop_exchanged_is_refused_wherever_it_is_used(
    desk: Desk, reds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = reds / LEDGER
    before = pq.read_table(path)
    exchange(path)
    assert pc.sum(pc.not_equal(pq.read_table(path)["decision"], before["decision"])).as_py() == 24
    start = f"{path} is damaged: "
    way_out = f"put it back from a backup, or decide anew: lakesift filter apply {desk.lake} reds"
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        photo = desk.photos / "00.png"
        uses: list[Callable[[], Any]] = [
            lambda: filter.export("txt", tmp_path / "out.txt"),
            lambda: filter.decided("keep"),
            lambda: filter.decisions.ledger_path(),
            lambda: filter.samples("drop"),
            lambda: filter.labels.restore([1]),
            lambda: filter.report(),
            lambda: filter.decide([photo]),
            lambda: list(lake.search("red", filter="reds")),
        ]
        for use in uses:
            with pytest.raises(LakeDamaged) as damage:
                use()
            assert str(damage.value).startswith(start) and str(damage.value).endswith(way_out)
        assert not (tmp_path / "out.txt").exists()
        assert [each.name for each in Filters(lake).listing().filters] == ["blues", "reds"]
        assert list(lake.search("red", k=1))
    assert (
        main(["filter", "export", str(desk.lake), "reds", "--out", str(tmp_path / "out.txt")]) == 1
    )
    assert start in capsys.readouterr().err
    for options in ([], ["--deep"]):
        blues, found = doctor(desk, capsys, *options)
        assert blues["ok"] and not found["ok"] and found["detail"].startswith(f"reds: {start}")
    with Lake.open(desk.lake, desk.model) as lake:  # the way out
        filter = Filters(lake).open("reds")
        assert filter.apply().refused is False
        assert (
            filter.decided("keep").num_rows == pc.sum(pc.equal(before["decision"], "keep")).as_py()
        )


def flipped(path: Path, draw: random.Random, count: int) -> Iterator[tuple[int, int]]:
    """Damages a file in so many ways, each a bit, and mends it again."""
    data = path.read_bytes()
    for _ in range(count):
        at, bit = draw.randrange(len(data)), draw.randrange(8)
        damaged = bytearray(data)
        damaged[at] ^= 1 << bit
        path.write_bytes(damaged)
        yield at, bit
    path.write_bytes(data)


def said_of(desk: Desk) -> Any:
    """All that is built on each kind of file; each time as a process that has just begun."""
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        return (
            [(each.row_id, each.label, each.labellers) for each in filter.answers().values()],
            filter.decided("keep", "ask", "drop").to_pylist(),
            filter.progress(),
            filter.definition,
            filter.versions.at(1),
            filter.versions.at(2),
            filter._auditing.of(filter.definition).order[1].tolist(),
        )


@pytest.mark.parametrize(
    "name",
    ["000001.json", "000002.json", "000003.json", "labels.jsonl", DESIGN, POPULATION, LEDGER],
)
def test_no_flipped_bit_gives_another_answer(desk: Desk, reds: Path, name: str) -> None:
    path, expected = reds / name, said_of(desk)
    told = 0
    for at, bit in flipped(path, random.Random(name), FLIPS // 7 + 1):
        try:
            found = said_of(desk)
        except LakeError as error:
            told += 1
            assert str(error).startswith(f"{path} is damaged: ") and "\n" not in str(error)
        else:
            assert found == expected, f"bit {bit} of byte {at} of {name}"
    assert told > FLIPS // 14
    assert said_of(desk) == expected


@pytest.mark.parametrize("name", ["000002.json", "labels.jsonl", DESIGN, POPULATION, LEDGER])
@pytest.mark.parametrize("damage", ["flipped", "missing", "cut", "another"])
def test_doctor_names_a_damaged_file_and_the_way_out(
    desk: Desk, reds: Path, name: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if (name, damage) == ("000002.json", "missing"):
        return  # a version that was taken out is no damage
    path = reds / name
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "another":
        other = {"000002.json": "000001.json", LEDGER: POPULATION, POPULATION: LEDGER}
        source = other.get(name)
        path.write_bytes((reds / source).read_bytes() if source else b"{}\n")
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data if damage == "flipped" else data[: len(data) // 2])
    (blues, *found) = doctor(desk, capsys)
    assert blues["ok"] and found and not any(each["ok"] for each in found)
    assert found[0]["detail"].startswith(f"reds: {path} is damaged: ")
    way_out = "take it out" if damage == "another" and name == "labels.jsonl" else "from a backup"
    assert way_out in found[0]["detail"]


def test_a_filter_of_an_older_version_is_unchecked_until_it_is_written(
    desk: Desk, reds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = said_of(desk)[:2]
    as_older_versions_wrote(reds)
    assert said_of(desk)[:2] == expected
    _, found = doctor(desk, capsys)
    assert found["ok"]
    # three versions, the audit's two files, the ledger, the labels
    assert found["detail"].endswith(
        "; 7 files written by an older version, unchecked: checksums come with the next label and the next version"
    )
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        filter.label([{"row_id": 1, "label": "no", "labeller": "bob"}])
        assert filter.apply().refused is False
        assert filter.decided("keep", "drop", "ask").num_rows == 24
    _, found = doctor(desk, capsys)
    # the three versions, and the ledger of the third, stay as they were
    assert "; 4 files written by an older version" in found["detail"]
    exchange(reds / "ledger" / "000004.parquet")
    assert not doctor(desk, capsys)[1]["ok"]


def test_damage_is_not_vouched_for_by_the_next_version(desk: Desk, reds: Path) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        filter.progress()  # the audit is open now
        path = reds / POPULATION
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert filter.apply().refused is False  # from what was read before
    said = r"000001\.parquet is damaged: .*begin another audit"
    with Lake.open(desk.lake, desk.model) as lake, pytest.raises(LakeDamaged, match=said):
        Filters(lake).open("reds").progress()


def test_a_copy_has_a_chain_and_a_count_of_its_own(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        filters = Filters(lake)
        answers = filters.open("reds").answers()
        copy = filters.copy("reds", "reds2", labels=True)
        assert list(copy.answers()) == list(answers)
        copy.labels.undo()
    path = desk.lake / "filters" / "reds2" / "labels.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert all(each["ok"] for each in doctor(desk, capsys))
    path.write_bytes(b"".join(lines[:-2]))
    _, _, found = doctor(desk, capsys)
    was = len(lines) - 1
    reason = f"it has {was - 1} lines, and version 1 was made with {was} of them"
    assert not found["ok"] and reason in found["detail"]


def test_an_audit_of_a_filter_that_cannot_be_read_counts_for_all(desk: Desk, reds: Path) -> None:
    """Whose copy it is cannot be told; else a flipped bit would be one try more at delta."""
    with Lake.open(desk.lake, desk.model) as lake:
        filters = Filters(lake)
        assert filters.store.audits_begun("blues") == 0
        (reds / "000001.json").write_bytes(b"{")
        assert filters.store.audits_begun("blues") == 1


def test_doctor_looks_at_filters_that_were_deleted(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        place = Filters(lake).delete("reds")
    assert [found["detail"].split(":")[0] for found in doctor(desk, capsys)] == ["blues"]
    (place / LEDGER).write_bytes(b"PAR1")
    (place / "000001.json").write_bytes(b"{")
    _, *found = doctor(desk, capsys)
    assert [each["ok"] for each in found] == [False, False]
    assert found[0]["detail"].startswith(f"{place.name}: {place}/000001.json is damaged: ")
    assert found[1]["detail"].endswith(
        f"put it back from a backup, or delete {place}, if it never has to come back"
    )
    assert vacuum_lake(desk.lake, keep_s=0).held  # and this is why


def test_vacuum_deletes_nothing_that_a_damaged_filter_may_need(desk: Desk, reds: Path) -> None:
    assert not vacuum_lake(desk.lake, keep_s=0).held
    for name in ("000002.json", LEDGER):
        data = (reds / name).read_bytes()
        (reds / name).write_bytes(data[:-9])
        assert vacuum_lake(desk.lake, keep_s=0).held
        (reds / name).write_bytes(data)
    (reds / "notes.json").write_text("mine")
    assert not vacuum_lake(desk.lake, keep_s=0).held


def test_a_version_named_as_another_is_refused(desk: Desk, reds: Path) -> None:
    shutil.copyfile(reds / "000003.json", reds / "000004.json")
    with Lake.open(desk.lake, desk.model) as lake:
        for use in (Filters(lake).open("reds").progress, lambda: lake.search("red", filter="reds")):
            with pytest.raises(LakeDamaged, match="it says that it is version 3"):
                use()
        with pytest.raises(BadRequest):
            lake.search("blue", filter="blues")
