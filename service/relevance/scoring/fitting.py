"""Makes scorers: a draft from prompts and examples,
before any label; and the best that labels allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.embed import Embedder
from indexer.embed.vectors import unit_rows
from indexer.errors import BadRequest
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.classifier import (
    Answered,
    Labels,
    Linear,
    Scores,
    average_precision,
    learn,
    out_of_fold,
)
from service.relevance.scoring.scorer import Scorer
from service.snapshot.threads import one_blas_thread

TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "an image showing {}")
EXAMPLES_BESIDE_TEXTS = 0.5  # their weight beside each text
MIN_OF_EACH = 2  # answers of either kind before anything is learnt from them
BACKGROUND_ROWS = 1_000
UNWANTED_IN_PRIOR = 0.25  # weight of the unwanted beside the wanted in a draft's direction
# How much better by cross-validated average precision another scorer must be than the draft
# corrected by answers. That one was never much worse than the best; the others were, and few
# answers cannot tell which.
MARGINS = {"draft": 0.05, "linear without the draft": 0.1}
SAID_ALREADY = (
    "a photo of ",
    "photo of ",
    "a picture of ",
    "picture of ",
    "an image of ",
    "image of ",
)


def draft(
    texts_keep: Sequence[str],
    texts_drop: Sequence[str],
    vectors_keep: Vectors,
    vectors_drop: Vectors,
    embedder: Callable[[], Embedder],
) -> Scorer:
    """A scorer from what a person said and showed;
    each text and each example is one vector of its side.

    :param vectors_keep: float32, (n, dim), unit rows: of images or rows like those wanted; (0, dim)
        for none.
    :param vectors_drop: likewise, like those unwanted.
    :param embedder: called only if there is a text.
    :raises BadRequest: if there is nothing wanted or unwanted, or a text is empty.
    """
    keep, drop = (
        _side(texts_keep, vectors_keep, embedder),
        _side(texts_drop, vectors_drop, embedder),
    )
    if not len(keep) + len(drop):
        raise BadRequest(
            "keep", "say or show what you want: give at least one text or example image"
        )
    has_texts = bool(texts_keep or texts_drop)
    dim = max(keep.shape[1], drop.shape[1])
    sides = [side if len(side) else np.empty((0, dim), np.float32) for side in (keep, drop)]
    return Scorer("prompts" if has_texts else "examples", sides[0], sides[1])


def _side(texts: Sequence[str], examples: Vectors, embedder: Callable[[], Embedder]) -> Vectors:
    """float32, (n, dim), unit rows: the examples' mean, or each text moved towards it.

    Not a row an example: the mean of ten found scenes with an average precision of 0.37, the
    nearest of the ten 0.27. Not beside the texts: an image is nearer to any image than to a text,
    so that the texts would hardly be heard.
    """
    shown = np.asarray(examples, np.float32)
    mean = unit_rows(shown.mean(axis=0, keepdims=True)) if len(shown) else shown
    if not texts:
        return mean
    said = prompt_vectors(texts, embedder())
    return unit_rows(said + np.float32(EXAMPLES_BESIDE_TEXTS) * mean) if len(shown) else said


def prompt_vectors(texts: Sequence[str], embedder: Embedder) -> Vectors:
    """float32, (n, dim), unit rows: each text's mean over the templates.

    :raises BadRequest: if a text is empty.

    Source: the prompt ensembles of Radford et al. (2021), 3.1.4; the mean is of the vectors, not of
    the scores.
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


