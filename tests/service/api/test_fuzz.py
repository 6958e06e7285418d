"""Whatever OpenAPI allows, and much that it does not, is answered:
never with a 5xx, always in the promised shape.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
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

from indexer.arrays import Vectors
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.api.serving.syncs import Syncs
from service.curate.comparing import compare as comparing
from service.curate.strange import strange
from service.lake import Lake
from service.relevance import Filters, Target
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, Desk, png
from tests.serving import running

Case: TypeAlias = schemathesis.Case[Any]
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
EXAMPLES = 150  # an operation: about 40 s in all
COLOURS = 20
GOOD = (200, 201, 202, 204)


OPERATIONS = (
    "GET /indices-list",
    "POST /knn-service",
    "POST /metadata",
    "POST /v1/embeddings",
    "POST /v1/facets",
    "POST /v1/scores",
    "POST /v1/scores/upload",
    "POST /v1/search",
    "POST /v1/search/many",
    "POST /v1/search/upload",
    "GET /v1/formats",
    "GET /v1/lakes",
    "GET /v1/lakes/{lake}/columns",
    "GET /v1/lakes/{lake}/about",
    "GET /v1/lakes/{lake}/suggestions",
    "GET /v1/lakes/{lake}/sync",
    "POST /v1/lakes/{lake}/sync",
    "DELETE /v1/lakes/{lake}/sync",
    "GET /v1/lakes/{lake}/rows",
    "GET /v1/lakes/{lake}/rows/{row_id}",
    "GET /v1/lakes/{lake}/rows/{row_id}/image",
    "GET /v1/lakes/{lake}/rows/{row_id}/thumbnail",
    "GET /v1/lakes/{lake}/groups",
    "POST /v1/lakes/{lake}/pick",
    "POST /v1/lakes/{lake}/compare",
    "POST /v1/lakes/{lake}/strange",
    "POST /v1/lakes/{lake}/doctor",
    "GET /v1/lakes/{lake}/map",
    "POST /v1/lakes/{lake}/map/colours",
    "GET /v1/lakes/{lake}/tags",
    "POST /v1/lakes/{lake}/tags",
    "POST /v1/lakes/{lake}/tags/undo",
    "GET /v1/lakes/{lake}/searches",
    "GET /v1/lakes/{lake}/searches/{name}",
    "PUT /v1/lakes/{lake}/searches/{name}",
    "DELETE /v1/lakes/{lake}/searches/{name}",
    "GET /v1/lakes/{lake}/filters",
    "POST /v1/lakes/{lake}/filters",
    "POST /v1/lakes/{lake}/filters/upload",
    "GET /v1/lakes/{lake}/filters/{name}",
    "DELETE /v1/lakes/{lake}/filters/{name}",
    "POST /v1/lakes/{lake}/filters/{name}/next",
    "POST /v1/lakes/{lake}/filters/{name}/label",
    "POST /v1/lakes/{lake}/filters/{name}/undo",
    "GET /v1/lakes/{lake}/filters/{name}/audit",
    "GET /v1/lakes/{lake}/filters/{name}/plan",
    "GET /v1/lakes/{lake}/filters/{name}/ranking",
    "GET /v1/lakes/{lake}/filters/{name}/team",
    "POST /v1/lakes/{lake}/filters/{name}/apply",
    "POST /v1/lakes/{lake}/filters/{name}/decide",
    "GET /v1/lakes/{lake}/filters/{name}/samples",
    "GET /v1/lakes/{lake}/filters/{name}/rows/{row_id}",
    "GET /v1/lakes/{lake}/filters/{name}/scores",
    "GET /v1/lakes/{lake}/filters/{name}/offers",
    "GET /v1/lakes/{lake}/filters/{name}/estimate",
    "GET /v1/lakes/{lake}/filters/{name}/export",
    "GET /v1/lakes/{lake}/filters/{name}/report",
    "GET /v1/lakes/{lake}/filters/{name}/ledger",
    "GET /v1/session",
    "POST /v1/session",
    "DELETE /v1/session",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
)
NAMES = {  # of filters that are made or deleted; the others ask about the one that was applied
    "DELETE /v1/lakes/{lake}/filters/{name}": "gone",
    "POST /v1/lakes/{lake}/filters": "new",
    "POST /v1/lakes/{lake}/filters/upload": "shown",
    "POST /v1/lakes/{lake}/tags": "tag",
    "PUT /v1/lakes/{lake}/searches/{name}": "new",
    "DELETE /v1/lakes/{lake}/searches/{name}": "gone",
}
IN_JSON = {"texts", "images", "vector", "keep", "drop", "target"}  # what fields of a form hold
KEY: dict[str, str] = {}  # a real one, once there is one
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class BegunAndEnded(Syncs):
    """Begins no process for each of so many requests."""

    def _start(self, lake: Path, lock: int, retry_skipped: bool) -> None: ...

    def stop(self, lake: Path) -> bool:
        return True


class AnyText(ColourEmbedder):
    """Takes every text: its vector is the share of its characters'
    codes that are 0, 1 and 2 modulo 3.
    """

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        counts = np.array(
            [[1 + sum(ord(c) % 3 == r for c in text) for r in range(3)] for text in texts],
            np.float32,
        )
        return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    root = tmp_path_factory.mktemp("fuzz")
    desk = Desk(root, model=AnyText())
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        desk.add(f"{name}.png", colour)
    for number in range(COLOURS):
        desk.add(f"x{number}.png", (255 - 10 * number, 10 * number, 60))
    desk.index()
    _make_filters(desk)
    keys = KeyStore(root / "state")
    _, KEY["key"] = keys.add("fuzz", "read")
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=keys)
    app.state.syncs = BegunAndEnded(root / "state")
    with running(app) as url, pytest.MonkeyPatch.context() as patch:
        for module in (comparing, strange):  # the lake is small
            patch.setattr(module, "FEWEST", 4)
        yield from_url(f"{url}/openapi.json")


def _make_filters(desk: Desk) -> None:
    """One that was applied, and as many to be deleted as there are examples."""
    with Lake.open(desk.lake, desk.model) as lake:
        filters = Filters(lake)
        mine = filters.create("mine", keep_texts=["red"], target=Target(0.5, None, 0.5))
        while rows := mine.next(50, "audit")["rows"]:
            mine.label(
                [
                    {"row_id": row["row_id"], "label": "yes" if row["row_id"] < 9 else "no"}
                    for row in rows
                ]
            )
        assert not mine.apply()["refused"]
        lake.make_groups()
        lake.make_map()
        for number in range(EXAMPLES):
            filters.copy("mine", f"gone-{number}")
            lake.searches.save(f"gone-{number}", {"query": "red"})
        lake.searches.save("mine", {"query": "red"})


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
    @given(
        st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)),
        st.data(),
    )
    def run(case: Case, data: st.DataObject) -> None:
        if data.draw(st.booleans()):
            steer(case, data, label)
        response = case.call_and_validate(checks=CHECKS)
        statuses[response.status_code] += 1

    statuses: Counter[int] = Counter()
    run()
    # Of many requests not one alone, which chance could take away on another machine. An operation
    # without parameters has one or two.
    enough = 3 if statuses.total() > 10 else 1
    assert sum(statuses[good] for good in GOOD) >= enough, f"hardly one got through: {statuses}"


def steer(case: Case, data: st.DataObject, label: str) -> None:
    """Towards what is there: blind guesses hardly name a lake,
    a row or a column, and never make an image.
    """
    called = NAMES.get(label)
    examples = st.fixed_dictionaries(
        {"texts": st.lists(st.text(min_size=1), min_size=1, max_size=2)}
    )
    real: dict[str, st.SearchStrategy[Any]] = {
        "name": st.integers(0, EXAMPLES - 1).map(lambda n: f"{called}-{n}")
        if called
        else st.just("mine"),
        "keep": examples,
        "drop": examples,
        "target": st.fixed_dictionaries({"recall": st.floats(0.01, 0.99), "precision": st.none()}),
        "n": st.integers(1, 30),
        "purpose": st.sampled_from(["teach", "audit", None]),
        "again": st.booleans(),
        "follow": st.booleans(),
        "budget": st.integers(1, 30),
        "double": st.floats(0, 1),
        "labels": st.lists(
            st.fixed_dictionaries(
                {"row_id": st.integers(1, 30), "label": st.sampled_from(["yes", "no", "skip"])}
            ),
            min_size=1,
            max_size=4,
        ),
        "labeller": st.sampled_from(["ann", None]),
        "ask": st.booleans(),
        "only_open": st.booleans(),
        "settle": st.booleans(),
        "inline": st.booleans(),
        "decision": st.sampled_from(["keep", "ask", "drop"]),
        "version": st.integers(1, 4),
        "lake": st.just("my"),
        "a": st.sampled_from(["row_id < 9", "nope = 1"]),
        "b": st.sampled_from(["row_id >= 9", "row_id > 2", None]),
        "phrases": st.lists(st.text(min_size=1, max_size=9), max_size=2),
        "one_per": st.sampled_from(["width_px", "nope", None, None, None]),
        "row_id": st.integers(1, 4),
        "where": st.sampled_from(
            ["width_px = 4", "camera LIKE '%x%' OR row_id < 3", "place.latitude > 1", "nope = 1"]
        ),
        "k": st.integers(1, 5),
        "size": st.integers(32, 1024),
        "offset": st.integers(0, 9),
        "texts": st.lists(
            st.fixed_dictionaries({"text": st.text(min_size=1)}), min_size=1, max_size=2
        ),
        "images": st.lists(st.fixed_dictionaries({"row_id": st.integers(1, 4)}), max_size=2),
        "vector": st.lists(st.floats(-2, 2), min_size=3, max_size=3)
        | st.sampled_from(["AACAPwAAAAAAAADA", "AAAA", "?"]),  # (1, 0, -2), and none
        "diversity": st.floats(0, 1),
        "explain": st.booleans(),
        "searches": st.lists(
            st.fixed_dictionaries(
                {"texts": st.lists(st.text(min_size=1), min_size=1, max_size=2)},
                optional={"where": st.sampled_from(["width_px = 4", "nope = 1"]), "kk": st.just(1)},
            ),
            min_size=1,
            max_size=3,
        ),
        "files": st.just([png(RED)]),
        "keep_images": st.just([png(RED), png(GREEN)]),
        "drop_images": st.just([png(BLUE)]),
        "weights": st.just(["0.5"]),
        "min_z": st.none(),
        "cursor": st.none(),
        "key": st.just(KEY["key"]),
        # what other services' clients call their fields
        "input": st.lists(st.text(min_size=1), min_size=1, max_size=3) | st.text(min_size=1),
        "model": st.sampled_from(["my", "colours"]),
        "encoding_format": st.sampled_from(["float", "base64"]),
        "dimensions": st.sampled_from([3, None]),
        "text": st.text(min_size=1),
        "image": st.none(),
        "image_url": st.none(),
        "embedding_input": st.lists(st.floats(-2, 2), min_size=3, max_size=3),
        "modality": st.just("image"),
        "indice_name": st.sampled_from(["my", None]),
        "num_images": st.integers(1, 5),
        "num_result_ids": st.sampled_from([1, 30, None]),
        "use_mclip": st.none(),
        "ids": st.lists(st.integers(1, 30), max_size=3),
        "columns": st.lists(st.sampled_from(["camera", "width_px", "place.latitude", "nope"])),
        "values": st.integers(1, 30),
        "bins": st.integers(4, 60),
        "of": st.sampled_from(["columns", "words"]),
        "filter": st.sampled_from(["mine", None]),
        "row_ids": st.lists(st.integers(1, 30), min_size=1, max_size=4) | st.none(),
        "search": st.none() | st.just({"texts": ["red"], "k": 2}),
        "by": st.sampled_from(["ann", None]),
        "act": st.none(),
        "sort": st.sampled_from(["date:down", "path", "random:7", "width_px"]),
        "column": st.sampled_from(["width_px", "format", "nope", None]),
        "decided_by": st.sampled_from(["mine", None]),
    }
    if label.endswith("/map/colours"):
        real["by"] = st.sampled_from(["nothing", "match", "decision", "tag", "column"])
    if label.endswith("/searches/{name}"):
        real["query"] = st.just({"texts": ["red"], "k": 2}) | examples
    for values in (case.path_parameters, case.query, case.body):
        if not isinstance(values, dict):
            continue
        for name in [name for name in real if name in values]:
            value = data.draw(real[name])
            as_text = case.media_type == "multipart/form-data" and name in IN_JSON
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
