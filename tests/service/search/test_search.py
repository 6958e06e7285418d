from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from indexer.disk.manifest import read_manifest
from indexer.disk.tables import Place
from indexer.errors import BadRequest, DimensionMismatch, UnreadableImage, WrongModel
from service import Lake
from service.search.search import Hit, Query, to_pandas
from service.snapshot.snapshot import BACKGROUND_ROWS, hash_row_ids
from tests.fakes import ColourEmbedder
from tests.lakes import BLACK, RED, png, write
from tests.service.lakes import Maker, unit

HALF = 2**-0.5
ROUNDING = 1e-3  # vectors are stored in half precision: relative 2^-11


@pytest.fixture
def colours(maker: Maker) -> Lake:
    """Six rows in two segments: red, green, blue, red-green, red-blue, nearly red."""
    for vector in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        maker.add(vector, kind="pure")
    maker.segment()
    for vector in ((1, 1, 0), (1, 0, 1), (4, 3, 0)):
        maker.add(vector, kind="mixed")
    return maker.open()


def found(hits: list[Hit]) -> list[tuple[int, Any]]:
    return [(hit.row_id, pytest.approx(hit.score, abs=ROUNDING)) for hit in hits]


# geometry


def test_scores_are_cosines_best_first(colours: Lake) -> None:
    assert found(colours.search("red")) == [(1, 1), (6, 0.8), (4, HALF), (5, HALF), (2, 0), (3, 0)]
    assert found(colours.search("blue", k=2)) == [(3, 1), (5, HALF)]


def test_texts_add_up(colours: Lake) -> None:
    """(1, 1, 0) / sqrt(2): row 6 is (0.8, 0.6, 0), so its score is 1.4 / sqrt(2)."""
    assert found(colours.search(["red", "green"])) == [
        (4, 1),
        (6, 1.4 * HALF),
        (1, HALF),
        (2, HALF),
        (5, 0.5),
        (3, 0),
    ]


def test_the_unwanted_is_subtracted(colours: Lake) -> None:
    """(1, -1, 0) / sqrt(2)."""
    hits = colours.search("red", not_text="green")
    assert found(hits) == [(1, HALF), (5, 0.5), (6, 0.2 * HALF), (3, 0), (4, 0), (2, -HALF)]


def test_only_unwanted_ranks_by_how_little_it_is_there(colours: Lake) -> None:
    assert found(colours.search(not_text="red"))[-2:] == [(6, -0.8), (1, -1)]


def test_weights_count(colours: Lake) -> None:
    """3 red - 4 blue is (0.6, 0, -0.8)."""
    hits = colours.search_query(Query(texts=[("red", 3.0), ("blue", -4.0)]))
    assert found(hits) == [
        (1, 0.6),
        (6, 0.48),
        (4, 0.6 * HALF),
        (2, 0),
        (5, -0.2 * HALF),
        (3, -0.8),
    ]


def test_rows_are_examples(colours: Lake) -> None:
    assert found(colours.search(row_id=6, k=3)) == [(6, 1), (4, 1.4 * HALF), (1, 0.8)]
    assert found(colours.search(row_id=4, not_row_id=2, k=1)) == [
        (1, pytest.approx(HALF / np.hypot(HALF, 1 - HALF), abs=ROUNDING))
    ]


def test_images_are_examples_as_path_bytes_or_array(colours: Lake, tmp_path: Path) -> None:
    path = write(tmp_path / "red.png", png(RED))
    for image in (path, str(path), png(RED), np.full((9, 7, 3), (255, 0, 0), np.uint8)):
        assert found(colours.search(image=image, k=2)) == [(1, 1), (6, 0.8)]
    assert found(colours.search(image=[path, png((0, 255, 0))], k=1)) == [(4, 1)]
    assert found(colours.search("red", not_image=png((0, 0, 255)), k=1)) == [(1, HALF)]


