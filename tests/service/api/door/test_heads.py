"""HEAD: what GET would say, without the body, wherever GET is taken."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.serving import running

GETS = [
    "/",
    "/label",
    "/lake",
    "/favicon.ico",
    "/page/common/icon.svg",
    "/docs",
    "/docs/swagger-ui.css",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/v1/session",
    "/indices-list",
    "/v1/formats",
    "/v1/lakes",
    "/v1/lakes/my/columns",
    "/v1/lakes/my/about",
    "/v1/lakes/my/suggestions?of=columns",
    "/v1/lakes/my/sync",
    "/v1/lakes/my/map",
    "/v1/lakes/my/rows",
    "/v1/lakes/my/rows/1",
    "/v1/lakes/my/rows/1/image",
    "/v1/lakes/my/rows/1/thumbnail",
    "/v1/lakes/my/filters",
    "/v1/lakes/my/tags",
    "/v1/lakes/my/groups",
    "/v1/lakes/my/searches",
]


@pytest.mark.parametrize("path", GETS)
def test_it_says_what_get_would_say(client: TestClient, path: str) -> None:
    got = client.get(path, follow_redirects=False)
    head = client.head(path, follow_redirects=False)
    # The colours of this test embed no text, and the lake has no map.
    assert got.status_code in (200, 307, 404, 503)
    assert head.status_code == got.status_code
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "cache-control", "location"):
        assert head.headers.get(name) == got.headers.get(name)


def test_every_get_of_the_api_has_it(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    gets = {path for path, operations in paths.items() if "get" in operations}
    lately = {"/metrics"} | {path for path in gets if "s/{name}" in path}
    bare = [path.partition("?")[0] for path in GETS]
    named = {path.replace("my", "{lake}").replace("/1", "/{row_id}") for path in bare}
    assert gets - lately <= named


def test_on_the_wire_it_is_whole_and_the_connection_goes_on(app: FastAPI) -> None:
    with running(app) as url, httpx.Client(base_url=url) as client:
        for path in ("/v1/lakes/my/rows/1/image", "/v1/lakes", "/page/common/icon.svg", "/nothing"):
            size = client.get(path).headers["content-length"]
            assert client.head(path).headers["content-length"] == size
        assert client.get("/healthz").json() == {"alive": True}
        counted = client.get("/metrics").text
    assert 'method="HEAD",route="/v1/lakes",status="200"} 1.0' in counted


def test_what_takes_no_get_takes_no_head(client: TestClient) -> None:
    assert client.head("/v1/search").status_code == 405
    assert client.head("/v1/lakes/my/rows/9").status_code == 404
