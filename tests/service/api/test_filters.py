"""A filter from prompt to promise over HTTP,
on a lake of coloured images: reddish ones are wanted.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import BLUE, Desk, png
from tests.service.api.conftest import HOST

REDS, OTHERS = 30, 90
FILTERS = "/v1/lakes/my/filters"
REDS_ASKED = {
    "name": "reds",
    "keep": {"texts": ["red"]},
    "drop": {"texts": ["blue"]},
    "target": {"recall": 0.9, "confidence": 0.95},
}
NOT_YET: dict[str, Any] = {
    "labels": 0,
    "yes": 0,
    "no": 0,
    "skipped": 0,
    "conflicts": 0,
    "purpose": "teach",
    "audit": None,
    "stage": "draft",
}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Desk:
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
def client(coloured: Desk, tmp_path: Path) -> Iterator[TestClient]:
    shutil.copytree(coloured.lake, tmp_path / "my.lake")
    keys = KeyStore(tmp_path / "state")
    app = create_app(
        {"my": tmp_path / "my.lake"}, ServeConfig(), embedder=coloured.model, keys=keys
    )
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = client.post(f"{FILTERS}{path}", json=body)
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert isinstance(document, dict)
    return document


def get(client: TestClient, path: str, status: int = 200) -> dict[str, Any]:
    answer = client.get(f"{FILTERS}{path}")
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert isinstance(document, dict)
    return document


def error(document: dict[str, Any]) -> tuple[str, str, str | None]:
    return document["error"]["code"], document["error"]["field"], document["error"]["message"]


def answered(rows: list[dict[str, Any]], labeller: str = "ann") -> dict[str, Any]:
    """As a person who knows red would answer."""
    return {
        "labels": [
            {
                "row_id": row["row_id"],
                "label": "yes" if row["row_id"] <= REDS else "no",
                "labeller": labeller,
            }
            for row in rows
        ]
    }


@pytest.fixture
def reds(client: TestClient) -> TestClient:
    """A service whose lake has the filter reds."""
    post(client, "", REDS_ASKED, 201)
    return client


@pytest.fixture
def audited(reds: TestClient) -> TestClient:
    """Taught with 10 answers, and every row that the audit asks for answered."""
    post(reds, "/reds/label", answered(post(reds, "/reds/next", {"n": 10})["rows"]))
    while rows := post(reds, "/reds/next", {"n": 40, "purpose": "audit"})["rows"]:
        post(reds, "/reds/label", answered(rows))
    return reds


# -- making and showing


def test_a_lake_has_no_filters_at_first(client: TestClient) -> None:
    assert get(client, "") == {"filters": [], "problems": []}


def test_a_new_filter_is_a_draft_and_listed(client: TestClient, coloured: Desk) -> None:
    made = post(client, "", REDS_ASKED, 201)
    assert made | {"created_at": ""} == {
        "name": "reds",
        "version": 1,
        "stage": "draft",
        "target": {"recall": 0.9, "precision": None, "confidence": 0.95},
        "where": None,
        "snapshot": coloured.manifest.snapshot,
        "labels": 0,
        "created_at": "",
        "applied": None,
    }
    assert get(client, "") == {"filters": [made], "problems": []}


def test_a_filter_is_shown_as_its_file_has_it_and_with_its_progress(reds: TestClient) -> None:
    shown = get(reds, "/reds")
    assert shown["keep"] == {"texts": ["red"], "row_ids": [], "images": []}
    assert shown["reason"] == "created"
    assert shown["versions"] == [1]
    assert shown["progress"] == NOT_YET
    assert get(reds, "/reds?version=1")["version"] == 1
    assert error(get(reds, "/reds?version=7", 422))[:2] == ("invalid_request", "version")


def test_rows_of_the_lake_are_examples(client: TestClient) -> None:
    post(client, "", {"name": "like-1", "keep": {"row_ids": [1]}, "drop": {"row_ids": [120]}}, 201)
    shown = get(client, "/like-1")
    assert (shown["keep"]["row_ids"], shown["drop"]["row_ids"]) == ([1], [120])
    assert shown["target"] == {"recall": 0.95, "precision": None, "confidence": 0.95}
    first = post(client, "/like-1/next", {"n": 1})["rows"][0]
    assert first["row_id"] == 1  # nothing is more like row 1 than itself


@pytest.mark.parametrize(
    ("body", "status", "code", "field", "said"),
    [
        ({}, 422, "invalid_request", "name", "required"),
        ({"name": "reds"}, 422, "invalid_request", "keep", "say or show what you want"),
        (
            {**REDS_ASKED, "name": "My reds"},
            422,
            "invalid_request",
            "name",
            "is no name for a filter",
        ),
        (
            {**REDS_ASKED, "name": "../up"},
            422,
            "invalid_request",
            "name",
            "is no name for a filter",
        ),
        (
            {**REDS_ASKED, "target": {"recall": 1}},
            422,
            "invalid_request",
            "target.recall",
            "less than 1",
        ),
        (
            {**REDS_ASKED, "target": {"confidence": 95}},
            422,
            "invalid_request",
            "target.confidence",
            "less than",
        ),
        (
            {**REDS_ASKED, "keep": {"texts": [" "]}},
            422,
            "invalid_request",
            "keep.texts[0]",
            "it is empty",
        ),
        (
            {**REDS_ASKED, "drop": {"row_ids": [1, 999]}},
            422,
            "invalid_request",
            "drop.row_ids[1]",
            "no row 999",
        ),
        ({**REDS_ASKED, "where": "nope = 1"}, 422, "bad_where", "where", "nope"),
        (
            {**REDS_ASKED, "where": "row_id > 900"},
            422,
            "invalid_request",
            "where",
            "no image of the lake is left",
        ),
        ({**REDS_ASKED, "wehre": ""}, 422, "invalid_request", "wehre", "no such field"),
    ],
)
def test_a_filter_that_cannot_be_made_says_why(
    client: TestClient, body: dict[str, Any], status: int, code: str, field: str, said: str
) -> None:
    found = error(post(client, "", body, status))
    assert found[:2] == (code, field)
    assert said in str(found[2])
    assert get(client, "") == {"filters": [], "problems": []}


def test_a_name_that_is_taken(reds: TestClient) -> None:
    code, field, message = error(post(reds, "", REDS_ASKED, 409))
    assert (code, field) == ("filter_exists", "name")
    assert (
        message == "name: there is a filter 'reds' already; choose another name, or delete that one"
    )


def test_an_unknown_filter_is_a_404_that_names_its_like_and_no_folder(
    reds: TestClient, tmp_path: Path
) -> None:
    code, field, message = error(get(reds, "/red", 404))
    assert (code, field, message) == (
        "unknown_filter",
        "name",
        "my has no filter 'red'; did you mean 'reds'?",
    )
    for path, body in (
        ("next", {}),
        ("label", answered([{"row_id": 1}])),
        ("undo", {}),
        ("apply", {}),
    ):
        assert error(post(reds, f"/nope/{path}", body, 404))[0] == "unknown_filter"
    for path in ("audit", "plan", "samples?decision=keep", "ledger", "export", "report"):
        answer = reds.get(f"{FILTERS}/nope/{path}")
        assert answer.status_code == 404
        assert str(tmp_path) not in answer.text
    assert reds.delete(f"{FILTERS}/nope").status_code == 404
    assert reds.get("/v1/lakes/other/filters").json()["error"]["code"] == "unknown_lake"


def test_a_deleted_filter_is_gone_and_its_name_free_again(reds: TestClient, tmp_path: Path) -> None:
    post(reds, "/reds/label", answered([{"row_id": 1}]))
    deleted = reds.delete(f"{FILTERS}/reds")
    assert deleted.status_code == 200
    assert deleted.json()["deleted"] == "reds"
    assert (tmp_path / "my.lake" / deleted.json()["kept_in"] / "labels.jsonl").is_file()
    assert get(reds, "") == {"filters": [], "problems": []}
    get(reds, "/reds", 404)
    post(reds, "", REDS_ASKED, 201)
    assert get(reds, "/reds/audit")["progress"] == NOT_YET  # nothing of the one before


# -- labelling


def test_the_next_rows_are_those_that_fit_best(reds: TestClient) -> None:
    found = post(reds, "/reds/next", {"n": 5})
    assert (found["filter"], found["version"], found["purpose"]) == ("reds", 1, "teach")
    assert [set(row) for row in found["rows"]] == [
        {"row_id", "uri", "width_px", "height_px", "score", "probability", "columns"}
    ] * 5
    assert found["rows"][0]["row_id"] <= REDS
    assert found["rows"][0]["score"] == max(row["score"] for row in found["rows"])
    assert found["progress"] == NOT_YET
    drawn = post(reds, "/reds/next", {"n": 3, "purpose": "audit"})["rows"]
    assert [(row["score"], row["probability"]) for row in drawn] == [(None, None)] * 3
    assert [set(row) for row in drawn] == [set(found["rows"][0])] * 3


def test_answers_are_counted_and_not_asked_again(reds: TestClient) -> None:
    rows = post(reds, "/reds/next", {"n": 6})["rows"]
    saved = post(reds, "/reds/label", answered(rows))
    assert (saved["saved"], saved["problems"]) == (6, [])
    yes = sum(row["row_id"] <= REDS for row in rows)
    assert saved["progress"] == {
        **NOT_YET,
        "labels": 6,
        "yes": yes,
        "no": 6 - yes,
        "stage": "teach",
    }
    after = post(reds, "/reds/next", {"n": 20})["rows"]
    assert not {row["row_id"] for row in rows} & {row["row_id"] for row in after}


def test_a_useless_label_costs_the_others_nothing(reds: TestClient) -> None:
    uri = post(reds, "/reds/next", {"n": 1})["rows"][0]["uri"]
    labels = [
        {"row_id": 999, "label": "yes"},
        {"uri": uri, "label": "yes"},
        {"uri": "/nowhere.png", "label": "no"},
        {"label": "no"},
        {"row_id": 50, "label": "skip"},
        {"row_id": 51, "label": "no", "labeller": " ann"},
    ]
    saved = post(reds, "/reds/label", {"labels": labels})
    assert saved["saved"] == 2
    assert [problem["index"] for problem in saved["problems"]] == [0, 2, 3, 5]
    assert (saved["progress"]["yes"], saved["progress"]["skipped"]) == (1, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "labels"),
        ({"labels": []}, "labels"),
        ({"labels": [{"row_id": 1, "label": "perhaps"}]}, "labels[0].label"),
        ({"labels": [{"row_id": 0, "label": "yes"}]}, "labels[0].row_id"),
        ({"labels": [{"row_id": 1, "label": "yes", "labeller": "x" * 65}]}, "labels[0].labeller"),
    ],
)
def test_what_is_no_label_is_refused_whole(
    reds: TestClient, body: dict[str, Any], field: str
) -> None:
    assert error(post(reds, "/reds/label", body, 422))[:2] == ("invalid_request", field)
    assert get(reds, "/reds/audit")["progress"]["labels"] == 0


def test_undo_takes_back_one_s_own_last_answer(reds: TestClient) -> None:
    post(reds, "/reds/label", {"labels": [{"row_id": 1, "label": "yes", "labeller": "ann"}]})
    post(reds, "/reds/label", {"labels": [{"row_id": 50, "label": "no", "labeller": "bob"}]})
    undone = post(reds, "/reds/undo", {"labeller": "ann"})
    assert undone["undone"] == {"row_id": 1, "label": "yes", "labeller": "ann", "seq": 1}
    assert (undone["progress"]["yes"], undone["progress"]["no"]) == (0, 1)
    assert post(reds, "/reds/undo", {"row_id": 50})["undone"]["labeller"] == "bob"
    assert post(reds, "/reds/undo", {})["undone"] is None


def test_two_people_who_disagree_are_a_conflict(reds: TestClient) -> None:
    for labeller, label in (("ann", "yes"), ("bob", "no")):
        said = {"labels": [{"row_id": 30, "label": label, "labeller": labeller}]}
        progress = post(reds, "/reds/label", said)["progress"]
    assert progress == {**NOT_YET, "labels": 1, "conflicts": 1, "stage": "teach"}


def test_what_somebody_else_has_just_answered_is_passed_over(reds: TestClient) -> None:
    ann = post(reds, "/reds/next", {"n": 8})["rows"]
    bob = post(reds, "/reds/next", {"n": 8})["rows"]
    assert ann == bob
    post(reds, "/reds/label", answered(ann[:3], "ann"))
    again = {row["row_id"] for row in post(reds, "/reds/next", {"n": 8})["rows"]}
    assert not again & {row["row_id"] for row in ann[:3]}


def test_next_refuses_what_makes_no_sense(reds: TestClient) -> None:
    for body, field in (
        ({"n": 0}, "n"),
        ({"n": 1001}, "n"),
        ({"purpose": "fun"}, "purpose"),
        ({"budget": 0}, "budget"),
    ):
        assert error(post(reds, "/reds/next", body, 422))[:2] == ("invalid_request", field)


# -- audit and promise


def test_the_arithmetic_is_told_before_anybody_labels(reds: TestClient) -> None:
    plan = get(reds, "/reds/plan")
    assert plan["rows"] == REDS + OTHERS
    assert (plan["at_least"], plan["at_most"], plan["confidence"]) == (0, None, None)
    assert plan["options"]
    assert all(option["dropped"] + option["kept"] == REDS + OTHERS for option in plan["options"])


def test_prices_decide_over_http_as_in_python(reds: TestClient) -> None:
    post(reds, "/reds/label", answered(post(reds, "/reds/next", {"n": 10})["rows"]))
    plan = get(reds, "/reds/plan?price=2&label_price=0.06&currency=EUR")
    assert plan["costs"]["prices"] == {
        "annotation": 2.0,
        "label": 0.06,
        "miss": None,
        "currency": "EUR",
    }
    assert plan["costs"]["annotate_everything"] == 2.0 * (REDS + OTHERS - 10)
    line = plan["costs"]["line"]
    assert line["cost"] == min(each["cost"] for each in plan["options"] if each["cost"] is not None)
    assert get(reds, "/reds/plan")["costs"] is None
    field = error(get(reds, "/reds/plan?label_price=-1", 422))[1]
    assert field == "label_price"
    body = {"n": 4, "purpose": "audit", "price": 2, "label_price": 0.06, "miss_price": 4}
    begun = post(reds, "/reds/next", body)
    assert begun["progress"]["audit"]["label_price"] == 0.03
    assert error(post(reds, "/reds/next", {**body, "price": 3}, 422))[1] == "label_price"
    assert error(post(reds, "/reds/apply", {"label_price": 0.06}, 422))[1] == "ask"
    assert post(reds, "/reds/apply", {"ask": True, "label_price": 0.06})["refused"] is True


def test_the_first_request_for_audit_begins_it_and_repeats_what_is_pending(
    reds: TestClient,
) -> None:
    post(reds, "/reds/label", answered(post(reds, "/reds/next", {"n": 10})["rows"]))
    first = post(reds, "/reds/next", {"n": 4, "purpose": "audit"})
    assert (first["version"], first["purpose"]) == (2, "audit")
    assert post(reds, "/reds/next", {"n": 4})["rows"] == first["rows"]
    status = get(reds, "/reds/audit")
    assert (status["filter"], status["version"]) == ("reds", 2)
    assert status["progress"]["stage"] == "audit"
    assert (status["progress"]["audit"]["number"], status["progress"]["audit"]["answered"]) == (
        1,
        0,
    )
    after = post(reds, "/reds/label", answered(first["rows"]))["progress"]
    assert after["audit"]["answered"] == 4


def test_applying_without_an_audit_is_refused_and_changes_nothing(reds: TestClient) -> None:
    refused = post(reds, "/reds/apply", {})
    assert refused["refused"] is True
    assert "promises nothing before an audit" in refused["reason"]
    assert refused["can_promise"] is None
    assert get(reds, "/reds")["versions"] == [1]
    code, field, message = error(get(reds, "/reds/samples?decision=keep", 422))
    assert (code, field) == ("invalid_request", "filter")
    assert "was not applied yet" in str(message)


def search(client: TestClient, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert isinstance(document, dict)
    return document


def ids(document: dict[str, Any]) -> list[int]:
    return [hit["row_id"] for hit in document["hits"]]


def test_a_search_among_what_was_decided(
    audited: TestClient, coloured: Desk, tmp_path: Path
) -> None:
    blue = {"texts": [{"text": "blue"}], "k": 1_000}
    code, field, message = error(search(audited, {**blue, "filter": "reds"}, 422))
    assert (code, field) == ("invalid_request", "filter")
    assert "was not applied yet" in str(message)
    version = post(audited, "/reds/apply", {})["version"]
    table = pq.read_table(io.BytesIO(audited.get(f"{FILTERS}/reds/ledger").content))
    decisions = dict(zip(table["row_id"].to_pylist(), table["decision"].to_pylist(), strict=True))
    everything = ids(search(audited, blue))
    dropped = [row_id for row_id in everything if decisions[row_id] == "drop"]
    asked = {**blue, "filter": "reds", "decision": ["drop"]}
    found = search(audited, asked)
    assert ids(found) == dropped
    assert found["decided"] == {
        "filter": "reds",
        "version": version,
        "decision": ["drop"],
        "undecided": 0,
    }
    assert "decided" not in search(audited, blue)
    kept = [row_id for row_id in everything if decisions[row_id] == "keep"]
    assert ids(search(audited, {**blue, "filter": f"reds@{version}"})) == kept
    assert ids(search(audited, {**asked, "where": "row_id > 100"})) == [
        n for n in dropped if n > 100
    ]

    rows = f"{FILTERS.removesuffix('/filters')}/rows"
    some = audited.get(rows, params={"filter": "reds", "decision": "drop", "k": 3}).json()
    assert [row["row_id"] for row in some["rows"]] == sorted(dropped)[:3]
    assert some["decided"] == found["decided"]
    more = audited.get(rows, params={"cursor": some["next_cursor"], "where": "row_id < 100"})
    assert error(more.json())[0] == "bad_cursor"
    narrow: dict[str, str | int] = {
        "filter": "reds",
        "decision": "drop",
        "where": "row_id > 100",
        "k": 1_000,
    }
    assert [row["row_id"] for row in audited.get(rows, params=narrow).json()["rows"]] == sorted(
        row_id for row_id in dropped if row_id > 100
    )
    unknown = audited.get(rows, params={"filter": "blues"})
    assert (unknown.status_code, error(unknown.json())[1]) == (404, "filter")

    page = search(audited, {**asked, "k": 7})
    post(audited, "/reds/label", answered([{"row_id": row_id} for row_id in dropped]))
    post(audited, "/reds/apply", {})  # the next page stays with the version that it was begun with
    after = search(audited, {"cursor": page["next_cursor"], "k": 8})
    assert ids(page) + ids(after) == dropped[:15]
    assert after["decided"]["version"] == version
    more = audited.get(rows, params={"cursor": some["next_cursor"], "k": 2}).json()
    assert [row["row_id"] for row in more["rows"]] == sorted(dropped)[3:5]
    assert more["decided"]["version"] == version
    wrong = {**asked, "decision": ["keep"], "cursor": page["next_cursor"]}
    assert error(search(audited, wrong, 422))[0] == "bad_cursor"

    lines = audited.post(
        "/v1/search", json=asked, headers={"Accept": "application/x-ndjson"}
    ).text.splitlines()
    assert json.loads(lines[0])["decided"]["decision"] == ["drop"]
    assert json.loads(lines[-1]) == {"end": True, "hits": len(dropped)}
    files = {"files": ("blue.png", png(BLUE))}
    form = {"filter": "reds", "decision": ["drop", "ask"], "k": "5"}
    uploaded = audited.post("/v1/search/upload", files=files, data=form)
    assert uploaded.status_code == 200, uploaded.text
    assert set(ids(uploaded.json())) <= set(dropped)
    assert uploaded.json()["decided"]["decision"] == ["drop", "ask"]

    for body, status, about in (
        ({"filter": "read"}, 404, ("unknown_filter", "filter", "my has no filter 'read'; did you mean 'reds'?")),
        ({"filter": "../up"}, 422, ("invalid_request", "name", None)),
        ({"filter": "reds@x"}, 422, ("invalid_request", "filter", None)),
        ({"filter": "reds@1"}, 422, ("invalid_request", "version", "version: reds version 1 was not applied")),
        ({"filter": "reds", "decision": ["maybe"]}, 422, ("invalid_request", "decision[0]", None)),
        ({"decision": ["drop"]}, 422, ("invalid_request", "decision", None)),
    ):  # fmt: skip
        answer = search(audited, {**blue, **body}, status)
        assert str(tmp_path) not in str(answer)
        code, field, message = error(answer)
        assert (code, field) == about[:2], answer
        assert about[2] in (None, message)


def test_samples_are_drawn_and_say_what_they_are_like(audited: TestClient) -> None:
    dropped = post(audited, "/reds/apply", {})["dropped"]
    drawn = get(audited, "/reds/samples?decision=drop&n=3&order=random&seed=4")
    assert drawn == get(audited, "/reds/samples?decision=drop&n=3&order=random&seed=4")
    assert (drawn["order"], drawn["of"], len(drawn["rows"])) == ("random", dropped, 3)
    near = drawn["rows"][0]["nearest_no"]
    assert near["image"] is None
    assert near["row_id"] > REDS
    assert 0.9 < near["cosine"] <= 1
    assert error(get(audited, "/reds/samples?decision=drop&order=best", 422))[:2] == (
        "invalid_request",
        "order",
    )


def test_one_image_has_its_decision_and_its_label(audited: TestClient, tmp_path: Path) -> None:
    draft = get(audited, "/reds/rows/1")
    assert (draft["version"], draft["decision"], draft["label_then"]) == (None, None, None)
    version = post(audited, "/reds/apply", {})["version"]
    table = pq.read_table(io.BytesIO(audited.get(f"{FILTERS}/reds/ledger").content))
    for number in (0, REDS + OTHERS - 1):  # row 1 and row 120: the reddest, and the bluest
        known = table.slice(number, 1).to_pylist()[0]
        found = get(audited, f"/reds/rows/{number + 1}?version={version}")
        assert (found["filter"], found["version"], found["row_id"]) == ("reds", version, number + 1)
        assert found["decision"] == known["decision"] == ("drop" if number else "keep")
        assert found["score"] == round(known["score"], 6)
        assert found["label"] == found["label_then"] == known["label"]
    # What is said later is told beside what was known when it was decided.
    said = {"labels": [{"row_id": 1, "label": "no", "labeller": "bob"}]}
    was = get(audited, "/reds/rows/1")
    post(audited, "/reds/label", said)
    now = get(audited, "/reds/rows/1")
    others = was["labellers"]
    assert now == {
        **was,
        "label": "conflict" if others else "no",
        "labellers": others | {"bob": "no"},
    }
    for path, status, about in (
        ("/reds/rows/999", 404, ("unknown_row", "row_id")),
        ("/nope/rows/1", 404, ("unknown_filter", "name")),
        ("/reds/rows/1?version=1", 422, ("invalid_request", "version")),
    ):
        document = get(audited, path, status)
        assert error(document)[:2] == about
        assert str(tmp_path) not in str(document)


def test_the_scores_are_counted_by_decision_and_lie_on_their_side_of_the_line(
    audited: TestClient,
) -> None:
    assert error(get(audited, "/reds/scores", 422))[0] == "invalid_request"  # nothing was applied
    applied = post(audited, "/reds/apply", {})
    found = get(audited, "/reds/scores?bins=40")
    assert len(found["keep"]) <= 40
    sums = {name: sum(found[name]) for name in ("keep", "ask", "drop", "people")}
    answered_rows = get(audited, "/reds")["progress"]
    assert sums["people"] == answered_rows["yes"] + answered_rows["no"]
    assert sum(sums.values()) == found["rows"] == REDS + OTHERS
    assert found["thresholds"] == applied["thresholds"]
    edges = [found["low"] + found["step"] * at for at in range(len(found["keep"]) + 1)]
    line = found["thresholds"]["keep"]
    assert all(end > line for end, rows in zip(edges[1:], found["keep"], strict=True) if rows)
    assert all(start < line for start, rows in zip(edges, found["drop"], strict=False) if rows)
    assert error(get(audited, "/reds/scores?bins=3", 422))[:2] == ("invalid_request", "bins")


def test_what_is_offered_is_what_apply_does(audited: TestClient) -> None:
    found = get(audited, "/reds/offers")
    assert found["offers"]
    for offer in found["offers"]:
        wanted = {name: offer[name] for name in ("recall", "confidence", "ask")}
        applied = post(audited, "/reds/apply", wanted)
        assert applied["dropped"] == offer["dropped"]
        assert applied["kept"] == offer["kept"]
    assert {"recall", "labels", "own_audit"} <= set(found["tighter"][-1])


def test_from_a_prompt_to_a_promise(audited: TestClient) -> None:
    applied = post(audited, "/reds/apply", {})
    assert applied["refused"] is False
    assert applied["rows"] == REDS + OTHERS == applied["kept"] + applied["dropped"]
    assert applied["promise"] == {
        "recall": 0.9,
        "precision": None,
        "confidence": 0.95,
        "assumption": None,
        "both": None,
        "every": None,
        "scenes": None,
        "scene": None,
    }
    assert get(audited, "")["filters"][0]["stage"] == "applied"

    table = pq.read_table(io.BytesIO(audited.get(f"{FILTERS}/reds/ledger").content))
    decisions = dict(zip(table["row_id"].to_pylist(), table["decision"].to_pylist(), strict=True))
    assert len(decisions) == REDS + OTHERS
    assert list(decisions.values()).count("keep") == applied["kept"]
    assert sum(decisions[row] == "keep" for row in range(1, REDS + 1)) >= 27  # 0.9 of the reds

    kept = get(audited, "/reds/samples?decision=keep&n=5&order=random")
    dropped = get(audited, "/reds/samples?decision=drop&n=5&order=random")
    assert [kept["decision"], dropped["decision"]] == ["keep", "drop"]
    assert all(decisions[row["row_id"]] == "keep" for row in kept["rows"])
    assert all(decisions[row["row_id"]] == "drop" for row in dropped["rows"])
    assert len(kept["rows"]) == len(dropped["rows"]) == 5
    assert {"score", "probability", "label", "columns"} <= set(kept["rows"][0])
    assert get(audited, "/reds/samples?decision=ask")["rows"] == []
    labels = get(audited, "/reds/samples?decision=drop&n=200&order=random")["rows"]
    near = get(audited, "/reds/samples?decision=drop&n=200")
    assert near["of"] == applied["dropped"] == near["by_people"] + len(near["rows"])
    assert near["by_people"] == sum(row["label"] is not None for row in labels) > 0


def test_a_ledger_of_an_older_version(audited: TestClient) -> None:
    first, second = (post(audited, "/reds/apply", {})["version"] for _ in range(2))
    tables = [
        pq.read_table(io.BytesIO(audited.get(f"{FILTERS}/reds/ledger?version={number}").content))
        for number in (first, second)
    ]
    assert [set(table["version"].to_pylist()) for table in tables] == [{first}, {second}]
    assert tables[0].drop_columns(["version"]).equals(tables[1].drop_columns(["version"]))
    assert error(get(audited, "/reds/ledger?version=1", 422))[:2] == ("invalid_request", "version")


@pytest.mark.parametrize("format", ["txt", "csv", "parquet", "coco", "label_studio"])
def test_what_was_decided_can_be_downloaded(audited: TestClient, format: str) -> None:
    applied = post(audited, "/reds/apply", {})
    answer = audited.get(f"{FILTERS}/reds/export?decision=keep&decision=drop&format={format}")
    assert answer.status_code == 200
    assert answer.headers["left-out"] == "0"
    suffix = {"coco": "json", "label_studio": "json"}.get(format, format)
    name = f"reds-{applied['version']:06d}-{format}.{suffix}"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert images_in(answer.content, format) == REDS + OTHERS
    kept = audited.get(f"{FILTERS}/reds/export?format={format}").content
    assert images_in(kept, format) == applied["kept"]


def images_in(data: bytes, format: str) -> int:
    if format == "parquet":
        return int(pq.read_table(io.BytesIO(data)).num_rows)
    if format == "txt":
        return len(data.splitlines())
    if format == "csv":
        return len(list(csv.DictReader(io.StringIO(data.decode()))))
    document = json.loads(data)
    return len(document["images"] if format == "coco" else document)


def test_the_report_as_facts_and_as_a_page(audited: TestClient) -> None:
    post(audited, "/reds/apply", {})
    found = get(audited, "/reds/report?price=2&currency=EUR")
    assert found["saved"]["not_annotated"] == 2 * found["images"]["drop"]
    assert found["prices"] == {"annotation": 2.0, "label": 1.0, "miss": None, "currency": "EUR"}
    shown = audited.get(f"{FILTERS}/reds/report?format=html&inline=true")
    assert shown.headers["content-disposition"] == 'inline; filename="reds.html"'
    assert shown.headers["content-security-policy"].startswith("default-src 'none'; img-src data:")
    page = audited.get(f"{FILTERS}/reds/report?format=html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-disposition"] == 'attachment; filename="reds.html"'
    assert page.text.startswith("<!doctype html>")
    assert "data:image/jpeg;base64," in page.text
    assert error(get(audited, "/reds/report?price=-1", 422))[:2] == ("invalid_request", "price")
    assert error(get(audited, "/reds/report?price=0", 422))[:2] == ("invalid_request", "price")


def test_a_download_is_refused_in_words(audited: TestClient) -> None:
    assert error(get(audited, "/reds/export", 422))[0] == "invalid_request"  # nothing was applied
    post(audited, "/reds/apply", {})
    assert error(get(audited, "/reds/export?format=best", 422))[:2] == ("invalid_request", "format")
    files = {}
    for format in ("yolo", "cvat", "fiftyone"):
        answer = audited.get(f"{FILTERS}/reds/export?format={format}&decision=drop")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            assert packed.testzip() is None
            files[format] = {name: packed.read(name) for name in packed.namelist()}
    assert set(files["cvat"]) == {"reds-cvat/annotations.xml", "reds-cvat/manifest.jsonl"}
    labels = json.loads(files["fiftyone"]["reds-fiftyone/labels.json"])["labels"]
    assert {each["label"] for each in labels.values()} == {"drop"}
    kept = audited.get(f"{FILTERS}/reds/export?format=webdataset&decision=keep")
    assert kept.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(kept.content)) as tar:
        named = tar.getnames()
        about = tar.extractfile(named[1])
        assert about is not None
        first = json.loads(about.read())
    paths = audited.get(f"{FILTERS}/reds/export?format=txt&decision=keep").text.splitlines()
    assert len(named) == 2 * len(paths)  # each with its JSON
    assert first["uri"] == paths[0]
    assert error(get(audited, "/reds/export?decision=all", 422))[0] == "invalid_request"
    nothing = audited.get(f"{FILTERS}/reds/export?format=csv&root=/none&decision=ask").text
    assert nothing.startswith("row_id,uri,decision,score,probability,label,labeller,")
    assert nothing.count("\n") == 1
    raw = audited.get(f"{FILTERS}/reds/export?format=csv&raw_cells=true&decision=ask")
    assert (raw.status_code, raw.text) == (200, nothing)
    wrong = error(get(audited, "/reds/export?raw_cells=maybe", 422))
    assert wrong[:2] == ("invalid_request", "raw_cells")


def test_of_two_without_a_name_each_takes_back_their_own_by_its_number(reds: TestClient) -> None:
    first = [{"row_id": 1, "label": "yes"}, {"row_id": 999_999, "label": "no"}]
    mine = post(reds, "/reds/label", {"labels": [*first, {"row_id": 2, "label": "yes"}]})
    assert (mine["saved"], mine["seqs"], len(mine["problems"])) == (2, [1, 2], 1)
    assert post(reds, "/reds/label", {"labels": [{"row_id": 3, "label": "no"}]})["seqs"] == [3]
    undone = post(reds, "/reds/undo", {"seqs": [2]})
    assert undone["rows"] == [{"row_id": 2, "label": "yes", "labeller": "unnamed", "seq": 2}]
    assert (undone["progress"]["yes"], undone["progress"]["no"]) == (1, 1)
    assert error(post(reds, "/reds/undo", {"seqs": [1, 2]}, 409)) == (
        "cannot_undo",
        "seqs",
        "seqs: answer 2 was taken back already",
    )
    code, field, message = error(post(reds, "/reds/undo", {"seqs": [1], "act": True}, 422))
    assert (code, field) == ("invalid_request", "seqs")
    assert message == "seqs: they name the answers; leave row_id, row_ids and act out"


def test_a_grid_is_answered_at_once_without_a_colleague_s_rows_and_taken_back_at_once(
    reds: TestClient,
) -> None:
    rows = post(reds, "/reds/next", {"n": 4})["rows"]
    first, second, third, fourth = (row["row_id"] for row in rows)
    post(reds, "/reds/label", answered(rows[1:2], "bob"))
    saved = post(reds, "/reds/label", {**answered(rows), "only_open": True})
    assert (saved["saved"], saved["passed_over"], saved["problems"]) == (3, [second], [])
    assert (saved["progress"]["labels"], saved["progress"]["conflicts"]) == (4, 0)
    every = {"row_ids": [first, second, third, fourth], "labeller": "ann"}
    undone = post(reds, "/reds/undo", every)
    assert [row["row_id"] for row in undone["rows"]] == [first, third, fourth]
    assert undone["progress"]["labels"] == 1  # bob's
    assert post(reds, "/reds/undo", every)["rows"] == []
    code, field, message = error(post(reds, "/reds/undo", {**every, "row_id": 1}, 422))
    assert (code, field) == ("invalid_request", "row_ids")
    assert message == "row_ids: say row_id or row_ids, and not both"


def test_the_ranking_is_estimated_once_there_are_answers(reds: TestClient) -> None:
    before = get(reds, "/reds/ranking")
    assert (before["now"], before["history"], before["advice"]) == (None, [], "teach")
    assert before["because"] == "no image that belongs is known yet, and it takes 5"
    for _ in range(4):
        post(reds, "/reds/label", answered(post(reds, "/reds/next", {"n": 10})["rows"]))
    found = get(reds, "/reds/ranking")
    assert (found["rows"], found["found"]) == (120, 0.9)
    now = found["now"]
    assert now["answers"] == 40
    assert [each["answers"] for each in found["history"]] in ([10, 20], [20])
    # Of the 30 reds 27 are nine tenths, and no ranking holds them in fewer.
    assert 27 <= now["top"] <= 60
    assert now["low"] <= now["top"] <= now["high"]
    assert REDS - 6 <= now["relevant"] <= 1.6 * REDS
    assert found == get(reds, "/reds/ranking")


def test_a_conflict_is_settled_and_the_team_is_told(reds: TestClient) -> None:
    rows = post(reds, "/reds/next", {"n": 2})["rows"]
    first, second = (row["row_id"] for row in rows)
    post(reds, "/reds/label", answered(rows, "ann"))
    other = "no" if answered(rows[:1])["labels"][0]["label"] == "yes" else "yes"
    against = {"row_id": first, "label": other}
    post(reds, "/reds/label", {"labels": [{**against, "labeller": "ben"}]})
    team = get(reds, "/reds/team")
    assert [(each["labeller"], each["given"]) for each in team["labels"]["by"]] == [
        ("ann", 2),
        ("ben", 1),
    ]
    assert (team["agreement"]["rows"], team["agreement"]["agreed"]) == (1, 0)
    (conflict,) = team["agreement"]["conflicts"]
    assert conflict["row_id"] == first and conflict["labellers"]["ben"] == other

    both = [{**against, "labeller": "cem"}, {"row_id": second, "label": "no", "labeller": "cem"}]
    settled = post(reds, "/reds/label", {"labels": both, "settle": True})
    assert (settled["saved"], settled["passed_over"]) == (1, [])
    assert settled["problems"] == [
        {
            "index": 1,
            "message": f"row {second} has no conflict to settle; answer it without settle",
        }
    ]
    assert (settled["progress"]["labels"], settled["progress"]["conflicts"]) == (2, 0)
    team = get(reds, "/reds/team")
    assert team["agreement"]["conflicts"] == []
    (one,) = team["agreement"]["settled"]
    assert (one["row_id"], one["label"], one["by"]) == (first, other, "cem")
    assert (team["labels"]["settle"], team["labels"]["by"][2]["settle"]) == (1, 1)
    undone = post(reds, "/reds/undo", {"labeller": "cem"})
    assert undone["progress"]["conflicts"] == 1
    two = {"labels": both, "settle": True, "only_open": True}
    assert error(post(reds, "/reds/label", two, 422))[1] == "settle"


def test_how_many_are_relevant_is_told_between_bounds(audited: TestClient) -> None:
    found = get(audited, "/reds/estimate")
    assert 0 < found["at_least"] <= found["relevant"] <= found["at_most"]
    assert found["at_least"] <= REDS <= found["at_most"]
    assert (found["rows"], found["confidence"], found["audit"]) == (REDS + OTHERS, 0.95, 1)
    assert get(audited, "/reds/estimate?confidence=0.8")["confidence"] == 0.8
    assert error(get(audited, "/reds/estimate?confidence=1", 422))[:2] == (
        "invalid_request",
        "confidence",
    )


# -- who may


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "", "read"),
        ("GET", "/reds", "read"),
        ("GET", "/reds/audit", "read"),
        ("GET", "/reds/plan", "read"),
        ("GET", "/reds/ranking", "read"),
        ("GET", "/reds/team", "read"),
        ("GET", "/reds/samples?decision=keep", "read"),
        ("GET", "/reds/scores", "read"),
        ("GET", "/reds/offers", "read"),
        ("GET", "/reds/estimate", "read"),
        ("GET", "/reds/ledger", "read"),
        ("GET", "/reds/export", "read"),
        ("GET", "/reds/report", "read"),
        ("POST", "/reds/next", "label"),
        ("POST", "/reds/label", "label"),
        ("POST", "/reds/undo", "label"),
        ("POST", "", "write"),
        ("POST", "/upload", "write"),
        ("POST", "/reds/apply", "write"),
        ("DELETE", "/reds", "write"),
    ],
)
def test_each_route_needs_its_scope_and_no_wider_one(
    coloured: Desk, tmp_path: Path, method: str, path: str, scope: str
) -> None:
    keys = KeyStore(tmp_path / "state")
    scopes = ("read", "label", "write")
    secrets = {name: keys.add(name, name)[1] for name in scopes}
    app = create_app(
        {"my": coloured.lake}, ServeConfig(require_key=True), embedder=coloured.model, keys=keys
    )
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        assert client.request(method, f"{FILTERS}{path}").status_code == 401
        for name in scopes:
            # No filter and an empty body: what passes the guard is a 404 or a 422.
            body: dict[str, Any] = {} if method == "GET" else {"json": {}}
            if path == "/upload":
                body = {"files": {"nothing": (None, "")}}
            answer = client.request(
                method, f"{FILTERS}{path}", headers={"X-API-Key": secrets[name]}, **body
            )
            allowed = scopes.index(name) >= scopes.index(scope)
            assert (answer.status_code == 403) is not allowed, (name, answer.text)


def test_another_site_s_page_labels_nothing(reds: TestClient) -> None:
    said = answered([{"row_id": 1}])
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = reds.post(f"{FILTERS}/reds/label", json=said, headers=headers)
        assert answer.json()["error"]["code"] == "origin_not_allowed"
    assert get(reds, "/reds/audit")["progress"]["labels"] == 0


def test_the_page_to_label_on_is_open_and_sealed(reds: TestClient) -> None:
    answer = reds.get("/label?lake=my&filter=reds")
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"


def test_another_promise_is_made_where_the_audit_is_valid_for_it(audited: TestClient) -> None:
    applied = post(audited, "/reds/apply", {"recall": 0.5, "confidence": 0.8})
    assert applied["promise"] == {
        "recall": 0.5,
        "precision": None,
        "confidence": 0.8,
        "assumption": None,
        "both": None,
        "every": None,
        "scenes": None,
        "scene": None,
    }
    assert applied["measured"]["recall"]["at_least"] == 0.5
    assert post(audited, "/reds/apply", {})["promise"]["recall"] == 0.9  # the filter's own again
    code, field, message = error(post(audited, "/reds/apply", {"recall": 0.95}, 422))
    assert (code, field) == ("invalid_request", "recall")
    assert "planned for recall 0.9 and shows nothing above it" in str(message)


def test_an_audit_follows_the_lake(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(REDS + OTHERS):
        colour = (255, number * 3, 0) if number < REDS else (150 - number % 90, 0, 60 + number)
        desk.add(f"{number:03d}.png", colour)
    desk.index()
    keys = KeyStore(tmp_path / "state")
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=keys)
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        post(client, "", REDS_ASKED, 201)
        follow = {"n": 50, "purpose": "audit", "follow": True}
        code, field, message = error(post(client, "/reds/next", follow, 422))
        assert (code, field) == ("invalid_request", "follow")
        assert "no audit that could follow the lake" in str(message)
        while rows := post(client, "/reds/next", {"n": 40, "purpose": "audit"})["rows"]:
            post(client, "/reds/label", answered(rows))
        before = post(client, "/reds/apply", {})
        assert before["refused"] is False
        # Nothing came: it goes on as it is.
        assert post(client, "/reds/next", follow)["version"] == before["version"]
    for number in range(5):
        desk.add(f"new{number}.png", (9, 9, 200 + number), size=(5, 5))
    desk.sync()
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=keys)
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        found = post(client, "/reds/next", follow)
        assert found["version"] == before["version"] + 1
        assert found["rows"]
        assert {row["row_id"] for row in found["rows"]} <= {121, 122, 123, 124, 125}
        follows = {"came": 5, "gone": 0, "labels_before": before["measured"]["audit_labels"]}
        assert found["progress"]["audit"]["follows"] == follows
        post(client, "/reds/label", answered(found["rows"]))
        after = post(client, "/reds/apply", {})
        assert (after["refused"], after["rows"]) == (False, 125)
        assert after["measured"]["follows"] == follows
        assert after["promise"] == before["promise"]


def test_the_tail_is_assumed_by_name_and_refused_where_nothing_is_known_of_it(
    audited: TestClient,
) -> None:
    refused = post(audited, "/reds/apply", {"assume": "tail"})
    assert refused["refused"] is True
    assert "the tail cannot be assumed here" in refused["reason"]
    assert error(post(audited, "/reds/apply", {"assume": "head"}, 422))[1] == "assume"
    assert error(post(audited, "/reds/next", {"assume": "head"}, 422))[1] == "assume"
