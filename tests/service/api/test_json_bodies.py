"""A body is read as the standard library reads it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.json_bodies import parsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def outcome(read: Any, body: bytes) -> tuple[str, str]:
    """What comes of it, types and signs of zero included."""
    try:
        return "read", repr(read(body))
    except json.JSONDecodeError as error:
        return type(error).__name__, str(error)
    except (ValueError, RecursionError) as error:
        return type(error).__name__, ""


@given(VALUES, st.booleans())
def test_whatever_was_written_comes_back(value: object, is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    assert outcome(parsed, body) == outcome(json.loads, body)


@given(
    st.binary(max_size=40) | st.text('[]{}",:0123456789.eE+-\\u nul', max_size=30).map(str.encode)
)
def test_nonsense_is_refused_in_the_same_words(body: bytes) -> None:
    assert outcome(parsed, body) == outcome(json.loads, body)


@pytest.mark.parametrize(
    "text",
    [
        "1e400", "-1e400", "NaN", "[Infinity]", "-0", "-0.0", "5e-324", "18446744073709551616",
        "-9223372036854775809", "99999999999999999999999", "0.00012345678901234567", '{"a":1,"a":2}',
        '"\\ud800"', '"\\ud83d\\ude00"', '"\x00"', "[1,]", "", " ", "[" * 2000 + "]" * 2000,
    ],
)  # fmt: skip
def test_the_edges_of_numbers_and_texts(text: str) -> None:
    for body in (text.encode(), text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode()):
        assert outcome(parsed, body) == outcome(json.loads, body)


def test_numbers_are_those_nearest_to_what_was_written() -> None:
    assert parsed(b"[0.1, 1e-7, 123456789012345678]") == [0.1, 1e-7, 123456789012345678]
    assert math.isinf(parsed(b"1e999"))
