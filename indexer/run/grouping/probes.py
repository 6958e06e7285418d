"""Queries to measure with: rows of the lake as images, its captions as texts, or plain wordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from indexer.arrays import Positions, Vectors
from indexer.disk.segment import Segment
from indexer.embed import Embedder
from indexer.run.grouping.grouped_rows import Counted
from indexer.run.grouping.wordings import wordings

# With a confidence of 95 % a lower bound is below 1 by log(20) / n at the least, if all queries are
# perfect: .003 with 1,000 queries, .0007 with 4,000. Where .992 is found, 1,000 vouch for .988 and
# 4,000 for .9907. Small lakes, whose searches are fast anyway, do not wait for so many texts.
PROBES, PROBES_OF_LARGE = 1_000, 4_000
_LARGE = 100_000  # rows
LEAST_CAPTIONS = 500  # different ones; with fewer it is measured with wordings
READ_GROUPS = 16  # row groups of the lake's Parquet files that captions are taken from
MAX_CHARS = 500


@dataclass(frozen=True, slots=True)
class Probes:
    """Queries of one kind."""

    vectors: Vectors  # (n, dim), unit rows
    made_of: str
    themselves: Positions | None = None  # (n,): the place that each of them is


def of_rows(counted: Counted, seed: int = 0) -> Probes:
    """Rows of the lake, drawn at random."""
    places = counted.sample(_wanted(counted.rows), seed + 2)
    vectors = counted.take(places)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return Probes(vectors / np.maximum(lengths, 1e-9), "rows", places)


def of_texts(segments: Sequence[Segment], model: Embedder, seed: int = 0) -> Probes:
    """The lake's captions, where it has enough of them; else plain wordings.

    :raises LakeError: if the rows cannot be read.
    """
    random = np.random.default_rng(seed + 3)
    captions = _captions(segments, random)
    wanted = _wanted(sum(segment.entry.rows for segment in segments))
    has_captions = len(captions) >= LEAST_CAPTIONS
    texts = captions if has_captions else wordings()
    texts = [texts[at] for at in np.sort(random.permutation(len(texts))[:wanted])]
    size = model.batch_size
    vectors = [model.embed_texts(texts[at : at + size]) for at in range(0, len(texts), size)]
    return Probes(np.concatenate(vectors), "captions" if has_captions else "wordings")


def _wanted(rows: int) -> int:
    return PROBES if rows < _LARGE else PROBES_OF_LARGE


def _captions(segments: Sequence[Segment], random: np.random.Generator) -> list[str]:
    """Different captions of some row groups, in one order."""
    places = [
        (segment, number) for segment in segments for number in range(segment.rows.num_row_groups)
    ]
    if len(places) > READ_GROUPS:
        chosen = np.sort(random.choice(len(places), READ_GROUPS, replace=False))
        places = [places[at] for at in chosen]
    found: set[str] = set()
    for segment, number in places:
        captions = segment.row_group(number, ["caption"])
        if captions.num_columns:
            found |= set(pc.unique(captions.column(0).drop_null()).to_pylist())
    return sorted(text[:MAX_CHARS] for text in found if text.strip())
