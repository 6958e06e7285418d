"""POST /v1/search and /v1/search/upload: known geometry,
every caller's mistake, pages that stay on one snapshot.

Rows 1 to 4 are blue, green, red and yellow; the model's vector of a colour is its RGB at unit
length, so "red" scores 1 with red, 0.7071 with yellow and 0 with green and blue.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError

from indexer.images import ReadImage
from indexer.images.decoder import Decoder
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.cursor import Cursor
from service.api.schemas import SearchRequest
from service.api.serving.keys import KeyStore
from service.api.signing import Signer
from service.pictures.decoders import DecoderPool
from service.pictures.jobs import Job
from service.pictures.thumbnails import Thumbnails
from tests.lakes import BLACK, BLUE, GREEN, RED, YELLOW, Desk, png
from tests.service.api.conftest import HOST

HALF = pytest.approx(0.5**0.5, abs=2e-4)


@pytest.fixture
def photo_client(photo_lake: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The sample photos, by `builtin`."""
    app = create_app({"photos": photo_lake}, ServeConfig(), keys=KeyStore(tmp_path / "keys"))
    with TestClient(app, base_url=HOST) as client:
        yield client


def found(client: TestClient, **body: Any) -> list[tuple[int, Any]]:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return [(hit["row_id"], hit["score"]) for hit in answer.json()["hits"]]


def refusal(client: TestClient, status: int = 422, **body: Any) -> tuple[str, str | None, str]:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "field"}
    return error["code"], error["field"], error["message"]


def text(words: str, weight: float = 1.0) -> dict[str, Any]:
    return {"text": words, "weight": weight}


def row(row_id: int, weight: float = 1.0) -> dict[str, Any]:
    return {"row_id": row_id, "weight": weight}


# -- what is found


def test_the_whole_answer(client: TestClient, desk: Desk) -> None:
    answer = client.post("/v1/search", json={"texts": [{"text": "red"}], "k": 1})
    assert answer.status_code == 200
    body = answer.json()
    assert body["snapshot"] == desk.manifest.snapshot
    assert body["next_cursor"] is not None
    (hit,) = body["hits"]
    columns = hit.pop("columns")
    assert hit == {
        "row_id": 3,
        "score": 1.0,
        "z": None,  # under 100 rows
        "uri": str(desk.photos / "c-red.png"),
        "width_px": 8,
        "height_px": 4,
    }
    assert columns["format"] == "png"
    assert columns["size_bytes"] == len(png(RED, (8, 4)))
    assert len(columns["sha256"]) == 64
    assert "phash" not in columns
    timing = answer.headers["server-timing"]
    assert timing.startswith("embed;dur=") and ", search;dur=" in timing


def test_by_text_ties_in_order_of_row_id(client: TestClient) -> None:
    assert found(client, texts=[text("red")]) == [(3, 1.0), (4, HALF), (1, 0.0), (2, 0.0)]


def test_wanted_and_unwanted_texts(client: TestClient) -> None:
    # yellow - red = (0.7071 - 1, 0.7071, 0), at unit length (-0.3827, 0.9239, 0)
    scores = dict(found(client, texts=[text("yellow"), text("red", -1)]))
    assert scores == pytest.approx({2: 0.9239, 4: 0.3827, 1: 0.0, 3: -0.3827}, abs=5e-4)


def test_by_rows_wanted_and_unwanted(client: TestClient) -> None:
    assert found(client, images=[row(4), row(2, -(0.5**0.5))], k=2) == [
        (3, pytest.approx(1, abs=2e-4)),
        (4, HALF),
    ]


def test_by_a_ready_vector_of_any_length(client: TestClient) -> None:
    for length in (7, 1e-300, 1e300):
        assert found(client, vector=[0, 0, length], k=1) == [(1, 1.0)]


