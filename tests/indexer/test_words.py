from __future__ import annotations

import pytest

from indexer.words import count, moment, quoted, size


@pytest.mark.parametrize(
    ("number", "words", "told"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (1_234, ("image",), "1,234 images"),
        (1, ("row belongs", "rows belong"), "1 row belongs"),
        (2, ("row belongs", "rows belong"), "2 rows belong"),
        (1_234, (), "1,234"),
    ],
)
def test_a_number_with_its_noun(number: int, words: tuple[str, ...], told: str) -> None:
    assert count(number, *words) == told


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (40_028, "40.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_500_000, "1.5 MB"),
        (999_950_000, "1.0 GB"),
        (12_345_678_901_234, "12,345.7 GB"),
    ],
)
def test_a_size_with_its_unit(size_bytes: int, told: str) -> None:
    assert size(size_bytes) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-01-31T09:05:00.549+00:00", "2026-01-31 09:05:00 UTC"),
        ("2026-01-31T00:30:00+02:00", "2026-01-30 22:30:00 UTC"),
        ("2026-01-31T09:05:00", "2026-01-31 09:05:00"),
        ("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00+02:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_a_time_with_its_zone(text: str, told: str) -> None:
    assert moment(text) == told


def test_of_a_long_text_the_beginning_is_quoted() -> None:
    assert quoted("it's\n") == '"it\'s\\n"'
    assert quoted("abcd", 4) == "'abcd'"
    assert quoted("x" * 1_234, 4) == "'xxxx'... of 1,234 characters"
