"""What a `where` means is what DuckDB means:
generated expressions, mask against SELECT ... WHERE.
"""

from __future__ import annotations

import datetime
import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.errors import WhereError
from service.where.where import Where

NAN, INF = float("nan"), float("inf")
MIDNIGHT = datetime.datetime(2024, 5, 1)
# Few values a column, so that they meet; n and the columns beside them: types that meet too.
VALUES: dict[str, tuple[pa.DataType, list[object]]] = {
    "i": (pa.int32(), [None, -(2**31), -5, 0, 1, 2, 1024, 2**31 - 1]),
    "n": (pa.int64(), [None, -(2**63), -1, 0, 2, 2**53, 2**53 + 1, 2**63 - 1]),
    "u": (pa.uint64(), [None, 0, 2, 2**53 + 1, 2**63, 2**64 - 1]),
    "f": (pa.float64(), [None, NAN, -INF, INF, -0.0, 0.0, 0.1, 1.0, 2.0, 1024.0]),
    "g": (pa.float64(), [None, NAN, -INF, INF, 0.0, 0.1, 1.0, 2.0]),
    "h": (pa.float32(), [None, NAN, -1.5, 0.0, 0.1, 1.0, 2.0]),
    "d": (pa.decimal128(7, 2), [None, "-1.50", "0.00", "0.10", "2.00", "10.24"]),
    "s": (
        pa.string(),
        [
            None,
            "",
            "a",
            "A",
            "ab",
            "a%",
            "a_b",
            "Canon R6",
            "canon\nR6",
            "é",
            "日本",
            "a\\b",
            "'",
            "İK",
            "aba",
        ],
    ),
    "r": (pa.string(), [None, "", "a", "b", "Canon R6", "é"]),
    "b": (pa.bool_(), [None, True, False]),
    "c": (pa.bool_(), [None, True, False]),
    "t": (
        pa.timestamp("us"),
        [None, MIDNIGHT, MIDNIGHT.replace(hour=12, microsecond=1), MIDNIGHT.replace(year=1969)],
    ),
    "v": (
        pa.timestamp("ms"),
        [None, MIDNIGHT, MIDNIGHT.replace(hour=12), MIDNIGHT.replace(year=1900)],
    ),
    "z": (
        pa.timestamp("us", "UTC"),
        [None, MIDNIGHT, MIDNIGHT.replace(hour=23, minute=59), MIDNIGHT.replace(year=2023)],
    ),
    "y": (
        pa.date32(),
        [None, MIDNIGHT.date(), datetime.date(1969, 12, 31), datetime.date(2024, 5, 2)],
    ),
}
NUMBERS, TEXTS, TRUTHS = ["i", "n", "u", "f", "g", "h", "d"], ["s", "r"], ["b", "c"]
NUMBER_LITERALS = [
    "0",
    "-0.0",
    "1",
    "2",
    "-5",
    "0.1",
    "1.5",
    "1024",
    "1024.0",
    "-1.50",
    "100.5",
    "1e3",
    ".5",
    "2147483648",
]
HUGE_LITERALS = [
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1" + "0" * 30,
]
TEXT_LITERALS = ["''", "'a'", "'A'", "'ab'", "'Canon R6'", "'é'", "''''", "'Z'"]
TIME_LITERALS = [
    "'2024-05-01'",
    "DATE '2024-05-01'",
    "'1969-05-01'",
    "'2024-05-01 12:00:00.000001'",
    "TIMESTAMP '2024-05-01 12:00'",
    "'2024-05-01T23:59:00'",
]
ZONED_LITERALS = ["'2024-05-01T02:00+02:00'", "'2024-05-01 00:00:00Z'"]
SIGNS = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])
PIECES = st.sampled_from(
    ["%", "_", "a", "b", "A", "é", "Canon", "R6", " ", "\\", "%%", "!%", "!_", "本", "k", "\n"]
)


def of(*items: str | list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [each for item in items for each in ([item] if isinstance(item, str) else item)]
    )


# Whole numbers beside floats beyond 2^53 are left out: DuckDB rounds such a literal, we do not.
OPERANDS: list[tuple[st.SearchStrategy[str], st.SearchStrategy[str]]] = [
    (of(NUMBERS), of(NUMBER_LITERALS, NUMBERS, "NULL")),
    (of("f", "g", "h"), of("f", "g", "h")),
    (of("i", "n", "u"), of(HUGE_LITERALS)),
    (of(TEXTS), of(TEXT_LITERALS, TEXTS, "NULL")),
    (of(TRUTHS), of(TRUTHS, "TRUE", "FALSE", "NULL")),
    (of("t"), of(TIME_LITERALS, "t", "v", "y", "NULL")),
    (of("v"), of("'2024-05-01'", "TIMESTAMP '2024-05-01 12:00'", "t", "v", "y")),
    (of("z"), of(TIME_LITERALS, ZONED_LITERALS, "z")),
    (
        of("y"),
        of("'2024-05-01'", "DATE '1969-12-31'", "TIMESTAMP '2024-05-01 12:00'", "y", "t", "NULL"),
    ),
    (of(NUMBER_LITERALS), of(NUMBER_LITERALS, "NULL")),
    (of("TRUE"), of(TRUTHS)),
]


