"""What a model must offer to the pipeline and to search, and how a model is found by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from indexer.arrays import InputShape, Pixels, Vectors


class Embedder(Protocol):
    """A model that puts images and texts into one space. Knows nothing of rows, files or lakes."""

    @property
    def model_id(self) -> str:
        """The name a user types: "builtin", "open_clip:ViT-B-32/openai"."""

    @property
    def fingerprint(self) -> dict[str, str | int]:
        """What makes two vectors comparable:
        name, weights (a sha256), preprocessing, dim, precision.
        """

    @property
    def dim(self) -> int: ...

    @property
    def input_shape(self) -> InputShape: ...

    @property
    def batch_size(self) -> int:
        """Images an encoder call that run fastest on this machine."""

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """float32, (n, dim), unit rows.
        Images of another size than input_shape are brought to it first.
        """

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32, (n, dim), unit rows."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a model does once on a machine before its first image, and what it takes."""

    precision: str  # to which it is brought: "int8"
    steps: int
    run: Callable[[Callable[[], None]], None]  # calls what it is given after each of its steps


@runtime_checkable
class Converts(Protocol):
    """What a model offers beside an `Embedder`'s whose first image may wait for a conversion."""

    def conversion(self) -> Conversion | None:
        """None: there is nothing to convert, or it is done. Who does not run it, has the first
        image do so.
        """


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of a text a model's vocabulary holds; digits count as letters."""

    letters: int  # of the text, as far as the model looks
    read: int  # those in pieces that the vocabulary has
    whole: int  # those in words that it has as one piece
    pieces: int  # that the text was cut into; signs do not count

    def __add__(self, other: Reading) -> Reading:
        return Reading(
            self.letters + other.letters,
            self.read + other.read,
            self.whole + other.whole,
            self.pieces + other.pieces,
        )


@runtime_checkable
class ReadsEnglish(Protocol):
    """What a model of English words offers beside an `Embedder`'s: what it makes of a text."""

    def read(self, text: str) -> Reading | None:
        """None: it cannot tell."""