def test_a_vector_is_an_example_of_any_length(colours: Lake) -> None:
    assert found(colours.search(vector=np.array([0, 0, 5], np.float32), k=1)) == [(3, 1)]
    assert found(colours.search(vector=np.array([[0, 7, 0]], np.float32), k=1)) == [(2, 1)]


def test_texts_images_rows_and_vectors_mix(colours: Lake) -> None:
    """red + green + blue + (1, 0, 0) is (2, 1, 1) / sqrt(6)."""
    hits = colours.search("red", image=png((0, 255, 0)), row_id=3, vector=unit(1, 0, 0), k=1)
    assert found(hits) == [(6, 2.2 / 6**0.5)]


def test_k_beyond_the_rows_and_no_k_give_every_row(colours: Lake) -> None:
    for k in (6, 7, 10_000, None):
        assert sorted(hit.row_id for hit in colours.search("red", k=k)) == [1, 2, 3, 4, 5, 6]


def test_equal_scores_come_in_order_of_row_id_across_segments(maker: Maker) -> None:
    for _ in range(3):
        for vector in ((1, 0, 0), (0, 1, 0)):
            maker.add(vector)
        maker.segment()
    lake = maker.open()
    assert [hit.row_id for hit in lake.search("red", k=None)] == [1, 3, 5, 2, 4, 6]
    assert [hit.row_id for hit in lake.search("green", k=4)] == [2, 4, 6, 1]
    assert [hit.row_id for hit in lake.search("green", k=2)] == [2, 4]


def test_a_fast_search_equals_a_slow_one(maker: Maker) -> None:
    random = np.random.default_rng(5)
    vectors = random.normal(size=(500, 3))
    for number, vector in enumerate(vectors):
        maker.add(vector, n=number)
        if number % 120 == 99:
            maker.segment()
    lake = maker.open()
    query = unit(0.3, -0.5, 0.8)
    halves = (
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        .astype(np.float16)
        .astype(np.float32)
    )
    scores = halves @ query
    best = np.argsort(-scores, kind="stable")[:25]
    hits = lake.search(vector=query, k=25)
    assert [hit.row_id for hit in hits] == (best + 1).tolist()
    assert np.allclose([hit.score for hit in hits], scores[best], atol=1e-6)


# where and the dead


def test_where_equals_a_search_of_a_lake_of_only_the_kept_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    all_of_them, kept = Maker(tmp_path / "all.lake"), Maker(tmp_path / "kept.lake")
    for number in range(150):
        vector = random.normal(size=3)
        all_of_them.add(vector, f"/photos/{number}.png", n=number)
        if 30 <= number < 110 and number % 3:
            kept.add(vector, f"/photos/{number}.png", n=number)
        if number in (40, 90):
            all_of_them.segment()
    narrowed, small = all_of_them.open(), kept.open()
    where = f"n >= 30 AND n < 110 AND n NOT IN ({', '.join(str(n) for n in range(0, 150, 3))})"
    for text in ("red", "green", "yellow"):
        for k in (1, 7, 53, None):
            hits = narrowed.search(text, where=where, k=k)
            expected = small.search(text, k=k)
            assert [(hit.uri, hit.score) for hit in hits] == [
                (hit.uri, hit.score) for hit in expected
            ]
            assert len(hits) == min(k or 53, 53)


def test_where_applies_before_the_top_k(colours: Lake) -> None:
    assert found(colours.search("red", where="kind = 'mixed'", k=1)) == [(6, 0.8)]
    assert colours.search("red", where="kind = 'none'") == []
    assert [hit.row_id for hit in colours.search("red", where="row_id > 4", k=None)] == [6, 5]


