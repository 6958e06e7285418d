"""Pascal VOC: an XML for each image, in `Annotations/` beside `JPEGImages/`, or beside the image.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

from indexer.sources import ColumnValue, ImageFile, Listing, UnreadColumns
from indexer.sources.labelled import Box, Said
from indexer.sources.labelled.reading.files import Files, Folder, joined, name_of, shown
from indexer.sources.labelled.reading.plain_xml import refuse_document_type
from indexer.sources.labelled.shapes import region_of
from indexer.sources.local import os_reason

logger = logging.getLogger(__name__)

_MAX_XML_BYTES = 10_000_000
IMAGES, ANNOTATIONS = "JPEGImages", "Annotations"


class Voc:
    """The images of a VOC set, each with its objects. One without an XML was not looked at."""

    def __init__(self, root: str, files: Files) -> None:
        """:param root: the folder of `Annotations/`, or one with an XML beside each image."""
        self._files, self._root = files, root
        self._source: Folder | None = None  # of the last listing
        self._told = False

    def images(self, listing: Listing) -> Iterator[ImageFile]:
        self._told = False
        self._files.begin()
        self._source = self._files.folder(self._images_of(self._root))
        yield from self._source.files(listing)

    def mark(self, file: ImageFile) -> str | None:
        marks = (self._files.mark(name) for name in _places(file))
        return next((mark for mark in marks if mark is not None), None)

    def said(self, file: ImageFile) -> Said | None:
        for name in _places(file):
            try:
                return _read(self._files.read(name, _MAX_XML_BYTES + 1))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UnreadColumns(shown(name), os_reason(error)) from error
            except ValueError as error:
                self._tell(name, str(error))
                return None
        return None

    def beside(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return {} if self._source is None else self._source.columns(file)

    def sites(self, most: int) -> list[str]:
        return []

    def _images_of(self, root: str) -> str:
        # Beside the photos a set has pictures that are outlines, and no photos.
        inner = joined(root, IMAGES)
        return inner if self._files.is_folder(inner) else root

    def _tell(self, name: str, reason: str) -> None:
        if not self._told:
            self._told = True
            logger.warning("%s is not read: %s; no more of these are told", shown(name), reason)


def is_voc(root: str, files: Files) -> bool:
    """Whether a folder is a VOC set for sure."""
    return all(files.is_folder(joined(root, name)) for name in (IMAGES, ANNOTATIONS))


def _places(file: ImageFile) -> list[str]:
    """Where the XML of an image may be."""
    before_last, slash, last = name_of(file.address).rpartition("/")
    stem = last.rpartition(".")[0] or last
    beside = f"{before_last}{slash}{stem}.xml"
    found = []
    for images, folders in ((IMAGES, (ANNOTATIONS,)), ("images", ("annotations", ANNOTATIONS))):
        before, is_in, after = beside.rpartition(f"/{images}/")
        if is_in:
            found += [f"{before}/{folder}/{after}" for folder in folders]
    return [*found, beside]


def _read(data: bytes) -> Said | None:
    """:raises ValueError: if it is no such XML."""
    if len(data) > _MAX_XML_BYTES:
        raise ValueError(f"it has more than {_MAX_XML_BYTES:,} bytes")
    refuse_document_type(data)
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"its XML is broken ({error})") from error
    if root.tag != "annotation":
        raise ValueError(f"it begins with <{root.tag[:40]}>, not with <annotation>")
    width, height = (_side(root, side) for side in ("width", "height"))
    labels, boxes = [], []
    for each in root.findall("object"):
        name = (each.findtext("name") or "").strip()
        labels.append(name)
        if (box := _box(each, name, width, height)) is not None:
            boxes.append(box)
    return Said.of(labels, len(labels), boxes)


def _side(root: ElementTree.Element, side: str) -> float:
    size_px = _number(root.findtext(f"size/{side}"))
    return math.inf if size_px is None or size_px < 1 else size_px


def _box(each: ElementTree.Element, name: str, width: float, height: float) -> Box | None:
    """Corners count from 1, and both belong to the box."""
    corners = [
        _number(each.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
    ]
    if not name or None in corners:
        return None
    left, top, right, bottom = (corner for corner in corners if corner is not None)
    (left, right), (top, bottom) = sorted((left, right)), sorted((top, bottom))
    region = region_of(left - 1, top - 1, right, bottom, width, height)
    return None if region is None else Box(name, region)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if abs(number) < 2**31 else None
