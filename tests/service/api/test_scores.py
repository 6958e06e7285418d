"""Scores counted over HTTP: by hand, with uploads as in Python, and mistakes by their field.

Rows 1 to 4 are blue, green, red and yellow: for red, 0, 0, 1 and 0.7071.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from tests.fakes import ColourEmbedder
from tests.lakes import RED, png
from tests.service.lakes import Maker

COUNTED = {
    "snapshot": 2, "unit": "score", "rows": 4, "low": 0.0, "step": 0.2, "counts": [2, 0, 0, 1, 0, 1],
    "best": 1.0, "chance": None, "min_z": None, "above": None,
}  # fmt: skip


def test_a_small_lake_has_scores(reader: TestClient) -> None:
    said = {"texts": ["red"], "bins": 12}
    answer = reader.post("/v1/scores", json=said)
    assert answer.json() == COUNTED
    kept = reader.post("/v1/scores", json={**said, "where": "row_id < 4"}).json()
    assert (kept["rows"], kept["counts"]) == (3, [2, 0, 0, 0, 0, 1])


def test_an_uploaded_image_is_an_example(reader: TestClient) -> None:
    files = [("files", ("a.png", png(RED)))]
    answer = reader.post("/v1/scores/upload", files=files, data={"bins": "12"})
    assert answer.json() == COUNTED
    # Less the photo, with a row beside it: blue - red / 2.
    form = {"bins": "12", "weights": "-0.5", "images": "[1]", "where": "row_id = 3"}
    answer = reader.post("/v1/scores/upload", files=files, data=form).json()
    assert (answer["rows"], answer["best"]) == (1, pytest.approx(-0.4472, abs=1e-4))
    assert reader.post("/v1/scores/upload", files=files, data={"k": "1"}).status_code == 422


def test_a_cut_is_counted_as_a_search_finds_it(tmp_path: Path) -> None:
    """Scores -1, -0.98 and so on to 1: z 1 is a score of 0.7413, which 13 have."""
    maker = Maker(tmp_path / "my.lake")
    for row in range(101):
        score = (row - 50) / 50
        maker.add((score, (1 - score**2) ** 0.5, 0))
    maker.open().close()
    app = create_app({"my": tmp_path / "my.lake"}, ServeConfig(), embedder=ColourEmbedder())
    with TestClient(app, base_url="http://127.0.0.1") as client:
        said = {"query": "red", "min_z": 1, "bins": 8}
        answer = client.post("/v1/scores", json=said).json()
        # Rows 89 to 101, and of those row 95 and above.
        cut = {"query": "red", "min_z": 1, "columns": ["row_id"]}
        above = client.post("/v1/facets", json=cut).json()
        both = client.post("/v1/facets", json={**cut, "where": "row_id >= 95"}).json()
        alone = client.post("/v1/facets", json={"min_z": 1})
    assert (above["rows"], above["facets"][0]["bins"][0]["low"]) == (13, 89)
    # The column's own condition does not count in its bars, the cut does.
    assert (both["rows"], both["facets"]) == (7, above["facets"])
    assert alone.json()["error"]["field"] == "min_z"
    assert (answer["unit"], answer["min_z"], answer["above"]) == ("z", 1.0, 13)
    assert (answer["low"], answer["step"], answer["counts"]) == (
        -1.5,
        0.5,
        [13, 19, 18, 19, 19, 13],
    )


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "query", "give at least one text, image or row to look for"),
        ({"query": "red", "k": 3}, "k", "there is no such field"),
        ({"query": "red", "bins": 3}, "bins", "greater than or equal to 4"),
        ({"query": "red", "where": "nope = 1"}, "where", "there is no column nope"),
        ({"query": "red", "min_z": 1}, "min_z", "z scores need 100 different rows"),
        ({"images": [9]}, "images[0].row_id", "there is no row 9 in my"),
        ({"query": "red", "filter": "none"}, "filter", "my has no filter 'none'"),
    ],
)
def test_mistakes_name_their_field(
    reader: TestClient, body: dict[str, Any], field: str, message: str
) -> None:
    answer = reader.post("/v1/scores", json=body)
    assert answer.status_code in (404, 422)
    error = answer.json()["error"]
    assert error["field"] == field
    assert message in error["message"], error
