"""Label Studio: a list of tasks, as its exports JSON and JSON-MIN have it.

Several people may have looked at one image. What they agree on is known; where they differ, the
one whose annotation is marked as ground truth has the word, else nobody does. Predictions and
drafts are nobody's word.

Sources: https://labelstud.io/guide/task_format, https://labelstud.io/guide/export
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import unquote

from indexer.sources.labelled import Box, Part, Said
from indexer.sources.labelled.reading.addresses import (
    IMAGE_SUFFIXES,
    as_it_was,
    bare,
    is_address,
    spelt,
)
from indexer.sources.labelled.reading.documents import Named
from indexer.sources.labelled.shapes import (
    Bounds,
    around,
    around_ellipse,
    around_turned,
    region_of_parts,
)

# A region's names lie in its value, under its own type; under these there are none.
_NO_NAMES = frozenset({"text", "textarea", "rating", "number", "datetime", "relation", "pairwise"})
# The names of JSON-MIN beside the answers, which stand between the first and the second.
_ID, _ANNOTATOR = "id", "annotator"

_DIFFER = (
    "people say different things of an image, so what is on it is not known; mark one of the "
    "annotations as ground truth (such images have labels_disputed)"
)
_DIFFERENT_BOXES = "people drew the boxes of an image differently, so none is cut out"
_NO_PLACE = "a region has no place that is understood on its image, and cannot be cut out"
_PLAIN = (
    "an answer is a plain text, which may be a choice or a remark, so the labels are not known; "
    "export as JSON instead of JSON-MIN"
)
_NO_IMAGE = "a task names no image that is understood, and is passed over"
_NO_TASK = "a task is not built as one, and is passed over"


class _Answer(NamedTuple):
    """What one person says of an image."""

    said: Said
    is_truth: bool


def is_tasks(document: Any) -> bool:
    return isinstance(document, list)


def read(tasks: Any, document: str, *, with_boxes: bool) -> Named:
    """
    :param tasks: as the JSON has them.
    :param document: the file's name, beside which images may lie.
    :raises ValueError: if they are no tasks.
    """
    if not isinstance(tasks, list):
        raise ValueError("it is not a list of tasks, as Label Studio exports; see docs/labelled.md")
    faults: Counter[str] = Counter()
    answers: dict[str, list[_Answer]] = defaultdict(list)
    for task in tasks:
        try:
            name, found = _task(task, faults)
        except (TypeError, KeyError, ValueError, AttributeError):
            faults[_NO_TASK] += 1
            continue
        if name is None:
            faults[_NO_IMAGE] += 1
        else:
            answers[name] += found
    if tasks and not answers:
        raise ValueError("none of it is a task of Label Studio with an image; see docs/labelled.md")
    said = {name: _agreed(found, faults, with_boxes=with_boxes) for name, found in answers.items()}
    _refuse_one_of_two(said, faults)
    return Named(said, faults, lambda name: spelt(name, document), merge=_merged)


def _agreed(answers: Sequence[_Answer], faults: Counter[str], *, with_boxes: bool) -> Said | None:
    """What is known of an image; None if nobody looked at it."""
    truths = [answer for answer in answers if answer.is_truth]
    all_said = [answer.said for answer in (truths if len(truths) == 1 else answers)]
    said = _merged(all_said)
    if said is not None and said.is_disputed:
        faults[_DIFFER] += 1
    elif said is not None and with_boxes and len(all_said) > 1:
        drawn = any(each.boxes or each.parts for each in all_said)
        faults[_DIFFERENT_BOXES] += drawn and not (said.boxes or said.parts)
    return said


def _merged(all_said: Sequence[Said | None]) -> Said | None:
    """What several say alike."""
    known = [said for said in all_said if said is not None]
    if not known:
        return None
    first = known[0]
    if len({said.labels for said in known}) > 1 or any(said.is_disputed for said in known):
        return Said(None, is_disputed=True)
    if len({said.box_count for said in known}) > 1:
        return Said(first.labels, is_disputed=True)
    alike = len({(frozenset(said.boxes), frozenset(said.parts)) for said in known}) == 1
    return first if alike else replace(first, boxes=(), parts=())


def _task(task: Mapping[str, Any], faults: Counter[str]) -> tuple[str | None, list[_Answer]]:
    """The address of a task's image, None where it is not understood, and the answers."""
    annotations = task.get("annotations", task.get("completions"))
    if annotations is None and "data" not in task:
        return _image_of(task), [_Answer(_flat(task, faults), False)]
    answers = [
        _Answer(_said(annotation.get("result") or [], faults), bool(annotation.get("ground_truth")))
        for annotation in annotations or []
        if not (annotation.get("was_cancelled") or annotation.get("skipped"))
    ]
    return _image_of(task["data"]), answers


def _image_of(data: Mapping[str, Any]) -> str | None:
    """The address of the image among a task's data; None where it is not known which it is."""
    found: dict[str, str] = {k: value for k, value in data.items() if is_address(value)}
    if "image" in found:
        return found["image"]
    sure = {value for value in found.values() if bare(value).lower().endswith(IMAGE_SUFFIXES)}
    for candidates in (sure, set(found.values())):
        if candidates:
            return candidates.pop() if len(candidates) == 1 else None
    return None


