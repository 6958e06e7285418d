"""Makes scorers: a draft from prompts and examples, before any label; and the best that labels allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from indexer.embed import Embedder, Vectors
from indexer.embed.vectors import unit_rows
from indexer.errors import BadRequest
from service.relevance.scorer import Scorer

TEMPLATES = ("{}", "a photo of {}", "a picture of {}")
SAID_ALREADY = ("a photo of ", "photo of ", "a picture of ", "picture of ", "an image of ", "image of ")


def draft(
    texts_keep: Sequence[str],
    texts_drop: Sequence[str],
    vectors_keep: Vectors,
    vectors_drop: Vectors,
    embedder: Callable[[], Embedder],
) -> Scorer:
    """A scorer from what a person said and showed; each text and each example is one vector of its side.

    :param vectors_keep: float32, (n, dim), unit rows: of images or rows like those wanted; (0, dim) for none.
    :param vectors_drop: likewise, like those unwanted.
    :param embedder: called only if there is a text.
    :raises BadRequest: if there is nothing wanted or unwanted, or a text is empty.
    """
    keep, drop = _side(texts_keep, vectors_keep, embedder), _side(texts_drop, vectors_drop, embedder)
    if not len(keep) + len(drop):
        raise BadRequest("keep", "say or show what you want: give at least one text or example image")
    has_texts = bool(texts_keep or texts_drop)
    dim = max(keep.shape[1], drop.shape[1])
    sides = [side if len(side) else np.empty((0, dim), np.float32) for side in (keep, drop)]
    return Scorer("prompts" if has_texts else "examples", sides[0], sides[1])


def _side(texts: Sequence[str], examples: Vectors, embedder: Callable[[], Embedder]) -> Vectors:
    shown = np.asarray(examples, np.float32)
    if not texts:
        return shown
    said = prompt_vectors(texts, embedder())
    return np.concatenate([said, shown]) if len(shown) else said


def prompt_vectors(texts: Sequence[str], embedder: Embedder) -> Vectors:
    """float32, (n, dim), unit rows: each text's mean over the templates.

    :raises BadRequest: if a text is empty.

    Source: the prompt ensembles of Radford et al. (2021), 3.1.4; the mean is of the vectors, not of the scores.
    """
    if any(not text.strip() for text in texts):
        raise BadRequest("text", "it is empty; say what you look for")
    prompts = [template.format(_thing(text)) for text in texts for template in TEMPLATES]
    vectors = embedder.embed_texts(prompts).reshape(len(texts), len(TEMPLATES), -1)
    return unit_rows(vectors.mean(axis=1))


def _thing(text: str) -> str:
    """What the text is a photo of."""
    said = text.strip()
    for start in SAID_ALREADY:
        if said.lower().startswith(start) and len(said) > len(start):
            return said[len(start) :]
    return said
