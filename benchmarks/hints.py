"""How often search says wrongly that nothing stands out, and how often it fails to say so.

Run it with `python -m benchmarks hints --data FOLDER_OF_SETS`. The sets are those of `quality`. Of
each, its photos are a lake, and asked for is: what is there (class names, or one caption a photo),
each labelled class once its photos are taken out, and what `hint_queries` has: the same in English,
other languages, and nonsense; these also of all sets mixed, in lakes of several sizes. Only what
`service.search.remarks` decides is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.hint_queries import (
    ENGLISH,
    KEYS,
    LATER,
    LATIN,
    OTHER_SCRIPTS,
    invented_words,
    random_letters,
)
from benchmarks.machine import describe_machine
from benchmarks.quality_models import (
    QualityModel,
    VectorCache,
    image_vectors,
    open_model,
    text_vectors,
)
from benchmarks.quality_sets import QualitySet, read_sets
from indexer.arrays import Vectors
from indexer.embed.builtin import BuiltinEmbedder
from indexer.errors import LakeError
from service.search.remarks import hint
from service.search.search import MAD_TO_SIGMA

NONSENSE = 100  # texts of each kind
SIZES = (100, 300)  # of lakes of all sets mixed; and all photos
FIRST = 10  # hits that a person looks at
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rate:
    """Of so many queries of a kind, how many got the hint."""

    data: str
    images: int
    kind: str
    queries: int
    said: int
    best_z: float  # median of the best hits

    @property
    def share(self) -> float:
        return self.said / self.queries if self.queries else float("nan")


class Asking:
    """Photos as a lake, and what is said of a text."""

    def __init__(
        self,
        name: str,
        photos: Vectors,
        model: QualityModel,
        reader: BuiltinEmbedder,
        cache: VectorCache,
    ) -> None:
        """:param photos: float32, (photos, dim), unit rows."""
        self._name, self.photos = name, photos
        self._model, self._reader, self._cache = model, reader, cache

    def among(self, photos: Vectors, name: str) -> Asking:
        """The same, of other photos."""
        return Asking(name, photos, self._model, self._reader, self._cache)

    def rate(self, kind: str, texts: Sequence[str], out: Sequence[Mask] | None = None) -> Rate:
        """:param out: of each text, (photos,): those that are taken out first."""
        answers = [self._ask(text, z) for text, z in zip(texts, self._z(texts, out), strict=True)]
        return self._rate(kind, [said for said, _ in answers], [best for _, best in answers])

    def rate_found(self, kind: str, texts: Sequence[str], right: Sequence[Mask]) -> Rate:
        """Only the texts of which one of the first hits is right."""
        answers = []
        for text, z, wanted in zip(texts, self._z(texts, None), right, strict=True):
            if wanted[np.argsort(-z)[:FIRST]].any():
                answers.append(self._ask(text, z))
        return self._rate(kind, [said for said, _ in answers], [best for _, best in answers])

    def _z(self, texts: Sequence[str], out: Sequence[Mask] | None) -> Iterator[Vectors]:
        scores = text_vectors(self._model, texts, self._cache) @ self.photos.T
        for number, of_text in enumerate(scores):
            left = of_text if out is None else of_text[~out[number]]
            centre = np.median(left)
            yield (left - centre) / (MAD_TO_SIGMA * np.median(np.abs(left - centre)))

    def _ask(self, text: str, z: Vectors) -> tuple[bool, float]:
        best = float(z.max())
        said = hint([(text, self._reader.read(text))], best, lambda: len(z), is_alone=True)
        return said is not None, best

    def _rate(self, kind: str, said: Sequence[bool], best: Sequence[float]) -> Rate:
        median = float(np.median(best)) if best else float("nan")
        images = len(self.photos)
        return Rate(self._name, images, kind, len(said), sum(said), median)


def measure_hints(data: QualitySet, asking: Asking) -> Iterator[Rate]:
    """A row a kind of query."""
    texts, right = _present(data)
    yield asking.rate("there", texts)
    yield asking.rate_found(f"there, and among the first {FIRST}", texts, right)
    if data.classes:
        yield asking.rate("class taken out", texts, right)
    yield asking.rate("English", ENGLISH)
    yield from measure_strange(asking)


def measure_strange(asking: Asking, seed: int = 0) -> Iterator[Rate]:
    """What no photo answers, whichever there are.

    :param seed: of the nonsense.
    """
    yield asking.rate("other Latin languages", list(chain.from_iterable(LATIN.values())))
    yield asking.rate("languages added later", list(chain.from_iterable(LATER.values())))
    yield asking.rate("other scripts", list(chain.from_iterable(OTHER_SCRIPTS.values())))
    yield asking.rate("random letters", random_letters(NONSENSE, seed))
    yield asking.rate("invented words", invented_words(NONSENSE, seed + 1))
    yield asking.rate("keys struck", KEYS)


def _present(data: QualitySet) -> tuple[list[str], list[Mask]]:
    """Texts whose photos are there, and of each, which photos are right."""
    if data.classes:
        labels = np.array(data.labels)
        return list(data.classes), [labels == number for number in range(len(data.classes))]
    first = dict(zip(reversed(data.file_of_caption), reversed(data.captions), strict=True))
    places = np.arange(len(data.files))
    return [first[file] for file in sorted(first)], [places == file for file in sorted(first)]


def hints_table(rates: Sequence[Rate]) -> str:
    """Markdown: a line a set and kind."""
    lines = [
        "| set | photos | asked for | queries | hint | best z, median |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {rate.data} | {rate.images:,} | {rate.kind} | {rate.queries:,} | {rate.share:.1%} | {rate.best_z:.1f} |"
        for rate in rates
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks hints",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the folder of the sets"
    )
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="default: all in DIR")
    parser.add_argument("--most", type=int, metavar="N", help="photos a set at most")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep vectors here")
    options = parser.parse_args(arguments)
    rates: list[Rate] = []
    photos: list[Vectors] = []
    cache = VectorCache(options.cache)
    try:
        model, reader = open_model("builtin"), BuiltinEmbedder()
        asking = Asking("", np.empty((0, reader.dim), np.float32), model, reader, cache)
        for data in read_sets(options.data, options.sets, options.most):
            print(f"{data.name} ...", file=sys.stderr, flush=True)
            photos.append(image_vectors(model, data.files, cache))
            rates += measure_hints(data, asking.among(photos[-1], data.name))
        mixed = np.random.default_rng(0).permutation(np.concatenate(photos))
        for size in [*(size for size in SIZES if size < len(mixed)), len(mixed)]:
            # other nonsense than that of the sets
            rates += measure_strange(asking.among(mixed[:size], "mixed"), seed=100)
    except LakeError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(hints_table(rates))
    print(json.dumps({"hardware": describe_machine(), "rates": [asdict(rate) for rate in rates]}))
    return 0
