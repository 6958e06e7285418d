"""What the first screen offers: each from the lake itself, and each finds something."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.arrays import Vectors
from service.lake import Lake
from service.search.suggested import Suggested
from service.search.suggestions import Suggestion, of_columns, of_words
from service.search.vocabulary import VOCABULARY
from tests.lakes import Desk, write


def side(desk: Desk, name: str, **columns: object) -> None:
    write(desk.photos / f"{name}.json", json.dumps(columns).encode())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Eight images: five in fog, three in sun; each has an id of its own, all have one maker."""
    desk = Desk(tmp_path)
    for number in range(8):
        desk.add(f"{number}.png", (255, number, 0))
        side(
            desk,
            str(number),
            weather="fog" if number < 5 else "sun",
            own_id=f"id-{number}",
            maker="only",
            at_text=f"2026-01-0{1 + number // 4}T08:00:00Z",
            **{"odd, name": number % 2 == 0 or number == 1, " ": "day" if number < 5 else "night"},
        )
    desk.index()
    return desk


def found(lake: Lake, where: str | None) -> int:
    return len(lake.browse(where).row_ids)


def test_values_of_columns_that_tell_images_apart(desk: Desk) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        suggestions = of_columns(lake.snapshot)
        assert suggestions == (
            Suggestion("weather: fog", where="weather IN ('fog')"),
            Suggestion("odd, name: true", where='"odd, name" IN (TRUE)'),
        )
        assert [found(lake, each.where) for each in suggestions] == [5, 5]


@pytest.mark.parametrize(
    ("columns", "text", "where", "images"),
    [
        # A quarter of a year: its last month.
        (
            ["2026-01-03T08:00:00", "2026-03-02T08:00:00", "2026-03-31T23:59:59"],
            "at in March 2026",
            "at >= TIMESTAMP '2026-03-01T00:00:00' AND at < TIMESTAMP '2026-04-01T00:00:00'",
            2,
        ),
        # Twelve days: the last of them.
        (
            ["2025-12-20T08:00:00", "2025-12-31T08:00:00", "2025-12-31T23:00:00"],
            "at on 31 December 2025",
            "at >= TIMESTAMP '2025-12-31T00:00:00' AND at < TIMESTAMP '2026-01-01T00:00:00'",
            2,
        ),
    ],
)
def test_the_latest_month_or_day(
    tmp_path: Path, columns: list[str], text: str, where: str, images: int
) -> None:
    desk = Desk(tmp_path)
    for number, _ in enumerate(columns):
        desk.add(f"{number}.png", (255, number, 0))
    table = tmp_path / "times.csv"
    lines = [f"{number}.png,{time}" for number, time in enumerate(columns)]
    table.write_text("\n".join(["path,at", *lines]) + "\n")
    desk.index(columns=table)
    with Lake.open(desk.lake, desk.model) as lake:
        assert of_columns(lake.snapshot) == (Suggestion(text, where=where),)
        assert found(lake, where) == images


def test_a_lake_without_columns_or_images_offers_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    only = desk.add("red.png", (255, 0, 0))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        assert of_columns(lake.snapshot) == ()
        # There is no z to say that a word stands out.
        assert of_words(lake.snapshot, never) == ()
    only.unlink()
    desk.sync(allow_empty=True)
    with Lake.open(desk.lake, desk.model) as lake:
        assert of_columns(lake.snapshot) == ()


def never(texts: Sequence[str]) -> Vectors:
    raise AssertionError("nothing is to be embedded")


def colours(tmp_path: Path, captions: bool = False) -> Desk:
    """200 nearly grey images, five green ones, four red ones and two blue ones."""
    desk = Desk(tmp_path)
    draws = np.random.default_rng(5)
    for number in range(200):
        red, green, blue = (128 + draws.integers(-9, 10, 3)).tolist()
        desk.add(f"grey-{number:03}.png", (red, green, blue))
    for name, count, rgb in (
        ("green", 5, (9, 255, 9)),
        ("red", 4, (255, 9, 9)),
        ("blue", 2, (9, 9, 255)),
    ):
        for number in range(count):
            desk.add(f"{name}-{number}.png", rgb, size=(4, 4 + number))
    if captions:
        for path in sorted(desk.photos.glob("*.png")):
            colour = path.stem.partition("-")[0]
            write(path.with_suffix(".txt"), f"the {colour}ish thing".encode())
    desk.index()
    return desk


def named(words: dict[str, tuple[int, int, int]]) -> Callable[[Sequence[str]], Vectors]:
    """Texts to colours; all others are of the grey in the middle."""

    def embed(texts: Sequence[str]) -> Vectors:
        rows = np.array([words.get(text, (128, 128, 128)) for text in texts], np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    return embed


def test_words_that_images_match_far_beyond_chance(tmp_path: Path) -> None:
    words = {
        "grass": (0, 255, 0),
        "a car": (255, 0, 0),
        "the sea": (0, 0, 255),
        "a dog": (0, 200, 9),
    }
    assert words.keys() <= set(VOCABULARY)
    desk = colours(tmp_path)
    with Lake.open(desk.lake, desk.model) as lake:
        offered = of_words(lake.snapshot, named(words))
    # Of the two words for green the better one; blue has two images, which are too few.
    assert {each.query for each in offered} == {"grass", "a car"}
    assert all(each.text == each.query and each.where is None for each in offered)


def test_captions_name_what_the_vocabulary_has_no_word_for(tmp_path: Path) -> None:
    desk = colours(tmp_path, captions=True)
    words = {"greenish": (0, 255, 0), "the": (0, 255, 0)}
    with Lake.open(desk.lake, desk.model) as lake:
        offered = of_words(lake.snapshot, named(words))
    # "reddish" is in four captions, which are too few; "the" is in all of them.
    assert [each.query for each in offered] == ["greenish"]


def test_they_are_worked_out_once_a_snapshot(tmp_path: Path) -> None:
    desk = colours(tmp_path)
    asked: list[str] = []
    answer = named({"grass": (0, 255, 0), "a car": (255, 0, 0)})

    def embed(texts: Sequence[str]) -> Vectors:
        asked.extend(texts)
        return answer(texts)

    with Lake.open(desk.lake, desk.model) as lake:
        suggested = Suggested()
        first = suggested.words(lake.snapshot, embed)
        assert sorted(asked) == sorted(VOCABULARY)
        assert suggested.words(lake.snapshot, never) == first
        # Another snapshot: counted anew, by the vectors of before.
        for path in desk.photos.glob("red-*"):
            path.unlink()
        desk.sync()
        lake.reload()
        assert {each.text for each in first} == {"grass", "a car"}
        assert [each.text for each in suggested.words(lake.snapshot, never)] == ["grass"]
