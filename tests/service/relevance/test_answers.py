"""The whole documents of a filter's answers, field by field in their order;
and that Python, the command line and HTTP give the same ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.filter_schemas import ApplyAnswer
from service.api.serving.keys import KeyStore
from service.cli.arguments import parser
from service.lake import Lake
from service.relevance import Filter, Filters, Target
from service.relevance.answers import FiltersAnswer, LabelAnswer, NextAnswer, UndoAnswer
from service.relevance.as_json import AsJson
from service.relevance.decisions.answers import (
    AppliedAnswer,
    NearestKnown,
    Promise,
    RefusedAnswer,
    RowSampled,
    SamplesAnswer,
)
from service.relevance.definition import LabelsUsed, Thresholds
from service.relevance.gate.answers import DecideAnswer, DecideCounts, ImageDecided
from service.relevance.gate.drift import DriftFound
from service.relevance.promise.applying import Refusal
from service.relevance.promise.prices import Prices
from service.relevance.promise.progress import AuditProgress, More, PlanAnswer, Progress
from service.relevance.scoring.scored_rows import rows_of
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk
from tests.service.api.conftest import HOST
from tests.service.relevance.definitions import definition

DRAFT = {
    "labels": 0,
    "yes": 0,
    "no": 0,
    "skipped": 0,
    "conflicts": 0,
    "purpose": "teach",
    "audit": None,
    "stage": "draft",
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Rows 1 to 4, in order of path: blue, green, red and yellow."""
    desk = Desk(tmp_path)
    for name, colour in (("a", BLUE), ("b", GREEN), ("c", RED), ("d", YELLOW)):
        desk.add(f"{name}.png", colour)
    desk.index()
    return desk


@pytest.fixture
def reds(desk: Desk) -> Iterator[Filter]:
    with Lake.open(desk.lake, desk.model) as lake:
        yield Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))


def same(answer: AsJson, document: dict[str, Any]) -> None:
    """In the same order, too."""
    assert json.dumps(answer.to_json()) == json.dumps(document)


# -- by hand


def test_a_line_of_a_list(reds: Filter) -> None:
    made = reds.definition
    line = {
        "name": "reds",
        "version": 1,
        "stage": "draft",
        "target": {"recall": 0.9, "precision": None, "confidence": 0.95},
        "where": None,
        "snapshot": made.snapshot,
        "labels": 0,
        "created_at": made.created_at,
        "applied": None,
    }
    same(reds.summary(), line)
    same(Filters(reds.lake).listing(), {"filters": [line], "problems": []})


def test_what_to_label_next(reds: Filter, desk: Desk) -> None:
    """Red scores 1: the text's own colour. Yellow is half red, so 1 / sqrt(2)."""
    found = reds.next(2)
    (row,) = rows_of(reds.lake.snapshot, [3])
    first = {
        "row_id": 3,
        "uri": str(desk.photos / "c.png"),
        "width_px": 4,
        "height_px": 4,
        "score": 1.0,
        "probability": None,
        "columns": row.to_json()["columns"],
    }
    assert [each.row_id for each in found.rows] == [3, 4]
    assert found.rows[1].score == pytest.approx(0.7071, abs=1e-3)
    same(
        replace(found, rows=found.rows[:1]),
        {
            "filter": "reds",
            "version": 1,
            "purpose": "teach",
            "rows": [first],
            "progress": DRAFT,
            "scenes": None,
            "with_others": 0,
        },
    )