def test_a_text_or_a_row_alone_has_weight_1(client: TestClient) -> None:
    assert found(client, texts=["yellow", text("red", -1)]) == found(
        client, texts=[text("yellow"), text("red", -1)]
    )
    assert found(client, images=[4, row(2, -(0.5**0.5))]) == found(
        client, images=[row(4), row(2, -(0.5**0.5))]
    )
    form = {"texts": '["red"]', "images": "[2]"}
    answer = client.post("/v1/search/upload", data=form, files=[("files", ("a.png", png(BLUE)))])
    first = answer.json()["hits"][
        0
    ]  # red, green and blue are as much wanted: white, to which yellow is nearest
    assert (first["row_id"], first["score"]) == (4, pytest.approx((2 / 3) ** 0.5, abs=2e-4))


def test_what_a_person_typed(client: TestClient, desk: Desk) -> None:
    """yellow - red: (0.7071 - 1, 0.7071, 0) at unit length, so green scores 0.9239."""
    typed = found(client, query="yellow -red", k=1)
    assert typed == [(2, pytest.approx(0.9239, abs=2e-4))]
    assert typed == found(client, texts=[text("yellow"), text("red", -1)], k=1)
    # with texts, which are taken as they are
    both = found(client, query="-red", texts=["yellow"], k=1)
    assert both == typed
    form = client.post(
        "/v1/search/upload",
        data={"query": "-red", "k": "1"},
        files={"files": png(YELLOW)},
    )
    assert [hit["row_id"] for hit in form.json()["hits"]] == [2]


def test_pages_of_what_was_typed(client: TestClient) -> None:
    body: dict[str, Any] = {"query": "yellow -red", "k": 2}
    first = client.post("/v1/search", json=body).json()
    second = client.post("/v1/search", json=body | {"cursor": first["next_cursor"]}).json()
    whole = client.post("/v1/search", json=body | {"k": 4}).json()
    assert first["hits"] + second["hits"] == whole["hits"]
    other = body | {"query": "yellow", "cursor": first["next_cursor"]}
    assert refusal(client, 422, **other)[1] == "cursor"


def test_mistakes_in_what_was_typed(client: TestClient) -> None:
    empty = "query: it is empty; say what you look for"
    assert refusal(client, query=" ")[1:] == ("query", empty)
    assert refusal(client, query='-""')[1:] == ("query", empty)
    assert refusal(client, query="x" * 2_001)[1] == "query"
    many = " ".join(f"-w{number}" for number in range(64))
    assert refusal(client, query=f"red {many}")[1:] == (
        "query",
        "query: it makes 65 texts, with those of `texts`; a search takes 64",
    )


def test_texts_rows_and_a_vector_add_up(client: TestClient) -> None:
    # red + green (row 2) + 0 blue: yellow exactly
    assert found(client, texts=[text("red")], images=[row(2)], k=1) == [
        (4, pytest.approx(1, abs=2e-4))
    ]
    assert found(client, texts=[text("red")], vector=[0, 1, 0], k=1) == [
        (4, pytest.approx(1, abs=2e-4))
    ]


def test_where_is_asked_before_the_top_k(client: TestClient) -> None:
    assert found(client, texts=[text("red")], where="width_px = 4", k=1) == [(4, HALF)]


def test_a_where_that_keeps_nothing_is_an_empty_answer(client: TestClient) -> None:
    answer = client.post(
        "/v1/search", json={"texts": [text("red")], "where": "width_px > 9000"}
    ).json()
    assert answer["hits"] == [] and answer["next_cursor"] is None


# -- pages


def test_pages_are_pieces_of_one_order(client: TestClient) -> None:
    whole = found(client, texts=[text("red")])
    pieces, cursor, asked = [], None, 0
    while asked == 0 or cursor:
        answer = client.post(
            "/v1/search", json={"texts": [text("red")], "k": 3, "cursor": cursor}
        ).json()
        pieces.append([(hit["row_id"], hit["score"]) for hit in answer["hits"]])
        cursor, asked = answer["next_cursor"], asked + 1
    assert [len(piece) for piece in pieces] == [3, 1]
    assert [*pieces[0], *pieces[1]] == whole


