from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.sources.cells import SAFE, safe_cell, text_of_cell


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 170", "'+49 170"),
        ("-5", "'-5"),
        ("@home", "'@home"),
        ("\t=1", "'\t=1"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("  =1", "'  =1"),
        ("＝1", "'＝1"),
        ("'=1", "''=1"),  # so that it comes back as '=1 and not as =1
        ("", ""),
        ("a=1", "a=1"),
        ("'tis", "'tis"),
        ("/photos/-1.jpg", "/photos/-1.jpg"),
    ],
)
def test_a_text_that_a_spreadsheet_would_run_has_a_quote_before_it(text: str, cell: str) -> None:
    assert safe_cell(text) == cell
    assert text_of_cell(cell) == text


def test_numbers_are_no_formulas() -> None:
    assert [safe_cell(value) for value in (-0.5, -3, None, True)] == [-0.5, -3, None, True]


@given(st.text(alphabet="'=+-@\t\r\n\0 ＝a", max_size=6))
def test_every_text_comes_back_in_arrow_too(text: str) -> None:
    cell = safe_cell(text)
    assert text_of_cell(cell) == text
    assert pc.replace_substring_regex(pa.array([cell]), SAFE, r"\1").to_pylist() == [text]
    assert cell == text or cell == f"'{text}"
