"""Rows and hits as JSON a column at a time: the bytes of one after the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import orjson
import pyarrow as pa
import pytest

from service import Lake
from service.search import search
from service.search.hit_lines import hit_lines, rounded
from service.search.hits import Hit, Span, row_json
from service.search.json_columns import bytes_of, columns_json, numbers_json, values_json
from service.search.query import Query
from tests.service.formats.batches import Given
from tests.service.lakes import Maker, unit


def test_values_by_hand() -> None:
    at = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    struct = pa.struct([("x", pa.float64()), ("y", pa.float64())])
    early = [datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 5)]
    given: list[tuple[pa.Array, list[str | None]]] = [
        (
            pa.array(["a", None, 'b"\\\n\x1f\x7fü']),
            ['"a"', None, '"b\\"\\\\\\n\\u001f\x7fü"'],
        ),
        (pa.array([True, None, False]), ["true", None, "false"]),
        (pa.array([-(2**62), None, 0]), ["-4611686018427387904", None, "0"]),
        (
            pa.array([0.1, None, 1e-7, 1e21, float("nan"), float("-inf"), -0.0]),
            ["0.1", None, "1e-7", "1e+21", '"nan"', '"-inf"', "-0.0"],
        ),
        (pa.array([0.25, 0.1], pa.float32()), ["0.25", "0.10000000149011612"]),
        (
            pa.array([at, None, at.replace(microsecond=42)], pa.timestamp("us", "UTC")),
            ['"2024-05-06T07:08:09+00:00"', None, '"2024-05-06T07:08:09.000042+00:00"'],
        ),
        (
            pa.array(early, pa.timestamp("us")),
            ['"0001-01-01T00:00:00"', '"1969-12-31T23:59:59.000005"'],
        ),
        (pa.array([["a", None], [], None], pa.list_(pa.string())), ['["a",null]', "[]", None]),
        (pa.array([{"x": 1.0, "y": None}, None], struct), ['{"x":1.0,"y":null}', None]),
        (pa.array([], pa.float64()), []),
        (pa.array([None, None], pa.string()), [None, None]),
    ]
    for values, expected in given:
        assert values_json(values).to_pylist() == expected
        # a piece of a column begins in the middle of what lies in memory
        assert values_json(values.slice(1)).to_pylist() == expected[1:]


def test_a_rows_columns_are_those_of_row_json() -> None:
    table = Given().rows
    expected = [orjson.dumps(row_json(row)["columns"]).decode() for row in table.to_pylist()]
    assert columns_json(table).to_pylist() == expected
    bare = table.select(["row_id", "etag"])  # no column has a value
    assert columns_json(bare).to_pylist() == ["{}"] * table.num_rows


def test_a_hits_line_is_its_document() -> None:
    table = Given().rows
    rows = table.to_pylist()
    scores = [0.1234565 * (1 - at / 8) for at in range(len(rows))]
    zs = [2.3455 - at for at in range(len(rows))]
    folded, spans = {1: (5, 7)}, {9: Span(1_000_000, 2_000_000, 3)}
    hits = [
        Hit(
            row["row_id"],
            score,
            z,
            row["uri"],
            row,
            folded.get(row["row_id"], ()),
            spans.get(row["row_id"]),
        )
        for row, score, z in zip(rows, scores, zs, strict=True)
    ]
    lines = b"".join(orjson.dumps(hit.to_json()) + b"\n" for hit in hits)
    assert bytes(hit_lines(table, np.array(scores), np.array(zs), folded, spans)) == lines
    bare = [Hit(hit.row_id, hit.score, None, hit.uri, hit.columns) for hit in hits]
    lines = b"".join(orjson.dumps(hit.to_json()) + b"\n" for hit in bare)
    assert bytes(hit_lines(table, np.array(scores), None, None, {})) == lines


def test_numbers_are_written_as_json_has_them() -> None:
    assert numbers_json([1.0, 0.5, float("nan")]).to_pylist() == ["1.0", "0.5", "null"]
    assert numbers_json([]).to_pylist() == []


def test_numbers_are_rounded_as_python_does_it() -> None:
    random = np.random.default_rng(1)
    by_hand = [0.1234565, 2.675, 0.0005, 1.0005, -0.0000001, 0.0, 1e300, float("inf"), 2.5e-7]
    half_way = (random.integers(-(10**6), 10**6, 2_000) + 0.5) / 10**6
    numbers = np.concatenate([by_hand, half_way, random.uniform(-9, 9, 5_000)])
    for digits in (3, 6):
        expected = [round(number, digits) for number in numbers.tolist()]
        # as texts, so that -0.0 is not 0.0
        assert list(map(repr, rounded(numbers, digits).tolist())) == list(map(repr, expected))


def test_bytes_of_a_piece_are_its_own() -> None:
    assert bytes(bytes_of(pa.array(["ab", "c", "d"]).slice(1, 1))) == b"c"
    assert bytes(bytes_of(pa.array([], pa.string()))) == b""


@pytest.mark.parametrize("at_once", [2, 5_000])
def test_lines_of_a_stream_are_its_hits(
    maker: Maker, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    for number in range(7):
        maker.add((1, number, 0), camera=None if number % 2 else "Nikon")
        if number == 3:
            maker.segment()
    lake: Lake = maker.open()
    monkeypatch.setattr(search, "LINES_AT_ONCE", at_once)
    every = Query(vectors=[(unit(1, 0, 0), 1.0)], k=None)
    for query in (every, replace(every, collapse=True), replace(every, where="row_id > 99")):
        asked = lake.understand(query)
        hits = list(search.stream(asked))
        lines = search.Lines(asked)
        expected = b"".join(orjson.dumps(hit.to_json()) + b"\n" for hit in hits)
        assert b"".join(lines) == expected
        assert lines.count == len(hits)
        assert lines.best() == (hits[0] if hits else None)
