"""Whatever OpenAPI allows, and much that it does not, is answered: never with a 5xx, always in the promised shape."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.openapi import from_url
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from indexer.embed import Vectors
from service.api.app import create_app
from service.api.config import ServeConfig
from service.keys import KeyStore
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, Desk, png
from tests.serving import running

Case: TypeAlias = schemathesis.Case[Any]
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
EXAMPLES = 150  # an operation: about 40 s in all


OPERATIONS = (
    "POST /v1/search",
    "POST /v1/search/upload",
    "GET /v1/lakes",
    "GET /v1/lakes/{lake}/columns",
    "GET /v1/lakes/{lake}/rows",
    "GET /v1/lakes/{lake}/rows/{row_id}",
    "GET /v1/lakes/{lake}/rows/{row_id}/image",
    "GET /v1/lakes/{lake}/rows/{row_id}/thumbnail",
    "GET /v1/session",
    "POST /v1/session",
    "DELETE /v1/session",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
)
KEY: dict[str, str] = {}  # a real one, once there is one
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class AnyText(ColourEmbedder):
    """Takes every text: its vector is the share of its characters' codes that are 0, 1 and 2 modulo 3."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        counts = np.array(
            [[1 + sum(ord(c) % 3 == r for c in text) for r in range(3)] for text in texts], np.float32
        )
        return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    root = tmp_path_factory.mktemp("fuzz")
    desk = Desk(root, model=AnyText())
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        desk.add(f"{name}.png", colour)
    desk.index()
    keys = KeyStore(root / "state")
    _, KEY["key"] = keys.add("fuzz", "read")
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=keys)
    with running(app) as url:
        yield from_url(f"{url}/openapi.json")


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation(api: BaseSchema, label: str) -> None:
    operation = next(op for op in operations(api) if op.label == label)

    # Not schemathesis's own pytest plugin, which does not work with pytest 9.2.
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)), st.data())
    def run(case: Case, data: st.DataObject) -> None:
        if data.draw(st.booleans()):
            steer(case, data)
        response = case.call_and_validate(checks=CHECKS)
        statuses.add(response.status_code)

    statuses: set[int] = set()
    run()
    assert statuses & {200, 204}, f"no request got through; seen: {statuses}"


def steer(case: Case, data: st.DataObject) -> None:
    """Towards what is there: blind guesses hardly name a lake, a row or a column, and never make an image."""
    real: dict[str, st.SearchStrategy[Any]] = {
        "lake": st.just("my"),
        "row_id": st.integers(1, 4),
        "where": st.sampled_from(
            ["width_px = 4", "camera LIKE '%x%' OR row_id < 3", "place.latitude > 1", "nope = 1"]
        ),
        "k": st.integers(1, 5),
        "size": st.integers(32, 1024),
        "texts": st.lists(st.fixed_dictionaries({"text": st.text(min_size=1)}), min_size=1, max_size=2),
        "images": st.lists(st.fixed_dictionaries({"row_id": st.integers(1, 4)}), max_size=2),
        "vector": st.lists(st.floats(-2, 2), min_size=3, max_size=3),
        "files": st.just([png(RED)]),
        "weights": st.just(["0.5"]),
        "min_z": st.none(),
        "cursor": st.none(),
        "key": st.just(KEY["key"]),
    }
    for values in (case.path_parameters, case.query, case.body):
        if not isinstance(values, dict):
            continue
        for name in [name for name in real if name in values]:
            value = data.draw(real[name])
            as_text = case.media_type == "multipart/form-data" and name in ("texts", "images", "vector")
            if value is None:
                del values[name]
            else:
                values[name] = json.dumps(value) if as_text else value
        for name in set(values) - set(real) - {"collapse"}:
            del values[name]


def test_no_operation_is_left_out(api: BaseSchema) -> None:
    assert sorted(op.label for op in operations(api)) == sorted(OPERATIONS)


def operations(api: BaseSchema) -> list[Operation]:
    found = list(api.get_all_operations())
    assert all(isinstance(result, Ok) for result in found)
    return [result.ok() for result in found if isinstance(result, Ok)]
