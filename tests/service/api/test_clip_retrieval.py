"""The routes of clip-retrieval, asked by its own client and as its front end asks.

Rows 1 to 4 are blue, green, red and yellow; "red" scores 1 with red, 0.7071 with yellow.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from indexer.errors import BadRequest
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.door.guard import check_start
from service.api.serving.keys import KeyStore
from tests.lakes import GREEN, RED, Desk, png
from tests.service.api.conftest import HOST
from tests.serving import running

CLIENT = Path(sys.prefix, "others/clip_retrieval/clip_client.py")
HALF = pytest.approx(0.5**0.5, abs=2e-4)
ORIGIN = "http://localhost:3005"


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    with running(app) as url:
        yield url


def their_client(url: str, **said: Any) -> Any:
    """The class of the published package; its `__init__` would load all that the package needs."""
    if not CLIENT.exists():
        pytest.skip("clip-retrieval is not there; `make .venv/.test` puts it into the environment")
    spec = importlib.util.spec_from_file_location("clip_client", CLIENT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ClipClient(url=f"{url}/knn-service", indice_name="my", **said)


def as_their_pages_ask(client: TestClient, path: str, **said: Any) -> Any:
    """`fetch` with a string for its body."""
    headers = {"Content-Type": "text/plain;charset=UTF-8"}
    return client.post(path, content=json.dumps(said), headers=headers)


def refusal(answer: Any) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    return answer.status_code, error["field"], error["message"]


def test_their_client_finds_by_text_image_and_vector(url: str, tmp_path: Path) -> None:
    client = their_client(url, num_images=2)
    found = client.query(text="red")
    assert [each["id"] for each in found] == [3, 4]
    assert [each["similarity"] for each in found] == [pytest.approx(1, abs=2e-4), HALF]
    path = tmp_path / "green.png"
    path.write_bytes(png(GREEN, (8, 8)))
    assert client.query(image=str(path))[0]["id"] == 2
    assert client.query(embedding_input=[0.0, 0.0, 3.0])[0]["id"] == 1


def test_their_client_gets_a_sentence_for_what_is_not_done(url: str) -> None:
    error = their_client(url).query(image="https://example.com/a.jpg")["error"]
    assert error["field"] == "image_url"
    assert error["message"] == (
        "image_url: no address is fetched for a caller; send the image itself as image, in base64"
    )


def test_a_hit_says_where_it_lies_and_shows_it(client: TestClient, desk: Desk) -> None:
    answer = as_their_pages_ask(
        client, "/knn-service", text="red", modality="image", num_images=1, num_result_ids=3,
        indice_name="my",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    first, *others = answer.json()
    assert first.pop("similarity") == pytest.approx(1, abs=2e-4)
    with Image.open(io.BytesIO(base64.b64decode(first.pop("image")))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (8, 4))
        red, green, blue = np.asarray(picture.convert("RGB"))[2, 4]
        assert red > 200 and green < 60 and blue < 60
    assert first == {"id": 3, "image_path": str(desk.photos / "c-red.png")}
    # further down an id is all there is; ties come by rising id
    assert [set(each) for each in others] == [{"id", "similarity"}] * 2
    assert [each["id"] for each in others] == [4, 1]


def test_columns_ride_along_and_a_url_stands_for_the_picture(desk: Desk, tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("path,caption,site,url\nc-red.png,a red one,front,mine\n")
    desk.index(columns=table)
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=KeyStore(tmp_path))
    with TestClient(app, base_url=HOST) as client:
        (hit,) = client.post("/knn-service", content='{"text": "red", "num_images": 1}').json()
        assert (hit["caption"], hit["site"]) == ("a red one", "front")
        assert "url" not in hit and "image" in hit
        (entry,) = client.post("/metadata", content='{"ids": [3, 99]}').json()
        assert entry["id"] == 3
        assert entry["metadata"] == {
            name: value for name, value in hit.items() if name not in ("id", "similarity")
        }


def test_the_lakes_are_listed(client: TestClient) -> None:
    assert client.get("/indices-list").json() == ["my"]


def test_near_identical_images_are_one_hit_where_that_is_asked(
    desk: Desk, client: TestClient
) -> None:
    desk.add("z-red.png", RED, size=(8, 5))
    desk.sync()
    client.app.state.hub.lakes[0].look()  # type: ignore[attr-defined]
    for deduplicate, ids in ((False, [3, 5, 4]), (True, [3, 4, 1])):
        body = {"text": "red", "num_images": 3, "deduplicate": deduplicate}
        answer = client.post("/knn-service", content=json.dumps(body))
        assert [each["id"] for each in answer.json()] == ids


@pytest.mark.parametrize(
    ("said", "status", "field"),
    [
        ({"text": "red", "modality": "text"}, 422, "modality"),
        ({"text": "red", "use_mclip": True}, 422, "use_mclip"),
        ({"text": "red", "num_images": 0}, 422, "num_images"),
        ({"text": "red", "num_result_ids": 10_001}, 422, "num_result_ids"),
        ({"text": "red", "indice_name": "laion5B"}, 404, "indice_name"),
        ({"text": " "}, 422, "text"),
        ({}, 422, "text"),
        ({"image": "*"}, 422, "image"),
        ({"image": ""}, 422, "text"),
        ({"image": base64.b64encode(b"no image").decode()}, 422, "image"),
        ({"embedding_input": [1.0]}, 422, "embedding_input"),
        ({"embedding_input": [0.0, 0.0, 0.0]}, 422, "embedding_input"),
    ],
)
def test_a_mistake_is_told_by_the_name_that_was_sent(
    client: TestClient, said: dict[str, Any], status: int, field: str
) -> None:
    code, name, message = refusal(client.post("/knn-service", content=json.dumps(said)))
    assert (code, name) == (status, field), message


def test_no_json_is_told_so(client: TestClient) -> None:
    status, _, message = refusal(client.post("/knn-service", content="text=red"))
    assert status == 422 and "JSON" in message


def test_a_large_image_counts_as_an_upload(client: TestClient) -> None:
    noise = Image.effect_noise((1200, 1000), 90).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    body = json.dumps({"image": base64.b64encode(buffer.getvalue()).decode(), "num_images": 1})
    assert len(body) > ServeConfig().max_body_bytes
    answer = client.post("/knn-service", content=body)
    assert answer.status_code == 200 and len(answer.json()) == 1
    too_large = "x" * (ServeConfig().max_upload_bytes + 1)
    assert client.post("/knn-service", content=too_large).status_code == 413
    assert client.post("/metadata", content=body).status_code == 413


def test_pages_of_an_allowed_origin_read_and_change_nothing(desk: Desk, tmp_path: Path) -> None:
    config = ServeConfig(allow_origins=(ORIGIN,), require_key=True)
    keys = KeyStore(tmp_path)
    _, secret = keys.add("page", "write")
    page = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
    allowed = "access-control-allow-origin"
    with TestClient(
        create_app({"my": desk.lake}, config, embedder=desk.model, keys=keys), base_url=HOST
    ) as client:
        assert client.get("/indices-list", headers=page).status_code == 401
        with_key = page | {"Authorization": f"Bearer {secret}"}
        answer = client.get("/indices-list", headers=with_key)
        assert (answer.json(), answer.headers[allowed]) == (["my"], ORIGIN)
        answer = client.post("/knn-service", content='{"text": "red"}', headers=with_key)
        assert (answer.status_code, answer.headers[allowed]) == (200, ORIGIN)
        asked = page | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = client.options("/knn-service", headers=asked)
        assert (answer.status_code, answer.headers[allowed]) == (200, ORIGIN)
        # a filter is made by this service's own page
        answer = client.post("/v1/lakes/my/filters", json={}, headers=with_key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
        # nor is a search saved or deleted by another's: such a page may read, and browsers are told
        saved = "/v1/lakes/my/searches"
        for method in ("PUT", "DELETE"):
            asked = page | {"Access-Control-Request-Method": method}
            answer = client.options(f"{saved}/cats", headers=asked)
            methods = answer.headers["access-control-allow-methods"]
            assert (answer.status_code, method in methods) == (400, False)
            answer = client.request(method, f"{saved}/cats", headers=with_key)
            assert answer.json()["error"]["code"] == "origin_not_allowed"
        assert client.get(saved, headers=with_key).json() == {"searches": []}
        other = with_key | {"Origin": "http://localhost:3006"}
        answer = client.get("/indices-list", headers=other)
        assert answer.status_code == 403 and allowed not in answer.headers


@pytest.mark.parametrize("origin", ["*", "http://page/", "page", "http://Page", "ftp://page", ""])
def test_an_origin_is_named_as_browsers_send_it(origin: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is no origin like http://localhost:3005"):
        check_start(ServeConfig(allow_origins=(origin,)), KeyStore(tmp_path))


def test_their_page_of_another_origin_is_refused_by_default(client: TestClient) -> None:
    answer = client.post("/knn-service", content='{"text": "red"}', headers={"Origin": ORIGIN})
    assert answer.status_code == 403
    assert "--allow-origin" in answer.json()["error"]["message"]
