"""POST filters/upload: a new filter with example images from
outside the lake, on a lake of coloured images.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.lake import Lake
from service.pictures.jobs import Job
from service.relevance import Filters, Target
from tests.lakes import BLACK, BLUE, GREEN, RED, Desk, png
from tests.service.api.conftest import HOST

FILTERS = "/v1/lakes/my/filters"
UPLOAD = f"{FILTERS}/upload"


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Rows 1 to 30 go from red to orange, 31 to 60 are bluish."""
    desk = Desk(tmp_path_factory.mktemp("colours"))
    for number in range(30):
        desk.add(f"a{number:03d}.png", (255, number * 3, 0))
    for number in range(30):
        desk.add(f"b{number:03d}.png", (90 - number, 0, 160 + number))
    desk.index()
    return desk


@pytest.fixture
def client(coloured: Desk, tmp_path: Path) -> Iterator[TestClient]:
    shutil.copytree(coloured.lake, tmp_path / "my.lake")
    config = ServeConfig(max_images=3, max_upload_bytes=100_000, upload_wait_s=0.05)
    app = create_app(
        {"my": tmp_path / "my.lake"},
        config,
        embedder=coloured.model,
        keys=KeyStore(tmp_path / "state"),
    )
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        yield client


def make(
    client: TestClient,
    *,
    keep: list[tuple[str, bytes]] | None = None,
    drop: list[tuple[str, bytes]] | None = None,
    path: str = UPLOAD,
    **fields: Any,
) -> Any:
    """Texts are sent as they are, all else as JSON."""
    files = [("keep_images", image) for image in keep or []] + [
        ("drop_images", image) for image in drop or []
    ]
    data = {
        name: said if isinstance(said, str) else json.dumps(said) for name, said in fields.items()
    }
    parts = [(name, (None, said)) for name, said in data.items()]
    return client.post(path, files=[*parts, *files])


