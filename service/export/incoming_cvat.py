"""CVAT's XML, "CVAT for images 1.1": frames with tags and shapes, each of a label.

CVAT does not say who answered: the labeller is the assignee, where the file names one person alone. What it read from
a file (`source="file"`, as the decisions that were handed over) or a model made (`auto`) is nobody's answer.

The file may be a stranger's: a document type, with which entities could be made to grow without end, is refused before
anything of it is expanded.

Source: https://docs.cvat.ai/docs/other/xml_format/
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from service.export.incoming import Collected, IncomingLabels, Reading

MACHINES = frozenset({"file", "auto"})
MARKS = frozenset({"tag", "box", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton"})


def read_cvat(data: bytes, reading: Reading) -> IncomingLabels:
    """:raises ValueError: if this is not such XML, is cut off, or has a document type."""
    refuse_document_type(data)
    collected = Collected(reading)
    assignees: set[str] = set()
    root = ""
    inside: list[str] = []
    try:
        for event, element in ElementTree.iterparse(io.BytesIO(data), events=("start", "end")):
            if event == "start":
                root = root or element.tag
                inside.append(element.tag)
                continue
            if inside[-2:] == ["assignee", "username"] and element.text:
                assignees.add(element.text)
            if inside[-1] == "track":
                collected.problem("a track", "it is of CVAT for video; export as CVAT for images")
            if inside[-1] == "image":
                _image(element, min(assignees) if len(assignees) == 1 else None, collected)
                element.clear()
            inside.pop()
    except ElementTree.ParseError as error:
        raise ValueError(f"its XML is broken ({error})") from error
    if root != "annotations":
        raise ValueError("it does not begin with <annotations>; export as CVAT for images 1.1")
    return collected.labels()


def refuse_document_type(data: bytes) -> None:
    """:raises ValueError: if the XML declares a document type; what is not XML at all is its reader's to tell."""

    def declared(*_: Any) -> None:
        raise ValueError("it declares a document type, which no export of CVAT does; it is not read")

    def begun(*_: Any) -> None:
        raise _Begun  # a document type stands before the first element, or nowhere

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = declared
    parser.StartElementHandler = begun
    with suppress(expat.ExpatError, _Begun):
        parser.Parse(data, True)


class _Begun(Exception):
    pass


def _image(image: ElementTree.Element, labeller: str | None, collected: Collected) -> None:
    name = image.get("name")
    about = f"image {image.get('id', '?')}"
    if not name:
        collected.problem(about, "it has no name")
        return
    uri = collected.reading.uri_of(name)
    collected.unanswered += not collected.take(name, None, uri, _labels(image), labeller)


def _labels(image: ElementTree.Element) -> Iterator[str]:
    for mark in image:
        if mark.tag in MARKS and mark.get("source") not in MACHINES:
            yield mark.get("label", "")