def test_dead_rows_are_never_found(maker: Maker) -> None:
    for vector in ((1, 0, 0), (1, 0, 0), (0, 1, 0)):
        maker.add(vector)
    segment = maker.segment()
    maker.commits.remove(Place(segment, 0))
    lake = maker.open()
    assert lake.rows == 2
    assert found(lake.search("red", k=None)) == [(2, 1), (3, 0)]
    assert found(lake.search("red", where="row_id <= 2", k=None)) == [(2, 1)]
    with pytest.raises(BadRequest) as caught:
        lake.search(row_id=1)
    assert str(caught.value) == "row_id: there is no row 1 in this lake"


def test_an_empty_lake_finds_nothing(maker: Maker) -> None:
    lake = maker.open()
    assert lake.search("red", k=None) == []
    assert lake.search("red", where="width_px > 3") == []


# z


def spread(maker: Maker, count: int) -> Lake:
    """Scores of "red" are evenly spread from -1 to 1: row i has (2 i - count - 1) / (count - 1)."""
    for row in range(1, count + 1):
        score = (2 * row - count - 1) / (count - 1)
        maker.add((score, (1 - score**2) ** 0.5, 0))
        if row == count // 2:
            maker.segment()
    return maker.open()


def test_z_is_robust_standard_deviations_over_the_lake(maker: Maker) -> None:
    """Median 0; half of the scores are within 0.5 of it,
    so the MAD is 0.5 and z is score / 0.7413.
    """
    lake = spread(maker, 101)
    hits = {hit.row_id: hit for hit in lake.search("red", k=None)}
    for row_id, z in ((101, 1 / 0.7413), (51, 0.0), (76, 0.5 / 0.7413), (1, -1 / 0.7413)):
        assert hits[row_id].z == pytest.approx(z, abs=0.002)


def test_where_does_not_change_z(maker: Maker) -> None:
    lake = spread(maker, 101)
    everywhere = {hit.row_id: hit.z for hit in lake.search("red", k=None)}
    narrowed = lake.search("red", where="row_id > 90", k=None)
    assert len(narrowed) == 11
    assert {hit.row_id: hit.z for hit in narrowed} == {n: everywhere[n] for n in range(91, 102)}


def test_min_z_is_a_cut(maker: Maker) -> None:
    lake = spread(maker, 101)
    hits = lake.search("red", k=None, min_z=1.0)  # score >= 0.7413: rows 89 (0.76) to 101
    assert [hit.row_id for hit in hits] == list(range(101, 88, -1))
    assert [hit.row_id for hit in lake.search("red", k=2, min_z=1.0)] == [101, 100]
    assert lake.search("red", k=None, min_z=1.4) == []


def test_z_needs_a_hundred_rows(tmp_path: Path) -> None:
    assert all(hit.z is None for hit in spread(Maker(tmp_path / "99"), 99).search("red", k=None))
    assert all(
        hit.z is not None for hit in spread(Maker(tmp_path / "100"), 100).search("red", k=None)
    )


def test_z_counts_only_live_rows(maker: Maker) -> None:
    spread(maker, 100)
    maker.commits.remove(Place(maker.commits.manifest.segments[0].id, 0))
    assert all(hit.z is None for hit in maker.open().search("red", k=None))


def test_z_is_null_where_most_scores_are_equal(maker: Maker) -> None:
    for row in range(120):
        maker.add((1, 0, 0) if row else (0, 1, 0))
    lake = maker.open()
    assert all(hit.z is None for hit in lake.search("red", k=None))
    with pytest.raises(BadRequest) as caught:
        lake.search("red", min_z=2.0)
    assert str(caught.value) == "min_z: z scores need 100 different rows; this lake has 120"


def test_the_background_is_chosen_by_hash_of_row_id(maker: Maker) -> None:
    count = BACKGROUND_ROWS + 50
    angles = np.linspace(0, np.pi, count)
    for angle in angles:
        maker.add((np.cos(angle), np.sin(angle), 0))
    lake = maker.open()
    hashes = [_splitmix(row_id) for row_id in range(1, count + 1)]
    assert hash_row_ids(np.arange(1, count + 1)).tolist() == hashes
    chosen = sorted(range(count), key=lambda row: hashes[row])[:BACKGROUND_ROWS]
    expected = np.sort(np.cos(angles[chosen]))
    assert lake.snapshot.background.shape == (BACKGROUND_ROWS, 3)
    assert np.allclose(np.sort(lake.snapshot.background[:, 0]), expected, atol=ROUNDING)