def test_a_cursor_alone_is_enough_and_needs_no_model(client: TestClient, desk: Desk) -> None:
    first = client.post(
        "/v1/search", json={"texts": [text("red")], "k": 1, "where": "width_px = 4"}
    ).json()
    second = client.post("/v1/search", json={"cursor": first["next_cursor"], "k": 1}).json()
    assert [hit["row_id"] for hit in first["hits"] + second["hits"]] == [4, 1]


def test_a_cursor_stays_on_its_snapshot_while_newer_ones_come(
    client: TestClient, desk: Desk
) -> None:
    first = client.post("/v1/search", json={"texts": [text("red")], "k": 2}).json()
    desk.add("e-red.png", RED, size=(16, 4))
    (desk.photos / "a-blue.png").unlink()
    desk.sync()
    client.app.state.hub.lake("my").look()  # type: ignore[attr-defined]
    second = client.post("/v1/search", json={"cursor": first["next_cursor"], "k": 10}).json()
    assert second["snapshot"] == first["snapshot"]
    # blue is still there
    assert [hit["row_id"] for hit in first["hits"] + second["hits"]] == [3, 4, 1, 2]
    assert found(client, texts=[text("red")]) == [(3, 1.0), (5, 1.0), (4, HALF), (2, 0.0)]


def test_a_cursor_of_a_deleted_snapshot_is_gone(client: TestClient, desk: Desk) -> None:
    first = client.post("/v1/search", json={"texts": [text("red")], "k": 2}).json()
    for width in range(1, 6):  # more than a service keeps open
        desk.add(f"e-{width}.png", RED, size=(width, 4))
        desk.sync()
        client.app.state.hub.lake("my").look()  # type: ignore[attr-defined]
    for manifest in (desk.lake / "manifests").iterdir():
        if int(manifest.stem) == first["snapshot"]:
            manifest.unlink()
    answer = client.post("/v1/search", json={"cursor": first["next_cursor"]})
    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "snapshot_gone"
    assert answer.json()["error"]["field"] == "cursor"


def test_a_cursor_is_for_its_own_query(client: TestClient) -> None:
    cursor = client.post("/v1/search", json={"texts": [text("red")], "k": 2}).json()["next_cursor"]
    code, field, message = refusal(client, texts=[text("green")], cursor=cursor)
    assert (code, field) == ("bad_cursor", "cursor")
    assert message == "cursor: it belongs to another query; send it with its own query, or alone"
    assert refusal(client, cursor="nonsense")[0] == "bad_cursor"
    assert refusal(client, lake="other", cursor=cursor)[2] == "cursor: it belongs to the lake my"


def signer_of(client: TestClient) -> Signer:
    signer: Signer = client.app.state.signer  # type: ignore[attr-defined]
    return signer


def test_a_cursor_beyond_the_end_is_refused(client: TestClient) -> None:
    signer = signer_of(client)
    answer = client.post("/v1/search", json={"texts": [text("red")], "k": 2}).json()
    cursor = Cursor.decode(answer["next_cursor"], signer)
    [rows] = [lake["rows"] for lake in client.get("/v1/lakes").json()["lakes"]]
    for collapse in (False, True):
        at = replace(cursor, query=replace(cursor.query, collapse=collapse)).at
        end = client.post("/v1/search", json={"cursor": at(rows).encode(signer)}).json()
        assert (end["hits"], end["next_cursor"]) == ([], None)
        assert refusal(client, cursor=at(rows + 1).encode(signer)) == (
            "bad_cursor",
            "cursor",
            f"cursor: it is at {rows + 1} of {rows} rows",
        )
    text_of_rows = client.get("/v1/lakes/my/rows", params={"k": 1}).json()["next_cursor"]
    far = Cursor.decode(text_of_rows, signer).at(2**53 - 1).encode(signer)
    assert client.get("/v1/lakes/my/rows", params={"cursor": far}).json() == {
        "snapshot": answer["snapshot"],
        "rows": [],
        "next_cursor": None,
    }


