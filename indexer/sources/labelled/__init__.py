"""Sets of images that people labelled, as sources: COCO, YOLO, Pascal VOC, folders of classes, and
what Label Studio, CVAT and Datumaro write.

A set lists its images and says of each what is on it: `labels`, the names of its classes, and
`box_count`, how many things are marked on it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from indexer.address import Region
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.labelled.shapes import Bounds, region_of_parts
from indexer.sources.sidecars import mark

MAX_LABEL_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Box:
    """One thing that is marked on an image."""

    label: str
    region: Region


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is marked on an image, its place in parts of the image's sides, 0 to 1."""

    label: str
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Said:
    """What a set says of one image."""

    # each once, in the order of their code points; None: it is not known
    labels: tuple[str, ...] | None
    # None: the set knows no boxes, or how many is not known
    box_count: int | None = None
    # those that have a place on the image, where the set was asked for them
    boxes: tuple[Box, ...] = ()
    split: str | None = None  # as train or val, where the set is divided
    parts: tuple[Part, ...] = ()  # as boxes, of a set that does not know the image's size
    caption: str | None = None
    is_disputed: bool = False  # people who looked at it did not say the same

    @classmethod
    def of(
        cls,
        labels: Iterable[str],
        box_count: int | None = None,
        boxes: Iterable[Box] = (),
        split: str | None = None,
        parts: Iterable[Part] = (),
    ) -> Said:
        names = {label for label in map(clean, labels) if label}
        return cls(tuple(sorted(names)), box_count, tuple(boxes), split, tuple(parts))

    def of_region(self, region: Region) -> Said:
        """What is said of one part of the image alone."""
        return Said.of((box.label for box in self.boxes if box.region == region), split=self.split)

    def at_size(self, width_px: int, height_px: int) -> Said:
        """With its parts as boxes of an image of this size; of those that have a place there."""
        placed = (
            (part.label, region_of_parts(part.bounds, width_px, height_px)) for part in self.parts
        )
        boxes = (Box(label, region) for label, region in placed if region is not None)
        return replace(self, boxes=(*self.boxes, *boxes), parts=())

    @property
    def mark(self) -> str:
        """Changes with what is said."""
        later = (self.split, self.parts, self.caption, self.is_disputed)
        told = (self.labels, self.box_count, self.boxes)
        return mark((*told, *later) if any(later) else told)

    def columns(self) -> dict[str, ColumnValue]:
        columns: dict[str, ColumnValue] = {}
        if self.labels is not None:
            columns["labels"] = list(self.labels)
        if self.box_count is not None:
            columns["box_count"] = self.box_count
        if self.split is not None:
            columns["split"] = self.split
        if self.caption is not None:
            columns["caption"] = self.caption
        if self.is_disputed:
            columns["labels_disputed"] = True
        return columns


class LabelledSet(Protocol):
    """One kind of set. `mark` and `said` are for images of its last listing; `said` and `beside`
    are safe for threads.
    """

    def images(self, listing: Listing) -> Iterator[ImageFile]:
        """Every image, whether or not anything is said of it; `columns_etag` and `sidecars` are of
        what speaks of it beside the labels.

        :raises SourceError: if the set is not there, or cannot be read.
        """

    def mark(self, file: ImageFile) -> str | None:
        """Changes with what is said of an image; None: nothing is.

        :raises SourceError: if what speaks of it cannot be looked for.
        """

    def said(self, file: ImageFile) -> Said | None:
        """What is said of an image; None: nothing, since nobody looked at it.

        :raises UnreadColumns: if what speaks of it cannot be read just now.
        """

    def beside(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        """`caption` and columns of an image from what speaks of it beside the labels.

        :raises UnreadColumns: as `said`.
        """

    def sites(self, most: int) -> list[str]:
        """URLs of the sites that it names, beside that of the set itself; at most so many."""


@functools.lru_cache(100_000)
def clean(label: str) -> str:
    """A label as a lake holds it: one line, without control characters and half characters."""
    plain = label.encode("utf-8", "replace").decode()
    plain = "".join(letter if letter.isprintable() else " " for letter in plain)
    return " ".join(plain.split())[:MAX_LABEL_CHARACTERS]


# What sets call their parts, and what the column `split` has for it.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """The part of a set that a name says, as `val` of `instances_val2017` or `Validation`."""
    last = name.rpartition("_")[2].rstrip("0123456789").lower()
    return SPLITS.get(last)
