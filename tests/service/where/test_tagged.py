"""Tags in a `where`, by hand. Rows 1, 2 and 5 are night, 2 and 3 tram, 4 and 6 have no tag."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from indexer.errors import WhereError
from service.tags.tags import Tags
from service.where.where import Where

TAGS = Tags({"night": np.array([1, 2, 5]), "Tram": np.array([2, 3])})
ROWS = pa.table({"row_id": np.arange(1, 7), "a": [1, 2, 3, 4, 5, 6]})


def kept(where: str, rows: pa.Table = ROWS) -> list[int]:
    mask = Where.parse(where, rows.schema, lambda: TAGS).mask(rows)
    return [int(row) for row in np.flatnonzero(mask) + 1]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("tag = 'night'", [1, 2, 5]),
        ("TAG = 'NIGHT'", [1, 2, 5]),
        ("'night' = tag", [1, 2, 5]),
        ("\"tag\" = 'night'", [1, 2, 5]),
        ("tag <> 'night'", [3]),
        ("NOT tag = 'night'", [3]),
        ("tag = 'night' AND tag = 'tram'", [2]),
        ("tag IN ('tram', 'none')", [2, 3]),
        ("tag NOT IN ('tram', 'none')", [1, 5]),
        ("tag NOT IN ('tram', NULL)", []),
        ("'tram' IN tags", [2, 3]),
        ("NOT 'tram' IN tags", [1, 5]),
        ("tag IS NULL", [4, 6]),
        ("tag IS NOT NULL", [1, 2, 3, 5]),
        ("tag IS DISTINCT FROM 'night'", [3, 4, 6]),
        ("tag IS NOT DISTINCT FROM NULL", [4, 6]),
        ("tag LIKE 'n%'", [1, 2, 5]),
        ("tag LIKE 't%'", []),
        ("tag ILIKE 't__m'", [2, 3]),
        ("tag NOT LIKE 'T%'", [1, 5]),
        ("tag = 'none' OR a = 4", [4]),
        ("(tag = 'none') IS NULL", [4, 6]),
        ("NOT (tag = 'none' AND a = 4)", [1, 2, 3, 5, 6]),
        ("tag = NULL OR a = 1", [1]),
    ],
)
def test_tags_are_asked_of_each_row(where: str, rows: list[int]) -> None:
    assert kept(where) == rows


@pytest.mark.parametrize(
    "where",
    [
        "{night}", "NOT {night}", "{night} AND {tram}", "{night} OR {tram}", "NOT ({night} OR {tram})",
        "{night} AND NOT {tram}", "a > 3 OR NOT {tram}", "NOT (a > 3 AND {night})", "({night}) IS NULL",
    ],
)  # fmt: skip
def test_the_logic_is_sqls_as_duckdb_has_it_of_lists(where: str) -> None:
    lists = [list(TAGS.of(row)) or None for row in range(1, 7)]
    rows = ROWS.append_column("tag", pa.array(lists, pa.list_(pa.string())))  # noqa: F841 DuckDB's
    sql = where.format(night="list_contains(tag, 'night')", tram="list_contains(tag, 'Tram')")
    expected = duckdb.sql(f"SELECT row_id FROM rows WHERE {sql} ORDER BY row_id").fetchall()
    ours = where.format(night="tag = 'night'", tram="tag = 'Tram'")
    assert kept(ours) == [row for (row,) in expected]


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("tag < 'a'", "tag is a list of tags, which have no order; ask it as tag = 'night', "),
        ("tag BETWEEN 'a' AND 'b'", "tag is a list of tags, which have no order"),
        ("tag = 5", "tag is compared with texts in single quotes alone"),
        ("tag = a", "tag is compared with texts in single quotes alone"),
        ("tag", "tag is a list, where something true or false is wanted; compare it"),
        ("'a' LIKE tag", "tag is a list, LIKE wants text"),
        ("tag LIKE a", "LIKE wants a column on its left and a text in single quotes on its right"),
        ("tag.x = 1", "there is no column tag"),
    ],
)
def test_what_tags_cannot_be_asked_is_a_sentence(where: str, reason: str) -> None:
    with pytest.raises(WhereError) as bad:
        kept(where)
    assert str(bad.value).startswith(f"where: {reason}")


def test_what_must_stay_the_same_cannot_ask_for_tags() -> None:
    with pytest.raises(WhereError) as bad:
        Where.parse("tag = 'night'", ROWS.schema)
    assert str(bad.value) == (
        "where: tag is not for filters: people tag at any time, and a promise is for images that stay "
        "the same; search and export by it instead"
    )


def test_a_users_own_column_keeps_its_name() -> None:
    rows = ROWS.append_column("Tag", pa.array(list("xyxyxy")))
    assert kept("tag = 'x'", rows) == [1, 3, 5]
    assert kept("tag = 'x' AND lakesift_tag = 'night'", rows) == [1, 5]
    assert Where.parse("tag = 'x'", rows.schema).mask(rows).tolist() == [True, False] * 3
    own = ROWS.append_column("tags", pa.array([["night"]] * 6, pa.list_(pa.string())))
    assert kept("'night' IN tags AND tag = 'tram'", own) == [2, 3]


def test_terms_say_what_they_ask_for() -> None:
    terms = Where.terms(
        "tag = 'night' AND a > 1 AND (tag IS NULL OR a < 9)", ROWS.schema, lambda: TAGS
    )
    assert [sorted(term.asked) for term in terms] == [["tag"], ["a"], ["a", "tag"]]
    assert [sorted(term.columns) for term in terms] == [["row_id"], ["a"], ["a", "row_id"]]
