"""Test sets on disk: the images of each,
and the class or the captions of each image. Only test splits are read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np

from indexer.errors import BadRequest, SourceError

Item = TypeVar("Item", Path, str)

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True)
class QualitySet:
    """One folder's test split: labelled, or captioned."""

    name: str
    files: tuple[Path, ...]
    classes: tuple[str, ...] = ()  # sorted; empty: captioned
    labels: tuple[int, ...] = ()  # position in `classes`, one a file
    captions: tuple[str, ...] = ()
    file_of_caption: tuple[int, ...] = ()  # position in `files`, one a caption


def read_sets(folder: Path, names: Sequence[str] | None, most: int | None) -> list[QualitySet]:
    """Every set in a folder that has a test split, or those named; sorted by name.

    :param most: images of each set at most: the first of each class, the second of each, ... in a
        seeded order.
    :raises SourceError: if there is no set, or one is not what it should be.
    :raises BadRequest: if there is none of a name.
    """
    if not folder.is_dir():
        raise SourceError(
            str(folder), "it is not a folder; name one that holds sets as SET/test/..."
        )
    found = {
        part.name: part / "test" for part in sorted(folder.iterdir()) if (part / "test").is_dir()
    }
    if not found:
        raise SourceError(
            str(folder), "it holds no set: expected SET/test/CLASS/*.jpg or SET/test/captions.csv"
        )
    if unknown := [name for name in names or () if name not in found]:
        raise BadRequest(
            "sets",
            f"{folder} has no {' or '.join(unknown)} with a test folder; it has {', '.join(found)}",
        )
    return [
        _read(name, test, most) for name, test in found.items() if names is None or name in names
    ]


def _read(name: str, test: Path, most: int | None) -> QualitySet:
    captions = test / "captions.csv"
    return _captioned(name, captions, most) if captions.is_file() else _labelled(name, test, most)


def _labelled(name: str, test: Path, most: int | None) -> QualitySet:
    by_class = {
        part.name: _shuffled(_images(part)) for part in sorted(test.iterdir()) if part.is_dir()
    }
    classes = tuple(label for label, files in by_class.items() if files)
    if not classes:
        raise SourceError(
            str(test), "it has neither class folders with images nor a captions.csv; put one there"
        )
    rounds = zip_longest(
        *([(file, i) for file in by_class[label]] for i, label in enumerate(classes))
    )
    pairs = [pair for pairs in rounds for pair in pairs if pair is not None][:most]
    return QualitySet(
        name, tuple(file for file, _ in pairs), classes, tuple(label for _, label in pairs)
    )


def _captioned(name: str, captions: Path, most: int | None) -> QualitySet:
    with captions.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not {"image", "caption"} <= set(reader.fieldnames or ()):
            raise SourceError(
                str(captions), "it lacks a column image or caption; its first line must name both"
            )
        rows = [(row["image"], row["caption"]) for row in reader if row["caption"]]
    if not rows:
        raise SourceError(str(captions), "it has no caption; expected lines of image,caption")
    chosen = _shuffled({image for image, _ in rows})[:most]
    if missing := [image for image in chosen if not (captions.parent / image).is_file()]:
        raise SourceError(
            str(captions),
            f"it names {missing[0]}, which is not beside it; add it or take its lines out",
        )
    place = {image: i for i, image in enumerate(chosen)}
    kept = [(text, place[image]) for image, text in rows if image in place]
    files = tuple(captions.parent / image for image in chosen)
    return QualitySet(
        name,
        files,
        captions=tuple(text for text, _ in kept),
        file_of_caption=tuple(i for _, i in kept),
    )


def _images(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]


def _shuffled(items: Iterable[Item]) -> list[Item]:
    """In one order, whatever the disk's."""
    ordered = sorted(items)
    return [ordered[i] for i in np.random.default_rng(0).permutation(len(ordered))]
