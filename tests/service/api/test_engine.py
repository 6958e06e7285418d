"""A service whose searches take their candidates from a real Postgres or Milvus: its answers are
those of an exact search, whatever happens to the engine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from indexer.arrays import Vectors
from indexer.engines.names import table_of
from indexer.engines.opening import open_engine
from indexer.engines.pushing import push_lake
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.search.engine import lake_engine
from tests.fakes import COLOURS, ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk
from tests.postgres import Server, database_of
from tests.service.api.conftest import HOST
from tests.service.lakes import Maker

pytestmark = pytest.mark.timeout(180)

ROWS = 150  # fewer than candidates are asked for: the engine can name them all


class Model(ColourEmbedder):
    """Of another text than a colour's, as the one by which /readyz looks, it makes red."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return super().embed_texts(
            [each if each.split()[-1] in COLOURS else "red" for each in texts]
        )


def lake_of(root: Path, rows: int = ROWS) -> Maker:
    """Rows in three segments; every fifth has the vector of the one before it: they tie."""
    maker = Maker(root / "my.lake", Model())
    random = np.random.default_rng(7)
    vector = np.ones(3)
    for number in range(rows):
        if number % 5:
            vector = np.abs(random.normal(size=3)) + 0.01
        maker.add(
            vector,
            phash=number // 2 * 0x0101010101010101 % 2**64,
            camera=["Canon EOS", "Nikon", None][number % 3],
            place=(number / 10, -number / 10) if number % 4 else None,
            score=number / 7,
            count=number,
            sharp=number % 2 == 0,
        )
        if number % (rows // 3) == rows // 3 - 1:
            maker.segment()
    maker.commits.commit()
    return maker


@contextmanager
def serving(lake: Path, state: Path, maker_model: Any, **knobs: Any) -> Iterator[TestClient]:
    app = create_app({"my": lake}, ServeConfig(**knobs), embedder=maker_model, keys=KeyStore(state))
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        yield client


def pushed(lake: Path, url: str) -> None:
    engine = open_engine(url)
    try:
        push_lake(lake, engine)
    finally:
        engine.close()


QUERIES: list[dict[str, Any]] = [
    {"query": "red"},
    {"query": "red -blue", "k": 7},
    {"images": [{"row_id": 5}], "k": 3},
    {"images": [{"row_id": 5}, {"row_id": 9, "weight": -0.5}], "explain": True},
    {"vector": [0.6, 0.0, 0.8], "k": 1},
    {"query": "green", "collapse": True, "k": 20},
    {"query": "green", "k": 10, "where": "count < 75"},
    {"query": "green", "k": 10, "where": "camera = 'Canon EOS' AND NOT sharp"},
    {"query": "green", "k": 10, "where": "camera IS NULL OR place.latitude BETWEEN 2 AND 9.5"},
    {"query": "green", "k": 10, "where": "camera LIKE '%on%' AND count IN (1, 2, 3, 70, 71, 100)"},
    {"query": "green", "k": 10, "where": "camera ILIKE 'canon%' AND score > 3.5"},
    {"query": "blue", "k": 10, "where": "captured_at >= '2024-05-01' AND width_px <> 3.5"},
    {"query": "blue", "k": 10, "where": "count > score AND uri LIKE '/photos/1__.png'"},
    {"query": "blue", "k": 10, "where": "(sharp IS TRUE) AND (camera = 'Nikon') IS NOT NULL"},
    {"query": "blue", "k": 10, "where": "1 = 1", "collapse": True},
    {"query": "blue", "k": 10, "where": "camera = ''' OR TRUE; DROP TABLE lakesift_lakes; --'"},
    {"query": "blue", "max_per": {"column": "camera", "n": 2}},
    {"query": "blue", "min_z": 1.0},
    {"query": "blue", "sort": "count:down", "k": 5},
    {"query": "blue", "exact": True},
]


def pages(client: TestClient, body: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """All hits, page after page, and what each page says of how it was searched."""
    hits, how = [], []
    answer = client.post("/v1/search", json=body)
    for _ in range(200):
        assert answer.status_code == 200, answer.text
        said = answer.json()
        hits += said["hits"]
        how.append(said.get("searched"))
        if said["next_cursor"] is None:
            return hits, how
        more = {name: body[name] for name in ("k",) if name in body}
        if body.get("explain"):
            more = body
        answer = client.post("/v1/search", json={**more, "cursor": said["next_cursor"]})
    raise AssertionError("the pages never end")


@pytest.mark.parametrize(
    ("engine", "kind"), [("database", "pgvector"), ("milvus_database", "milvus")]
)
def test_every_page_of_every_query_is_that_of_an_exact_search(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str, kind: str
) -> None:
    database = request.getfixturevalue(engine)
    maker = lake_of(tmp_path)
    lake = maker.layout.root
    pushed(lake, database)
    on_engine = []
    with (
        serving(lake, tmp_path / "a", maker.model) as own,
        serving(lake, tmp_path / "b", maker.model, engine=database) as other,
    ):
        for body in QUERIES:
            hits, _ = pages(own, body)
            found, how = pages(other, body)
            assert json.dumps(found) == json.dumps(hits), body
            on_engine.append(how[0].get("engine") if how[0] else None)
        many = {"searches": [{**body, "lake": "my"} for body in QUERIES]}
        answers = [each.post("/v1/search/many", json=many) for each in (own, other)]
        own_hits, hits = ([a.get("hits") for a in each.json()["answers"]] for each in answers)
        assert hits == own_hits and sum(map(len, hits)) > 150
        stream = {"accept": "application/x-ndjson"}
        lines = [
            each.post("/v1/search", json={"query": "red"}, headers=stream).text
            for each in (own, other)
        ]
        assert lines[0] == lines[1] and lines[0].count("\n") == ROWS + 2
    # Six conditions are exact by their nature, or pass too few rows for a page.
    assert on_engine[:9] == [kind] * 9
    assert on_engine[-4:] == [None] * 4


def test_an_answer_says_what_named_its_candidates_and_why_not(
    tmp_path: Path, database: str
) -> None:
    maker = lake_of(tmp_path)
    pushed(maker.layout.root, database)
    with serving(maker.layout.root, tmp_path / "s", maker.model, engine=database) as client:
        plain = client.post("/v1/search", json={"query": "red"}).json()["searched"]
        assert plain == {"exact": False, "engine": "pgvector", "candidates": 400}
        for body, says in (
            ({"exact": True}, {"exact": True}),
            ({"min_z": 1}, {"exact": True, "why": "a search with min_z is always exact"}),
            (
                {"where": "count = 7"},
                {
                    "exact": True,
                    "why": "of the rows that pass the engine names 1, and 51 are looked at",
                },
            ),
        ):
            answer = client.post("/v1/search", json={"query": "red", **body})
            assert answer.json()["searched"] == says


def waited(said: Callable[[], Any]) -> Any:
    """What it says, once it says something."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := said():
            return found
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_recall_is_measured_on_searches_and_told(
    tmp_path: Path, database: str, postgres: Server
) -> None:
    maker = lake_of(tmp_path)
    lake = maker.layout.root
    pushed(lake, database)
    with serving(lake, tmp_path / "s", maker.model, engine=database) as client:
        client.post("/v1/search", json={"query": "red"})

        def told() -> Any:
            said = client.post("/v1/search", json={"query": "red"}).json()["searched"]
            return said if "recall_at_10" in said else None

        said = waited(told)
        assert (said["recall_at_10"], said["recall_at_100"]) == ({"text": 1.0}, {"text": 1.0})
        metrics = client.get("/metrics").text
        labels = 'lake="my",made_of="text",nearest='
        assert f'lakesift_engine_recall_wanted_total{{{labels}"10"}} 10.0' in metrics
        assert f'lakesift_engine_recall_found_total{{{labels}"100"}} 100.0' in metrics
        assert 'lakesift_engine_searches_total{by="engine",lake="my"}' in metrics
    engine = open_engine(database)
    measured = [(e.made_of, e.nearest, e.found, e.wanted, e.queries) for e in engine.recalled("my")]
    engine.close()
    assert measured == [("text", 10, 10, 10, 1), ("text", 100, 100, 100, 1)]
    # A service that begins tells what others measured before it.
    postgres.run("UPDATE lakesift_recall SET found = 9 WHERE nearest = 10", database_of(database))
    with serving(lake, tmp_path / "t", maker.model, engine=database) as client:
        said = client.post("/v1/search", json={"query": "red"}).json()["searched"]
        assert said["recall_at_10"] == {"text": 0.9}


def test_recall_is_low_where_the_engine_has_lost_rows(
    tmp_path: Path, database: str, postgres: Server
) -> None:
    """Somebody deletes what is nearest behind our back: the hits lack it, and recall says so."""
    maker = lake_of(tmp_path)
    lake = maker.layout.root
    pushed(lake, database)
    with serving(lake, tmp_path / "s", maker.model, engine=database) as client:
        body = {"query": "red", "k": 10}
        best = [
            hit["row_id"]
            for hit in client.post("/v1/search", json={**body, "exact": True}).json()["hits"]
        ]
        gone = ", ".join(map(str, best[:4]))
        postgres.run(
            f"DELETE FROM {table_of('my')} WHERE row_id IN ({gone})", database_of(database)
        )
        found = client.post("/v1/search", json=body).json()
        assert [hit["row_id"] for hit in found["hits"]][:6] == best[4:]

        def told() -> Any:
            return client.post("/v1/search", json=body).json()["searched"].get("recall_at_10")

        assert waited(told) == {"text": 0.6}


def colours(root: Path) -> Desk:
    desk = Desk(root, Model())
    for name, colour in {"a": BLUE, "b": GREEN, "c": RED, "d": YELLOW}.items():
        desk.add(f"{name}.png", colour)
    desk.index()
    return desk


def lake_facts(client: TestClient) -> dict[str, Any]:
    facts: dict[str, Any] = client.get("/v1/lakes").json()["lakes"][0]
    return facts


def found_by(client: TestClient, **body: Any) -> list[int]:
    answer = client.post("/v1/search", json={"query": "red", "k": 3, **body})
    assert answer.status_code == 200, answer.text
    return [hit["row_id"] for hit in answer.json()["hits"]]


def how(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/search", json={"query": "red", "k": 3, **body}).json()
    said: dict[str, Any] = answer["searched"]
    return said


def test_rows_that_came_or_went_since_the_push_are_found_or_not_all_the_same(
    tmp_path: Path, database: str
) -> None:
    desk = colours(tmp_path)
    pushed(desk.lake, database)
    with serving(desk.lake, tmp_path / "s", desk.model, engine=database) as client:
        assert found_by(client) == [3, 4, 1]
        (desk.photos / "c.png").unlink()
        desk.add("e.png", (250, 5, 5))
        desk.sync()
        waited(lambda: lake_facts(client)["snapshot"] == desk.manifest.snapshot)
        assert found_by(client) == [5, 4, 1]
        assert found_by(client, where="width_px = 4") == [5, 4, 1]
        assert how(client)["engine"] == how(client, where="width_px = 4")["engine"] == "pgvector"
        pushed(desk.lake, database)
        assert found_by(client) == [5, 4, 1]
        assert how(client)["engine"] == "pgvector"


def test_an_outage_goes_over_to_the_own_index_and_back(
    tmp_path: Path, database: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_engine, "REST_S", 0.0)
    maker = lake_of(tmp_path)
    lake = maker.layout.root
    pushed(lake, database)
    with serving(lake, tmp_path / "s", maker.model, engine=database) as client:
        body = {"query": "red", "k": 4}
        first = client.post("/v1/search", json=body).json()
        assert first["searched"]["engine"] == "pgvector"
        postgres.stop()
        try:
            away = client.post("/v1/search", json=body).json()
            assert away["hits"] == first["hits"]
            why = {"exact": True, "why": "the engine cannot be asked just now"}
            assert away["searched"] == why
            # The engine had ordered the first page as an exact search does, so the next one fits.
            own = client.post("/v1/search", json={"k": 4, "cursor": first["next_cursor"]}).json()
            exact = client.post("/v1/search", json={**body, "k": 12, "exact": True}).json()["hits"]
            assert own["hits"] == exact[4:8]
            third = client.post("/v1/search", json={"k": 4, "cursor": own["next_cursor"]}).json()
            assert third["hits"] == exact[8:12]
            ready = client.get("/readyz")
            engines = {"my": "it cannot be asked; the log says why"}
            assert (ready.status_code, ready.json()["engines"]) == (200, engines)
            problems = lake_facts(client)["problems"]
            sentence = "the engine cannot be asked; searches go on in the lake's own index"
            assert problems == [sentence]
            metrics = client.get("/metrics").text
            assert 'lakesift_engine_searches_total{by="own",lake="my"} 2.0' in metrics
        finally:
            postgres.start()
        assert client.post("/v1/search", json=body).json()["searched"]["engine"] == "pgvector"
        assert client.get("/readyz").json()["engines"] == {"my": "ok"}


def test_an_outage_is_a_503_where_that_is_wanted(
    tmp_path: Path, database: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_engine, "REST_S", 0.0)
    maker = lake_of(tmp_path)
    lake = maker.layout.root
    pushed(lake, database)
    knobs = {"engine": database, "engine_outage": "503"}
    with serving(lake, tmp_path / "s", maker.model, **knobs) as client:
        postgres.stop()
        try:
            away = client.post("/v1/search", json={"query": "red"})
            assert (away.status_code, away.headers["retry-after"]) == (503, "5")
            error = away.json()["error"]
            assert error["code"] == "engine_away"
            assert error["message"].startswith("the engine that searches my cannot be asked now;")
            assert "postgres" not in away.text
            assert (
                client.post("/v1/search", json={"query": "red", "exact": True}).status_code == 200
            )
            assert client.post("/v1/search", json={"query": "red", "min_z": 0}).status_code == 200
            assert client.get("/readyz").status_code == 503
            assert client.get("/v1/lakes/my/rows").status_code == 200
        finally:
            postgres.start()
        assert client.post("/v1/search", json={"query": "red"}).status_code == 200
        assert client.get("/readyz").status_code == 200


def test_a_page_that_no_longer_fits_the_one_before_is_refused(
    tmp_path: Path, database: str, postgres: Server
) -> None:
    maker = lake_of(tmp_path)
    lake = maker.layout.root
    pushed(lake, database)
    with serving(lake, tmp_path / "s", maker.model, engine=database) as client:
        first = client.post("/v1/search", json={"query": "red", "k": 4}).json()
        second = {"k": 4, "cursor": first["next_cursor"]}
        assert client.post("/v1/search", json=second).status_code == 200
        gone = first["hits"][1]["row_id"]
        postgres.run(f"DELETE FROM {table_of('my')} WHERE row_id = {gone}", database_of(database))
        moved = client.post("/v1/search", json=second)
        assert (moved.status_code, moved.json()["error"]["code"]) == (410, "engine_moved")


def test_another_lakes_rows_are_never_taken_for_ours(tmp_path: Path, database: str) -> None:
    other, desk = Desk(tmp_path / "other"), colours(tmp_path)
    for name, colour in {"a": RED, "b": BLUE, "c": GREEN}.items():
        other.add(f"{name}.png", colour)
    other.index()
    pushed(other.lake, database)
    with serving(desk.lake, tmp_path / "s", desk.model, engine=database) as client:
        assert found_by(client) == [3, 4, 1]
        assert how(client)["why"] == "the engine cannot be asked just now"
        told = client.app.state.hub.introduction()  # type: ignore[attr-defined]
        assert "warning: my: it has rows of another lake under the name my" in told


def test_a_lake_that_was_not_pushed_is_searched_here(tmp_path: Path, database: str) -> None:
    desk = colours(tmp_path)
    with serving(desk.lake, tmp_path / "s", desk.model, engine=database) as client:
        assert found_by(client) == [3, 4, 1]
        told = client.app.state.hub.introduction()  # type: ignore[attr-defined]
        way_out = "it has nothing of this lake: lakesift engine push LAKE ENGINE"
        assert f"warning: my: {way_out}" in told
        pushed(desk.lake, database)
        waited(lambda: client.get("/readyz").json()["engines"] == {"my": "ok"})
        assert how(client)["engine"] == "pgvector"


def test_more_candidates_are_asked_for_where_that_is_set_and_where_a_page_needs_them(
    tmp_path: Path, database: str
) -> None:
    maker = lake_of(tmp_path)
    lake = maker.layout.root
    pushed(lake, database)
    for set_to, k, asked in ((30, 9, 30), (30, 20, 90), (30, 60, 270), (2, 60, 122), (700, 1, 700)):
        knobs = {"engine": database, "engine_candidates": set_to}
        with serving(lake, tmp_path / "s", maker.model, **knobs) as client:
            body = {"query": "red", "k": k}
            found = client.post("/v1/search", json=body).json()
            assert found["searched"]["candidates"] == asked
            exact = client.post("/v1/search", json={**body, "exact": True}).json()
            assert found["hits"] == exact["hits"]