def _refuse_one_of_two(said: dict[str, Said | None], faults: Counter[str]) -> None:
    """Two files that were uploaded under one name are two images, of which one may be here."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for address in said:
        if address.startswith("/data/") and not address.startswith("/data/local-files/"):
            by_name[as_it_was(unquote(address).rpartition("/")[2])].append(address)
    for addresses in by_name.values():
        for address in addresses if len(addresses) > 1 else ():
            faults[
                "two images were uploaded under one name, and what is said of either is lost"
            ] += 1
            said[address] = None


# what a person marked


class _Marks:
    """What one person marked on an image."""

    def __init__(self) -> None:
        self._labels: list[str] = []
        self._places: list[Box | Part] = []
        self._count = self._lost = 0

    def add(self, names: list[str], shape: Mapping[str, Any] | None) -> None:
        """
        :param names: of the classes of one region, or of the image.
        :param shape: an entry that says where the region is, if it is of a thing.
        """
        self._labels += names
        if shape is None:
            return
        self._count += 1
        places = [place for name in names if (place := _place(shape, name)) is not None]
        self._places += places
        self._lost += bool(names) and not places

    def said(self, faults: Counter[str]) -> Said:
        if self._lost:
            faults[_NO_PLACE] += self._lost
        boxes = [place for place in self._places if isinstance(place, Box)]
        parts = [place for place in self._places if isinstance(place, Part)]
        return Said.of(self._labels, self._count, boxes, parts=parts)


def _said(result: Iterable[Mapping[str, Any]], faults: Counter[str]) -> Said:
    """One annotation: its regions, each of which may be several entries of one id."""
    regions: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for number, entry in enumerate(result):
        # without an id it is by itself, as when a program wrote it
        regions[entry.get("id") or number].append(entry)
    marks = _Marks()
    for entries in regions.values():
        names = [name for entry in entries for name in _names(entry)]
        shape = next((entry for entry in entries if _shape(entry["value"]) is not None), None)
        marks.add(names, shape)
    return marks.said(faults)


def _flat(task: Mapping[str, Any], faults: Counter[str]) -> Said:
    """A task of JSON-MIN: the answers stand beside the data, each under its control's name."""
    marks = _Marks()
    is_answer = is_known = True
    keys = list(task)
    start = keys.index(_ID) + 1 if _ID in keys else 0
    for key in keys[start:]:
        is_answer = is_answer and key != _ANNOTATOR
        values = task[key] if isinstance(task[key], list) else [task[key]]
        for value in values:
            if isinstance(value, str) and is_answer:
                is_known = False
            if not isinstance(value, Mapping):
                continue
            kind = next((k for k in value if isinstance(value[k], list) and _is_kind(k)), "")
            is_thing = _shape(value) is not None
            names = list(_names({"type": kind, "value": value}))
            marks.add(names, {"value": value, **value} if is_thing else None)
    said = marks.said(faults)
    if is_known:
        return said
    faults[_PLAIN] += 1
    return replace(said, labels=None)


def _is_kind(key: str) -> bool:
    return key in ("choices", "labels", "taxonomy") or key.endswith("labels")


def _names(entry: Mapping[str, Any]) -> Iterator[str]:
    """:raises ValueError: if a name is not built as one."""
    kind = entry.get("type")
    if not isinstance(kind, str) or kind in _NO_NAMES:
        return
    found = entry["value"].get(kind)
    for name in found if isinstance(found, list) else ():
        if isinstance(name, list) and kind == "taxonomy":
            # the way from the top: a robin is a bird as well
            yield from map(_text, name)
        elif not (kind not in ("taxonomy",) and not isinstance(name, str)):
            yield _text(name)


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError("a name of a class is no text")
    return name


def _shape(value: Mapping[str, Any]) -> str | None:
    """What kind of thing a region marks; None: none, as a choice or a point."""
    if "points" in value:
        return "polygon" if value.get("closed") is not False and "vertices" not in value else None
    if "rle" in value or value.get("format") == "rle":
        return "brush"
    if "radiusX" in value:
        return "ellipse"
    if {"x", "y", "width", "height"} <= value.keys():
        return "rectangle"
    return None


def _place(entry: Mapping[str, Any], label: str) -> Box | Part | None:
    """A region's box in px, or in parts of an image whose size is not said; None: not known."""
    if entry.get("image_rotation") not in (None, 0):
        return None
    size = entry.get("original_width"), entry.get("original_height")
    width, height = (
        side if side is not None and _is_number(side) and side > 0 else None for side in size
    )
    if width is None or height is None:
        parts = _bounds(entry["value"], None)
        return None if parts is None else Part(label, parts)
    parts = _bounds(entry["value"], (width, height))
    region = None if parts is None else region_of_parts(parts, width, height)
    return None if region is None else Box(label, region)


def _bounds(value: Mapping[str, Any], size: tuple[float, float] | None) -> Bounds | None:
    """In parts of the image's sides. What is turned has no bounds where its size is not known.

    Numbers are percents of the sides. A box is turned about its corner, an ellipse about its
    centre.
    """
    shape, degrees = _shape(value), value.get("rotation") or 0
    if shape == "polygon":
        points = value["points"]
        if not all(len(point) >= 2 and all(map(_is_number, point[:2])) for point in points):
            return None
        found = around((point[0], point[1]) for point in points)
        return None if found is None else Bounds(*(each / 100 for each in found))
    names = {
        "rectangle": ("x", "y", "width", "height"),
        "ellipse": ("x", "y", "radiusX", "radiusY"),
    }.get(shape or "")
    if names is None or not all(_is_number(value.get(name)) for name in names):
        return None
    if not _is_number(degrees) or (degrees % 360 and size is None):
        return None
    # of percents and not of px where nothing is turned
    wide, high = size or (100, 100)
    sides = (wide, high, wide, high)
    x, y, across, down = (value[name] / 100 * side for name, side in zip(names, sides, strict=True))
    if shape == "ellipse":
        found = around_ellipse((x, y), (across, down), degrees)
    else:
        found = around_turned(Bounds(x, y, x + across, y + down), degrees, (x, y))
    return Bounds(*(each / side for each, side in zip(found, sides, strict=True)))


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) < 2**31
