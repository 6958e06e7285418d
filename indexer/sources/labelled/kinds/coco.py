"""COCO: one JSON that names images, categories, and the annotations that join them.

Files that tools and people merged by hand give one id to two images, or one image two ids, and
name images and categories that are not there. What is certain is kept, the rest is told.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from indexer.sources.labelled import Box, Said
from indexer.sources.labelled.reading.addresses import spelt
from indexer.sources.labelled.reading.documents import Named
from indexer.sources.labelled.shapes import Bounds, around, around_mask, pairs, region_of


def is_coco(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("images"), list)


def read(document: Any, name: str, *, with_boxes: bool) -> Named:
    """
    :param document: as its JSON has it; it is taken apart.
    :param name: of its file, beside which images may lie.
    :param with_boxes: the places of the boxes are wanted, and not their number alone.
    :raises ValueError: if it is no COCO file.
    """
    for part in ("images", "annotations"):
        if not isinstance(document, dict) or not isinstance(document.get(part), list):
            raise ValueError(f"it has no list of {part}, as a COCO file has; see docs/labelled.md")
    # captions have none
    has_captions = any(isinstance(a, dict) and "caption" in a for a in document["annotations"][:1])
    if not isinstance(document.get("categories"), list) and not has_captions:
        raise ValueError("it has no list of categories, as a COCO file has; see docs/labelled.md")
    faults: Counter[str] = Counter()
    by_name, entries = _named(document["images"], faults)
    said = _Annotations(document, entries, faults, with_boxes=with_boxes)
    document.clear()
    # Label Studio names images as its server does
    spell = partial(spelt, document=name)
    return Named({name: said.of(keys) for name, keys in by_name.items()}, faults, spell)


def _named(images: list[Any], faults: Counter[str]) -> tuple[dict[str, list[Any]], dict[Any, Any]]:
    """The ids of each name, and the one entry of each id; None where an id is of two images."""
    by_name: dict[str, list[Any]] = {}
    entries: dict[Any, Any] = {}
    for entry in images:
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            faults["an image has no file_name, and is passed over"] += 1
            continue
        keys = by_name.setdefault(name, [])
        key = key_of(entry.get("id"))
        if key is None:
            faults["an image has no id, so nothing is said of it"] += 1
            keys.append(None)
            continue
        if key in entries and (entries[key] is None or entries[key]["file_name"] != name):
            faults["an id is of two images, so what is said of either is not known"] += 1
            entries[key] = None
        else:
            entries.setdefault(key, entry)
        if key not in keys:
            keys.append(key)
    return by_name, entries


class _Annotations:
    """What is said of each image, by its id."""

    def __init__(
        self,
        document: Mapping[str, Any],
        images: Mapping[Any, Any],
        faults: Counter[str],
        *,
        with_boxes: bool,
    ) -> None:
        self._images = images
        self._with_boxes = with_boxes
        self._labels: dict[Any, set[str]] = defaultdict(set)
        self._boxes: dict[Any, list[Box]] = defaultdict(list)
        self._counts: Counter[Any] = Counter()
        self._captions: dict[Any, list[str]] = defaultdict(list)
        # where no class is known, nobody looked for any
        self._has_categories = bool(document.get("categories"))
        names = _categories(document.get("categories") or [], faults)
        for each in _single(document["annotations"]):
            if not isinstance(each, dict):
                faults["an annotation is not built as one, and is passed over"] += 1
                continue
            image, name = key_of(each.get("image_id")), names.get(key_of(each.get("category_id")))
            if image not in images:
                faults["an annotation is of an image that is not there, and is passed over"] += 1
            elif name is None and isinstance(each.get("caption"), str):
                self._captions[image].append(each["caption"].strip())
            elif name is None:
                faults["an annotation is of a category that is not there, and is passed over"] += 1
            elif images[image] is not None:
                self._add(image, name, each, faults)

    def _add(self, image: Any, name: str, each: Mapping[str, Any], faults: Counter[str]) -> None:
        self._labels[image].add(name)
        # A crowd is a region with many of them in it, and no thing of its own.
        if each.get("iscrowd") in (1, True) or not _has_place(each):
            return
        self._counts[image] += 1
        if not self._with_boxes:
            return
        box = _box(each, name, self._images[image])
        if box is None:
            faults["a box has no place on its image, and cannot be cut out"] += 1
        else:
            self._boxes[image].append(box)

    def of(self, keys: Iterable[Any]) -> Said | None:
        """What is said of an image that has these ids; None where that is not known."""
        known = [key for key in keys if key is not None and self._images.get(key) is not None]
        if not known:
            return None
        captions = dict.fromkeys(text for key in known for text in self._captions[key] if text)
        if not self._has_categories:
            return Said(None, caption="\n".join(captions)) if captions else None
        said = Said.of(
            (label for key in known for label in self._labels.get(key, ())),
            sum(self._counts[key] for key in known),
            (box for key in known for box in self._boxes.get(key, ())),
        )
        if not captions:
            return said
        return Said(said.labels, said.box_count, said.boxes, caption="\n".join(captions))


def _single(annotations: list[Any]) -> Iterator[Any]:
    """One annotation after another; a panoptic file has a list of them for each image."""
    for each in annotations:
        segments = each.get("segments_info") if isinstance(each, dict) else None
        if not isinstance(segments, list):
            yield each
            continue
        for segment in segments:
            yield {**segment, "image_id": each.get("image_id")} if isinstance(segment, dict) else 0


def _categories(categories: list[Any], faults: Counter[str]) -> dict[Any, str]:
    names: dict[Any, str] = {}
    several = set()
    for each in categories:
        key = key_of(each.get("id")) if isinstance(each, dict) else None
        name = each.get("name") if key is not None else None
        if not isinstance(name, str) or not name.strip():
            faults["a category has no id or no name, and is passed over"] += 1
        elif names.setdefault(key, name) != name:
            several.add(key)
    for key in several:
        faults["an id is of two categories, and its annotations are passed over"] += 1
        del names[key]
    return names


def _has_place(each: Mapping[str, Any]) -> bool:
    """Whether an annotation is of a thing on the image: it has a box, an outline or a mask."""
    return any(each.get(name) not in (None, [], {}) for name in ("bbox", "segmentation"))


def _box(each: Mapping[str, Any], label: str, image: Mapping[str, Any]) -> Box | None:
    bounds = _bounds(each)
    if bounds is None:
        return None
    region = region_of(*bounds, _side(image.get("width")), _side(image.get("height")))
    return None if region is None else Box(label, region)


def _bounds(each: Mapping[str, Any]) -> Bounds | None:
    """As the box says, and where there is none as the outline or the mask does."""
    bbox, shape = each.get("bbox"), each.get("segmentation")
    if bbox not in (None, []):
        if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
            return None
        left, top, width, height = bbox
        return Bounds(left, top, left + width, top + height)
    if isinstance(shape, dict):
        try:
            return around_mask(shape)
        except ValueError:
            return None
    # an outline is of several pieces where something stands before the thing
    pieces = shape if isinstance(shape, list) else []
    if not all(
        isinstance(piece, list) and len(piece) % 2 == 0 and all(map(_is_number, piece))
        for piece in pieces
    ):
        return None
    return around(point for piece in pieces for point in pairs(piece))


def _side(size_px: Any) -> float:
    return size_px if _is_number(size_px) and size_px > 0 else math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**31


def key_of(value: Any) -> int | str | None:
    """An id; None: it is none. A table with gaps in it makes 7.0 of 7."""
    if type(value) is int or isinstance(value, str):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None