@pytest.mark.parametrize("number", [np.nan, np.inf, 3e38, 1e-45, 0])
def test_a_forged_vector_in_a_cursor_is_refused(client: TestClient, number: float) -> None:
    cursor = client.post("/v1/search", json={"texts": [text("red")], "k": 2}).json()["next_cursor"]
    signer = signer_of(client)
    forged = Cursor.decode(cursor, signer)
    vectors = [(np.full(3, number, np.float32), 1.0)]
    forged = replace(forged, query=replace(forged.query, vectors=vectors))
    assert refusal(client, cursor=forged.encode(signer))[1:] == (
        "vector",
        "vector: it must be finite and not all zero",
    )


def test_a_cursor_of_rows_is_no_cursor_of_a_search(client: TestClient) -> None:
    cursor = client.get("/v1/lakes/my/rows", params={"k": 1}).json()["next_cursor"]
    assert refusal(client, cursor=cursor)[:2] == ("bad_cursor", "cursor")


# -- near-identical images


def test_collapse_folds_copies_and_says_which(client: TestClient, desk: Desk) -> None:
    desk.add("e-red.png", RED, size=(8, 4))
    desk.sync()
    client.app.state.hub.lake("my").look()  # type: ignore[attr-defined]
    answer = client.post(
        "/v1/search", json={"texts": [text("red")], "k": 1, "collapse": True}
    ).json()
    assert [(hit["row_id"], hit["collapsed"]) for hit in answer["hits"]] == [(3, [5])]
    plain = client.post("/v1/search", json={"texts": [text("red")], "k": 2}).json()
    assert [hit["row_id"] for hit in plain["hits"]] == [3, 5]
    assert "collapsed" not in plain["hits"][0]


def test_max_per_over_http(client: TestClient) -> None:
    """Rows 1, 2 and 4 are 4 px wide, row 3 is 8 px; red scores 1 with row 3, 0.7 with row 4."""
    asked: dict[str, Any] = {"texts": ["red"], "max_per": {"column": "width_px", "n": 1}}
    assert found(client, **asked) == [(3, 1.0), (4, HALF)]
    first = client.post("/v1/search", json={**asked, "k": 1}).json()
    assert [hit["row_id"] for hit in first["hits"]] == [3]
    for said in ({}, asked):
        second = client.post("/v1/search", json={**said, "cursor": first["next_cursor"]}).json()
        assert ([hit["row_id"] for hit in second["hits"]], second["next_cursor"]) == ([4], None)
    other = {**asked, "max_per": {"column": "width_px", "n": 2}}
    assert refusal(client, **other, cursor=first["next_cursor"])[0] == "bad_cursor"
    stream = client.post("/v1/search", json=asked, headers={"Accept": "application/x-ndjson"})
    lines = [json.loads(line) for line in stream.text.splitlines()]
    assert [line["row_id"] for line in lines[1:-1]] == [3, 4]
    form = {"max_per": '{"column": "width_px", "n": 1}'}
    files = [("files", ("a.png", png(RED)))]
    answer = client.post("/v1/search/upload", data=form, files=files)
    assert [hit["row_id"] for hit in answer.json()["hits"]] == [3, 4]


@pytest.mark.parametrize(
    ("max_per", "field", "words"),
    [
        (
            {"column": "widht_px", "n": 1},
            "max_per",
            "no column widht_px; did you mean width_px or height_px?",
        ),
        ({"column": "width_px", "n": 0}, "max_per.n", "greater than or equal to 1"),
        ({"column": "width_px"}, "max_per.n", "required"),
        ({"column": "width_px", "n": 1, "m": 1}, "max_per.m", ""),
        ("width_px=1", "max_per", ""),
    ],
)
def test_mistakes_in_max_per_are_named(
    client: TestClient, max_per: object, field: str, words: str
) -> None:
    _, where, message = refusal(client, texts=["red"], max_per=max_per)
    assert where == field
    assert words in message


# -- streams