@st.composite
def atoms(draw: st.DrawFn) -> str:
    left, right = draw(st.sampled_from(OPERANDS))
    form = draw(
        st.sampled_from(
            ["compare", "compare", "mirror", "between", "in", "null", "distinct", "like", "truth"]
        )
    )
    no = draw(st.sampled_from(["", "NOT "]))
    a = draw(left)
    b, c = draw(right), draw(right)
    if form == "compare":
        return f"{a} {draw(SIGNS)} {b}"
    if form == "mirror":
        return f"{b} {draw(SIGNS)} {a}"
    if form == "between":
        return f"{a} {no}BETWEEN {b} AND {c}"
    if form == "in":
        return f"{a} {no}IN ({b}, {c})"
    if form == "null":
        return f"{a} IS {no}NULL"
    if form == "distinct":
        return f"{a} IS {no}DISTINCT FROM {b}"
    if form == "truth":
        return draw(
            of(
                "b",
                "c",
                "TRUE",
                "NULL",
                "b IS TRUE",
                "c IS NOT FALSE",
                "(i > 0) IS TRUE",
                "(s = r) IS NULL",
            )
        )
    return draw(likes())


@st.composite
def likes(draw: st.DrawFn) -> str:
    pattern = "".join(draw(st.lists(PIECES, max_size=5)))
    escape = draw(st.sampled_from(["", " ESCAPE '!'"]))
    if escape and pattern.replace("!%", "").replace("!_", "").endswith("!"):
        escape = ""
    return f"{draw(of(TEXTS))} {draw(of('LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE'))} '{pattern}'{escape}"


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, st.sampled_from(["AND", "OR"]), inner)
    return st.one_of(
        pair.map(" ".join),
        pair.map(lambda terms: f"({' '.join(terms)})"),
        inner.map(lambda term: f"NOT ({term})"),
        inner.map(lambda term: f"({term}) IS NOT TRUE"),
    )


EXPRESSIONS = st.recursive(atoms(), deeper, max_leaves=5)


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    """300 rows, each value drawn alone."""
    rng = np.random.default_rng(7)
    columns = {}
    for name, (type_, values) in VALUES.items():
        drawn = [values[i] for i in rng.integers(0, len(values), 300)]
        columns[name] = (
            pa.array(drawn).cast(type_) if pa.types.is_decimal(type_) else pa.array(drawn, type_)
        )
    return pa.table(columns)


@pytest.fixture(scope="module")
def duck(rows: pa.Table) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    numbered = rows.append_column("row", pa.array(range(rows.num_rows)))
    connection.register("arrow", numbered)
    connection.execute("CREATE TABLE rows AS SELECT * FROM arrow")
    return connection


@settings(
    max_examples=1000, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(text=EXPRESSIONS)
def test_a_mask_keeps_the_rows_that_duckdb_keeps(
    rows: pa.Table, duck: duckdb.DuckDBPyConnection, text: str
) -> None:
    wanted = [
        row for (row,) in duck.execute(f"SELECT row FROM rows WHERE {text} ORDER BY row").fetchall()
    ]
    kept = np.flatnonzero(Where.parse(text, rows.schema).mask(rows)).tolist()
    assert kept == wanted, text


LISTS = pa.table(
    {
        "labels": pa.array(
            [["cat", "dog"], ["dog"], ["dogs", "a dog"], [], None], pa.list_(pa.string())
        ),
        "camera": ["dog", "a", None, "", "b"],
    }
)


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("'dog' IN labels", [True, True, False, False, False]),
        ("'dog' NOT IN labels", [False, False, True, True, False]),
        ("NOT 'dog' IN labels", [False, False, True, True, False]),
        ("'dog' IN labels AND NOT 'cat' IN labels", [False, True, False, False, False]),
        ("('dog' IN labels) IS NULL", [False, False, False, False, True]),
        ("NULL IN labels", [False] * 5),
        ("labels IS NULL", [False, False, False, False, True]),
        ("labels IS NOT NULL AND camera = 'dog'", [True, False, False, False, False]),
    ],
)
def test_a_list_is_asked_for_its_elements_as_duckdb_asks(text: str, mask: list[bool]) -> None:
    for rows in (LISTS, LISTS.slice(1), pa.concat_tables([LISTS.slice(2), LISTS])):
        expected = duckdb.sql(f"SELECT coalesce({text}, false) FROM rows").fetchnumpy()
        np.testing.assert_array_equal(
            Where.parse(text, rows.schema).mask(rows), next(iter(expected.values())), text
        )
    assert Where.parse(text, LISTS.schema).mask(LISTS).tolist() == mask


@pytest.mark.parametrize("text", ["'' IN labels", "'cat\x1fdog' IN labels"])
def test_what_no_label_is_is_in_no_list(text: str) -> None:
    assert Where.parse(text, LISTS.schema).mask(LISTS).tolist() == [False] * 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("labels = 'dog'", "labels is a list; ask it as 'a text' IN labels"),
        ("labels IN ('dog')", "labels is a list; ask it as 'a text' IN labels"),
        ("'dog' IN (labels)", "labels is a list; ask it as 'a text' IN labels"),
        ("labels LIKE 'd%'", "labels is a list, LIKE wants text"),
        ("camera IN labels", "labels is a list of texts; write a text in single quotes before IN"),
        ("5 IN labels", "labels is a list of texts; write a text in single quotes before IN"),
        ("'dog' IN camera", "camera is text, IN wants a list or values in brackets"),
    ],
)
def test_what_a_list_is_not_asked(text: str, reason: str) -> None:
    with pytest.raises(WhereError, match=re.escape(reason)):
        Where.parse(text, LISTS.schema)
