"""From data sets to what the objective takes:
features, sentence vectors, and who belongs to whom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.arrays import ModelArrays
from training.datasets import DataSet, Example
from training.features import Halves, OnProgress, image_features, image_maps, sentence_vectors
from training.graphs import map_shape
from training.imagenet import GROUPS, class_names, coarse_table, ungrouped
from training.last_block import LastBlock
from training.objective import Inputs, LearningSet, Teacher
from training.wordings import PLURALS, WORDINGS, plurals, wordings


@dataclass(slots=True)
class Texts:
    """All texts of a training, each once; they are read together when all are known."""

    positions: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> int:
        """Its position."""
        return self.positions.setdefault(text, len(self.positions))


@dataclass(frozen=True, slots=True)
class Seen:
    """The readable images of a set's split, and their features."""

    set: DataSet
    examples: tuple[Example, ...]
    features: Halves
    unreadable: int
    # (n, channels, side, side): what the last block takes, where it is to learn
    maps: Halves | None = None


class ImageInputs:
    """Makes what the image head takes from pooled features:
    the features, and the mixture of the classes' table.
    """

    def __init__(self, model: ModelArrays) -> None:
        backbone, table = model.image.backbone, model.image.class_table
        assert table is not None  # our own model folders have one
        self._weight, self._bias = (
            torch.tensor(backbone[f"_fc.{part}"]) for part in ("weight", "bias")
        )
        self._table, self._temperature = torch.tensor(table), model.image.temperature

    def __call__(self, features: Halves) -> Inputs:
        """:param features: (n, features)."""
        return self.of(torch.tensor(features.astype(np.float32)))

    def of(self, features: Tensor) -> Inputs:
        """:param features: (n, features)."""
        scores = functional.linear(features, self._weight, self._bias)
        mixture = torch.softmax(scores / self._temperature, -1) @ self._table
        both = torch.cat([features, mixture], 1)
        return Inputs(both, torch.softmax(scores, -1), both)


def seen(
    one: DataSet,
    split: str,
    model: ModelArrays,
    on_progress: OnProgress,
    *,
    with_maps: bool = False,
) -> Seen:
    """The images of one split through the backbone;
    those that cannot be read are left out and counted.

    :param with_maps: keep what the last block takes, too.
    """
    examples = [example for example in one.examples if example.split == split]
    if not examples:
        width = len(model.image.backbone["_conv_head.bias"])
        maps = np.empty((0, *map_shape(model.image)), np.float16) if with_maps else None
        return Seen(one, (), np.empty((0, width), np.float16), 0, maps)
    paths = [example.path for example in examples]
    maps = None
    if with_maps:
        maps = image_maps(one.name, paths, model.image, on_progress)
        readable = np.asarray(maps[:, 0].any(axis=(1, 2)))
        if not readable.all():
            maps = maps[readable]
        features = LastBlock(model.image).features(
            maps, lambda done: on_progress(f"pooling {one.name}", done, len(maps))
        )
    else:
        features = image_features(one.name, paths, model.image, on_progress)
        readable = np.asarray(features.any(axis=1))
        features = features[readable]
    kept = tuple(example for example, fine in zip(examples, readable, strict=True) if fine)
    return Seen(one, kept, features, len(examples) - len(kept), maps)


def learning_set(images: Seen, texts: Texts) -> tuple[LearningSet, list[int]]:
    """The set without its text vectors, and the positions in `texts` that they will be.

    Its own positions are into that list.
    """
    one, own = images.set, Texts()
    labels: NDArray[np.int64] | None = None
    classes: list[NDArray[np.int64]] = []
    if one.kind == "labelled":
        classes = [np.array([own.add(text) for text in wordings(name)]) for name in one.classes]
        labels = np.array([example.label for example in images.examples], np.int64)
        own_texts = [classes[label] for label in labels]
    else:
        own_texts = [
            np.array([own.add(text) for text in example.texts]) for example in images.examples
        ]
    same = np.arange(len(own.positions), dtype=np.int64)
    made = LearningSet(
        one.name, images.features, torch.empty(0), same, own_texts, labels, classes, images.maps
    )
    return made, [texts.add(text) for text in own.positions]


def teacher(texts: Texts, most: int) -> tuple[list[list[int]], list[list[int]]]:
    """Positions in `texts`: a list a wording for the classes,
    and one for groups and ungrouped classes.

    :param most: wordings, and plurals, to use.
    """
    names = class_names()
    rest = [names[position] for position in ungrouped()]
    fine = [
        [texts.add(wordings(name)[index]) for name in names]
        for index in range(min(most, len(WORDINGS)))
    ]
    coarse = [
        [texts.add(wordings(word)[index]) for word in [*GROUPS, *rest]]
        for index in range(min(most, len(WORDINGS)))
    ]
    for index in range(min(most, len(PLURALS))):
        words = [plurals(group)[index] for group in GROUPS]
        coarse.append([texts.add(text) for text in [*words, *(wordings(name)[0] for name in rest)]])
    return fine, coarse


def teacher_of(vectors: Tensor, fine: Sequence[list[int]], coarse: Sequence[list[int]]) -> Teacher:
    """:param vectors: (n, width), of all texts."""
    table = torch.tensor(coarse_table())
    return Teacher([vectors[one] for one in fine], [vectors[one] for one in coarse], table)


def read_texts(texts: Texts, model: ModelArrays, on_progress: OnProgress) -> Tensor:
    """(n, width): their sentence vectors, in the order of their positions."""
    return torch.tensor(sentence_vectors(list(texts.positions), model, on_progress))
