"""New images at the gate: each is decided as its row would be;
by hand-worked scores, and on a lake of colours.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from indexer.disk.rows import LIST, lake_schema
from indexer.errors import BadRequest, LakeError, LakeLocked, SourceError
from service.lake import Lake
from service.relevance import Filter, Filters, Target
from service.relevance.definition import Definition, Thresholds
from service.relevance.gate.answers import ImageDecided, YesNo
from service.relevance.gate.decided_file import decided_file, part_of
from service.relevance.gate.gate import Gate, Incoming, Rule, lines_of
from service.relevance.gate.new_sources import Notes, decide_sources
from service.relevance.promise.audit import begin
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scored
from service.where.where import Where
from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import BLACK, BLUE, RED, YELLOW, Desk, png, write
from tests.service.lakes import unit
from tests.service.relevance.definitions import definition

REDS, OTHERS = 30, 90


def gate_of(
    lines: Thresholds,
    *,
    where: str | None = None,
    near: dict[str, float] | None = None,
    said: dict[str, YesNo] | None = None,
    **changes: Any,
) -> Gate:
    """Scores are the share of red in a unit vector."""
    schema = lake_schema({"robot": "string", "run": "int64", "labels": str(LIST)})
    parsed = None if where is None else Where.parse(where, schema)
    audited = np.linspace(0, 1, 101, dtype=np.float32)
    made = definition(version=3, where=where, **changes)
    return Gate(Rule(made, lines, parsed, schema, audited, 101.0, near or {}), said or {})


def image(*numbers: float, name: str = "a.jpg", sha256: str | None = None, **row: Any) -> Incoming:
    return Incoming(name, unit(*numbers), 0, sha256, row)


HALF = Thresholds(0.5, 0.5)
BAND = Thresholds(0.75, 0.5)


def test_a_score_on_or_above_the_line_is_kept() -> None:
    found = gate_of(BAND).decide([image(1, 0, 0), image(3, 4, 0), image(0, 1, 0)])
    assert [each.decision for each in found] == ["keep", "ask", "drop"]
    assert [each.score for each in found] == pytest.approx([1, 0.6, 0], abs=1e-3)
    assert [each.probability for each in found] == [None] * 3


def test_the_probability_is_the_calibration_s() -> None:
    gate = gate_of(HALF, calibration=Calibration(2.0, -1.0))
    # 1 / (1 + exp(-(2 * 1 - 1))) and 1 / (1 + exp(1))
    assert [each.probability for each in gate.decide([image(1, 0, 0), image(0, 1, 0)])] == [
        0.7311,
        0.2689,
    ]


def test_next_to_the_line_the_row_s_own_score_counts() -> None:
    gate = gate_of(Thresholds(0.6, 0.6), near={"same": 0.6})
    just_below = (0.5995, 0.80037, 0)
    found = gate.decide([image(*just_below, sha256="same"), image(*just_below, sha256="other")])
    assert [each.decision for each in found] == ["keep", "drop"]
    assert found[0].score == 0.6


def test_a_person_s_answer_about_the_same_image_stands() -> None:
    gate = gate_of(HALF, said={"yes!": "yes", "no!": "no"})
    found = gate.decide(
        [image(0, 1, 0, sha256="yes!"), image(1, 0, 0, sha256="no!"), image(1, 0, 0)]
    )
    assert [(each.decision, each.label) for each in found] == [
        ("keep", "yes"),
        ("drop", "no"),
        ("keep", None),
    ]


def test_what_where_leaves_out_gets_no_decision() -> None:
    gate = gate_of(HALF, where="width_px >= 640 AND run < 5")
    rows: list[dict[str, Any]] = [
        {"width_px": 640, "run": 1},
        {"width_px": 639, "run": 1},
        {"width_px": 640, "run": "1st"},  # no whole number, so unknown
        {"width_px": 640},
    ]
    found = gate.decide([image(1, 0, 0, **row) for row in rows])
    assert [each.decision for each in found] == ["keep", None, None, None]
    assert (
        found[1].error
        == "the filter looks only at images for which width_px >= 640 AND run < 5 holds"
    )
    assert gate.counts == {"keep": 1, "ask": 0, "drop": 0, "outside": 3, "unreadable": 0}
    assert gate.drift.images == 1  # of what was audited, only where counts, too


def test_the_answer_says_that_nothing_is_promised() -> None:
    gate = gate_of(HALF)
    found = gate.answer(
        [*gate.decide([image(1, 0, 0)]), gate.unreadable("b.jpg", "it is no image")]
    )
    assert found.promised is False
    assert found.note.startswith("unpromised until audited")
    assert (found.filter, found.version) == ("hospital", 3)
    assert found.images[1].to_json() == {
        "name": "b.jpg",
        "decision": None,
        "score": None,
        "probability": None,
        "label": None,
        "error": "it is no image",
    }
    assert found.counts.unreadable == 1
    assert found.drift.warning is False


def applied(thresholds: Thresholds, calibration: Calibration | None, **target: Any) -> Definition:
    wanted = Target(**{"recall": 0.9, "confidence": 0.95, **target})
    return definition(thresholds=thresholds, target=wanted, calibration=calibration)


def test_the_lines_are_those_that_apply_draws_with_or_without_ask() -> None:
    # Rows 1 to 100 score 99 to 0, in five bands of twenty: edges 80, 60, 40, 20.
    audit = begin(
        1, 1, Target(), Scored(np.arange(1, 101), np.arange(99, -1, -1).astype(np.float32)), {}
    )
    assert audit.design.edges == (80, 60, 40, 20)
    one = Thresholds(40, 40)
    even_at_70 = Calibration(1.0, -70.0)  # only the best band is more likely relevant than not
    assert lines_of(applied(one, even_at_70), audit, ask=False) == one
    assert lines_of(applied(one, even_at_70), audit, ask=True) == Thresholds(80, 40)
    # It was applied where a look is dear, so the second band, 48 % likely, is kept unseen, too.
    dear = replace(applied(one, even_at_70), measured={"unseen_from": 0.4})
    assert lines_of(dear, audit, ask=True) == Thresholds(60, 40)
    surely = Calibration(1.0, 100.0)
    assert lines_of(applied(one, surely), audit, ask=True) == one
    two = Thresholds(80, 40)
    assert lines_of(applied(two, None), audit, ask=True) == two
    # in between is kept
    assert lines_of(applied(two, None), audit, ask=False) == Thresholds(40, 40)
    precise = applied(one, even_at_70, recall=None, precision=0.9)
    assert lines_of(precise, audit, ask=True) == one  # as apply, which asks about nothing then


# -- on a lake


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Rows 1 to 30 are reddish, the first the reddest;
    31 to 120 go from violet to blue. No two are alike.
    """
    desk = Desk(tmp_path_factory.mktemp("colours"))
    for number in range(REDS):
        desk.add(f"a{number:03d}.png", (255, number * 3, 0))
    for number in range(OTHERS):
        desk.add(f"b{number:03d}.png", (150 - number, 0, 160 + number))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        reds = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        answer(reds, reds.next(10)["rows"])
        while rows := reds.next(40, "audit")["rows"]:
            answer(reds, rows)
        assert not reds.apply()["refused"]
    return desk


