"""A card says every fact it is given, and what a set's source does not state."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from indexer.errors import SourceError
from training.card import CardFacts, CardSet, card

FACTS = CardFacts(
    name="rooms-7",
    made=date(2026, 11, 24),
    size_bytes=33_700_000,
    image_tower="EfficientNet-Lite2, 1280 features",
    text_tower="MiniLM, 6 layers",
    side_px=260,
    sets=[
        CardSet("rooms", 1200, "github:somebody/rooms", "f6a0f74645ea", "CC BY 4.0"),
        CardSet("odd|name", 34),
    ],
    splits="A tenth of each set was held back.",
    seed=11,
    steps=4500,
    measured="| set | R@10 |\n|---|---|\n| rooms | 31.4% |\n",
    rebuild="lakesift train rooms --out rooms-7.model --seed 11",
)


def test_every_fact_is_in_the_card() -> None:
    lines = card(FACTS).splitlines()
    assert lines[0] == "# rooms-7"
    for line in (
        "- made: 2026-11-24",
        "- size: 33.7 MB",
        "- images: EfficientNet-Lite2, 1280 features",
        "- texts: MiniLM, 6 layers",
        "| rooms | 31.4% |",
        "1,234 images of 2 sets. A tenth of each set was held back.",
        "| rooms | 1,200 | github:somebody/rooms | f6a0f74645ea | CC BY 4.0 |",
        "Seed 11, 4,500 steps:",
        "lakesift train rooms --out rooms-7.model --seed 11",
    ):
        assert line in lines
    assert "at 260 x 260 pixels" in card(FACTS)


def test_what_is_not_stated_is_said() -> None:
    assert "| odd\\|name | 34 | not stated | not stated | not stated |" in card(FACTS).splitlines()
    assert "Nothing was measured" in card(replace(FACTS, measured=""))


def test_a_set_tells_its_source_from_the_file_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "aid"
    folder.mkdir()
    assert CardSet.read(folder, 5) == CardSet("aid", 5)
    source = {"repository": "github:a/b", "commit": "c0ff", "licence": "", "images": 6000}
    (folder / "source.json").write_text(json.dumps(source))
    assert CardSet.read(folder, 5) == CardSet("aid", 5, "github:a/b", "c0ff", licence=None)


@pytest.mark.parametrize(
    ("content", "reason"), [("{", "it is not JSON"), ("[]", "it is not a JSON object")]
)
def test_a_damaged_source_is_one_sentence(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "source.json").write_text(content)
    with pytest.raises(SourceError, match=reason) as caught:
        CardSet.read(tmp_path, 1)
    assert str(tmp_path / "source.json") in str(caught.value)
