"""Typed queries: the table that the page's test reads too, and what is shown of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.search.typed import TypedQuery

CASES = json.loads(
    (Path(__file__).parents[2] / "data" / "typed_queries.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_what_is_understood(case: dict[str, Any]) -> None:
    found = TypedQuery.parse(case["typed"])
    assert (list(found.wanted), list(found.unwanted)) == (case["wanted"], case["unwanted"])


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("a hospital room -baby", "wanted: a hospital room; unwanted: baby"),
        ('"a room" at night', 'wanted: "a room", "at night"'),
        ('-baby -"a red car"', 'unwanted: "baby", "a red car"'),
    ],
)
def test_what_was_understood_can_be_shown(typed: str, sentence: str) -> None:
    assert TypedQuery.parse(typed).sentence == sentence


@given(st.text(alphabet='ab5 -"“\\\n.°+–'))
def test_no_text_is_empty_or_has_blanks_around_it(typed: str) -> None:
    found = TypedQuery.parse(typed)
    for text in (*found.wanted, *found.unwanted):
        assert text and text == text.strip()


@given(st.lists(st.text(alphabet='ab-5"\\. ', min_size=1).map(str.strip).filter(bool), max_size=4))
def test_any_texts_can_be_typed(texts: list[str]) -> None:
    texts = [" ".join(text.split()) for text in texts]
    quoted = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    typed = " ".join(f'-"{text}"' for text in quoted)
    assert TypedQuery.parse(typed) == TypedQuery((), tuple(texts))
