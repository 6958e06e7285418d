"""What is said beside an answer: that its words were hardly understood, or why nothing was found.

Pure: counts and hits in, sentences out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from statistics import NormalDist
from typing import Any

from indexer.embed import Reading
from service.search.decided import DecidedBy
from service.search.hits import Hit

# Of 1,000 captions and 1,100 names of things, and of nonsense and other languages, with `builtin`:
# `python -m benchmarks hints` has the rates.
LEAST_WHOLE = 0.7  # of a text's letters, in words that the vocabulary has as one piece
LEAST_PIECE = 3.0  # letters a piece, in the mean; English words that it has to cut give more
BEYOND_CHANCE = 1.0  # robust standard deviations
SHOWN_CHARS = 60  # of a text, in a sentence
_DID = {"keep": "kept", "ask": "left to a person", "drop": "dropped", "undecided": "left undecided"}


def hint(
    texts: Iterable[tuple[str, Reading]],
    best_z: float | None,
    rows: Callable[[], int],
    *,
    is_alone: bool,
) -> str | None:
    """A sentence about words that the model hardly knows, where the answer shows it; or None.

    :param texts: those of the query, wanted and unwanted, each with what the model makes of it.
    :param best_z: of the best hit; None: there is none, or it has no z.
    :param rows: tells among how many it is the best; asked only where it matters.
    :param is_alone: False: examples of other kinds shaped the answer too, so that its z tells
        nothing of the words.
    """
    read = list(texts)
    for text, reading in read:
        if not reading.read:
            return f"the model cannot read {_quoted(text)}; it reads English"
    if not read or not is_alone or best_z is None:
        return None
    if not is_hardly_known(reduce(add, (reading for _, reading in read))):
        return None
    if best_z >= best_of(rows()) + BEYOND_CHANCE:
        return None
    return "nothing stands out; this model reads English"


def best_of(rows: int) -> float:
    """The z that the best of so many rows has by chance: 2.3 for 100, 3.1 for 1,000, 4.8 for 10^6.

    Measured: the best hit of random letters is there, whatever the size of the lake.
    """
    return NormalDist().inv_cdf(1 - 1 / max(rows, 2))


def is_hardly_known(reading: Reading) -> bool:
    """Whether the vocabulary had to cut most of a text, and into small pieces."""
    return (
        reading.whole < LEAST_WHOLE * reading.letters
        and reading.read < LEAST_PIECE * reading.pieces
    )


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why nothing was found, and the best that there is."""

    rows: int  # live ones
    where: int | None  # rows that where keeps, whatever else is asked; None: it was not asked
    decided: int | None  # rows that the filter decided so
    passing: int  # rows that pass all of these
    by: DecidedBy | None
    min_z: float | None
    best: Hit | None  # of the rows that pass, whatever its z; where none passes, of all rows

    @property
    def sentence(self) -> str:
        best = "" if self.best is None or self.best.z is None else f"z {self.best.z:.1f}"
        if not self.rows:
            return "there is no image to search"
        if self.passing:
            wanted = f"a z of at least {self.min_z or 0:g}"
            if self.where is None and self.decided is None:
                return f"no image has {wanted}; the best there is has {best}"
            pass_ = "passes" if self.passing == 1 else "pass"
            return f"of {_images(self.passing)} that {pass_} none has {wanted}; the best has {best}"
        there = f"; without that, the best has {best}" if best else ""
        return f"{self._excluded()}{there}"

    def _excluded(self) -> str:
        all_rows = "the only image" if self.rows == 1 else f"all {self.rows:,} images"
        if self.where == 0:
            return f"`where` excludes {all_rows}"
        assert self.by is not None
        did = " or ".join(_DID[decision] for decision in self.by.decisions)
        if not self.decided:
            return f"filter {self.by.named} has {did} none of {_images(self.rows)}"
        return (
            f"`where` keeps {_images(self.where or 0)}, but none of the {self.decided:,} that filter "
            f"{self.by.named} has {did}"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "message": self.sentence,
            "rows": self.rows,
            "where": self.where,
            "filter": self.decided,
            "passing": self.passing,
            "best": None if self.best is None else self.best.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Remarks:
    """What is said beside the first page of an answer, or beside a whole one."""

    hint: str | None
    nothing: Nothing | None  # None: something was found

    def to_json(self) -> dict[str, Any]:
        """Only what there is to say."""
        said = {
            "hint": self.hint,
            "nothing": None if self.nothing is None else self.nothing.to_json(),
        }
        return {name: value for name, value in said.items() if value is not None}


def _images(rows: int) -> str:
    return "1 image" if rows == 1 else f"{rows:,} images"


def _quoted(text: str) -> str:
    bare = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f"“{bare if len(bare) <= SHOWN_CHARS else bare[: SHOWN_CHARS - 1] + '…'}”"
