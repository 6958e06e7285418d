"""What training wants: an image near its own texts,
far from other texts of its own set, and no knowledge lost.

The loss of a step is a sum of

- one contrast per set, each with negatives of its own only: captions against the captions of other
  images (InfoNCE both ways, van den Oord et al. 2018, arXiv 1807.03748), classes against the other
  classes of the set. One contrast over all sets at once learns first to tell the sets apart, which
  no query asks;
- of a labelled set, for each image and each class, whether the image is of it (a sigmoid, as in
  SigLIP: Zhai et al. 2023, arXiv 2303.15343). The contrast above ranks the classes of one image; a
  query ranks the images of one class;
- JOINT times such a contrast over a few examples of every set, so that sets do not come to lie on
one another;
- the classifier's knowledge: over the images of all sets, the classes that the image suggests among
  the names of all classes, or the plain words for groups of them, follow the probabilities of the
  classifier (Kullback-Leibler). No ImageNet photo is needed for this;
- the backbone's sense of likeness: of each image, how near the others are, follows how near they
  were to the backbone (Kullback-Leibler between softmaxes of cosines; relational distillation, Park
  et al. 2019, arXiv 1904.05068), so that what no text spoke of stays near its like;
- when a finished model is adapted: ANCHOR times the squared distance that images and texts move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.heads import LearningHead

IS_OF = 0.5  # weight of the sigmoid
# weight of a captioned set beside a labelled one of its size: its texts are what people say
CAPTIONED = 1.5
JOINT = 0.5
NEAR, NEAR_TEMPERATURE = 8.0, 0.1
ANCHOR = 20.0
LARGE_SET, LARGE_BATCH, BATCH = 4000, 512, 128
SETS_A_STEP = 6
JOINT_EXAMPLES = 64  # a set
TEACHER_EXAMPLES = 96  # a set
FIRST_SCALE = float(np.log(20.0))  # its logarithm
FIRST_BIAS = -5.0  # of the sigmoid: an image is of few classes
MOST_SCALE = 100.0  # of cosines before the softmax, as CLIP


@dataclass(frozen=True, slots=True)
class LearningSet:
    """One set, ready to learn from: what the towers' frozen parts say of it."""

    name: str
    inputs: NDArray[np.float16]  # (n, features): of the images
    texts: Tensor  # (m, width): sentence vectors
    same: NDArray[np.int64]  # (m,): equal where texts say the same in other words
    # n lists of positions in texts: of a labelled set, of its class
    own_texts: Sequence[NDArray[np.int64]]
    labels: NDArray[np.int64] | None  # (n,): position in `classes`; None: a captioned set
    # for each class the positions of its wordings, all as many
    classes: Sequence[NDArray[np.int64]]
    # (n, channels, side, side): where the last block learns
    maps: NDArray[np.float16] | None = None

    @property
    def weight(self) -> float:
        """In the sum of losses: a large set says more."""
        size = float(np.clip(np.sqrt(len(self.inputs) / 6000), 0.15, 2))
        return size if self.labels is not None else CAPTIONED * size