def answer(filter: Filter, rows: list[dict[str, Any]]) -> None:
    filter.label(
        [
            {"row_id": row["row_id"], "label": "yes" if row["row_id"] <= REDS else "no"}
            for row in rows
        ]
    )


@pytest.fixture
def reds(desk: Desk) -> Filter:
    return Filters(Lake.open(desk.lake, desk.model)).open("reds")


def again(path: Path) -> bytes:
    """The same pixels in other bytes: no row's."""
    buffer = io.BytesIO()
    Image.open(path).save(buffer, "PNG", compress_level=9)
    assert buffer.getvalue() != path.read_bytes()
    return buffer.getvalue()


def test_the_same_image_gets_the_decision_and_the_score_of_its_row(
    reds: Filter, desk: Desk
) -> None:
    ledger = {
        row["uri"]: row
        for decision in ("keep", "ask", "drop")
        for row in reds.decided(decision).to_pylist()
    }
    found = reds.decide(sorted(ledger))
    assert [each.name for each in found.images] == sorted(ledger)
    assert len(ledger) == REDS + OTHERS
    for each in found.images:
        row = ledger[each.name]
        assert each.score == pytest.approx(row["score"], abs=1e-4)
        assert (each.decision, each.label) == (row["decision"], row["label"])
    assert not found.drift.warning
    assert {row["label"] for row in ledger.values()} >= {"yes", "no"}


