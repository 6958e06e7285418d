"""CVAT's own XML: for images 1.1, in which images are named, and for video 1.1, which has tracks.

All marks count, whoever made them: an export does not say whether somebody looked at what a model
marked. Images without marks were in the task, and nothing was found on them.

Source: https://docs.cvat.ai/docs/other/xml_format/
"""

from __future__ import annotations

import io
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from xml.etree import ElementTree

from indexer.sources.labelled import Box, Said, split_of
from indexer.sources.labelled.reading.documents import Named
from indexer.sources.labelled.reading.names import spellings
from indexer.sources.labelled.reading.plain_xml import refuse_document_type
from indexer.sources.labelled.shapes import (
    Bounds,
    around,
    around_ellipse,
    around_turned,
    pairs,
    region_of,
)

# What marks a thing; points and lines are of a thing, and none.
_THINGS = frozenset({"box", "polygon", "ellipse", "mask", "cuboid", "skeleton"})
_OTHER_MARKS = frozenset({"tag", "points", "polyline"})
_FRAME_SUFFIXES = (".PNG", ".png", ".jpg", ".jpeg", ".JPG")
_MOST_FRAMES = 10_000_000
_NO_FRAMES = (
    "it has tracks of a video, and none of the video's frames lies beside it as "
    "images/frame_000000.png; export it from CVAT with its images"
)


def read(data: bytes, *, with_boxes: bool) -> Named:
    """:raises ValueError: if it is no such XML, is cut off, or has a document type."""
    refuse_document_type(data)
    reading = _Reading(with_boxes=with_boxes)
    root = ""
    inside: list[str] = []
    try:
        for event, element in ElementTree.iterparse(io.BytesIO(data), events=("start", "end")):
            if event == "start":
                root = root or element.tag
                inside.append(element.tag)
                if root != "annotations":
                    break
                continue
            if inside == ["annotations", "image"]:
                reading.image(element)
            elif inside == ["annotations", "track"]:
                reading.track(element)
            elif inside[:2] == ["annotations", "meta"]:
                reading.meta(inside[-1], element.text or "")
            if len(inside) == 2:
                element.clear()
            inside.pop()
    except ElementTree.ParseError as error:
        raise ValueError(f"its XML is broken ({error})") from error
    if root != "annotations":
        raise ValueError(
            f"it begins with <{root[:40]}>, not with <annotations> as CVAT's; see docs/labelled.md"
        )
    return reading.named()


@dataclass
class _Marks:
    """What is marked on one image."""

    labels: list[str] = field(default_factory=list)
    count: int = 0
    boxes: list[Box] = field(default_factory=list)

    def said(self, split: str | None = None) -> Said:
        return Said.of(self.labels, self.count, self.boxes, split)


