"""What a real Postgres and a real Milvus are asked of rows' columns, and what the same `where` says
here.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from indexer.engines.columns import engine_columns
from indexer.engines.engine import Engine, State
from indexer.engines.opening import open_engine
from indexer.engines.predicate import Compared, Every, Predicate
from indexer.engines.pushing import push_lake
from service import Lake
from service.where.translated import translated
from service.where.where import Where
from tests.milvus import Milvus
from tests.postgres import Server
from tests.service.lakes import Maker

pytestmark = pytest.mark.timeout(180)

TEXTS = [
    "a",
    "A",
    "é",
    "z",
    "Z",
    "%",
    "_",
    "\\",
    "a_b",
    "axb",
    "a\nb",
    "",
    None,
    "夜",
    "😀",
    "\ue000",
    "'",
]
WHOLE = [0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), None, 7]
REAL = [0.0, -0.0, 0.1, float("nan"), float("inf"), float("-inf"), None, 1e308, -2.5, 1 / 3]
SHARE = [0.0, -0.0, 0.1, None, 1e308, -2.5, 1 / 3, 5e-324]  # which all can hold
TRUTH = [True, False, None]
LITERALS = {
    "text": ["'a'", "'A'", "'z'", "'é'", "'夜'", "'\ue000'", "'😀'", "''", "''''", "'nobody'"],
    "whole": ["0", "1", "-1", "0.5", "-0.5", "1e0", str(2**53 + 1), str(2**63 - 1), "1e30", "-1e30"],
    "real": ["0", "-0.0", "0.1", "0.10000000000000001", "1e308", "-2.5", "3"],
    "share": ["0", "-0.0", "0.1", "0.10000000000000001", "1e308", "-2.5", "1e-300"],
    "captured_at": ["'2024-05-01 12:30:00'", "'2024-05-01'", "DATE '2024-05-02'", "'2024-05-01 12:30:00.0000005'"],
    "modified": ["'2020-09-13T12:26:40Z'", "'2020-09-13 12:26:40'", "'2020-09-13T14:26:40+02:00'"],
    "place.latitude": ["59.9", "60", "-1"],
    "width_px": ["640", "640.5", "639.5", "99999999999"],
}  # fmt: skip


@pytest.fixture(scope="module", params=["pgvector", "milvus"])
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lake, Engine, State]]:
    maker = Maker(tmp_path_factory.mktemp("narrowing") / "odd.lake")
    for number in range(40):
        maker.add(
            (1, number, 1),
            place=(59.9 + number, 10.7) if number % 3 else None,
            text=TEXTS[number % len(TEXTS)],
            whole=WHOLE[number % len(WHOLE)],
            real=REAL[number % len(REAL)],
            share=SHARE[number % len(SHARE)],
            truth=TRUTH[number % len(TRUTH)],
        )
    lake = maker.open()
    engine = open_engine(of_server(request))
    push_lake(maker.layout.root, engine)
    state = engine.state("odd")
    assert state is not None
    yield lake, engine, state
    lake.close()
    assert engine.drop("odd")
    engine.close()


def of_server(request: pytest.FixtureRequest) -> str:
    """The address of one that is started when it is needed."""
    server: Server | Milvus
    if request.param == "milvus":
        server = request.getfixturevalue("milvus")
        return server.url("default")
    server = request.getfixturevalue("postgres")
    return server.url("postgres")


def wheres() -> Iterator[str]:
    """Single conditions, each of which is asked whole or not at all."""
    for column, literals in LITERALS.items():
        for sign, literal in itertools.product(("=", "<>", "<", "<=", ">", ">="), literals):
            yield f"{column} {sign} {literal}"
        yield f"{literals[0]} < {column}"
        yield f"NOT {column} >= {literals[1]}"
        yield f"{column} IS NULL"
        yield f"{column} IS NOT NULL OR {column} = {literals[0]}"
        yield f"{column} IN ({', '.join(literals[:3])})"
        yield f"{column} NOT IN ({', '.join(literals[:3])})"
        yield f"{column} BETWEEN {literals[1]} AND {literals[2]}"
        yield f"({column} > {literals[0]}) IS NULL"
        yield f"({column} > {literals[0]}) IS NOT TRUE"
        yield f"({column} > {literals[0]}) IS FALSE"
    for pattern in (
        "a%",
        "%b",
        "a_b",
        "%",
        "_",
        "__",
        "",
        "a\\_b",
        "%\n%",
        "\\",
        "%夜%",
        "é",
        "%a",
    ):
        yield f"text LIKE '{pattern}'"
        yield f"text NOT LIKE '{pattern}'"
    for pattern in ("a!_b", "!%", "!!", "%!_%"):
        yield f"text LIKE '{pattern}' ESCAPE '!'"
    yield from (
        "truth",
        "NOT truth",
        "truth = TRUE",
        "truth <> TRUE",
        "truth IS NULL",
        "truth OR whole = 1",
    )


# Of these an engine cannot be asked: they are left to us.
NOT_ASKED = [
    "text ILIKE 'A%'",
    "whole = real",
    "text IN ('a', NULL)",
    "whole IS DISTINCT FROM 1",
    "sha256 = 'x'",
    "whole = 0.5",
    "whole < 1e30",
    "text = 'a' OR whole = real",
    "TRUE",
    "truth < TRUE",
]


def passing(lake: Lake, where: str) -> set[int]:
    return set(lake.browse(where).row_ids.tolist())


def named(engine: Engine, state: State, predicate: Predicate) -> set[int]:
    vector = np.array([0, 0, 1], np.float32)
    return set(engine.candidates(state, vector, 1_000, predicate).row_ids.tolist())


def is_asked_whole(engine: Engine, where: str) -> bool:
    """False: Milvus is asked less than it says, since it would take this otherwise."""
    spelt = any(each in where for each in ("_", "\\", "ESCAPE"))
    odd = ("LIKE" in where and spelt) or str(-(2**63)) in where
    return engine.kind == "pgvector" or not odd


def test_an_engine_says_of_every_row_what_we_say(asked: tuple[Lake, Engine, State]) -> None:
    lake, engine, state = asked
    seen, wrong = 0, []
    # Milvus holds no NaN, so of a column that has one it is asked nothing.
    of_nan = () if engine.kind == "pgvector" else ("real",)
    assert [each.path for each in state.columns if not each.is_whole] == [
        (name,) for name in of_nan
    ]
    for where in wheres():
        predicate = translated(where, lake.snapshot.schema, state.columns)
        if predicate is None:
            odd = ("0.5", "9.5", "e30", "0000005", *of_nan)
            assert any(each in where for each in odd), where
            continue
        seen += 1
        found, right = named(engine, state, predicate), passing(lake, where)
        if found != right if is_asked_whole(engine, where) else not found >= right:
            wrong.append((where, sorted(found ^ right)))
    assert wrong == []
    assert seen > 280


def test_conditions_within_conditions_are_asked_as_we_say_them(
    asked: tuple[Lake, Engine, State],
) -> None:
    """NULL decides nothing, or does: joined, turned round, asked whether it is unknown."""
    lake, engine, state = asked
    chance = random.Random(11)
    single = [each for each in wheres() if is_asked_whole(engine, each)]
    single = [each for each in single if translated(each, lake.snapshot.schema, state.columns)]

    def nested(depth: int) -> str:
        if depth == 0 or chance.random() < 0.2:
            return chance.choice(single)
        kind = chance.choice(("AND", "OR", "AND", "OR", "NOT", "IS"))
        inner = nested(depth - 1)
        if kind == "NOT":
            return f"NOT ({inner})"
        if kind == "IS":
            said = chance.choice(("NULL", "NOT NULL", "TRUE", "NOT TRUE", "FALSE", "NOT FALSE"))
            return f"({inner}) IS {said}"
        return f"({inner}) {kind} ({nested(depth - 1)})"

    wrong, sizes = [], set()
    for _ in range(200):
        where = nested(3)
        predicate = translated(where, lake.snapshot.schema, state.columns)
        assert predicate is not None, where
        found, right = named(engine, state, predicate), passing(lake, where)
        sizes.add(len(right))
        if found != right:
            wrong.append((where, sorted(found ^ right)))
    assert wrong == []
    assert len(sizes) > 20


@pytest.mark.parametrize("where", NOT_ASKED)
def test_what_cannot_be_asked_is_left_out(asked: tuple[Lake, Engine, State], where: str) -> None:
    lake, _, state = asked
    schema = lake.snapshot.schema
    Where.parse(where, schema)  # it is a where
    assert translated(where, schema, state.columns) is None
    one = Compared(("width_px",), "=", 640)
    assert (
        translated(
            f"{where} AND width_px = 640"
            if " OR " not in where
            else f"({where}) AND width_px = 640",
            schema,
            state.columns,
        )
        == one
    )
    # Beside an OR, or under a NOT, what is left out would lose rows.
    assert translated(f"({where}) OR width_px = 640", schema, state.columns) is None
    assert translated(f"NOT (({where}) AND width_px = 640)", schema, state.columns) is None


def test_a_column_that_another_type_has_now_is_not_asked() -> None:
    before = engine_columns(pa.schema([("n", pa.int64()), ("m", pa.int64())]))
    now = pa.schema([("n", pa.float64()), ("m", pa.int64())])
    assert translated("n > 1", now, before) is None
    both = translated("m > 1 AND m < 5 AND n = 2", now, before)
    assert both == Every((Compared(("m",), ">", 1), Compared(("m",), "<", 5)))


def test_two_columns_of_one_name_to_the_eye_are_not_asked() -> None:
    schema = pa.schema([("a.b", pa.int64()), ("a", pa.struct([("b", pa.int64())]))])
    columns = engine_columns(schema)
    assert [each.path for each in columns] == [("a.b",), ("a", "b")]
    assert translated("a.b = 1", schema, columns) == Compared(("a", "b"), "=", 1)
    assert translated('"a.b" = 1', schema, columns) == Compared(("a.b",), "=", 1)