def _splitmix(row_id: int) -> int:
    """SplitMix64 in plain whole numbers."""
    every_bit = 2**64 - 1
    x = (row_id + 0x9E3779B97F4A7C15) & every_bit
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & every_bit
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & every_bit
    return x ^ (x >> 31)


# mistakes


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({}, "query: give at least one text, image or row to look for"),
        ({"text": "  "}, "text: it is empty; say what you look for"),
        ({"text": "red", "k": 0}, "k: 0 is not a number of hits; it must be at least 1"),
        ({"row_id": 99}, "row_id: there is no row 99 in this lake"),
        ({"row_id": 0}, "row_id: there is no row 0 in this lake"),
        ({"row_id": 2**70}, f"row_id: there is no row {2**70} in this lake"),
        (
            {"text": "red", "not_text": "red"},
            "query: wanted and unwanted examples cancel out; nothing is left to look for",
        ),
        ({"row_id": 4, "not_row_id": 4}, "query: wanted and unwanted examples cancel out; nothing is left to look for"),
        ({"vector": np.array([np.nan, 0, 0])}, "vector: it must be finite and not all zero"),
        ({"vector": np.array([np.inf, 0, 0])}, "vector: it must be finite and not all zero"),
        ({"vector": np.zeros(3)}, "vector: it must be finite and not all zero"),
        ({"image": np.zeros((4, 4), np.uint8)}, "image: an array must be uint8 with shape (height, width, 3)"),
        ({"image": np.zeros((4, 4, 3))}, "image: an array must be uint8 with shape (height, width, 3)"),
        ({"text": "red", "min_z": 1.0}, "min_z: z scores need 100 different rows; this lake has 6"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(colours: Lake, query: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadRequest) as caught:
        colours.search(**query)
    assert str(caught.value) == sentence


def test_a_weight_must_be_finite(colours: Lake) -> None:
    with pytest.raises(BadRequest) as caught:
        colours.search_query(Query(texts=[("red", float("nan"))]))
    assert str(caught.value) == "weight: it must be a finite number"


@pytest.mark.parametrize(("shape", "said"), [((4,), 4), ((2,), 2), ((2, 3), 6), ((1, 4), 4)])
def test_a_vector_of_another_dimension_is_refused(
    colours: Lake, shape: tuple[int, ...], said: int
) -> None:
    with pytest.raises(DimensionMismatch) as caught:
        colours.search(vector=np.ones(shape, np.float32))
    assert str(caught.value) == f"vectors have {said} dimensions, the model has 3"


def test_an_image_that_cannot_be_read_or_is_refused_is_named(colours: Lake, tmp_path: Path) -> None:
    for image, sentence in (
        (write(tmp_path / "a.png", b""), f"{tmp_path}/a.png: empty file"),
        (b"no image", "image: not an image that Pillow or HEIF can open"),
        (
            write(tmp_path / "b.png", png(BLACK)),
            f"{tmp_path}/b.png: the model colours failed on it (black has no colour)",
        ),
    ):
        with pytest.raises(UnreadableImage) as caught:
            colours.search(image=image)
        assert str(caught.value) == sentence


def test_another_model_is_refused_when_it_is_needed(colours: Lake) -> None:
    lake = Lake.open(colours.folder, ColourEmbedder(weights="1"))
    assert found(lake.search(row_id=1, k=1)) == [(1, 1)]  # no model is needed for this
    with pytest.raises(WrongModel) as caught:
        lake.search("red")
    assert str(caught.value) == (
        f"{lake.folder} was built with colours (weights 0), but this is colours (weights 1); "
        "use the model it was built with, or make a new lake: `lakesift index --sources-of` takes its sources there, "
        "`lakesift filter copy --into` its filters and labels"
    )


# what comes back


def test_a_hit_as_json(maker: Maker) -> None:
    maker.add(
        (4, 3, 0),
        "/photos/a.png",
        n=3,
        share=float("inf"),
        seen=datetime(2024, 1, 2, tzinfo=UTC),
        none=None,
    )
    [hit] = maker.open().search("red")
    document = hit.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document == {
        "row_id": 1,
        "score": pytest.approx(0.8, abs=ROUNDING),
        "z": None,
        "uri": "/photos/a.png",
        "width_px": 640,
        "height_px": 480,
        "columns": {
            "size_bytes": 101,
            "modified": "2020-09-13T12:26:40+00:00",
            "sha256": f"{1:064x}",
            "format": "png",
            "captured_at": "2024-05-01T12:30:00",
            "place": {"latitude": 59.9, "longitude": 10.7},
            "quality_aspect": 1.333,
            "source": "/photos",
            "n": 3,
            "share": "inf",
            "seen": "2024-01-02T00:00:00",
        },
    }
    assert list(document) == ["row_id", "score", "z", "uri", "width_px", "height_px", "columns"]


def test_hits_become_a_data_frame(colours: Lake) -> None:
    frame = to_pandas(colours.search("red", k=3))
    assert list(frame.columns[:4]) == ["row_id", "score", "z", "uri"]
    assert frame["row_id"].tolist() == [1, 6, 4]
    assert frame["kind"].tolist() == ["pure", "mixed", "mixed"]
    assert frame["uri"].tolist() == ["/photos/1.png", "/photos/6.png", "/photos/4.png"]
    mine = Hit(1, 0.5, None, "/a.jpg", {"row_id": 1, "uri": "/a.jpg", "score": 3, "Z": "z"})
    assert to_pandas([mine]).to_dict("records") == [
        {"row_id": 1, "score": 0.5, "z": None, "uri": "/a.jpg", "own_score": 3, "own_Z": "z"}
    ]
    empty = to_pandas([])
    assert isinstance(empty, pd.DataFrame)
    assert (list(empty.columns), len(empty)) == (["row_id", "score", "z", "uri"], 0)


# reload


def test_reload_moves_to_what_was_committed_since(maker: Maker) -> None:
    maker.add((0, 1, 0))
    lake = maker.open()
    old = lake.snapshot
    assert lake.reload() is False
    maker.add((1, 0, 0))
    maker.commits.commit()
    assert found(lake.search("red", k=1)) == [(1, 0)]
    assert lake.reload() is True
    assert found(lake.search("red", k=1)) == [(2, 1)]
    assert (old.number, lake.snapshot.number) == (1, read_manifest(maker.layout)[0].snapshot)
    assert old.live_rows == 1


def test_searches_in_threads_see_whole_snapshots_while_the_lake_reloads(maker: Maker) -> None:
    maker.add((1, 0, 0))
    lake = maker.open()
    stop = threading.Event()
    seen: list[list[int]] = []
    errors: list[BaseException] = []

    def look() -> None:
        try:
            while not stop.is_set():
                seen.append(sorted(hit.row_id for hit in lake.search("red", k=None)))
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(12):  # each commit adds two rows
        maker.add((0, 1, 0))
        maker.add((0, 0, 1))
        maker.commits.commit()
        lake.reload()
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert all(rows == list(range(1, len(rows) + 1)) and len(rows) % 2 == 1 for rows in seen)
    assert lake.rows == 25


def test_a_least_z_beyond_any_float32_keeps_all_or_nothing(maker: Maker) -> None:
    lake = spread(maker, 101)
    assert lake.search("red", k=None, min_z=1e308) == []
    assert len(lake.search("red", k=None, min_z=-1e308)) == 101