class _Reading:
    """What was read so far."""

    def __init__(self, *, with_boxes: bool) -> None:
        self._with_boxes = with_boxes
        self._faults: Counter[str] = Counter()
        self._said: dict[str, Said | None] = {}
        self._twice: set[str] = set()
        self._frames: dict[int, _Marks] = defaultdict(_Marks)
        self._has_tracks = False
        self._told: dict[str, int] = {}

    def meta(self, tag: str, text: str) -> None:
        """Of a video: how many frames there are, and how large they are."""
        if tag in ("size", "width", "height") and text.isdigit():
            self._told.setdefault(tag, int(text))

    def image(self, image: ElementTree.Element) -> None:
        name = image.get("name")
        if not name or "\0" in name:
            self._faults["an image has no name, and is passed over"] += 1
            return
        if name in self._said:
            self._faults["a name is of two images, so what is said of either is not known"] += 1
            self._twice.add(name)
        marks, size = _Marks(), (_side(image.get("width")), _side(image.get("height")))
        for mark in image:
            self._add(marks, mark, mark.get("label"), size)
        self._said[name] = marks.said(split_of(image.get("subset") or ""))

    def track(self, track: ElementTree.Element) -> None:
        self._has_tracks = True
        size = (_side(self._told.get("width")), _side(self._told.get("height")))
        for mark in track:
            frame = mark.get("frame") or ""
            if frame.isdigit() and len(frame) < 10 and mark.get("outside") != "1":
                self._add(self._frames[int(frame)], mark, track.get("label"), size)

    def named(self) -> Named:
        for name in self._twice:
            self._said[name] = None
        if not self._has_tracks:
            return Named(self._said, self._faults)
        frames = {_frame_name(number): marks.said() for number, marks in self._frames.items()}
        # Which others there are is not told: those that lie there are.
        others = {_frame_name(n) for n in range(min(self._told.get("size", 0), _MOST_FRAMES))}
        others -= frames.keys()
        said = {**self._said, **frames, **{name: _Marks().said() for name in others}}
        return Named(
            dict(sorted(said.items())),
            self._faults,
            _spelt_frame,
            none_there=None if self._said else _NO_FRAMES,
            only_if_there=frozenset(others),
        )

    def _add(
        self, marks: _Marks, mark: ElementTree.Element, label: str | None, size: tuple[float, float]
    ) -> None:
        label = (label or "").strip()
        if mark.tag not in _THINGS | _OTHER_MARKS:
            self._faults[f"a {mark.tag[:40]} is no mark that is known, and is passed over"] += 1
            return
        if not label:
            self._faults["a mark has no label, and is passed over"] += 1
            return
        marks.labels.append(label)
        if mark.tag not in _THINGS:
            return
        marks.count += 1
        if not self._with_boxes:
            return
        bounds = _bounds(mark)
        region = None if bounds is None else region_of(*bounds, *size)
        if region is None:
            self._faults[f"a {mark.tag} has no place on its image, and cannot be cut out"] += 1
        else:
            marks.boxes.append(Box(label, region))


def _frame_name(number: int) -> str:
    return f"frame_{number:06d}"


def _spelt_frame(name: str) -> list[str]:
    if name.startswith("frame_") and name.removeprefix("frame_").isdigit():
        return [name + suffix for suffix in _FRAME_SUFFIXES]
    return spellings(name)


def _bounds(mark: ElementTree.Element) -> Bounds | None:
    """In px; None where a mark has none, as a skeleton, of which only the joints are known.

    A box and an ellipse are turned about their centre.
    """
    try:
        degrees = float(mark.get("rotation") or 0)
        if mark.tag == "box":
            left, top, right, bottom = _numbers(mark, "xtl", "ytl", "xbr", "ybr")
            (left, right), (top, bottom) = sorted((left, right)), sorted((top, bottom))
            centre = ((left + right) / 2, (top + bottom) / 2)
            found: Bounds | None = around_turned(Bounds(left, top, right, bottom), degrees, centre)
        elif mark.tag == "ellipse":
            x, y, across, down = _numbers(mark, "cx", "cy", "rx", "ry")
            found = around_ellipse((x, y), (across, down), degrees)
        elif mark.tag == "mask":
            left, top, width, height = _numbers(mark, "left", "top", "width", "height")
            found = Bounds(left, top, left + width, top + height)
        elif mark.tag == "polygon":
            points = [point.split(",") for point in (mark.get("points") or "").split(";") if point]
            found = around((float(x), float(y)) for x, y in points)
        elif mark.tag == "cuboid":
            corners = [
                f"{axis}{side}{i}"
                for side in ("tl", "bl", "tr", "br")
                for i in (1, 2)
                for axis in ("x", "y")
            ]
            found = around(pairs(_numbers(mark, *corners)))
        else:
            found = None
    except ValueError:
        return None
    is_sane = found is not None and all(math.isfinite(n) and abs(n) < 2**31 for n in found)
    return found if is_sane else None


def _numbers(mark: ElementTree.Element, *names: str) -> list[float]:
    """:raises ValueError: if one is none, or is not there."""
    return [float(mark.get(name) or "") for name in names]


def _side(size_px: str | int | None) -> float:
    try:
        side = float(size_px or 0)
    except ValueError:
        return math.inf
    return side if 1 <= side < 2**31 else math.inf
