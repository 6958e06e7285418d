"""Datumaro's own JSON, one a subset, as CVAT exports it, too: items, each with its annotations.

Source: https://open-edge-platform.github.io/datumaro/ (data formats, datumaro)
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from indexer.sources.labelled import Box, Said
from indexer.sources.labelled.reading.documents import Named
from indexer.sources.labelled.reading.names import spellings
from indexer.sources.labelled.shapes import Bounds, around, around_mask, pairs, region_of

# What marks a thing; points and lines are of a thing, and none. A box is the exactest of one group.
_THINGS = ("bbox", "polygon", "mask", "ellipse")
_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".webp", ".bmp", ".tif")
_NO_NAME = "an item names no image, and is passed over"
_TWICE = "a name is of two items, so what is said of either is not known"
_NO_PLACE = "a thing has no place that is understood on its image, and cannot be cut out"


def is_items(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("items"), list)


def read(document: Any, *, with_boxes: bool) -> Named:
    """
    :param document: as its JSON has it.
    :param with_boxes: the places of the boxes are wanted, and not their number alone.
    :raises ValueError: if it is no such file.
    """
    if not is_items(document):
        raise ValueError("it has no list of items, as a Datumaro file has; see docs/labelled.md")
    try:
        names = [label["name"] for label in document["categories"]["label"]["labels"]]
    except (KeyError, TypeError) as error:
        raise ValueError(
            "it has no categories.label.labels, as a Datumaro file of images has"
        ) from error
    faults: Counter[str] = Counter()
    said: dict[str, Said | None] = {}
    twice = set()
    for item in document["items"]:
        name = _name(item)
        if name is None:
            faults[_NO_NAME] += 1
            continue
        if name in said:
            faults[_TWICE] += 1
            twice.add(name)
        said[name] = _of_item(item, names, faults, with_boxes=with_boxes)
    return Named({name: None if name in twice else s for name, s in said.items()}, faults, _spelt)


def _name(item: Any) -> str | None:
    """The path of an item's image; where none is told its id, which has no suffix."""
    if not isinstance(item, Mapping):
        return None
    image = item.get("image") or item.get("media")
    path = image.get("path") if isinstance(image, Mapping) else None
    for name in (path, item.get("id")):
        if isinstance(name, str) and name.strip() and "\0" not in name:
            return name
    return None


def _spelt(name: str) -> list[str]:
    found = spellings(name)
    if name.lower().endswith(_SUFFIXES):
        return found
    return [*found, *(each + suffix for each in found for suffix in _SUFFIXES)]


def _of_item(
    item: Mapping[str, Any], names: list[Any], faults: Counter[str], *, with_boxes: bool
) -> Said:
    labels: list[str] = []
    # What is of one group and label is one thing: a mask, and the box around it.
    things: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for number, each in enumerate(item.get("annotations") or []):
        label = _label(each, names)
        if label is None:
            faults["an annotation has no label that is there, and is passed over"] += 1
            continue
        labels.append(label)
        attributes = each.get("attributes")
        is_crowd = isinstance(attributes, Mapping) and attributes.get("is_crowd") is True
        if each.get("type") in _THINGS and not is_crowd:
            group = each.get("group") or 0
            things[label, ("group", group) if group else number].append(each)
    boxes = []
    size = _size(item)
    for (label, _), shapes in things.items() if with_boxes else ():
        first = min(shapes, key=lambda shape: _THINGS.index(shape["type"]))
        bounds = _bounds(first)
        region = None if bounds is None else region_of(*bounds, *size)
        if region is None:
            faults[_NO_PLACE] += 1
        else:
            boxes.append(Box(label, region))
    return Said.of(labels, len(things), boxes)


def _label(annotation: Any, names: list[Any]) -> str | None:
    number = annotation.get("label_id") if isinstance(annotation, Mapping) else None
    if type(number) is not int or not 0 <= number < len(names):
        return None
    name = names[number]
    return name if isinstance(name, str) and name.strip() else None


def _size(item: Mapping[str, Any]) -> tuple[float, float]:
    """Width and height in px, inf where they are not told."""
    image = item.get("image") or item.get("media")
    size = image.get("size") if isinstance(image, Mapping) else None
    if isinstance(size, list) and len(size) == 2 and all(_is_number(n) and n > 0 for n in size):
        return size[1], size[0]
    return math.inf, math.inf


def _bounds(shape: Mapping[str, Any]) -> Bounds | None:
    kind = shape["type"]
    if kind == "mask":
        try:
            return around_mask(shape.get("rle"))
        except ValueError:
            return None
    numbers = shape.get("bbox" if kind == "bbox" else "points")
    if not isinstance(numbers, list) or len(numbers) % 2 or not all(map(_is_number, numbers)):
        return None
    if kind == "polygon":
        return around(pairs(numbers))
    if len(numbers) != 4:
        return None
    if kind == "bbox":
        left, top, width, height = numbers
        return Bounds(left, top, left + width, top + height)
    return Bounds(*numbers)  # an ellipse by the corners around it


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**31