def lines(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    answer = client.post("/v1/search", json=body, headers={"Accept": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_stream_is_every_hit_between_a_first_and_a_last_line(
    client: TestClient, desk: Desk
) -> None:
    first, *hits, last = lines(client, texts=[text("red")])
    assert first == {"snapshot": desk.manifest.snapshot}
    assert [hit["row_id"] for hit in hits] == [3, 4, 1, 2]
    assert last == {"end": True, "hits": 4}
    assert [line.get("row_id") for line in lines(client, texts=[text("red")], k=2)] == [
        None,
        3,
        4,
        None,
    ]


def test_an_answer_without_hits_says_why_and_what_is_best(client: TestClient) -> None:
    body = {"texts": ["red"], "where": "width_px > 9999"}
    answer = client.post("/v1/search", json=body).json()
    assert answer["hits"] == []
    nothing = answer["nothing"]
    assert nothing.pop("best")["row_id"] == 3
    assert nothing == {
        "message": "`where` excludes all 4 images",
        "rows": 4,
        "where": 0,
        "filter": None,
        "passing": 0,
    }
    assert "hint" not in answer
    _, last = lines(client, **body)
    assert last.pop("nothing")["best"]["row_id"] == 3
    assert last == {"end": True, "hits": 0}


def test_words_that_the_model_cannot_read_are_named(photo_client: TestClient) -> None:
    answer = photo_client.post("/v1/search", json={"texts": ["собака"]}).json()
    assert answer["hint"] == "the model cannot read “собака”; it reads English"
    follows = photo_client.post("/v1/search", json={"texts": ["собака"], "k": 1}).json()
    more = photo_client.post("/v1/search", json={"cursor": follows["next_cursor"]}).json()
    assert "hint" not in more
    assert "hint" not in photo_client.post("/v1/search", json={"texts": ["a dog"]}).json()


def test_a_stream_s_mistakes_are_told_before_it_begins(client: TestClient) -> None:
    for body, field in (
        ({"texts": [text("red")], "where": "nope = 1"}, "where"),
        ({"texts": [text("red")], "min_z": 1}, "min_z"),
        ({"texts": [text("red")], "collapse": True}, "k"),
    ):
        answer = client.post("/v1/search", json=body, headers={"Accept": "application/x-ndjson"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


# -- uploads


def upload(client: TestClient, *images: bytes, **fields: Any) -> Any:
    files = [
        ("files", (f"{number}.png", image, "image/png")) for number, image in enumerate(images)
    ]
    return client.post("/v1/search/upload", files=files, data=fields)


def test_by_an_uploaded_image(client: TestClient) -> None:
    answer = upload(client, png(RED), k=2)
    assert answer.status_code == 200, answer.text
    assert [(hit["row_id"], hit["score"]) for hit in answer.json()["hits"]] == [(3, 1.0), (4, HALF)]


def test_uploads_have_weights_and_go_with_all_the_rest(client: TestClient) -> None:
    # 1 yellow - 0.7071 green = 0.7071 red
    answer = upload(
        client, png(YELLOW), png(GREEN), weights=["1", "-0.70710678"], where="width_px = 8"
    )
    assert [(hit["row_id"], hit["score"]) for hit in answer.json()["hits"]] == [
        (3, pytest.approx(1, abs=2e-4))
    ]
    answer = upload(
        client, png(RED), texts='[{"text": "green"}]', images='[{"row_id": 1, "weight": 0}]', k=1
    )
    assert [hit["row_id"] for hit in answer.json()["hits"]] == [4]


def test_the_next_page_of_an_upload_needs_the_cursor_alone(client: TestClient) -> None:
    cursor = upload(client, png(RED), k=2).json()["next_cursor"]
    assert found(client, cursor=cursor) == [(1, 0.0), (2, 0.0)]


def upload_refusal(answer: Any, status: int = 422) -> tuple[str, str | None, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    return error["code"], error["field"], error["message"]


def test_a_poison_image_fails_alone(client: TestClient) -> None:
    assert upload_refusal(upload(client, png(RED), b"not an image"))[:2] == (
        "unreadable_image",
        "files[1]",
    )
    assert upload_refusal(upload(client, png(RED)[:50]))[0] == "unreadable_image"
    code, field, message = upload_refusal(upload(client, png(BLACK)))  # the model refuses black
    assert (code, field) == ("unreadable_image", "files[0]")
    assert "black has no colour" in message
    assert upload(client, png(RED), k=1).json()["hits"][0]["row_id"] == 3


def test_uploads_that_take_long_leave_a_decoder_to_thumbnails(
    client: TestClient, app: FastAPI, tmp_path: Path
) -> None:
    go_on = threading.Event()

    class Slow(Decoder):
        def decode(self, name: str, *args: Any) -> ReadImage:
            assert not name.startswith("files[") or go_on.wait(20)
            return super().decode(name, *args)

    app.state.decoders.close()
    app.state.decoders = DecoderPool(decoders=2, start=Slow)
    app.state.thumbnails = Thumbnails(tmp_path / "thumbnails", app.state.decoders)
    with ThreadPoolExecutor(3) as pool:
        try:
            waiting = [pool.submit(upload, client, png(RED), k=1) for _ in range(2)]
            while not app.state.decoders._busy:
                time.sleep(0.01)
            time.sleep(0.1)  # the second is on its way too
            thumbnail = pool.submit(client.get, "/v1/lakes/my/rows/1/thumbnail")
            assert thumbnail.result(10).status_code == 200
        finally:
            go_on.set()
        assert [answer.result(20).json()["hits"][0]["row_id"] for answer in waiting] == [3, 3]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"weights": ["1", "2"]}, "weights"),
        ({"weights": ["x"]}, "weights[0]"),
        ({"weights": ["nan"]}, "weights[0]"),
        ({"texts": "a cat"}, "texts"),
        ({"texts": '[{"text": ""}]'}, "texts[0].text"),
        ({"images": '[{"row_id": 99}]'}, "images[0].row_id"),
        ({"vector": "[1, 2]"}, "vector"),
        ({"vector": "[]"}, "vector"),
        ({"vector": str([1] * 8193)}, "vector"),
        ({"texts": str([{"text": "red"}] * 65).replace("'", '"')}, "texts"),
        ({"images": '{"row_id": 1}'}, "images"),
        ({"images": '[{"row_id": 1, "wieght": 2}]'}, "images[0].wieght"),
        ({"weights": ["1e30"]}, "weights[0]"),
        ({"k": "0"}, "k"),
        ({"k": "100000"}, "k"),
        ({"where": "nope = 1"}, "where"),
        ({"collapse": "perhaps"}, "collapse"),
    ],
)
def test_an_upload_s_other_mistakes(client: TestClient, fields: dict[str, Any], field: str) -> None:
    assert upload_refusal(upload(client, png(RED), **fields))[1] == field


def test_a_misspelt_field_is_not_passed_over(client: TestClient) -> None:
    assert upload_refusal(upload(client, png(RED), wher="width_px = 4")) == (
        "invalid_request",
        "wher",
        "wher: there is no such field; /docs lists those there are",
    )


def test_uploads_that_pile_up_are_told_to_come_again(desk: Desk, tmp_path: Path) -> None:
    config = ServeConfig(upload_wait_s=0.05)
    app = create_app(
        {"my": desk.lake}, config, embedder=desk.model, keys=KeyStore(tmp_path / "state")
    )
    with TestClient(app, base_url=HOST) as client:
        turns = app.state.decoders.all_but_one
        taken = 0
        while turns.take(Job(), 0):  # as pictures do that take long to decode
            taken += 1
        answer = upload(client, png(RED))
        for _ in range(taken):
            turns.give()
        assert upload_refusal(answer, 429)[0] == "too_busy"
        assert answer.headers["retry-after"] == "5"
        assert upload(client, png(RED), k=1).json()["hits"][0]["row_id"] == 3


def test_no_more_uploads_at_once_than_memory_is_meant_for(desk: Desk, tmp_path: Path) -> None:
    config = ServeConfig(max_uploads=1)
    app = create_app(
        {"my": desk.lake}, config, embedder=desk.model, keys=KeyStore(tmp_path / "state")
    )
    with TestClient(app, base_url=HOST) as client, ThreadPoolExecutor(1) as pool:
        turns = app.state.decoders.all_but_one
        taken = 0
        while turns.take(Job(), 0):
            taken += 1

        def taken_in() -> Any:
            while (answer := upload(client, png(RED), k=1)).status_code == 429:
                time.sleep(0.01)  # one of the wrong ones below was just being refused
            return answer

        first = pool.submit(taken_in)
        try:
            wrong = [("other", ("a.png", png(RED)))]  # refused at once, where it gets that far
            while (answer := client.post("/v1/search/upload", files=wrong)).status_code == 422:
                time.sleep(0.01)
        finally:
            for _ in range(taken):
                turns.give()
        assert found(client, texts=[text("red")], k=1) == [(3, 1.0)]
        assert first.result(10).json()["hits"][0]["row_id"] == 3
    assert answer.status_code == 429


def test_too_many_images_or_none(client: TestClient) -> None:
    assert upload_refusal(upload(client, *[png(RED)] * 17))[1:] == (
        "files",
        "files: 17 images were sent; at most 16 are taken: leave out 1",
    )
    assert (
        upload_refusal(client.post("/v1/search/upload", data={"k": 5}), 415)[0]
        == "unsupported_media_type"
    )
    empty = client.post("/v1/search/upload", files=[("k", (None, "5"))])
    assert upload_refusal(empty)[1] == "files"


# -- mistakes


def test_nothing_to_look_for(client: TestClient) -> None:
    assert refusal(client) == (
        "invalid_request",
        "query",
        "query: give at least one text, image or row to look for",
    )
    assert refusal(client, where="width_px = 4")[1] == "query"


def test_what_cancels_out(client: TestClient) -> None:
    code, field, message = refusal(client, texts=[text("red"), text("red", -1)])
    assert (code, field) == ("invalid_request", "query")
    assert message == "query: wanted and unwanted examples cancel out; nothing is left to look for"


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"texts": [text(" ")]}, "texts[0].text", "it is empty; say what you look for"),
        ({"texts": [text("red"), text("x" * 2001)]}, "texts[1].text", "2000"),
        ({"texts": [text("red", 1e9)]}, "texts[0].weight", "1000"),
        ({"texts": [{"words": "red"}]}, "texts[0].text", "required"),
        ({"texts": "red"}, "texts", "list"),
        ({"texts": ["red", " "]}, "texts[1].text", "it is empty; say what you look for"),
        (
            {"texts": ["red", 5]},
            "texts[1]",
            'write it as "a cat", or as {"text": "a cat", "weight": 1}',
        ),
        ({"images": [0]}, "images[0].row_id", "greater"),
        ({"images": [99]}, "images[0].row_id", "there is no row 99 in my"),
        ({"images": ["7"]}, "images[0]", 'write it as 7, or as {"row_id": 7, "weight": 1}'),
        ({"images": [True]}, "images[0]", "write it as 7"),
        ({"texts": [text("red")] * 65}, "texts", "64"),
        ({"text": "red"}, "text", "no such field"),
        ({"images": [row(99)]}, "images[0].row_id", "there is no row 99 in my"),
        ({"images": [row(1), row(2**53)]}, "images[1].row_id", "less than"),
        ({"images": [row(-1)]}, "images[0].row_id", "greater"),
        ({"images": [{"row_id": 1.5}]}, "images[0].row_id", "integer"),
        ({"texts": [text("red")], "k": 0}, "k", "greater"),
        ({"texts": [text("red")], "k": 1001}, "k", "more than a page holds (1000)"),
        ({"texts": [text("red")], "k": "many"}, "k", "integer"),
        (
            {"texts": [text("red")], "min_z": 2},
            "min_z",
            "z scores need 100 different rows; this lake has 4",
        ),
        ({"vector": []}, "vector", "at least 1"),
        ({"vector": [0, 0, 0]}, "vector", "not all zero"),
        ({"vector": [1, 2, "x"]}, "vector[2]", "number"),
    ],
)
def test_mistakes_are_named(
    client: TestClient, body: dict[str, Any], field: str, words: str
) -> None:
    code, where, message = refusal(client, **body)
    assert (code, where) == ("invalid_request", field)
    assert message.startswith(f"{field}: ")
    assert words in message