def test_the_same_pixels_in_other_bytes_are_decided_by_their_score(
    reds: Filter, desk: Desk
) -> None:
    line = reds.decisions.last().thresholds
    assert line is not None
    paths = sorted(desk.photos.iterdir())
    found = reds.decide([again(path) for path in paths]).images
    assert found[2].name == "image 3"
    scores = reds._auditing.of(reds.decisions.last()).scores
    for each, score in zip(found, scores.tolist(), strict=True):
        assert each.label is None
        assert each.score == pytest.approx(score, abs=1e-4)
        if abs(score - line.drop) > 1e-4:
            assert each.decision == ("keep" if score >= line.drop else "drop")


def test_images_of_another_kind_bring_a_warning_and_keep_their_decisions(reds: Filter) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 32, 32, 3), np.uint8)
    greens = list(noise * np.array([0, 1, 0], np.uint8))  # none like another, and no red in any
    found = reds.decide(greens)
    assert {each.decision for each in found.images} == {"drop"}
    drift = found.drift
    assert (drift.warning, drift.images, drift.different) == (True, 40, 40.0)
    assert drift.above_line_now == 0.0
    copies = reds.decide(greens[:1] * 40).drift
    assert (copies.warning, copies.images, copies.different) == (False, 40, 1.0)


def test_what_cannot_be_read_costs_only_itself(reds: Filter, tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.png", png(RED)[:40])
    found = reds.decide(
        [tmp_path / "gone.png", bad, png(RED), png(BLACK), np.full((4, 4, 3), 200, np.uint8)]
    )
    reasons = [each.error for each in found.images]
    assert "no such file" in (reasons[0] or "").lower()
    assert reasons[1] is not None
    assert reasons[2] is None
    assert reasons[3] == "the model colours failed on it (black has no colour)"
    assert reasons[4] is None
    assert found.images[2].decision == "keep"
    assert found.counts.unreadable == 3
    with pytest.raises(BadRequest, match="uint8"):
        reds.decide([np.zeros((4, 4), np.uint8)])
    assert reds.decide([]).images == []


def test_without_a_promise_there_is_no_line(desk: Desk, tmp_path: Path) -> None:
    shutil.copytree(desk.lake, tmp_path / "my.lake")
    with Lake.open(tmp_path / "my.lake", desk.model) as lake:
        draft = Filters(lake).create("blues", keep_texts=["blue"])
        with pytest.raises(BadRequest, match="blues was not applied yet, so nothing is decided"):
            draft.decide([png(BLUE)])


def test_an_answer_given_or_taken_back_counts_at_once(desk: Desk, tmp_path: Path) -> None:
    shutil.copytree(desk.lake, tmp_path / "my.lake")
    with Lake.open(tmp_path / "my.lake", desk.model) as lake:
        reds = Filters(lake).open("reds")
        path = desk.photos / "a000.png"
        reds.label([{"row_id": 1, "label": "no"}])
        assert reds.decide([path]).images[0].decision == "drop"
        reds.label([{"row_id": 1, "label": "skip"}])
        found = reds.decide([path]).images[0]
        assert (found.decision, found.label) == ("keep", None)


# -- sources


def test_a_folder_is_decided_in_order_of_its_paths(
    reds: Filter, desk: Desk, tmp_path: Path
) -> None:
    photos = tmp_path / "new"
    write(photos / "c.png", png(BLUE))
    write(photos / "a.png", png(RED, (6, 6)))
    write(photos / "b.png", b"no image")
    gate = reds.gate()
    pieces = list(decide_sources(gate, [str(photos), str(photos / "a.png")], lambda: desk.model))
    found = [(Path(each.name).name, each.decision) for piece in pieces for each in piece]
    assert found == [("a.png", "keep"), ("b.png", None), ("c.png", "drop")]  # each once
    assert gate.counts == {"keep": 1, "ask": 0, "drop": 1, "outside": 0, "unreadable": 1}


def test_a_source_that_is_missing_or_empty_is_told_before_anything_is_decided(
    reds: Filter, desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for name, reason in (
        ("empty", "there are no image files in it"),
        ("none", "there is no such file"),
    ):
        with pytest.raises(SourceError, match=reason):
            list(
                decide_sources(
                    reds.gate(), [str(desk.photos), str(tmp_path / name)], lambda: desk.model
                )
            )


def test_a_file_that_a_list_names_and_is_gone_costs_only_itself(
    reds: Filter, desk: Desk, tmp_path: Path
) -> None:
    write(tmp_path / "new" / "a.png", png(RED))
    listed = tmp_path / "files.txt"
    listed.write_text(f"{tmp_path}/new/a.png\n{tmp_path}/new/gone.png\n")
    gate, notes = reds.gate(), Notes()
    pieces = list(decide_sources(gate, [str(listed)], lambda: desk.model, notes=notes))
    assert [each.decision for piece in pieces for each in piece] == ["keep", None]
    assert notes.problems == []


def test_members_of_containers_are_decided_and_named(
    reds: Filter, desk: Desk, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    shard = tar_of({"x/a.png": png(RED), "b.png": png(BLUE), "c.png": b"no image"})
    write(folder / "0.tar", shard)
    with zipfile.ZipFile(folder / "1.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", png(RED, (7, 7)))
    pq.write_table(pa.table({"image": [png(BLUE, (8, 8))]}), folder / "2.parquet")
    gate, notes = reds.gate(), Notes()
    pieces = list(decide_sources(gate, [str(folder)], lambda: desk.model, notes=notes))
    found = {
        each.name.removeprefix(f"{folder}/"): each.decision for piece in pieces for each in piece
    }
    assert found == {
        "0.tar#member=x/a.png": "keep",
        "0.tar#member=b.png": "drop",
        "0.tar#member=c.png": None,
        "1.zip#member=a.png": "keep",
        "2.parquet#member=image&row=0/0": "drop",
    }
    assert (notes.problems, notes.left_out) == ([], [])


def test_of_a_shard_that_is_cut_short_what_is_whole_is_decided(
    reds: Filter, desk: Desk, tmp_path: Path
) -> None:
    shard = tar_of({"a.png": png(RED), "b.png": png(BLUE)})
    path = write(tmp_path / "0.tar", shard[: shard.index(png(BLUE)) + 8])
    gate, notes = reds.gate(), Notes()
    pieces = list(decide_sources(gate, [str(path)], lambda: desk.model, notes=notes))
    assert [each.decision for piece in pieces for each in piece] == ["keep"]
    assert notes.problems == [
        f"{path}: it is cut short: it ends within b.png; only the images before that were decided"
    ]


def test_columns_of_a_shard_s_samples_serve_where(desk: Desk, tmp_path: Path) -> None:
    members = {"a.png": png(RED), "a.json": b'{"run": 1}', "b.png": png(RED, (5, 5))}
    path = write(tmp_path / "0.tar", tar_of({**members, "b.json": b'{"run": 9}'}))
    gate = gate_of(HALF, where="run < 5")
    [found] = decide_sources(gate, [str(path)], lambda: desk.model)
    assert {each.name.rpartition("=")[2]: each.decision for each in found} == {
        "a.png": "keep",
        "b.png": None,
    }


def test_a_table_of_the_user_s_own_serves_where(desk: Desk, tmp_path: Path) -> None:
    write(tmp_path / "new" / "a.png", png(RED))
    write(tmp_path / "new" / "b.png", png(YELLOW))
    (tmp_path / "runs.csv").write_text("path,run\na.png,1\nb.png,9\n")
    gate = gate_of(HALF, where="run < 5 AND width_px = 4")
    [found] = decide_sources(
        gate, [str(tmp_path / "new")], lambda: desk.model, columns=str(tmp_path / "runs.csv")
    )
    assert [each.decision for each in found] == ["keep", None]


def test_the_labels_of_a_set_serve_where(desk: Desk, tmp_path: Path) -> None:
    write(tmp_path / "dog" / "a.png", png(RED))
    write(tmp_path / "dog" / "b.png", png(YELLOW))
    coco = {
        "images": [{"id": n, "file_name": f"dog/{n}.png"} for n in "ab"],
        "annotations": [{"image_id": "a", "category_id": 1}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    gate = gate_of(HALF, where="'dog' IN labels")
    [found] = decide_sources(gate, [str(tmp_path / "coco.json")], lambda: desk.model)
    assert [each.decision for each in found] == ["keep", None]
    texts = gate.decide([image(1, 0, 0, labels="dog"), image(1, 0, 0, labels=["cat"])])
    assert [each.decision for each in texts] == ["keep", None]


# -- a CSV file of them


def test_a_csv_file_is_whole_under_its_name_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "decided.csv"
    with decided_file(path) as write_some:
        write_some([ImageDecided("a,b.jpg", "keep", 0.5, 0.25, None, None)])
        assert not path.exists()
        write_some([ImageDecided.without("c.jpg", "empty file")])
    assert path.read_text() == (
        'name,decision,score,probability,label,error\n"a,b.jpg",keep,0.5,0.25,,\nc.jpg,,,,,empty file\n'
    )
    named = [ImageDecided("=cmd.jpg", "keep", -0.5, None, None, None)]
    for raw, name in ((False, "'=cmd.jpg"), (True, "=cmd.jpg")):
        with decided_file(tmp_path / "odd.csv", raw_cells=raw) as write_some:
            write_some(named)
        assert (tmp_path / "odd.csv").read_text().endswith(f"\n{name},keep,-0.5,,,\n")
        (tmp_path / "odd.csv").unlink()
    with pytest.raises(LakeError, match="is there already"), decided_file(path):
        pass
    with decided_file(tmp_path / "other.csv") as write_some:
        busy = r"other\.csv is being written by another run of `decide`; wait"
        with pytest.raises(LakeLocked, match=busy), decided_file(tmp_path / "other.csv"):
            raise AssertionError("two runs would write one file")
        write_some([])
    assert not list(tmp_path.glob("*.lock"))
    (tmp_path / "other.csv").unlink()
    with (
        pytest.raises(LakeError, match="cannot be written"),
        decided_file(tmp_path / "none" / "x.csv"),
    ):
        pass
    with pytest.raises(SourceError), decided_file(tmp_path / "half.csv"):
        raise SourceError("photos", "there are no image files in it")
    assert sorted(tmp_path.iterdir()) == [path]
    with pytest.raises(KeyboardInterrupt), decided_file(tmp_path / "half.csv") as write_some:
        write_some([ImageDecided("a.jpg", "keep", 0.5, None, None, None)])
        raise KeyboardInterrupt
    assert part_of(tmp_path / "half.csv").read_text().count("\n") == 2


def test_columns_of_other_types_are_unknown_not_an_error() -> None:
    gate = gate_of(HALF, where="robot = 'r2'")
    found = gate.decide([image(1, 0, 0, robot="r2"), image(1, 0, 0, robot=7)])
    assert [each.decision for each in found] == ["keep", None]
    assert pa.types.is_string(gate.rule.schema.field("robot").type)