def refusal(answer: Any, status: int = 422) -> tuple[str, str | None, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    return error["code"], error["field"], error["message"]


def test_uploaded_examples_rank_the_lake(client: TestClient) -> None:
    answer = make(
        client,
        name="oranges",
        keep=[("photo.png", png((255, 87, 0)))],
        where="row_id > 2",
        target={"recall": 0.9, "precision": 0.8},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["target"] == {"recall": 0.9, "precision": 0.8, "confidence": 0.95}
    assert answer.json()["where"] == "row_id > 2"
    rows = client.post(f"{FILTERS}/oranges/next", json={"n": 1}).json()["rows"]
    assert (
        rows[0]["row_id"] > 25
    )  # the example's colour is row 30's; its neighbours differ by less than fp16 shows
    shown = client.get(f"{FILTERS}/oranges").json()
    assert [image["name"] for image in shown["keep"]["images"]] == ["photo.png"]
    assert shown["drop"]["images"] == []
    assert make(client, name="no-seas", drop=[("sea.png", png(BLUE))]).status_code == 201
    rows = client.post(f"{FILTERS}/no-seas/next", json={"n": 1}).json()["rows"]
    assert rows[0]["row_id"] <= 30


def test_it_is_the_very_filter_that_python_makes_of_the_same_files(
    client: TestClient, coloured: Desk, tmp_path: Path
) -> None:
    wanted, unwanted = png((250, 60, 20), (13, 9)), png(GREEN)
    (tmp_path / "wanted.png").write_bytes(wanted)
    (tmp_path / "unwanted.png").write_bytes(unwanted)
    with Lake.open(shutil.copytree(coloured.lake, tmp_path / "other.lake"), coloured.model) as lake:
        made = Filters(lake).create(
            "mine",
            keep_texts=["red"],
            keep_images=[tmp_path / "wanted.png"],
            keep_rows=[2],
            drop_images=[tmp_path / "unwanted.png"],
            target=Target(None, 0.9, 0.9),
        )
        expected = made.definition.to_document()
    fields: list[Any] = [
        ("name", (None, "mine")),
        ("keep", (None, '{"texts": ["red"], "row_ids": [2]}')),
        ("target", (None, '{"precision": 0.9, "confidence": 0.9}')),
        ("keep_images", ("C:\\photos\\wanted.png", wanted)),
        ("drop_images", ("unwanted.png", unwanted)),
    ]
    assert client.post(UPLOAD, files=fields).status_code == 201
    shown = client.get(f"{FILTERS}/mine?version=1").json()
    for own in ("versions", "progress", "applied"):
        del shown[own]
    assert {**shown, "created_at": ""} == {**expected, "created_at": ""}


def test_without_images_it_is_as_making_a_filter(client: TestClient) -> None:
    made = client.post(UPLOAD, data={"name": "reds", "keep": '{"texts": ["red"]}'}, files=[])
    # no form of files: httpx sent it as a plain one
    assert refusal(made, 415)[0] == "unsupported_media_type"
    fields: list[Any] = [("name", (None, "reds")), ("keep", (None, '{"texts": ["red"]}'))]
    assert client.post(UPLOAD, files=fields).status_code == 201
    assert client.get(f"{FILTERS}/reds").json()["keep"] == {
        "texts": ["red"],
        "row_ids": [],
        "images": [],
    }


def test_a_filter_may_be_called_upload(client: TestClient) -> None:
    assert make(client, name="upload", keep=[("a.png", png(RED))]).status_code == 201
    assert client.get(f"{FILTERS}/upload").json()["name"] == "upload"
    assert client.post(f"{FILTERS}/upload/next", json={"n": 1}).status_code == 200
    assert client.delete(f"{FILTERS}/upload").status_code == 200


def test_a_caller_s_mistakes_are_a_sentence_each_and_make_nothing(client: TestClient) -> None:
    red = ("red.png", png(RED))
    assert refusal(make(client, name="reds")) == (
        "invalid_request",
        "keep",
        "keep: say or show what you want: give at least one text or example image",
    )
    assert refusal(make(client, keep=[red]))[1] == "name"
    assert "is no name for a filter" in refusal(make(client, name="My reds", keep=[red]))[2]
    assert refusal(make(client, name="reds", keep=[red] * 4)) == (
        "invalid_request",
        "keep_images",
        "keep_images: 4 images were sent; at most 3 are taken: leave out 1",
    )
    assert refusal(make(client, name="reds", keep=[red] * 2, drop=[red] * 3))[1:] == (
        "drop_images",
        "drop_images: 5 images were sent; at most 3 are taken: leave out 2",
    )
    for side in ("keep", "drop"):
        images: dict[str, Any] = {side: [red, ("b.png", b"no image")]}
        code, field, message = refusal(make(client, name="reds", **images))
        assert (code, field) == ("unreadable_image", f"{side}_images[1]")
        assert message == f"{side}_images[1]: not an image that Pillow or HEIF can open"
    assert refusal(make(client, name="reds", keep=[("black.png", png(BLACK))]))[:2] == (
        "unreadable_image",
        "keep_images[0]",
    )
    assert refusal(make(client, name="reds", keep=[red], where="nope = 1"))[:2] == (
        "bad_where",
        "where",
    )
    assert (
        refusal(make(client, name="reds", keep=[red], target={"recall": 95}))[1] == "target.recall"
    )
    assert refusal(make(client, name="reds", keep=[red], target="95 %"))[1] == "target"
    assert refusal(make(client, name="reds", drop=[red], wehre="x"))[1] == "wehre"
    fields: list[Any] = [
        ("name", (None, "reds")),
        ("keep", (None, '{"row_ids": [1, 99]}')),
        ("keep_images", red),
    ]
    assert refusal(client.post(UPLOAD, files=fields))[1] == "keep.row_ids[1]"
    assert (
        refusal(make(client, name="reds", keep=[("x.png", b"x" * 100_001)]), 413)[0] == "too_large"
    )
    assert refusal(client.post(UPLOAD, json={"name": "reds"}), 415)[0] == "unsupported_media_type"
    other = make(client, name="reds", keep=[red], path=UPLOAD.replace("/my/", "/no/"))
    assert refusal(other, 404)[0] == "unknown_lake"
    assert client.get(FILTERS).json() == {"filters": [], "problems": []}


def test_what_is_wrong_in_words_is_told_before_any_image_is_decoded(client: TestClient) -> None:
    broken = [("b.png", b"no image")]
    assert refusal(make(client, name="reds", keep=broken, where="nope = 1"))[1] == "where"
    assert refusal(make(client, name="My reds", keep=broken))[1] == "name"


def test_an_upload_that_finds_no_decoder_free_is_told_to_come_again(client: TestClient) -> None:
    turns = client.app.state.decoders.all_but_one  # type: ignore[attr-defined]
    taken = 0
    while turns.take(Job(), 0):  # as pictures do that take long to decode
        taken += 1
    answer = make(client, name="reds", keep=[("a.png", png(RED))])
    for _ in range(taken):
        turns.give()
    assert refusal(answer, 429)[0] == "too_busy"
    assert make(client, name="reds", keep=[("a.png", png(RED))]).status_code == 201


def test_another_site_s_page_makes_nothing(client: TestClient) -> None:
    fields: list[Any] = [("name", (None, "reds")), ("keep_images", ("a.png", png(RED)))]
    answer = client.post(UPLOAD, files=fields, headers={"Origin": "https://evil.example"})
    assert refusal(answer, 403)[0] == "origin_not_allowed"
    assert client.get(FILTERS).json() == {"filters": [], "problems": []}
