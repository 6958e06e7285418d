"""Shares of a score, worked out by hand; and that they add up, whatever the query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.lakes import random_unit_rows, write_synthetic_lake
from indexer.errors import BadRequest
from service import Hit, Lake, Query
from service.search.explained import Share
from tests.lakes import png
from tests.service.lakes import Maker, unit

HALF = 2**-0.5
ROUNDING = 1e-3  # vectors are stored in half precision
EXACT = 1e-6  # float32's


@pytest.fixture
def colours(maker: Maker) -> Lake:
    """Rows 1 to 3: red, green, and half red, half blue."""
    for vector in ((1, 0, 0), (0, 1, 0), (1, 0, 1)):
        maker.add(vector)
    return maker.open()


def told(hit: Hit) -> list[tuple[str, str | int, float, object, object]]:
    assert hit.explained is not None
    return [
        (
            each.kind,
            each.value,
            each.weight,
            pytest.approx(each.cosine, abs=ROUNDING),
            pytest.approx(each.share, abs=ROUNDING),
        )
        for each in hit.explained
    ]


def test_each_example_has_its_cosine_and_its_share(colours: Lake) -> None:
    """3 red - 4 blue is (3, 0, -4), of length 5."""
    query = Query(texts=[("red", 3.0), ("blue", -4.0)], explain=True)
    hits = {hit.row_id: hit for hit in colours.search_query(query)}
    assert told(hits[1]) == [("text", "red", 3.0, 1, 0.6), ("text", "blue", -4.0, 0, 0)]
    assert told(hits[2]) == [("text", "red", 3.0, 0, 0), ("text", "blue", -4.0, 0, 0)]
    assert told(hits[3]) == [
        ("text", "red", 3.0, HALF, 0.6 * HALF),
        ("text", "blue", -4.0, HALF, -0.8 * HALF),
    ]
    assert hits[3].score == pytest.approx(-0.2 * HALF, abs=ROUNDING)


def test_all_kinds_of_examples_are_named(colours: Lake, tmp_path: Path) -> None:
    """red - green + row 1 + (0, 0, 1): (2, -1, 1), of length sqrt(6)."""
    path = tmp_path / "green.png"
    path.write_bytes(png((0, 255, 0)))
    query = Query(
        texts=[("red", 1.0)],
        images=[(path, -1.0)],
        row_ids=[(1, 1.0)],
        vectors=[(unit(0, 0, 1), 1.0)],
        k=1,
        explain=True,
    )
    [hit] = colours.search_query(query)
    assert hit.row_id == 3
    share = HALF / 6**0.5
    assert told(hit) == [
        ("text", "red", 1.0, HALF, share),
        ("image", str(path), -1.0, 0, 0),
        ("row", 1, 1.0, HALF, share),
        ("vector", 0, 1.0, HALF, share),
    ]


def test_an_image_without_a_path_is_a_number(colours: Lake) -> None:
    [hit] = colours.search(image=[png((255, 0, 0)), png((0, 0, 255))], k=1, explain=True)
    assert [(kind, value) for kind, value, *_ in told(hit)] == [("image", 0), ("image", 1)]


def test_one_example_has_the_whole_score(colours: Lake) -> None:
    hit = colours.search("red", k=2, explain=True)[1]
    assert hit.explained is not None
    [share] = hit.explained
    assert share.share == pytest.approx(hit.score, abs=EXACT)
    assert share.cosine == pytest.approx(hit.score, abs=EXACT)


def test_nobody_asked_nothing_is_told(colours: Lake) -> None:
    assert {hit.explained for hit in colours.search("red", not_text="blue")} == {None}
    assert "explain" not in colours.search("red")[0].to_json()


def test_in_json(colours: Lake) -> None:
    [hit] = colours.search(vector=unit(0, 5, 0), k=1, explain=True)
    assert hit.to_json()["explain"] == [
        {"kind": "vector", "value": 0, "weight": 1.0, "cosine": 1.0, "share": 1.0}
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_shares_add_up_to_the_score(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    write_synthetic_lake(tmp_path / "my.lake", 300, 64, segment_rows=130)
    with Lake.open(tmp_path / "my.lake") as lake:
        vectors = random_unit_rows(5, 64, random)
        weights = random.normal(size=9) * 3
        query = Query(
            vectors=[(v * 7, float(w)) for v, w in zip(vectors, weights[:5], strict=True)],
            row_ids=[
                (int(r), float(w))
                for r, w in zip(random.integers(1, 300, 4), weights[5:], strict=True)
            ],
            k=None,
            explain=True,
        )
        asked = lake.understand(query)
        hits = lake.search_query(query)
        assert len(hits) == 300
        whole = sum(each.weight * each.vector.astype(np.float64) for each in asked.examples)
        length = float(np.linalg.norm(whole))
        for hit in hits:
            assert hit.explained is not None
            assert sum(each.share for each in hit.explained) == pytest.approx(hit.score, abs=EXACT)
            for each in hit.explained:
                if abs(each.cosine) < 1:  # else it was cut
                    share = each.weight * each.cosine / length
                    assert each.share == pytest.approx(share, abs=EXACT)


def test_they_add_up_to_a_score_that_was_cut(maker: Maker) -> None:
    """In half precision a third of all vectors are a little longer than 1."""
    random = np.random.default_rng(1)
    for vector in random.normal(size=(60, 3)):
        maker.add(vector)
    lake = maker.open()
    cut = 0
    for row_id in range(1, 61):
        [hit] = lake.search(row_id=[row_id, row_id], where=f"row_id = {row_id}", explain=True)
        assert hit.explained is not None
        first, second = hit.explained
        assert first.share + second.share == pytest.approx(hit.score, abs=EXACT)
        assert max(first.cosine, second.cosine) <= 1
        place = lake.snapshot.find(row_id)
        assert place is not None
        length = float(np.linalg.norm(place[0].vectors.take(np.array([place[1]]))[0]))
        cut += hit.score == 1.0 and length > 1 + 1e-5
    assert cut > 5


def test_a_stream_and_pages_explain_too(maker: Maker) -> None:
    for number in range(30):
        maker.add((1, number / 10, 0))
    lake = maker.open()
    query = Query(texts=[("red", 1.0), ("green", -0.5)], k=None, explain=True)
    streamed = [hit.explained for hit in lake.stream(query)]
    assert streamed == [hit.explained for hit in lake.search_query(query)]
    assert all(isinstance(each, tuple) and isinstance(each[0], Share) for each in streamed)


def test_rows_without_a_query_have_nothing_to_explain(colours: Lake) -> None:
    with pytest.raises(BadRequest, match="explain: rows without a query"):
        colours.passing(Query(explain=True))


@pytest.mark.parametrize("size", [1e-30, 1e-7, 1e30, 1e300])
def test_weights_of_any_size_are_what_they_are_to_one_another(colours: Lake, size: float) -> None:
    """3 red - 4 blue, whatever that is multiplied by: (3, 0, -4), of length 5."""
    query = Query(texts=[("red", 3 * size), ("blue", -4 * size)], explain=True)
    hits = {hit.row_id: hit for hit in colours.search_query(query)}
    assert hits[1].score == pytest.approx(0.6, abs=ROUNDING)
    assert told(hits[1]) == [("text", "red", 3 * size, 1, 0.6), ("text", "blue", -4 * size, 0, 0)]
