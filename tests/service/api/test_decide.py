"""POST filters/{name}/decide: new images by upload,
on a lake of coloured ones whose reds were wanted and audited.
"""

from __future__ import annotations

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
from tests.lakes import BLACK, BLUE, RED, Desk, png
from tests.service.api.conftest import HOST

REDS = 20
DECIDE = "/v1/lakes/my/filters/reds/decide"


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Rows 1 to 20 are reddish, 21 to 80 bluish;
    the filter reds was applied, the filter blues is a draft.
    """
    desk = Desk(tmp_path_factory.mktemp("colours"))
    for number in range(REDS):
        desk.add(f"a{number:03d}.png", (255, number * 3, 0))
    for number in range(60):
        desk.add(f"b{number:03d}.png", (90 - number, 0, 160 + number))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        Filters(lake).create("blues", keep_texts=["blue"])
        reds = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.9))
        while rows := reds.next(40, "audit")["rows"]:
            reds.label(
                [
                    {"row_id": row["row_id"], "label": "yes" if row["row_id"] <= REDS else "no"}
                    for row in rows
                ]
            )
        assert not reds.apply()["refused"]
    return desk


@pytest.fixture
def client(coloured: Desk, tmp_path: Path) -> Iterator[TestClient]:
    config = ServeConfig(max_batch=5, max_upload_bytes=100_000, upload_wait_s=0.05)
    keys = KeyStore(tmp_path / "state")
    app = create_app({"my": coloured.lake}, config, embedder=coloured.model, keys=keys)
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        yield client


def decide(client: TestClient, *images: bytes, path: str = DECIDE, **fields: Any) -> Any:
    files = [("files", (f"{number}.png", image)) for number, image in enumerate(images)]
    return client.post(path, files=files, data=fields)


def refusal(answer: Any, status: int = 422) -> tuple[str, str | None, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    return error["code"], error["field"], error["message"]


def test_each_file_is_answered_in_order_and_nothing_is_promised(client: TestClient) -> None:
    answer = decide(client, png(BLUE, (6, 6)), png(RED, (6, 6)), b"no image", png(BLACK))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [(each["name"], each["decision"]) for each in found["images"]] == [
        ("0.png", "drop"),
        ("1.png", "keep"),
        ("2.png", None),
        ("3.png", None),
    ]
    assert found["images"][1]["score"] == pytest.approx(1.0, abs=1e-3)
    assert found["images"][2]["error"] == "not an image that Pillow or HEIF can open"
    assert found["images"][3]["error"] == "the model colours failed on it (black has no colour)"
    assert found["promised"] is False
    assert found["note"].startswith("unpromised until audited")
    assert found["counts"] == {"keep": 1, "ask": 0, "drop": 1, "outside": 0, "unreadable": 2}
    assert found["drift"]["warning"] is False


def test_it_is_the_very_answer_of_python(client: TestClient, coloured: Desk) -> None:
    image = png((255, 80, 0))
    with Lake.open(coloured.lake, coloured.model) as lake:
        expected = Filters(lake).open("reds").decide([image], ask=True).to_json()
    expected["images"][0]["name"] = "0.png"
    assert decide(client, image, ask="true").json() == expected


def test_an_image_of_the_lake_follows_what_a_person_said_of_it(
    client: TestClient, coloured: Desk
) -> None:
    with Lake.open(coloured.lake, coloured.model) as lake:
        labels = {row: answer.label for row, answer in Filters(lake).open("reds").answers().items()}
    said = sorted(labels)[:5]
    names = {row_id: name for name, row_id in coloured.ids().items()}
    found = decide(client, *((coloured.photos / names[row]).read_bytes() for row in said)).json()
    assert [each["label"] for each in found["images"]] == [labels[row] for row in said]


def test_a_caller_s_mistakes_are_a_sentence_each(client: TestClient) -> None:
    assert refusal(decide(client, *[png(RED)] * 6)) == (
        "invalid_request",
        "files",
        "files: 6 images were sent; at most 5 are taken at once: send the rest after",
    )
    assert refusal(client.post(DECIDE, files=[("ask", (None, "true"))]))[1] == "files"
    assert refusal(decide(client, png(RED), ask="perhaps"))[1] == "ask"
    assert refusal(decide(client, png(RED), aks="true"))[1] == "aks"
    assert refusal(client.post(DECIDE, json={}), 415)[0] == "unsupported_media_type"
    assert refusal(decide(client, b"x" * 100_001), 413)[0] == "too_large"
    blues = refusal(decide(client, png(RED), path=DECIDE.replace("reds", "blues")))
    assert blues[1] == "filter"
    assert "blues was not applied yet" in blues[2]
    assert (
        refusal(decide(client, png(RED), path=DECIDE.replace("reds", "redz")), 404)[0]
        == "unknown_filter"
    )
    assert (
        refusal(decide(client, png(RED), path=DECIDE.replace("/my/", "/no/")), 404)[0]
        == "unknown_lake"
    )


def test_a_batch_that_finds_no_decoder_free_is_told_to_come_again(client: TestClient) -> None:
    turns = client.app.state.decoders.all_but_one  # type: ignore[attr-defined]
    taken = 0
    while turns.take(Job(), 0):  # as pictures do that take long to decode
        taken += 1
    answer = decide(client, png(RED))
    for _ in range(taken):
        turns.give()
    assert refusal(answer, 429)[0] == "too_busy"
    assert decide(client, png(RED)).status_code == 200


def test_it_changes_nothing_so_a_key_to_read_is_enough(coloured: Desk, tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "state")
    secret = keys.add("robot", "read")[1]
    before = sorted(path.name for path in (coloured.lake / "filters" / "reds").rglob("*"))
    app = create_app(
        {"my": coloured.lake}, ServeConfig(require_key=True), embedder=coloured.model, keys=keys
    )
    with TestClient(app, base_url=HOST, headers={"X-API-Key": secret}) as client:
        assert decide(client, png(RED)).status_code == 200
        client.headers.pop("X-API-Key")
        assert decide(client, png(RED)).status_code == 401
    assert sorted(path.name for path in (coloured.lake / "filters" / "reds").rglob("*")) == before