def test_labels_saved_told_and_taken_back(reds: Filter, desk: Desk, tmp_path: Path) -> None:
    one = DRAFT | {"labels": 1, "yes": 1, "stage": "teach"}
    same(
        reds.label([{"row_id": 3, "label": "yes", "labeller": "ann"}, {"label": "no"}]),
        {
            "saved": 1,
            "seqs": [1],
            "problems": [{"index": 1, "message": "uri: name a row_id or a uri"}],
            "passed_over": [],
            "progress": one,
        },
    )
    (tmp_path / "labels.csv").write_text("row_id,label,labeller\n3,no,ben\n2,no,ben\n1,maybe,ben\n")
    three = DRAFT | {"labels": 2, "no": 1, "conflicts": 1, "stage": "teach"}
    problem = {"line": 4, "message": "label: 'maybe' is not a label; write yes, no or skip"}
    same(
        reds.labels.save_file(tmp_path / "labels.csv"),
        {"saved": 2, "problems": [problem], "progress": three},
    )
    uri = str(desk.photos / "c.png")
    same(
        reds.labels.conflicts(),
        {
            "filter": "reds",
            "labellers": 2,
            "rows": 1,
            "agreed": 0,
            "alpha": 0.0,  # one row, and they differ: 1 - 1 * 2 / 2
            # ann gave one yes, ben one no: observed 0, by chance 0
            "pairs": [{"first": "ann", "second": "ben", "rows": 1, "agreed": 0, "kappa": 0.0}],
            "conflicts": [{"row_id": 3, "uri": uri, "labellers": {"ann": "yes", "ben": "no"}}],
            "settled": [],
            "alike": [],
            "unnamed_differ": 0,
        },
    )
    undone = {"row_id": 2, "label": "no", "labeller": "ben", "seq": 3}
    two = DRAFT | {"labels": 1, "conflicts": 1, "stage": "teach"}
    same(reds.labels.undo(), {"undone": undone, "rows": [undone], "progress": two})
    same(reds.labels.undo(labeller="cem"), {"undone": None, "rows": [], "progress": two})


def test_answers_that_contradict_each_other_without_a_name_are_not_saved(
    reds: Filter, desk: Desk
) -> None:
    contradicted = (
        "label: it is yes in one place and no in another, and neither says by whom; take one out"
    )
    found = reds.label(
        [
            {"row_id": 3, "label": "yes"},
            {"uri": f"{desk.photos}//./c.png", "label": "no"},
            {"row_id": 3, "label": "no", "labeller": "ann"},
            {"uri": "gone.png", "label": "no"},
            {"uri": "a.png", "label": "no"},
        ]
    )
    assert (found.saved, found.progress.no) == (2, 2)
    assert [(each.index, each.message) for each in found.problems] == [
        (0, contradicted),
        (1, contradicted),
        (3, "uri: the lake has no image gone.png"),
    ]


def test_answers_of_a_tool_name_the_image_and_count_what_has_no_answer(
    reds: Filter, desk: Desk, tmp_path: Path
) -> None:
    images = [
        {"id": 1, "file_name": str(desk.photos / "c.png")},
        {"id": 2, "file_name": "/gone.png"},
        {"id": 3, "file_name": str(desk.photos / "a.png")},
    ]
    marks = [{"id": n, "image_id": n, "category_id": 1} for n in (1, 2)]
    coco = {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "ward"}]}
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    found = reds.labels.save_export(tmp_path / "coco.json", "coco", "ann", yes=["ward"])
    assert [(each.about, "not in this lake" in each.message) for each in found.problems] == [
        ("/gone.png", True)
    ]
    document = found.to_json()
    assert list(document) == ["saved", "problems", "unanswered", "progress"]
    assert (document["saved"], document["unanswered"]) == (1, 1)
    assert list(document["problems"][0]) == ["about", "message"]


def test_what_changed_between_versions(reds: Filter) -> None:
    reds.next(1, "audit")
    changes = reds.versions.diff(1, 2).to_json()["changes"]
    assert {"field": "version", "before": 1, "after": 2} in changes
    assert {"field": "audit", "before": None, "after": 1} in changes
    assert all(list(change) == ["field", "before", "after"] for change in changes)


def test_a_refusal() -> None:
    refusal = Refusal("too few labels", {"recall": 0.8, "confidence": 0.95, "dropped": 20}, 70)
    same(
        RefusedAnswer.of(definition(version=2), refusal),
        {
            "refused": True,
            "reason": "too few labels",
            "can_promise": {"recall": 0.8, "confidence": 0.95, "dropped": 20},
            "labels_missing": 70,
            "filter": "hospital",
            "version": 2,
        },
    )


