"""What is said beside an answer: counts and sentences worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from indexer.arrays import RowMask
from indexer.disk.tables import Place
from indexer.embed import Reading
from service import Lake
from service.search.query import Query
from service.search.remarks import Nothing, Remarks, best_of, hint, is_hardly_known
from service.search.search import remarks, stream
from tests.fakes import ColourEmbedder
from tests.service.lakes import Maker
from tests.service.search.test_ledgers import BY_HAND, decide

ENGLISH = Reading(letters=10, read=10, whole=10, pieces=3)
STRANGE = Reading(letters=10, read=10, whole=2, pieces=5)
UNREAD = Reading(letters=6, read=0, whole=0, pieces=1)
SIGNS = Reading(letters=0, read=0, whole=0, pieces=0)
STANDS_OUT_NOT = "nothing stands out; this model reads English"


class Reader(ColourEmbedder):
    """Knows the colours' names and "a photo of"; cuts every other word into letters."""

    def embed_texts(self, texts: list[str]) -> np.ndarray:  # type: ignore[override]
        return super().embed_texts([text if "red" in text else "green" for text in texts])

    def read(self, text: str) -> Reading:
        words = text.split()
        whole = sum(len(word) for word in words if word in ("red", "green", "blue"))
        letters = sum(map(len, words))
        return Reading(letters, letters, whole, 1 if whole == letters else letters)


@pytest.fixture
def lake(maker: Maker) -> Lake:
    """Six rows: red, green, blue; red-green, red-blue, nearly red. A filter kept rows 1 and 6."""
    for vector in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        maker.add(vector, kind="pure")
    maker.segment()
    for vector in ((1, 1, 0), (1, 0, 1), (4, 3, 0)):
        maker.add(vector, kind="mixed")
    opened = maker.open()
    decide(opened, 1, BY_HAND)
    decide(opened, 1, dict.fromkeys(range(1, 7), "keep"), name="all")
    return opened


def nothing(lake: Lake, query: Query) -> Nothing:
    page = lake.search_page(query)
    assert (page.hits, page.next_offset) == ([], None)
    assert page.remarks is not None
    assert page.remarks.nothing is not None
    return page.remarks.nothing


# what the words are


@pytest.mark.parametrize(
    ("rows", "z"),
    [(100, 2.326348), (1_000, 3.090232), (1_000_000, 4.753424), (2, 0), (1, 0), (0, 0)],
)
def test_the_best_by_chance_is_the_quantile_of_a_normal_distribution(rows: int, z: float) -> None:
    assert best_of(rows) == pytest.approx(z, abs=1e-5)


def test_a_text_is_hardly_known_where_most_of_it_is_cut_into_small_pieces() -> None:
    assert is_hardly_known(STRANGE)
    assert not is_hardly_known(ENGLISH)
    assert not is_hardly_known(replace(STRANGE, whole=7))  # 7 of 10 letters in whole words
    assert not is_hardly_known(replace(STRANGE, pieces=3))  # 3.3 letters a piece
    assert not is_hardly_known(SIGNS)


@pytest.mark.parametrize(("z", "said"), [(4.08, STANDS_OUT_NOT), (4.10, None), (None, None)])
def test_strange_words_are_told_where_the_best_hit_is_near_chance(
    z: float | None, said: str | None
) -> None:
    """Among 1,000 rows: 3.09 is the best by chance, and one more stands out."""
    assert hint([("ein Hund", STRANGE)], z, lambda: 1_000, is_alone=True) == said
    assert hint([("a dog", ENGLISH)], z, lambda: 1_000, is_alone=True) is None
    assert hint([("ein Hund", STRANGE)], z, lambda: 1_000, is_alone=False) is None


def test_rows_are_counted_only_where_it_matters() -> None:
    def never() -> int:
        raise AssertionError("where was asked once more")

    assert hint([("a dog", ENGLISH)], 1.0, never, is_alone=True) is None


def test_what_cannot_be_read_at_all_is_named_whatever_the_score() -> None:
    said = "the model cannot read “собака”; it reads English"
    for z in (None, 1.0, 9.0):
        texts = [("a dog", ENGLISH), ("собака", UNREAD)]
        assert hint(texts, z, lambda: 1_000, is_alone=False) == said
    for text, shown in ((" ?! ", "?!"), ("👶", "👶"), ("\x1b[31m?\n", "[31m?"), ("\0", "")):
        assert hint([(text, SIGNS)], 9.0, lambda: 1_000, is_alone=True) == (
            f"the model cannot read “{shown}”; it reads English"
        )
    cut = hint([("собака " * 20, UNREAD)], None, lambda: 1, is_alone=True)
    assert cut is not None
    assert "собака соб…”" in cut
    assert len(cut) < 110


def test_a_lake_too_small_for_z_has_no_hint_of_its_scores(maker: Maker) -> None:
    maker = Maker(maker.layout.root.with_name("small.lake"), Reader())
    maker.add((1, 0, 0))
    lake = maker.open()
    assert lake.search_page(Query.of("hund")).remarks == Remarks(None, None)