@dataclass(frozen=True, slots=True)
class Teacher:
    """What the classifier says of images, and the words for it."""

    fine: Sequence[Tensor]  # a wording each: (1000, width)
    coarse: Sequence[Tensor]  # a wording each: (groups + ungrouped classes, width)
    table: Tensor  # (1000, groups + ungrouped): probabilities of classes to those of words


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of a batch of images."""

    seen: Tensor  # (n, features + columns of the class table): what the image head takes
    probabilities: Tensor  # (n, 1000): what the classifier said before anything was learnt
    before: Tensor  # as `seen`, before the last block learnt; the same where it does not


@dataclass(frozen=True, slots=True)
class Anchor:
    """A finished model that is adapted: where images and texts were."""

    image_head: LearningHead
    text_head: LearningHead


class Objective(nn.Module):
    """The loss of one step over some sets; its own parameters are the scales of the softmaxes."""

    def __init__(
        self,
        image_head: LearningHead,
        text_head: LearningHead,
        sets: Sequence[LearningSet],
        teacher: Teacher,
        rng: np.random.Generator,
        anchor: Anchor | None,
        batch_share: float = 1.0,
    ) -> None:
        """:param batch_share: of the examples that a set usually gives to a step."""
        super().__init__()
        self.image_head, self.text_head = image_head, text_head
        self.scales = nn.Parameter(torch.full((len(sets) + 2,), FIRST_SCALE))
        self.is_scales = nn.Parameter(torch.full((len(sets),), FIRST_SCALE))
        self.is_biases = nn.Parameter(torch.full((len(sets),), FIRST_BIAS))
        self._sets, self._teacher, self._rng, self._anchor = sets, teacher, rng, anchor
        self._batch_share = batch_share

    def chosen(self) -> list[int]:
        """The sets of a step: the large ones always, of the others a few."""
        large = [index for index, one in enumerate(self._sets) if len(one.inputs) >= LARGE_SET]
        small = [index for index in range(len(self._sets)) if index not in large]
        return large + list(
            self._rng.choice(small, min(SETS_A_STEP, len(small)), replace=False) if small else []
        )

    def positions(self, index: int) -> NDArray[np.int64]:
        """The examples of a set for one step."""
        count = len(self._sets[index].inputs)
        size = min(round(self._batch_share * (LARGE_BATCH if count >= LARGE_SET else BATCH)), count)
        return np.asarray(self._rng.choice(count, size, replace=False))

    def forward(self, batches: Sequence[tuple[int, NDArray[np.int64], Inputs]]) -> Tensor:
        """The loss of a step over (set, positions, what the image head takes)."""
        total = torch.zeros(())
        pairs: list[tuple[Tensor, Tensor, NDArray[np.int64]]] = []
        images: list[tuple[Tensor, Inputs]] = []
        for index, positions, inputs in batches:
            one, vectors = self._sets[index], self.image_head(inputs.seen)
            images.append((vectors, inputs))
            contrast = self._captions if one.labels is None else self._classes
            loss, texts, same = contrast(index, positions, vectors)
            total = total + one.weight * loss
            pairs.append(
                (
                    vectors[:JOINT_EXAMPLES],
                    texts[:JOINT_EXAMPLES],
                    same[:JOINT_EXAMPLES] + (index << 32),
                )
            )
        if len(pairs) > 1:
            vectors, texts = (
                torch.cat([pair[0] for pair in pairs]),
                torch.cat([pair[1] for pair in pairs]),
            )
            total = total + JOINT * self._contrast(
                vectors, texts, np.concatenate([pair[2] for pair in pairs]), -1
            )
        total = total + self._knowledge(images) + NEAR * self._likeness(images)
        return total if self._anchor is None else total + ANCHOR * self._drift(images)

    def _captions(
        self, index: int, positions: NDArray[np.int64], vectors: Tensor
    ) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
        one = self._sets[index]
        chosen = np.array([self._rng.choice(one.own_texts[position]) for position in positions])
        texts, same = self.text_head(one.texts[chosen]), one.same[chosen]
        return self._contrast(vectors, texts, same, index), texts, same

    def _classes(
        self, index: int, positions: NDArray[np.int64], vectors: Tensor
    ) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
        one = self._sets[index]
        assert one.labels is not None
        wording = self._rng.integers(len(one.classes[0]))
        texts = self.text_head(one.texts[[positions_[wording] for positions_ in one.classes]])
        labels, cosines = one.labels[positions], vectors @ texts.T
        of_image = functional.cross_entropy(cosines * self._scale(index), torch.tensor(labels))
        is_of = functional.one_hot(torch.tensor(labels), len(texts)).float()
        scores = cosines * self.is_scales[index].exp().clamp(max=MOST_SCALE) + self.is_biases[index]
        of_class = functional.binary_cross_entropy_with_logits(
            scores, is_of, reduction="sum"
        ) / len(labels)
        return of_image + IS_OF * of_class, texts[labels], labels

    def _contrast(
        self, vectors: Tensor, texts: Tensor, same: NDArray[np.int64], scale: int
    ) -> Tensor:
        """InfoNCE both ways; all texts that say the same are right answers, in equal shares."""
        scores = vectors @ texts.T * self._scale(scale)
        right = torch.tensor(same[:, None] == same[None, :], dtype=torch.float32)
        right = right / right.sum(1, keepdim=True)
        to_text, to_image = functional.log_softmax(scores, 1), functional.log_softmax(scores.T, 1)
        return -0.5 * ((right * to_text).sum(1).mean() + (right * to_image).sum(1).mean())

    def _knowledge(self, images: Sequence[tuple[Tensor, Inputs]]) -> Tensor:
        vectors = torch.cat([vectors[:TEACHER_EXAMPLES] for vectors, _ in images])
        expected = torch.cat([inputs.probabilities[:TEACHER_EXAMPLES] for _, inputs in images])
        words = self._teacher.fine
        if self._rng.random() < 0.5:
            words, expected = self._teacher.coarse, expected @ self._teacher.table
        texts = self.text_head(words[int(self._rng.integers(len(words)))])
        scores = functional.log_softmax(vectors @ texts.T * self._scale(-2), 1)
        divergence: Tensor = functional.kl_div(scores, expected, reduction="batchmean")
        return divergence

    def _likeness(self, images: Sequence[tuple[Tensor, Inputs]]) -> Tensor:
        vectors = torch.cat([vectors[:TEACHER_EXAMPLES] for vectors, _ in images])
        before = torch.cat([inputs.before[:TEACHER_EXAMPLES] for _, inputs in images])
        before = functional.normalize(before - before.mean(0), dim=1)
        itself = torch.eye(len(vectors), dtype=torch.bool)
        now, then = (
            (rows @ rows.T / NEAR_TEMPERATURE).masked_fill(itself, -torch.inf)
            for rows in (vectors, before)
        )
        expected = functional.softmax(then, 1)
        found = functional.log_softmax(now, 1).masked_fill(itself, 0)
        divergence: Tensor = functional.kl_div(found, expected, reduction="batchmean")
        return divergence

    def _drift(self, images: Sequence[tuple[Tensor, Inputs]]) -> Tensor:
        assert self._anchor is not None
        now = torch.cat([inputs.seen[:TEACHER_EXAMPLES] for _, inputs in images])
        before = torch.cat([inputs.before[:TEACHER_EXAMPLES] for _, inputs in images])
        words = torch.cat([self._teacher.fine[0], self._teacher.coarse[0]])
        with torch.no_grad():
            images_before, texts_before = (
                self._anchor.image_head(before),
                self._anchor.text_head(words),
            )
        moved = (self.image_head(now) - images_before).square().sum(1).mean()
        drift: Tensor = moved + (self.text_head(words) - texts_before).square().sum(1).mean()
        return drift

    def _scale(self, index: int) -> Tensor:
        return self.scales[index].exp().clamp(max=MOST_SCALE)
