"""The app as a whole: OpenAPI, /docs without another host, what happens at start and end."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer.errors import BadRequest, LakeNotFound
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import Desk


def test_openapi_describes_every_route_and_every_error(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) >= {
        "/v1/search",
        "/v1/search/upload",
        "/v1/lakes",
        "/v1/lakes/{lake}/columns",
        "/v1/lakes/{lake}/rows",
        "/v1/lakes/{lake}/rows/{row_id}",
        "/v1/lakes/{lake}/rows/{row_id}/image",
        "/v1/lakes/{lake}/rows/{row_id}/thumbnail",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert operation["summary"], f"{method} {path}"
            for status, answer in operation["responses"].items():
                if status.startswith("4"):
                    schema = answer["content"]["application/json"]["schema"]["$ref"]
                    assert schema.endswith("/ErrorAnswer"), f"{method} {path} {status}"


def test_the_examples_of_openapi_are_answered(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]["SearchRequest"]
    for example in schema["examples"]:
        # the fake knows four colours
        if "query" in example:
            example["query"] = "red -green"
        if "texts" in example:
            example["texts"] = [
                "red" if isinstance(text, str) else {**text, "text": "red"}
                for text in example["texts"]
            ]
            if len(example["texts"]) > 1:
                example["texts"][1]["text"] = "green"
        assert client.post("/v1/search", json=example).status_code == 200


def test_docs_load_nothing_from_another_host(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) == 3
    for link in links:
        assert link.startswith("/docs/")
        assert client.get(link).status_code == 200
    assert "SwaggerUIBundle" in client.get("/docs/swagger-ui-bundle.js").text
    assert client.get("/redoc").status_code == 404


@pytest.mark.parametrize("address", ["/", "/label", "/lake"])
def test_a_page_and_its_files(client: TestClient, address: str) -> None:
    page = client.get(address)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    links = {
        link
        for link in re.findall(r'(?:src|href)="([^"#]*)"', page.text)
        if not link.startswith("?")
    }
    links -= {"/", "/label", "/lake", "/docs"}
    assert links
    for link in links:
        assert link.startswith("/page/"), link
        file = client.get(link)
        assert file.status_code == 200
        assert file.headers["cache-control"] == "no-cache"
        assert client.get(link, headers={"If-None-Match": file.headers["etag"]}).status_code == 304


def test_folders_of_the_pages_are_not_listed_and_nothing_beside_them_is_served(
    client: TestClient,
) -> None:
    for path in (
        "/page/", "/page/common", "/page/common/", "/page/search/", "/page/label/", "/page/search.js",
        "/page/../api/app.py", "/page/%2e%2e/lake.py", "/page/common/%2e%2e/%2e%2e/lake.py",
        "/page/common/..%2f..%2flake.py", "/page//etc/passwd", "/page/common//etc/passwd",
    ):  # fmt: skip
        assert client.get(path).status_code == 404


def test_a_wrong_folder_fails_before_anything_is_served(desk: Desk, tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "state")
    with pytest.raises(LakeNotFound, match="nowhere is not a lake"):
        create_app([desk.lake, tmp_path / "nowhere"], ServeConfig(), keys=keys)
    with pytest.raises(BadRequest, match="would both be called my"):
        create_app([desk.lake, tmp_path / "my"], ServeConfig(), keys=keys)


def test_the_end_lets_vacuum_have_the_snapshot(desk: Desk, tmp_path: Path) -> None:
    app = create_app(
        [desk.lake], ServeConfig(), embedder=desk.model, keys=KeyStore(tmp_path / "state")
    )
    with TestClient(app, base_url="http://localhost"):
        assert len(list((desk.lake / "readers").glob("*.lock"))) == 1
    assert list((desk.lake / "readers").glob("*.lock")) == []


def test_every_knob_is_a_variable() -> None:
    config = ServeConfig.from_env(
        {
            "LAKESIFT_HOST": "::1",
            "LAKESIFT_PORT": "9000",
            "LAKESIFT_ALLOW_HOSTS": "photos.example, lake.example",
            "LAKESIFT_REQUIRE_KEY": "yes",
            "LAKESIFT_MAX_K": "7",
        }
    )
    assert config == ServeConfig("::1", 9000, ("photos.example", "lake.example"), True, 7)
    assert ServeConfig.from_env({}) == ServeConfig()


def test_the_table_of_limits_says_what_is_so() -> None:
    page = Path(__file__).parents[3] / "docs" / "limits.md"
    said: dict[str, float] = {}
    for line in page.read_text().splitlines():
        if found := re.match(r"\| [^|]+ \| ([0-9,]+)[^|]* \| `LAKESIFT_([A-Z_]+)` \|", line):
            said.setdefault(found[2].lower(), float(found[1].replace(",", "")))
    config = ServeConfig()
    assert said == {name: getattr(config, name) for name in said}
    knobs = {field.name for field in fields(config)}
    others = {
        "host",
        "port",
        "allow_hosts",
        "allow_origins",
        "require_key",
        "trust_proxies",
        "trust_model",
        "thumbnail_cache_bytes",
        "workers",
        "recall",
        "engine",
        "engine_candidates",
        "engine_outage",
        "cursor_secret",
        "access_log",
        "drain_s",
        "traces",
    }
    assert set(said) == knobs - others


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("LAKESIFT_MAX_WHERE_S", "nan", "'nan' is not a number from 0 on"),
        ("LAKESIFT_MAX_WHERE_S", "-1", "'-1' is not a number from 0 on"),
        ("LAKESIFT_PORT", "http", "'http' is not a whole number"),
        ("LAKESIFT_PORT", "-1", "'-1' is not a whole number"),
        ("LAKESIFT_ENGINE_CANDIDATES", "0", "0 is no number of candidates; that is 1 to 10,000"),
        ("LAKESIFT_ENGINE_OUTAGE", "maybe", "'maybe' is none of own and 503"),
        ("LAKESIFT_REQUIRE_KEY", "perhaps", "'perhaps' is neither true nor false"),
    ],
)
def test_a_variable_that_is_not_understood_is_named(name: str, text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=f"^{name}: {re.escape(words)}$"):
        ServeConfig.from_env({name: text})


def test_every_body_may_be_too_large(client: TestClient) -> None:
    """The door refuses it before any route does; each says so, whatever fuzzing comes upon."""
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                assert "413" in operation["responses"], (method, path)
