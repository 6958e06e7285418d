"""A filter from prompt to promise, on a lake of coloured images: reddish ones are wanted."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq
import pytest

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.errors import BadRequest, UnknownFilter, UnreadableImage, WhereError
from indexer.run.writing.compact import vacuum
from indexer.sync import sync
from service.lake import Lake
from service.relevance import Filter, Filters
from service.relevance.answers import LabelAnswer, NextAnswer, Undone
from service.relevance.decisions.answers import AppliedAnswer, Promise
from service.relevance.definition import Target
from service.relevance.promise.prices import Prices
from service.relevance.promise.progress import AuditProgress
from service.relevance.reporting.summary import summary
from service.relevance.scoring.scored_rows import RowToLabel
from service.relevance.scoring.scorer import vectors_of
from tests.lakes import BLUE, Desk, png, write
from tests.service.relevance.definitions import as_older_versions_wrote

REDS, OTHERS = 30, 90


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
    return desk


@pytest.fixture
def lake(desk: Desk, tmp_path: Path) -> Lake:
    import shutil

    shutil.copytree(desk.lake, tmp_path / "my.lake")
    return Lake.open(tmp_path / "my.lake", desk.model)


def is_red(row: RowToLabel) -> bool:
    return Path(row.uri).name.startswith("a")


def answer(filter: Filter, rows: Sequence[RowToLabel], labeller: str = "ann") -> LabelAnswer:
    labels = [
        {"row_id": row.row_id, "label": "yes" if is_red(row) else "no", "labeller": labeller}
        for row in rows
    ]
    return filter.label(labels)


def audit_of(filter: Filter) -> AuditProgress:
    audit = filter.progress().audit
    assert audit is not None
    return audit


def red_filter(lake: Lake, **more: Any) -> Filter:
    return Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95), **more)


def audited(lake: Lake) -> Filter:
    """Taught with 10 answers, and every row that the audit asks for answered."""
    filter = red_filter(lake)
    answer(filter, filter.next(10).rows)
    while rows := filter.next(40, "audit").rows:
        answer(filter, rows)
    return filter


def hardly_audited(lake: Lake) -> Filter:
    """As sure as a coin, after some 15 answers of 120: most rows have none when it is applied."""
    filter = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.5))
    answer(filter, filter.next(10).rows)
    # by these draws some rows on both sides of the line stay open
    with patch("service.relevance.promise.audit.fresh_seed", lambda: "5eed" * 16):
        while rows := filter.next(3, "audit", budget=15).rows:
            answer(filter, rows)
    return filter


def test_a_draft_scores_and_promises_nothing(lake: Lake) -> None:
    filter = red_filter(lake, drop_texts=["blue"], where="width_px = 4")
    assert filter.summary().to_json() | {"created_at": ""} == {
        "name": "reds",
        "version": 1,
        "stage": "draft",
        "target": {"recall": 0.9, "precision": None, "confidence": 0.95},
        "where": "width_px = 4",
        "snapshot": lake.snapshot.number,
        "labels": 0,
        "created_at": "",
        "applied": None,
    }
    refused = filter.apply()
    assert refused.refused is True
    assert "promises nothing before an audit" in refused.reason
    assert filter.versions.numbers() == [1]
    with pytest.raises(BadRequest, match="was not applied yet"):
        filter.decided("keep")


def test_teaching_begins_with_what_fits_best(lake: Lake) -> None:
    found = red_filter(lake).next(5)
    assert found.purpose == "teach"
    assert len(found.rows) == 5
    reddest = found.rows[0]
    assert set(reddest.to_json()) == {
        "row_id",
        "uri",
        "width_px",
        "height_px",
        "score",
        "probability",
        "columns",
    }
    assert is_red(reddest)
    assert reddest.score is not None
    assert reddest.score > 0.9
    assert reddest.probability is None


def test_two_who_begin_an_audit_at_once_begin_one(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = red_filter(lake), Filters(lake).open("reds")
    lock = second._store.lock
    found: list[NextAnswer] = []

    @contextmanager
    def lock_after_the_other(name: str) -> Iterator[None]:
        found.append(first.next(3, "audit"))  # between the second's look at the filter and its turn
        with lock(name):
            yield

    monkeypatch.setattr(second._store, "lock", lock_after_the_other)
    assert second.next(3, "audit") == found[0]
    assert second.versions.numbers() == [1, 2]
    assert audit_of(second).number == 1


def test_a_copy_goes_on_counting_the_audits_of_its_source(lake: Lake) -> None:
    filters, filter = Filters(lake), audited(lake)
    needed = filter.plan().options
    copied = filters.copy("reds", "again", labels=True)
    copied.next(1, "audit")
    design = copied._auditing.of(copied.definition).design
    assert (design.number, audit_of(copied).number, copied.definition.audit) == (2, 2, 2)
    assert filter.plan().options != needed, "a third audit has less to spend"
    filter.next(1, "audit", again=True)
    assert filter.definition.audit == 3
    assert Filters(lake).open("again").apply().refused is True


def test_prices_decide_where_an_audit_aims_and_what_is_asked_about(lake: Lake) -> None:
    filter, prices = red_filter(lake), Prices.of(2, None, 0.06)
    answer(filter, filter.next(10).rows)
    plain, priced = filter.plan(), filter.plan(prices)
    assert (plain.costs, {option.cost for option in plain.options}) == (None, {None})
    costs = priced.costs
    assert costs is not None
    assert costs.annotate_everything == 2 * 110
    assert [option.dropped for option in priced.options] == [
        option.dropped for option in plain.options
    ]
    known = [option.cost for option in priced.options if option.cost is not None]
    assert costs.line is not None
    assert min(known) == costs.line.cost
    with pytest.raises(BadRequest, match="fixed when an audit is begun"):
        filter.next(5, "teach", prices=prices)
    filter.next(5, "audit", prices=prices)
    assert audit_of(filter).label_price == 0.03
    filter.next(5, prices=Prices.of(None, None, 0.03))  # the same, in other words
    with pytest.raises(BadRequest, match="with --again where one is under way"):
        filter.next(5, prices=Prices.of(None, None, 0.04))
    while rows := filter.next(40).rows:
        answer(filter, rows)
    with pytest.raises(BadRequest, match="say --ask, too"):
        filter.apply(prices=prices)
    applied = filter.apply(ask=True)
    assert applied.refused is False
    assert applied.measured["unseen_from"] == 0.97
    again = filter.apply(ask=True, prices=Prices.of(None, None, 0.5))
    assert again.refused is False
    assert "unseen_from" not in again.measured
    filter.next(5, "audit", again=True, prices=Prices.of(None, None, 0.04))
    assert audit_of(filter).label_price == 0.04
    precise = Filters(lake).create("precise", keep_texts=["red"], target=Target(None, 0.9))
    for call in (precise.plan, precise.next):
        with pytest.raises(BadRequest, match="where recall alone is promised"):
            call(prices=prices)


def test_what_was_answered_is_not_asked_again(lake: Lake) -> None:
    filter = red_filter(lake)
    first = filter.next(20)
    saved = answer(filter, first.rows)
    assert saved.saved == 20
    assert saved.progress.labels == 20
    second = filter.next(20)
    assert not {row.row_id for row in first.rows} & {row.row_id for row in second.rows}


def test_from_a_prompt_to_a_promise(lake: Lake) -> None:
    filter = audited(lake)
    done = filter.next(5)
    assert (done.purpose, done.rows) == ("audit", [])
    assert audit_of(filter).still_needed == 0
    applied = filter.apply()
    assert applied.refused is False
    assert applied.kept + applied.dropped == REDS + OTHERS == applied.rows
    assert applied.promise == Promise(0.9, None, 0.95, None)
    kept = {Path(uri).name for uri in filter.decided("keep")["uri"].to_pylist()}
    assert sum(name.startswith("a") for name in kept) >= 27
    assert filter.summary().stage == "applied"
    assert filter.definition.version == 3  # created, audit begun, applied
    changed = [change.field for change in filter.versions.diff(2, 3).changes]
    assert {"thresholds", "measured.kept"} & set(changed)


def test_the_ledger_has_a_row_for_every_image_and_the_same_bytes_again(lake: Lake) -> None:
    filter = audited(lake)
    folder = lake.folder / "filters" / "reds" / "ledger"
    filter.apply()
    filter.apply()
    first, second = (pq.read_table(folder / f"{version:06d}.parquet") for version in (3, 4))
    assert first.num_rows == REDS + OTHERS
    assert first.drop_columns(["version"]).equals(second.drop_columns(["version"]))
    ids = first["row_id"].to_pylist()
    assert ids == sorted(ids)
    labels = dict(zip(ids, first["label"].to_pylist(), strict=True))
    decisions = dict(zip(ids, first["decision"].to_pylist(), strict=True))
    said = {row_id: label for row_id, label in labels.items() if label}
    assert said
    assert all(
        decisions[row_id] == ("keep" if label == "yes" else "drop")
        for row_id, label in said.items()
    )


def test_the_ledger_says_what_each_row_is_most_like(lake: Lake) -> None:
    filter = audited(lake)
    filter.apply()
    table = pq.read_table(filter.decisions.ledger_path())
    said = {row_id: answer.label for row_id, answer in filter.answers().items()}
    ids = np.array(table["row_id"])
    vectors = dict(zip(ids.tolist(), vectors_of(lake.snapshot, ids), strict=True))
    assert set(said.values()) == {"yes", "no"}
    for row in table.to_pylist():
        for label in ("yes", "no"):
            others = [
                row_id for row_id, what in said.items() if what == label and row_id != row["row_id"]
            ]
            best = max(float(vectors[row["row_id"]] @ vectors[other]) for other in others)
            near = row[f"nearest_{label}"]
            assert near in others
            assert row[f"nearest_{label}_image"] is None
            assert row[f"nearest_{label}_cosine"] == pytest.approx(min(best, 1), abs=1e-5)
            assert float(vectors[row["row_id"]] @ vectors[near]) == pytest.approx(best, abs=1e-5)


def test_samples_are_those_next_to_the_line_or_drawn(lake: Lake) -> None:
    filter = hardly_audited(lake)
    with pytest.raises(BadRequest, match="was not applied yet"):
        filter.samples("drop", order="random")
    filter.apply()
    dropped = filter.decided("drop")
    ids = set(dropped["row_id"].to_pylist())
    near = filter.samples("drop", 5)
    assert (near.order, near.of, len(near.rows)) == ("line", len(ids), 5)
    scores = [row.score for row in near.rows]
    assert scores == sorted(scores, reverse=True)
    by_score = [row for row in dropped.to_pylist() if row["label"] is None]
    assert near.by_people == len(ids) - len(by_score) > 0
    assert scores[0] == pytest.approx(max(row["score"] for row in by_score), abs=1e-5)
    drawn = [row.row_id for row in filter.samples("drop", 5, order="random", seed=1).rows]
    assert drawn == [row.row_id for row in filter.samples("drop", 5, order="random", seed=1).rows]
    assert len(set(drawn)) == 5
    count = len(ids) - 6
    draws = [filter.samples("drop", count, order="random") for _ in range(9)]
    rows = [[row.row_id for row in draw.rows] for draw in draws]
    assert all(set(each) <= ids and len(set(each)) == count for each in rows)
    assert rows[0] != rows[1]
    assert set().union(*map(set, rows)) == ids  # all but one chance in 10,000
    everything = filter.samples("drop", 10_000, order="random").rows
    assert {row.row_id for row in everything} == ids
    assert everything[0].nearest_yes is not None
    assert set(everything[0].nearest_yes.to_json()) == {"row_id", "image", "cosine"}
    for wrong in ({"order": "best"}, {"seed": -1}, {"count": 0}, {"offset": -1}):
        with pytest.raises(BadRequest):
            filter.samples("drop", **wrong)


def test_a_ledger_of_an_older_version_says_nothing_of_what_is_near(lake: Lake) -> None:
    filter = audited(lake)
    filter.apply()
    table = pq.read_table(filter.decisions.ledger_path())
    old = [name for name in table.column_names if not name.startswith("nearest_")]
    assert len(table.column_names) == len(old) + 6
    as_older_versions_wrote(filter.decisions.ledger_path().parents[1])
    pq.write_table(table.select(old), filter.decisions.ledger_path())
    row = filter.samples("drop", 1, order="random").rows[0]
    assert (row.nearest_yes, row.nearest_no) == (None, None)


def test_what_was_dropped_comes_back_as_a_yes_that_can_be_taken_back(lake: Lake) -> None:
    filter = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.5, None, 0.5))
    with pytest.raises(BadRequest, match="was not applied yet"):
        filter.labels.restore([31])
    answer(filter, filter.next(10).rows)
    # no more answers than it takes: most of what is dropped has none
    while filter.apply().refused:
        answer(filter, filter.next(5, "audit").rows)
    answered, audit = filter.answers(), audit_of(filter)
    table = filter.decided("drop").to_pylist()
    # Those drawn last: an answer counts in the audit only once all before it are answered.
    order = filter._auditing.of(filter.decisions.last()).order[1].tolist()
    unseen = sorted(
        (row for row in table if row["row_id"] not in answered),
        key=lambda row: -order.index(row["row_id"]),
    )
    asked = next(row["row_id"] for row in table if answered.get(row["row_id"]))
    kept = filter.decided("keep")["row_id"][0].as_py()
    rows = [
        unseen[0]["row_id"],
        unseen[1]["uri"],
        unseen[0]["row_id"],
        kept,
        asked,
        999,
        "/gone.png",
    ]
    saved = filter.labels.restore(rows, "ben")
    wanted = [unseen[0]["row_id"], unseen[1]["row_id"]]
    assert (saved.saved, saved.restored, saved.version) == (
        3,
        wanted,
        filter.decisions.last().version,
    )
    assert [problem.about for problem in saved.problems] == [
        str(kept),
        "999",
        "/gone.png",
        f"row {asked}",
    ]
    assert "keeps it" in saved.problems[0].message
    assert "ann said no" in saved.problems[3].message
    assert {filter.answers()[row_id].purpose for row_id in wanted} <= {"picked", "audit"}
    assert filter.answers()[asked].label == "conflict"
    filter.labels.undo(asked, "ben")
    assert audit_of(filter).answered >= audit.answered
    before = filter.decisions.last().version
    filter.apply()
    assert set(wanted) <= set(filter.decided("keep")["row_id"].to_pylist())
    assert not set(wanted) & set(filter.decided("keep", version=before)["row_id"].to_pylist())
    filter.labels.undo(wanted[0])
    filter.apply()
    assert wanted[0] in filter.decided("drop")["row_id"].to_pylist()


def test_the_audit_repeats_what_is_pending_in_its_order(lake: Lake) -> None:
    filter = red_filter(lake)
    answer(filter, filter.next(10).rows)
    first = filter.next(6, "audit")
    assert filter.next(6).rows == first.rows
    answer(filter, first.rows[1:])  # the first one is left out: nothing counts past it
    assert audit_of(filter).answered == 0
    assert filter.next(1).rows[0] == first.rows[0]
    answer(filter, first.rows[:1])
    assert audit_of(filter).answered == 6


def test_an_audit_asks_for_no_more_than_its_budget(lake: Lake) -> None:
    filter = red_filter(lake)
    first = filter.next(40, "audit", budget=4).rows
    assert len(first) == 4, "however many are wanted at once"
    # One is passed over, as by somebody who left: it is asked again, and none beyond the four.
    answer(filter, first[1:])
    assert [row.row_id for row in filter.next(40).rows] == [first[0].row_id]
    answer(filter, first[:1])
    spent = filter.next(40)
    audit = spent.progress.audit
    assert spent.rows == [] and audit is not None
    assert (audit.answered, audit.budget, audit.holds, audit.is_spent) == (4, 4, False, True)
    more = filter.next(40, budget=7).rows
    assert len(more) == 3, "whoever grants more goes on with the same audit"
    assert filter.definition.audit == 1
    assert not {row.row_id for row in more} & {row.row_id for row in first}


def test_what_is_taught_while_an_audit_runs_has_no_score_and_no_order(lake: Lake) -> None:
    filter = red_filter(lake)
    before = filter.next(12).rows
    assert all(row.score is not None for row in before)
    filter.next(1, "audit")
    during = filter.next(12, "teach").rows
    assert {(row.score, row.probability) for row in during} == {(None, None)}
    assert {row.row_id for row in during} == {row.row_id for row in before}
    assert [row.row_id for row in during] != [row.row_id for row in before]


def test_an_audit_applied_with_and_without_the_tail_says_how_sure_both_are(lake: Lake) -> None:
    filter = audited(lake)
    standing = filter.standing()
    assert standing is not None
    last = int(standing.audit.order[1][-1])
    filter.labels.undo(last)  # else all may be counted, and nothing is left to chance
    plain = filter.apply()
    assert isinstance(plain, AppliedAnswer) and plain.promise.both is None
    version = filter.definition
    with_tail = {**(version.measured or {}), "confidence": 0.8, "assumption": {"name": "tail"}}
    Filters(lake).store.add(
        replace(version, version=version.version + 1, parent=version.version, measured=with_tail)
    )
    again = filter.apply()
    assert isinstance(again, AppliedAnswer)
    assert (again.promise.both, again.measured["both"]) == (0.75, 0.75)  # 0.95 + 0.8 - 1
    assert again.promise.sentence.endswith(
        "; 0.75 that this and the same audit's promise that assumes the tail both hold"
    )
    assert filter.report()["promise"]["both"] == 0.75
    assert any("0.75 that this and the same" in line for line in summary(filter.report()))
    answer(filter, filter.next(1, "audit", again=True).rows)
    assert filter.definition.audit == 2


def test_a_new_audit_is_a_new_version_with_another_draw(lake: Lake) -> None:
    filter = red_filter(lake)
    answer(filter, filter.next(10).rows)
    filter.next(5, "audit")
    filter.next(5, "audit", again=True)
    assert (filter.definition.version, filter.definition.audit) == (3, 2)
    seeds = {
        (lake.folder / "filters" / "reds" / "audits" / f"{n:06d}.json")
        .read_text()
        .split('"seed": ')[1][:70]
        for n in (1, 2)
    }
    assert len(seeds) == 2


def test_an_audit_stays_with_its_snapshot_and_vacuum_keeps_it(lake: Lake, desk: Desk) -> None:
    filter = red_filter(lake)
    answer(filter, filter.next(10).rows)
    asked = filter.next(5, "audit").rows
    # what a filter expects leads nobody's answer, also not through the command or HTTP
    assert [(row.score, row.probability) for row in asked] == [(None, None)] * 5
    desk_copy = Desk(lake.folder.parent, desk.model)
    desk_copy.photos.mkdir()
    extra = desk_copy.add("new.png", BLUE)
    desk_copy.index(extra.parent)
    lake.reload()
    vacuum(Layout(lake.folder), lake.manifest, keep_s=0)
    assert filter.next(5).rows == asked
    assert Filter(Lake.open(lake.folder, desk.model), filter._store, "reds").next(5).rows == asked


def test_an_audit_goes_on_though_an_image_it_asked_for_is_gone(lake: Lake, desk: Desk) -> None:
    filter = red_filter(lake)
    answer(filter, filter.next(10).rows)
    first, second = filter.next(2, "audit").rows
    with Lake.open(lake.folder, desk.model) as other:
        gone = Desk(desk.root, desk.model)
        kept = Path(first.uri).read_bytes()
        Path(first.uri).unlink()
        try:
            sync(other.folder, lambda manifest: desk.model, config=IndexConfig(decoders=1))
        finally:
            write(gone.photos / Path(first.uri).name, kept)
    lake.reload()
    assert lake.snapshot.find(first.row_id) is None
    saved = filter.label(
        [{"uri": first.uri, "label": "skip"}, {"row_id": second.row_id, "label": "no"}]
    )
    assert (saved.saved, audit_of(filter).answered) == (2, 2)


def test_answers_that_cannot_be_used_lose_no_others(lake: Lake) -> None:
    filter = red_filter(lake)
    first = filter.next(1).rows[0]
    saved = filter.label(
        [
            {"row_id": 999_999, "label": "yes"},
            {"uri": first.uri, "label": "yes"},
            {"row_id": first.row_id, "label": "perhaps"},
            {"uri": "/nowhere.png", "label": "no"},
            {"label": "no"},
        ]
    )
    assert saved.saved == 1
    assert [problem.index for problem in saved.problems] == [0, 2, 3, 4]
    assert "the lake has no image /nowhere.png" in saved.problems[2].message
    assert filter.answers()[first.row_id].label == "yes"


def test_labels_come_from_a_csv_file_and_can_be_taken_back(lake: Lake, tmp_path: Path) -> None:
    filter = red_filter(lake)
    rows = filter.next(3).rows
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uri", "label", "labeller"])
        writer.writerows([[row.uri, "yes", "ann"] for row in rows] + [["/gone.png", "yes", "ann"]])
    saved = filter.labels.save_file(tmp_path / "labels.csv")
    assert saved.saved == 3
    assert [problem.line for problem in saved.problems] == [5]
    undone = filter.labels.undo(labeller="ann")
    assert undone.undone == Undone(rows[2].row_id, "yes", "ann", 3)
    assert undone.progress.yes == 2


def test_the_plan_shows_what_each_line_costs_before_anybody_labels(lake: Lake) -> None:
    filter = red_filter(lake)
    answer(filter, filter.next(30).rows)
    found = filter.plan()
    assert found.rows == REDS + OTHERS
    # the 30 best matches say nothing of how many there are: no number is made up from them
    known = list(filter.labels.said().values()).count("yes")
    assert (found.at_least, found.at_most, found.confidence) == (known, None, None)
    dropped = [option.dropped for option in found.options]
    assert dropped == sorted(dropped)
    assert all(option.kept + option.dropped == REDS + OTHERS - 30 for option in found.options)
    assert filter.versions.numbers() == [1]


def test_a_plan_tells_how_many_are_relevant_between_the_bounds_of_the_audit_in_force(
    lake: Lake,
) -> None:
    filter = audited(lake)
    found, bounds = filter.plan(), filter.estimate()
    assert (found.at_least, found.at_most) == (bounds.at_least, bounds.at_most)
    assert found.at_most is not None and found.at_least <= REDS <= found.at_most
    assert found.confidence == 0.95
    begun = filter.next(1, "audit", again=True)
    assert begun.rows, "drawn, and not answered"
    known = list(filter.labels.said().values()).count("yes")
    assert filter.plan().at_least == known
    assert filter.plan().at_most is None


def test_samples_lie_next_to_the_line(lake: Lake) -> None:
    filter = hardly_audited(lake)
    filter.apply()
    kept, dropped = filter.samples("keep", 3), filter.samples("drop", 3)
    scores = np.array([row.score for row in dropped.rows])
    assert (np.diff(scores) <= 0).all()
    assert set(kept.rows[0].to_json()) >= {"row_id", "uri", "score", "label"}
    with pytest.raises(BadRequest, match="none of keep, ask and drop"):
        filter.samples("perhaps")


def test_what_came_since_is_undecided_and_a_smaller_promise_is_explained(tmp_path: Path) -> None:
    """Four images, all answered; then two are added, of which where looks at one; one goes."""
    desk = Desk(tmp_path)
    for number, colour in enumerate(((255, 0, 0), (255, 60, 0), (0, 0, 255), (0, 255, 0))):
        desk.add(f"{number}.png", colour)
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        filter = red_filter(lake, where="width_px = 4")
        rows = filter.next(9, "audit").rows
        labels = {row.row_id: "yes" if row.row_id <= 2 else "no" for row in rows}
        filter.label([{"row_id": row, "label": label} for row, label in labels.items()])
        assert filter.decisions.in_force() is None
        assert filter.apply(recall=0.5, confidence=0.8).refused is False
        said = "recall at least 0.9, with confidence 0.95"
        smaller = (
            f"version 3 was applied for less than the filter's own {said}; apply without a recall "
            "or confidence to ask for that"
        )
        found = filter.summary().applied
        assert found is not None
        assert found.to_json() == {
            "version": 3,
            "promise": {
                "recall": 0.5,
                "precision": None,
                "confidence": 0.8,
                "assumption": None,
                "both": None,
                "every": None,
                "scenes": None,
                "scene": None,
            },
            "smaller": smaller,
            "undecided": 0,
        }
        assert found.note("my.lake", "reds") is None
        desk.add("4.png", (9, 9, 9))
        desk.add("5.png", (99, 9, 9), size=(8, 8))
        (desk.photos / "3.png").unlink()
        desk.sync()
        lake.reload()
        found = Filters(lake).listing().filters[0].applied
        assert found is not None
        assert found.undecided == 1
        assert (found.note("my.lake", "reds") or "").startswith(
            "1 image has no decision: added since version 3 was audited; the same audit takes them in: "
            "lakesift filter next my.lake reds --purpose audit --follow"
        )
        filter.next(9, "audit", again=True)  # what was applied still decides
        assert filter.decisions.in_force() == found
        row_id = filter.next(9, "audit").rows[0].row_id
        filter.label([{"row_id": row_id, "label": "no"}])
        assert filter.apply().refused is False
        found = filter.decisions.in_force()
        assert found is not None
        assert (found.version, found.smaller, found.undecided) == (5, None, 0)
        assert found.promise.sentence == said
        filter.decisions.ledger_path().unlink()
        assert filter.summary().applied == found  # nothing was added: the ledger isn't read
        desk.add("6.png", (9, 99, 9))
        desk.sync()
        lake.reload()
        found = filter.summary().applied
        assert found is not None
        assert found.undecided is None


def test_what_people_answered_is_next_to_no_line(lake: Lake) -> None:
    """The best scores among the dropped are of images that people said no to."""
    filter = hardly_audited(lake)
    filter.apply()
    best_kept = sorted(filter.samples("keep", 120).rows, key=lambda row: -row.score)[:4]
    denied = {row.row_id for row in best_kept}
    filter.label([{"row_id": row, "label": "no", "labeller": "ann"} for row in denied])
    filter.apply()
    ledger = {row["row_id"]: row for row in filter.decisions.table("keep", "drop").to_pylist()}
    dropped = [row for row in ledger.values() if row["decision"] == "drop"]
    best = sorted(dropped, key=lambda row: (-row["score"], row["row_id"]))[:4]
    assert {row["row_id"] for row in best} == denied  # what the score alone would show
    for decision, group in (("keep", "kept_nearest"), ("drop", "dropped_nearest")):
        found = filter.samples(decision, 120)
        decided = [row for row in ledger.values() if row["decision"] == decision]
        open_ones = [row for row in decided if row["label"] is None]
        assert {row.row_id for row in found.rows} == {row["row_id"] for row in open_ones}
        assert all(row.label is None for row in found.rows)
        assert (found.of, found.by_people) == (len(decided), len(decided) - len(open_ones))
        assert found.by_people > 0
        drawn = filter.samples(decision, 120, order="random")  # of all, as before
        assert {row.row_id for row in drawn.rows} == {row["row_id"] for row in decided}
        assert drawn.by_people == found.by_people
        people = filter.samples(decision, 120, order="people").rows
        assert len(people) == found.by_people
        assert all(row.label is not None for row in people)
        sign = 1 if decision == "keep" else -1  # those first that the score speaks against
        assert [sign * row.score for row in people] == sorted(sign * row.score for row in people)
        after = filter.samples(decision, 3, offset=2).rows
        assert [row.row_id for row in after] == [row.row_id for row in found.rows[2:5]]
        pages = [filter.samples(decision, 4, order="random", seed=7, offset=at) for at in (0, 4)]
        whole = filter.samples(decision, 8, order="random", seed=7).rows
        assert [row.row_id for page in pages for row in page.rows] == [r.row_id for r in whole]
        reported = filter.report()["examples"][group]
        assert [row["row_id"] for row in reported] == [row.row_id for row in found.rows[:8]]


def test_examples_need_no_file_later(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "example.png").write_bytes(png((250, 10, 0)))
    filter = Filters(lake).create("shown", keep_images=[tmp_path / "example.png"], drop_rows=[120])
    (tmp_path / "example.png").unlink()
    assert filter.definition.scorer.kind == "examples"
    assert is_red(filter.next(1).rows[0])


def test_mistakes_are_told_and_make_no_filter(lake: Lake, tmp_path: Path) -> None:
    filters = Filters(lake)
    with pytest.raises(BadRequest, match="say or show what you want"):
        filters.create("a")
    with pytest.raises(WhereError):
        filters.create("a", keep_texts=["red"], where="no_such_column = 1")
    with pytest.raises(BadRequest, match="no image of the lake is left"):
        filters.create("a", keep_texts=["red"], where="width_px > 5000")
    with pytest.raises(BadRequest, match="no row 999"):
        filters.create("a", keep_rows=[999])
    with pytest.raises(UnreadableImage, match=r"gone\.png"):
        filters.create("a", keep_images=[tmp_path / "gone.png"])
    assert filters.names() == []
    with pytest.raises(UnknownFilter):
        filters.open("a")


def test_a_copy_begins_without_promise(lake: Lake) -> None:
    filter = audited(lake)
    filter.apply()
    copy = Filters(lake).copy("reds", "scarlets", labels=True)
    assert copy.summary().stage == "teach"
    assert copy.apply().refused is True
    place = Filters(lake).delete("reds")
    assert place.is_dir()
    assert Filters(lake).names() == ["scarlets"]


def test_a_plan_never_asks_for_more_labels_than_there_are_rows(lake: Lake) -> None:
    filter = red_filter(lake)
    answer(filter, filter.next(10).rows)
    options = filter.plan().options
    assert options
    left = REDS + OTHERS - 10
    assert all(option.labels is None or option.labels <= left for option in options)
    filter.next(1, "audit")
    needed = audit_of(filter).still_needed
    assert needed is None or needed <= left
    assert (needed is None) == all(option.labels is None for option in options)


def test_a_lake_without_an_image_is_said_to_be_empty(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    write(desk.photos / "broken.png", b"not an image")
    desk.index()
    with Lake.open(desk.lake, desk.model) as empty:
        with pytest.raises(BadRequest, match="holds no image yet"):
            Filters(empty).create("a", keep_texts=["red"])
        assert Filters(empty).names() == []


def test_how_many_belong_is_told_between_bounds_once_an_audit_was_begun(lake: Lake) -> None:
    fresh = Filters(lake).create("fresh", keep_texts=["red"], target=Target(0.9, None, 0.95))
    with pytest.raises(BadRequest, match=r"drawn at random yet.*begin an audit"):
        fresh.estimate()
    filter = audited(lake)
    found = filter.estimate()
    assert found.at_least <= found.relevant <= found.at_most
    assert found.at_least <= REDS <= found.at_most
    assert (found.rows, found.confidence, found.audit) == (REDS + OTHERS, 0.95, 1)
    assert filter.estimate(0.5).confidence == 0.5
    with pytest.raises(BadRequest, match="confidence: 1 is not between 0 and 1"):
        filter.estimate(1.0)