@dataclass(frozen=True, slots=True)
class Fitted:
    """What answers made of a draft."""

    scorer: Scorer
    # of the scorer's scores; None: too few answers for a probability
    calibration: Calibration | None
    facts: dict[
        str, Any
    ]  # why this scorer: JSON; average_precision by candidate, chosen, because, labels, yes
    unseen: Scores  # float64, (n,): of each answered row, by a scorer that has not seen its answer


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A scorer, and what it says of the answered rows without having seen them."""

    scorer: Scorer
    unseen: Scores  # (n,), on the scorer's own scale
    reference: Scores  # of the rows that stand for the lake


def fit(
    vectors: Vectors, labels: Labels, draft: Scorer, background: Vectors | None = None
) -> Fitted:
    """The best of the draft, the draft corrected by the answers,
    and the answers alone; the same for the same numbers.

    Best is what ranks best in cross-validation: average precision over the answered rows and the
    background, which has as much weight as they. The draft stays as it is until there are two
    answers of each kind.

    :param vectors: float32, (n, dim), unit rows: those answered, skips and conflicts left out.
    :param labels: bool, (n,): True is relevant.
    :param draft: made by `draft`.
    :param background: float32, (m, dim): any rows of the lake, best its snapshot's `background`; up
        to 1,000 of them are used. Without them, a classifier knows only what people were shown, and
        ranks the rest much worse.
    """
    answered = _answered(vectors, labels, draft, background)
    yes = int(np.count_nonzero(labels))
    facts: dict[str, Any] = {"labels": len(labels), "yes": yes}
    as_it_was = _drafted(draft, answered)
    if min(yes, len(labels) - yes) < MIN_OF_EACH:
        because = f"there are fewer than {MIN_OF_EACH} answers of each kind"
        return _fitted("draft", as_it_was, labels, {**facts, "because": because})
    with one_blas_thread():
        candidates = {
            "draft with labels": _learnt(answered),
            "draft": as_it_was,
            "linear without the draft": _learnt(replace(answered, prior=None)),
        }
    found = {name: _quality(candidate, labels) for name, candidate in candidates.items()}
    chosen = max(found, key=lambda name: found[name] - MARGINS.get(name, 0))
    facts |= {"average_precision": {name: round(value, 4) for name, value in found.items()}}
    return _fitted(
        chosen, candidates[chosen], labels, {**facts, "because": _because(chosen, found)}
    )


def _answered(
    vectors: Vectors, labels: Labels, draft: Scorer, background: Vectors | None
) -> Answered:
    behind = np.empty((0, draft.dim), np.float32) if background is None else background
    some = behind[:: max(1, len(behind) // BACKGROUND_ROWS)][:BACKGROUND_ROWS]
    return Answered(
        np.asarray(vectors, np.float32), np.asarray(labels, bool), some, _direction(draft)
    )


def _direction(draft: Scorer) -> NDArray[np.float32]:
    """float32, (dim,), unit length: the one direction that is most like the draft."""
    total = np.zeros((1, draft.dim), np.float32)
    if len(draft.keep):
        total += unit_rows(draft.keep.mean(axis=0, keepdims=True))
    if len(draft.drop):
        share = UNWANTED_IN_PRIOR if len(draft.keep) else 1.0
        total -= np.float32(share) * unit_rows(draft.drop.mean(axis=0, keepdims=True))
    return np.asarray(unit_rows(total)[0], np.float32)


def _drafted(draft: Scorer, answered: Answered) -> _Candidate:
    scores = draft.of(answered.vectors).astype(np.float64)
    return _Candidate(draft, scores, draft.of(answered.reference).astype(np.float64))


def _learnt(answered: Answered) -> _Candidate:
    scorer = _as_scorer(learn(answered))
    reference = scorer.of(answered.reference).astype(np.float64)
    unseen = out_of_fold(answered) * (reference.std() or 1.0) + reference.mean()
    return _Candidate(scorer, unseen, reference)


def _as_scorer(linear: Linear) -> Scorer:
    weights = linear.weights[None]
    return Scorer("linear", weights, np.empty((0, weights.shape[1]), np.float32), bias=linear.bias)


def _quality(candidate: _Candidate, labels: Labels) -> float:
    """Average precision, the reference's rows taken for irrelevant
    ones that weigh as much as the answers.
    """
    behind = len(candidate.reference)
    return average_precision(
        np.concatenate([candidate.unseen, candidate.reference]),
        np.concatenate([labels, np.zeros(behind, bool)]),
        np.concatenate([np.ones(len(labels)), np.full(behind, len(labels) / max(behind, 1))]),
    )


def _because(chosen: str, found: Mapping[str, float]) -> str:
    usual = found["draft with labels"]
    if chosen == "draft with labels":
        return (
            f"no other scorer ranks clearly better than its {usual:.3f} on answers it has not seen"
        )
    return f"it ranks better ({found[chosen]:.3f}) than the draft corrected by the answers ({usual:.3f})"


def _fitted(name: str, candidate: _Candidate, labels: Labels, facts: dict[str, Any]) -> Fitted:
    calibration = Calibration.fit(candidate.unseen, np.asarray(labels, bool))
    return Fitted(candidate.scorer, calibration, {"chosen": name, **facts}, candidate.unseen)