def test_what_was_decided_and_is_promised() -> None:
    measured = {
        "recall": {"at_least": 0.9, "estimate": 0.97},
        "precision": {"at_least": None, "estimate": 0.5},
        "confidence": 0.95,
        "assumption": {"name": "tail", "says": "it falls"},
        "both": 0.9,
        "every": None,
        "rows": 120,
        "kept": 82,
        "asked": 0,
        "dropped": 38,
    }
    applied = definition(
        version=3,
        reason="applied",
        snapshot=7,
        thresholds=Thresholds(0.5, 0.25),
        labels=LabelsUsed(9, 5, 3, 1, "0" * 64),
        measured=measured,
    )
    answer = AppliedAnswer.of(applied)
    same(
        answer,
        {
            "refused": False,
            "filter": "hospital",
            "version": 3,
            "snapshot": 7,
            "rows": 120,
            "kept": 82,
            "asked": 0,
            "dropped": 38,
            "thresholds": {"keep": 0.5, "drop": 0.25},
            "promise": {
                "recall": 0.9,
                "precision": None,
                "confidence": 0.95,
                "assumption": "tail",
                "both": 0.9,
                "every": None,
                "scenes": None,
                "scene": None,
            },
            "measured": measured,
            "labels": {"count": 9, "yes": 5, "no": 3},
        },
    )
    assert answer.promise.sentence == (
        "recall at least 0.9, with confidence 0.95, assuming the tail; 0.9 that this and the same audit's promise that "
        "assumes nothing both hold"
    )
    plain = replace(answer.promise, assumption=None)
    assert plain.sentence == (
        "recall at least 0.9, with confidence 0.95; 0.9 that this and the same audit's promise that assumes the tail "
        "both hold"
    )
    wanted = Promise.wanted(Target(0.9, 0.75, 0.99))
    assert (
        wanted.sentence == "recall at least 0.9 and precision at least 0.75, with confidence 0.99"
    )


def test_where_an_audit_stands() -> None:
    audit = AuditProgress(
        2, 40, 110, True, 0, More(30, 200), 60, 900, 75, 0.96, 0.9, None, False, 0.5, None, (), None,
        None, None,
    )  # fmt: skip
    same(
        Progress(44, 12, 30, 1, 1, "audit", audit, "audit"),
        {
            "labels": 44,
            "yes": 12,
            "no": 30,
            "skipped": 1,
            "conflicts": 1,
            "purpose": "audit",
            "audit": {
                "number": 2,
                "answered": 40,
                "planned": 110,
                "holds": True,
                "still_needed": 0,
                "more": {"labels": 30, "drop": 200},
                "budget": 60,
                "rows": 900,
                "drops": 75,
                "sure": 0.96,
                "recall_shown": 0.9,
                "precision_shown": None,
                "needs_ask": False,
                "label_price": 0.5,
                "every": None,
                "groups": [],
                "scene": None,
                "scenes_shown": None,
                "follows": None,
            },
            "stage": "audit",
        },
    )
    assert not audit.is_spent
    spent = replace(audit, answered=60, holds=False, drops=None)
    assert [
        each.is_spent for each in (spent, replace(spent, answered=59), replace(spent, budget=None))
    ] == [
        True,
        False,
        False,
    ]


def test_samples() -> None:
    row = RowSampled(
        7, "/a.png", 4, 4, 0.5, 0.25, {"format": "png"}, None, NearestKnown(3, None, 0.9), None
    )
    same(
        SamplesAnswer("reds", 3, "drop", "line", 38, 14, (row,)),
        {
            "filter": "reds",
            "version": 3,
            "decision": "drop",
            "order": "line",
            "of": 38,
            "by_people": 14,
            "rows": [
                {
                    "row_id": 7,
                    "uri": "/a.png",
                    "width_px": 4,
                    "height_px": 4,
                    "score": 0.5,
                    "probability": 0.25,
                    "columns": {"format": "png"},
                    "label": None,
                    "nearest_yes": {"row_id": 3, "image": None, "cosine": 0.9},
                    "nearest_no": None,
                }
            ],
        },
    )


def decided(*images: ImageDecided) -> DecideAnswer:
    """Drift has more digits than are written."""
    drift = DriftFound(False, "alike", 2, 1.23456789, None, None, 0.5, 1 / 3)
    counts = DecideCounts(1, 0, 0, 0, 1)
    return DecideAnswer("reds", 3, Thresholds(0.5, 0.5), False, "a note", images, counts, drift)


def test_new_images() -> None:
    kept = ImageDecided("a.png", "keep", 0.75, None, "yes", None)
    answer = decided(kept, ImageDecided.without("b.png", "it is no image"))
    head = {
        "filter": "reds",
        "version": 3,
        "thresholds": {"keep": 0.5, "drop": 0.5},
        "promised": False,
        "note": "a note",
    }
    names = ("name", "decision", "score", "probability", "label", "error")
    images = [
        dict(zip(names, ("a.png", "keep", 0.75, None, "yes", None), strict=True)),
        dict(zip(names, ("b.png", None, None, None, None, "it is no image"), strict=True)),
    ]
    tail = {
        "counts": {"keep": 1, "ask": 0, "drop": 0, "outside": 0, "unreadable": 1},
        "drift": {
            "warning": False,
            "sentence": "alike",
            "images": 2,
            "different": 1.234568,
            "distance": None,
            "p_value": None,
            "above_line_then": 0.5,
            "above_line_now": 0.333333,
        },
    }
    same(answer, {**head, "images": images, **tail})
    assert answer.around_images() == (head, tail)
    assert answer.drift.different == 1.23456789


