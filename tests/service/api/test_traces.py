"""Spans of requests, as a collector gets them."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from indexer.errors import BadRequest
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.api.traces import Traces
from tests.lakes import Desk
from tests.service.api.conftest import HOST

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"  # of W3C's own example


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What came to a collector that the environment names."""
    got: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            import gzip

            data = self.rfile.read(int(self.headers["Content-Length"]))
            data = gzip.decompress(data) if self.headers["Content-Encoding"] == "gzip" else data
            assert self.path == "/v1/traces"
            got.append(ExportTraceServiceRequest.FromString(data))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    yield got
    server.shutdown()
    server.server_close()


def test_a_collector_gets_a_span_for_each_request_and_no_query(
    desk: Desk, tmp_path: Path, collector: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config = ServeConfig(traces=True, access_log="json")
    keys = KeyStore(tmp_path / "state")
    app = create_app({"my": desk.lake}, config, embedder=desk.model, keys=keys)
    with TestClient(app, base_url=HOST) as client:
        client.post("/v1/search", json={"texts": ["a secret red"]}, headers={"traceparent": CALLER})
        client.get("/v1/lakes/none/columns", params={"q": "a secret red"})
    [resource] = [each for request in collector for each in request.resource_spans]
    of_service = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert of_service["service.name"] == "lakesift"
    searched, missed = sorted(
        resource.scope_spans[0].spans, key=lambda span: span.start_time_unix_nano
    )
    assert searched.name == "POST /v1/search"
    assert searched.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert searched.parent_span_id.hex() == "b7ad6b7169203331"
    said = {
        each.key: each.value.string_value or each.value.int_value for each in searched.attributes
    }
    assert said == {
        "http.request.method": "POST",
        "http.route": "/v1/search",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert missed.name == "GET /v1/lakes/{lake}/columns"
    assert missed.trace_id != searched.trace_id
    assert b"secret" not in b"".join(each.SerializeToString() for each in collector)
    # The log's lines lead to them.
    out = capsys.readouterr().out
    assert '"trace_id": "0af7651916cd43dd8448eb211c80319c"' in out.splitlines()[0]


def test_by_default_nothing_is_loaded_that_sends() -> None:
    code = (
        "import sys; import service.api.app; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(BadRequest, match=r"pip install 'lakesift\[traces\]'"):
        Traces.to_collector()


def test_a_collector_that_is_away_costs_no_request(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    keys = KeyStore(tmp_path / "state")
    app = create_app({"my": desk.lake}, ServeConfig(traces=True), embedder=desk.model, keys=keys)
    with TestClient(app, base_url=HOST) as client:
        assert client.post("/v1/search", json={"texts": ["red"]}).status_code == 200
