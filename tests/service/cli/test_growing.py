"""The page that leads from a laptop to a cluster: all that it says is typed, one after the other,
with a real S3 server, Ray and Postgres.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.arguments import parser
from service.cli.main import main
from service.lake import Lake
from tests.indexer.lakes import write_photo
from tests.service.api.conftest import HOST

# Ray warns of what it itself is about to change.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(280),
    pytest.mark.filterwarnings("ignore"),
]
PAGE = Path(__file__).parents[3] / "docs" / "grow.md"


@pytest.fixture
def ray_ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.shutdown()
    yield
    ray.shutdown()


def commands(bucket: str, database: str) -> list[list[str]]:
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    here = [
        line.replace("//bucket/", f"//{bucket}/").replace(
            "postgresql://me@db.example/lakes", database
        )
        for line in lines
        if line.startswith("lakesift ")
    ]
    return [shlex.split(line)[1:] for line in here]


def test_a_lake_grows_from_a_laptop_to_a_cluster(
    tmp_path: Path,
    bucket: tuple[str, Any],
    database: str,
    ray_ends: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path / "cache"))
    for number in range(4):
        write_photo(tmp_path / f"photos/{number}.png", (250, 20 * number, 10))
    for number in range(6):
        write_photo(tmp_path / f"more/{number}.png", (10, 40 * number, 250))
    typed = []
    config = ServeConfig()
    for words in commands(bucket[0], database):
        typed.append(words[0])
        if words[0] == "serve":
            arguments = parser().parse_args(words)
            config = ServeConfig(engine=arguments.engine or "")
            continue
        if "ray" in words:
            write_photo(tmp_path / "more/late.png", (10, 250, 10))
        assert main(words) == 0, (words, capsys.readouterr().err)
    assert typed == [
        *("index", "search", "publish", "index", "index", "commit"),
        *("sync", "pull", "serve", "engine", "serve"),
    ]
    assert config.engine == database
    served = tmp_path / "served.lake"
    with Lake.open(served) as lake:
        assert lake.rows == 11
        exact = lake.search("green", k=5)
    state = KeyStore(tmp_path / "state")
    app = create_app({"my": served}, config, keys=state)
    with TestClient(app, base_url=HOST) as client:
        answer = client.post("/v1/search", json={"query": "green", "k": 5}).json()
    assert answer["searched"]["engine"] == "pgvector"
    assert [hit["row_id"] for hit in answer["hits"]] == [hit.row_id for hit in exact]
    # The rows of the laptop have the numbers that they had there.
    with Lake.open(tmp_path / "my.lake") as first, Lake.open(served) as last:
        before, after = (
            {hit.row_id: hit.uri for hit in lake.search("green", k=20)} for lake in (first, last)
        )
    assert len(before) == 4 and before.items() <= after.items()