def test_a_lake_of_a_hundred_has(maker: Maker) -> None:
    """100 rows spread evenly over red and green: none stands out from the others."""
    maker = Maker(maker.layout.root.with_name("large.lake"), Reader())
    for number in range(100):
        angle = math.pi / 2 * number / 99
        maker.add((math.cos(angle), math.sin(angle), 0))
    lake = maker.open()
    said = Remarks(STANDS_OUT_NOT, None)
    assert lake.search_page(Query.of("hund")).remarks == said
    assert lake.search_page(Query.of("hund", row_id=3)).remarks == Remarks(None, None)
    assert lake.search_page(Query.of("green")).remarks == Remarks(None, None)
    assert lake.search_page(Query.of(vector=np.eye(3)[0])).remarks == Remarks(None, None)
    assert lake.search_page(replace(Query.of("hund"), offset=5)).remarks is None
    # the best of what passes, of few rows
    few = lake.search_page(replace(Query.of("hund"), where="row_id <= 3")).remarks
    assert few == said
    none = lake.search_page(replace(Query.of("hund"), min_z=50)).remarks
    assert none is not None
    assert none.hint == STANDS_OUT_NOT
    assert none.nothing is not None
    assert none.nothing.best is not None
    # rows 99 and 100 are equal in half precision: sin 89.1 degrees is 0.9999
    assert (none.nothing.passing, none.nothing.best.row_id) == (100, 99)
    assert none.nothing.sentence == (
        f"no image has a z of at least 50; the best there is has z {none.nothing.best.z:.1f}"
    )


def test_a_z_too_high_among_few_that_pass(maker: Maker) -> None:
    for number in range(100):
        maker.add((1, number / 100, 0))
    lake = maker.open()
    said = nothing(lake, replace(Query.of("red"), where="row_id <= 2", min_z=50))
    assert (said.where, said.passing, said.best and said.best.row_id) == (2, 2, 1)
    assert said.sentence.startswith("of 2 images that pass none has a z of at least 50; the best ")
    said = nothing(lake, replace(Query.of("red"), where="row_id = 7", min_z=50.5))
    assert said.sentence.startswith("of 1 image that passes none has a z of at least 50.5; the ")


def test_a_model_that_cannot_tell_has_no_hint(lake: Lake) -> None:
    assert lake.search_page(Query.of("red")).remarks == Remarks(None, None)


# why nothing was found


def test_where_excludes_all(lake: Lake) -> None:
    said = nothing(lake, replace(Query.of("red"), where="width_px > 9999"))
    assert (said.rows, said.where, said.decided, said.passing) == (6, 0, None, 0)
    assert said.best is not None
    assert said.best.row_id == 1
    assert said.sentence == "`where` excludes all 6 images"
    assert said.to_json() == {
        "message": "`where` excludes all 6 images",
        "rows": 6,
        "where": 0,
        "filter": None,
        "passing": 0,
        "best": said.best.to_json(),
    }


@pytest.mark.parametrize(
    ("filter", "decision", "where", "counts", "sentence"),
    [
        ("all", "drop", None, (None, 0, 0), "filter all@1 has dropped none of 6 images"),
        (
            "all",
            ["ask", "drop"],
            "kind = 'pure'",
            (3, 0, 0),
            "filter all@1 has left to a person or dropped none of 6 images",
        ),
        (
            "reds",
            "ask",
            "kind = 'pure'",
            (3, 1, 0),
            "`where` keeps 3 images, but none of the 1 that filter reds@1 has left to a person",
        ),
        ("reds", "keep", "kind = 'none'", (0, 2, 0), "`where` excludes all 6 images"),
    ],
)
def test_the_filter_excludes(
    lake: Lake,
    filter: str,
    decision: str | list[str],
    where: str | None,
    counts: tuple[int | None, int, int],
    sentence: str,
) -> None:
    options = {"filter": filter, "decision": decision, "where": where}
    said = nothing(lake, Query.of("red").with_options(options))
    assert (said.where, said.decided, said.passing) == counts
    assert said.sentence == sentence
    assert said.best is not None
    assert said.best.row_id == 1


def test_a_lake_without_images_says_so(maker: Maker) -> None:
    said = nothing(maker.open(), Query.of("red"))
    assert (said.rows, said.best, said.sentence) == (0, None, "there is no image to search")


def test_the_only_image_may_be_excluded(maker: Maker) -> None:
    maker.add((1, 0, 0))
    said = nothing(maker.open(), replace(Query.of("red"), where="width_px > 9999"))
    assert said.sentence == "`where` excludes the only image"


def test_rows_that_are_gone_count_nowhere(lake: Lake, maker: Maker) -> None:
    """Of the rows that were kept, 1 and 6, none lives; of the pure ones, 2 and 3."""
    for row_id in (1, 6):
        found = lake.snapshot.find(row_id)
        assert found is not None
        maker.commits.remove(Place(found[0].segment.entry.id, found[1]))
    maker.commits.commit()
    lake.reload()
    said = nothing(lake, Query.of("red").with_options({"filter": "reds"}))
    assert (said.rows, said.decided, said.passing) == (4, 0, 0)
    assert said.sentence == "filter reds@1 has kept none of 4 images"
    assert said.best is not None
    assert said.best.row_id == 4
    said = nothing(lake, Query.of("red").with_options({"filter": "reds", "where": "kind = 'pure'"}))
    assert (said.where, said.decided, said.passing) == (2, 0, 0)


def test_where_is_asked_once_more_at_most(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take seconds of a large lake: of two segments, four masks."""
    from service.where.where import Where

    asked: list[int] = []
    mask = Where.mask

    def counted(self: Where, table: pa.Table) -> RowMask:
        asked.append(len(table))
        return mask(self, table)

    monkeypatch.setattr(Where, "mask", counted)
    nothing(lake, replace(Query.of("red"), where="width_px > 9999"))
    assert asked == [3, 3, 3, 3]


def test_a_stream_has_the_same_remarks(lake: Lake) -> None:
    asked = lake.understand(replace(Query.of("red"), where="width_px > 9999", k=None))
    assert list(stream(asked)) == []
    assert remarks(asked, None) == Remarks(None, nothing(lake, asked.query))
