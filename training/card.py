"""MODEL_CARD.md: what a model was made from,
what was measured of it, and what it cannot do, for who uses it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from indexer.errors import SourceError

NOT_STATED = "not stated"
SOURCE = "source.json"

PURPOSE = """\
It puts photos and English texts into one space, so that a lake can be searched by words ("a hospital room") or by an
example image, and so that a few labels are enough to rank the rest. It runs on a processor without torch and without a
network. It is meant for a first search and for choosing what to annotate; nothing should be decided about a
person from its scores."""

LIMITS = """\
- What no photo or caption it was trained on spoke of is not found; a score tells what is nearest, not that it is there.
- Counting ("three cups"), relations ("a cup left of a plate") and negation ("no people") are mostly ignored.
- Text in an image is not read.
- It does not tell one person from another, by face or otherwise.
- Fine-grained kinds (breeds, models of cars, species) are often mixed up where training had no class for each.
- English only: other languages are cut into pieces that mean little to it.
- It sees the middle square of a photo at {side_px} x {side_px} pixels; small things and what is at the edges are lost.
- It has learned its data's habits: what people look like, which objects stand in which rooms, which countries the
  photos come from. Look at what it does not find."""

REDISTRIBUTION = """\
Some of the sets above were published for research, and the licences of some photos are unknown or differ from photo to
photo. None of the photos and captions is in this folder, only weights that were fitted to them. Whether such
weights are bound by the licences of what they were fitted to is not settled and differs from country to country. Who
passes the weights on, or builds a product on them, should read the licence column and decide; who cannot accept a
set can train without it, as below."""

BETTER = """\
Models trained on hundreds of millions of pairs find much more: those of open_clip, as `--model
open_clip:ViT-B-32/laion2b_s34b_b79k`, wherever their weights can be had (`pip install 'lakesift[open-clip]'`). They are
larger and slower. Use one where you can; this model is for where you cannot, and to begin at once."""


@dataclass(frozen=True, slots=True)
class CardSet:
    """One set that was trained on. None: its source does not say."""

    name: str
    images: int  # that training used
    repository: str | None = None
    commit: str | None = None
    licence: str | None = None

    @classmethod
    def read(cls, folder: Path, images: int) -> CardSet:
        """A set in a folder, with what the source.json in it says, if there is one.

        :raises SourceError: if that file is not a JSON object.
        """
        path = folder / SOURCE
        if not path.is_file():
            return cls(folder.name, images)
        try:
            facts = json.loads(path.read_bytes())
        except ValueError as error:
            raise SourceError(
                str(path), f"it is not JSON ({error}); repair it or move it away"
            ) from error
        if not isinstance(facts, dict):
            raise SourceError(str(path), "it is not a JSON object; repair it or move it away")
        stated = (
            str(facts[key]) if facts.get(key) else None
            for key in ("repository", "commit", "licence")
        )
        return cls(folder.name, images, *stated)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says of one model."""

    name: str
    made: date
    size_bytes: int  # of the whole folder
    # in words, as in "EfficientNet-Lite2, fine-tuned, 1280 features; a head to 512"
    image_tower: str
    text_tower: str
    side_px: int
    sets: Sequence[CardSet]
    splits: str  # one sentence: what was trained on, what was held back
    seed: int
    steps: int
    measured: str  # Markdown, as of `python -m benchmarks quality`; "": nothing was measured
    rebuild: str  # the command that makes it again


def card(facts: CardFacts) -> str:
    """The whole MODEL_CARD.md, Markdown, ending in a newline."""
    images = sum(data.images for data in facts.sets)
    parts = [
        f"# {facts.name}",
        _summary(facts),
        "## What it is for",
        PURPOSE,
        "## What it is bad at",
        LIMITS.format(side_px=facts.side_px),
        "## Better models",
        BETTER,
        "## Measured",
        facts.measured.strip()
        or "Nothing was measured; see `python -m benchmarks quality --help`.",
        "## Trained on",
        f"{images:,} images of {len(facts.sets)} {'set' if len(facts.sets) == 1 else 'sets'}. {facts.splits}",
        _sets(facts.sets),
        REDISTRIBUTION,
        "## How to rebuild it",
        f"Seed {facts.seed}, {facts.steps:,} steps:",
        _shell(facts.rebuild),
        "The same seed on the same machine and versions gives the same weights; elsewhere sums round "
        "otherwise, and figures move a little.",
        "## How to adapt it",
        "A folder with class folders, a folder with a captions.csv (image,caption), or a CSV of a few labels of your "
        "own lake is enough to begin. Training continues from these weights:",
        _shell(
            "lakesift train MY_PHOTOS --base builtin --out my.model\n"
            "lakesift index PHOTOS --into new.lake --model builtin@my.model"
        ),
        "Vectors of two models cannot be compared: an adapted model needs a lake of its own. Measure it on images that "
        "it was not trained on before you trust it.",
    ]
    return "\n\n".join(parts) + "\n"


def _summary(facts: CardFacts) -> str:
    lines = {
        "made": facts.made.isoformat(),
        "size": f"{facts.size_bytes / 1e6:.1f} MB",
        "images": facts.image_tower,
        "texts": facts.text_tower,
    }
    return "\n".join(f"- {key}: {value}" for key, value in lines.items())


def _sets(sets: Sequence[CardSet]) -> str:
    lines = ["| set | images | source | commit | licence |", "|---|---|---|---|---|"]
    for data in sets:
        stated = (_cell(value) for value in (data.repository, data.commit, data.licence))
        lines.append(f"| {_cell(data.name)} | {data.images:,} | {' | '.join(stated)} |")
    return "\n".join(lines)


def _cell(text: str | None) -> str:
    return " ".join(text.split()).replace("|", "\\|") if text else NOT_STATED


def _shell(commands: str) -> str:
    return f"```\n{commands}\n```"