def test_fields_can_be_read_by_key_as_when_answers_were_dicts(reds: Filter) -> None:
    found = reds.next(1)
    assert found["rows"][0]["row_id"] == found.rows[0].row_id == 3
    assert found["progress"]["audit"] is None
    with pytest.raises(KeyError, match="to_json"):
        found["to_json"]


# -- the same everywhere


@pytest.fixture
def app(desk: Desk, reds: Filter, tmp_path: Path) -> FastAPI:
    keys = KeyStore(tmp_path / "state")
    return create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=keys)


def printed(filters: Filters, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    arguments = parser().parse_args(["filter", *map(str, words), "--json"])
    act: Any = argparse.Namespace(**vars(arguments)).act
    act(filters, arguments)
    return capsys.readouterr().out


def test_http_and_the_command_write_what_python_says(
    app: FastAPI, reds: Filter, capsys: pytest.CaptureFixture[str]
) -> None:
    reds.label([{"row_id": 3, "label": "yes"}, {"row_id": 1, "label": "no"}])
    filters, folder = Filters(reds.lake), reds.lake.folder
    said = "--price 2 --miss-price 9 --label-price 0.06 --currency EUR"
    answers: list[tuple[AsJson, str, tuple[object, ...]]] = [
        (filters.listing(), "GET ", ("list", folder)),
        (reds.plan(), "GET /reds/plan", ("plan", folder, "reds")),
        (
            reds.plan(Prices.of(2.0, 9.0, 0.06, "EUR")),
            "GET /reds/plan?price=2&miss_price=9&label_price=0.06&currency=EUR",
            ("plan", folder, "reds", *said.split()),
        ),
        (reds.next(), "POST /reds/next", ("next", folder, "reds")),
        (reds.apply(), "POST /reds/apply", ("apply", folder, "reds")),
    ]
    with TestClient(app, base_url=HOST) as client:
        for answer, route, words in answers:
            method, path = route.split(" ")
            body: dict[str, Any] | None = {} if method == "POST" else None
            told = client.request(method, f"/v1/lakes/my/filters{path}", json=body)
            assert told.content == orjson.dumps(answer.to_json()), route
            document = json.dumps(answer.to_json(), ensure_ascii=False, indent=1)
            assert printed(filters, capsys, *words) == f"{document}\n", route


def test_openapi_has_every_field_of_the_answers_and_what_is_said_of_it(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    seen: set[type] = set()
    for kind in (FiltersAnswer, NextAnswer, LabelAnswer, UndoAnswer, PlanAnswer, SamplesAnswer,
                 DecideAnswer, AppliedAnswer, RefusedAnswer):  # fmt: skip
        check_schema(kind, schemas, seen)
    assert {AuditProgress, More, RowSampled, NearestKnown, DriftFound, ImageDecided} <= seen
    refs = [f"#/components/schemas/{kind.__name__}" for kind in (AppliedAnswer, RefusedAnswer)]
    assert [each["$ref"] for each in schemas[ApplyAnswer.__name__]["anyOf"]] == refs
    assert schemas["RowSampled"]["properties"]["probability"]["description"] == (
        "A calibrated chance of being relevant; null before there are labels, and where an audit "
        "asks."
    )


def check_schema(kind: type, schemas: dict[str, Any], seen: set[type]) -> None:
    """An answer's schema, and those of all answers in it."""
    assert is_dataclass(kind)
    if kind in seen:
        return
    seen.add(kind)
    schema, names = schemas[kind.__name__], [field.name for field in fields(kind)]
    assert list(schema["properties"]) == schema["required"] == names
    for field in fields(kind):
        told = schema["properties"][field.name].get("description")
        assert told == field.metadata.get("description"), (kind, field.name)
    for hint in get_type_hints(kind).values():
        for inner in parts(hint):
            if isinstance(inner, type) and issubclass(inner, AsJson):
                check_schema(inner, schemas, seen)


def parts(hint: Any) -> Iterator[Any]:
    """A type and all that it is made of."""
    yield hint
    for inner in get_args(hint):
        yield from parts(inner)