def test_a_vector_of_another_width(client: TestClient) -> None:
    assert refusal(client, vector=[1, 2]) == (
        "wrong_dimension",
        "vector",
        "vectors have 2 dimensions, the model has 3",
    )


def test_an_unknown_column_with_the_nearest_real_name(client: TestClient) -> None:
    code, field, message = refusal(client, texts=[text("red")], where="widht_px > 3")
    assert (code, field) == ("bad_where", "where")
    assert "widht_px" in message and "width_px" in message


@pytest.mark.parametrize(
    "where",
    [
        "width_px >",
        "1; DROP TABLE rows",
        "uri IN (SELECT 1)",
        "read_text('/etc/passwd') = 'x'",
        "a" * 5000,
        "(" * 400,
    ],
)
def test_sql_that_is_not_a_predicate(client: TestClient, where: str) -> None:
    assert refusal(client, texts=[text("red")], where=where)[:2] == ("bad_where", "where")


def test_an_unknown_lake(client: TestClient) -> None:
    code, field, message = refusal(client, 404, lake="other", texts=[text("red")])
    assert (code, field, message) == (
        "unknown_lake",
        "lake",
        "there is no lake 'other' here; there is my",
    )


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"", b"[1]", b"null", b'{"texts": [{"text": "\\ud800"}]}', b"NaN"]
)
def test_a_body_that_is_no_query(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("body", [b"", b"[1]", b"null", b'"a cat"'])
def test_a_body_that_is_no_object_is_told_what_is_wanted(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["error"]["message"].startswith(
        'the body must be a JSON object, as {"texts": ['
    )


def test_of_a_thousand_mistakes_one_is_described() -> None:
    """Each costs 10 us on the event loop:
    those that fit into 1 MB stopped everybody for a second.
    """
    many: list[dict[str, Any]] = [
        {f"a{number}": 1 for number in range(1000)},
        {"texts": [{"text": "red"} | {f"a{number}": 1 for number in range(1000)}] * 64},
        {"texts": [{}] * 64},
        {"images": ["x"] * 64},
        {"vector": ["x"] * 1000},
    ]
    for body in many:
        with pytest.raises(ValidationError) as caught:
            SearchRequest.model_validate(body)
        assert caught.value.error_count() == 1


def test_numbers_that_json_has_not(client: TestClient) -> None:
    for body in (
        b'{"vector": [NaN, 0, 1]}',
        b'{"vector": [Infinity, 0, 1]}',
        b'{"vector": [1e999, 0, 1]}',
    ):
        answer = client.post(
            "/v1/search", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422 and answer.json()["error"]["field"] == "vector[0]"


def test_what_is_not_there(client: TestClient) -> None:
    for method, path, status, code in (
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/search", 405, "method_not_allowed"),
        ("DELETE", "/v1/lakes", 405, "method_not_allowed"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert path in answer.json()["error"]["message"]
    assert (
        client.get("/v1/search").json()["error"]["message"]
        == "/v1/search does not take GET, only POST"
    )


def test_a_model_that_fails_is_not_the_caller_s_fault(client: TestClient) -> None:
    # the fake knows four colours
    answer = client.post("/v1/search", json={"texts": [text("purple")]})
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "purple" not in answer.text and "Traceback" not in answer.text
    assert found(client, texts=[text("red")], k=1) == [(3, 1.0)]


def test_nothing_of_a_caller_s_is_opened(client: TestClient, tmp_path: Path) -> None:
    """A text that names a file is a text, and an image example is a row_id, never a path."""
    (tmp_path / "secret.png").write_bytes(png(BLUE))
    answer = client.post("/v1/search", json={"images": [{"row_id": str(tmp_path / "secret.png")}]})
    assert answer.status_code == 422
    answer = client.post("/v1/search", json={"images": [str(tmp_path / "secret.png")]})
    assert answer.status_code == 422
