"""cvat: a folder with `manifest.jsonl` and `annotations.xml`.

CVAT makes a task's frames of the manifest, and takes the annotations for that task.

Both name images below the root that was given, which is CVAT's share or the top of its cloud
storage; without one, by the whole path without its first slash (a share of "/"), or as
`bucket/name`. The manifest goes to that top, since CVAT takes its names as relative to it. The XML
is "CVAT for images 1.1": a tag a frame, `keep`, `ask` or `drop`, for a task with labels of these
names and type "tag". CVAT marks what it reads from a file as such, so that what people add can be
told from it when labels come back.

Sources: https://docs.cvat.ai/docs/dataset_management/dataset_manifest/,
https://docs.cvat.ai/docs/other/xml_format/
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from indexer.sources.labelled.reading.plain_xml import refuse_document_type
from service.formats.batch import Batch, LeftOutItem
from service.formats.chunk import Folder, Job
from service.formats.incoming import Collected, IncomingLabels, Reading, plain_name, quoted
from service.formats.item import Handover, Item, LeftOut
from service.search.json_columns import bytes_of, joined, values_json

MANIFEST, ANNOTATIONS = "manifest.jsonl", "annotations.xml"
LABELS = ("keep", "drop", "ask")
# What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NOT_XML_RE2 = r"[^\t\n\r\x20-\x{d7ff}\x{e000}-\x{fffd}\x{10000}-\x{10ffff}]"


class Writer:
    def __init__(self, job: Job, folder: Folder) -> None:
        self._root = job.root
        self._count = 0
        self._manifest = folder.open(MANIFEST)
        self._manifest.write(b'{"version":"1.1"}\n{"type":"images"}\n')
        self._xml = folder.open(ANNOTATIONS)
        self._xml.write(_head(job.handover).encode())

    def add(self, item: Item) -> None:
        name = self._name(item)
        stem, suffix = posixpath.splitext(name)
        frame = {
            "name": stem,
            "extension": suffix,
            "width": item.width_px,
            "height": item.height_px,
        }
        self._manifest.write(orjson.dumps(frame) + b"\n")
        self._xml.write(_image(self._count, name, item).encode())
        self._count += 1

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        below = batch.below(self._root)
        is_fine = pc.and_not(batch.has_size, pc.match_substring_regex(below, _NOT_XML_RE2))
        found = pc.if_else(is_fine, below, pa.scalar(None, pa.string()))
        names, left_out = batch.told(found, self._name)
        if left_out:
            batch, names = batch.where(names.is_valid()), names.drop_null()
        self._manifest.write(bytes_of(_frames(names, batch)))
        self._xml.write(bytes_of(_images(self._count, names, batch)))
        self._count += len(batch)
        return left_out

    def _name(self, item: Item) -> str:
        item.check_size()
        name = item.below(self._root)
        if _NOT_XML.search(name):
            raise LeftOut("its path has a control character in it, which XML cannot hold")
        return name

    def finish(self) -> None:
        self._xml.write(b"</annotations>\n")


def _head(handover: Handover) -> str:
    labels = "".join(
        f"<label><name>{label}</name><type>tag</type><attributes></attributes></label>"
        for label in LABELS
    )
    name = escape(f"{handover.filter} {handover.version}: {handover.decision}")
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta><task>'
        f"<name>{name}</name><mode>annotation</mode><labels>{labels}</labels></task></meta>\n"
    )


def _image(number: int, name: str, item: Item) -> str:
    source = "auto" if item.label is None else "manual"
    size = f'width="{item.width_px}" height="{item.height_px}"'
    return (
        f'  <image id="{number}" name={quoteattr(name)} {size}>\n'
        f'    <tag label="{item.decision}" source="{source}"></tag>\n  </image>\n'
    )


def _frames(names: pa.Array, batch: Batch) -> pa.Array:
    """text, (n,): the lines of the manifest."""
    # As posixpath.splitext parts them, but for names that begin with a dot.
    parts = pc.extract_regex(names, r"(?s)^(?P<stem>(?:.*/)?[^/.][^/]*?)(?P<suffix>(?:\.[^/.]*)?)$")
    odd = parts.is_null()
    both = [posixpath.splitext(name) for name in names.filter(odd).to_pylist()]
    stems, suffixes = (
        pc.replace_with_mask(part, odd, pa.array([each[at] for each in both], pa.string()))
        for at, part in enumerate(parts.flatten())
    )
    return joined(
        '{"name":',
        values_json(stems),
        ',"extension":',
        values_json(suffixes),
        ',"width":',
        batch.size("width_px").cast(pa.string()),
        ',"height":',
        batch.size("height_px").cast(pa.string()),
        "}\n",
    )


def _images(first: int, names: pa.Array, batch: Batch) -> pa.Array:
    """text, (n,): as `_image`, numbered from the first."""
    is_plain = pc.invert(pc.match_substring_regex(names, '[&<>"\n\r\t]'))
    odd = [quoteattr(name) for name in names.filter(pc.invert(is_plain)).to_pylist()]
    quoted_names = joined('"', names, '"')
    if odd:
        quoted_names = pc.replace_with_mask(
            quoted_names, pc.invert(is_plain), pa.array(odd, pa.string())
        )
    return joined(
        '  <image id="',
        pa.array(np.arange(first, first + len(batch))).cast(pa.string()),
        '" name=',
        quoted_names,
        ' width="',
        batch.size("width_px").cast(pa.string()),
        '" height="',
        batch.size("height_px").cast(pa.string()),
        '">\n    <tag label="',
        batch.said("decision"),
        '" source="',
        pc.if_else(batch.said("label").is_null(), "auto", "manual"),
        '"></tag>\n  </image>\n',
    )


NOTE = (
    f"a task of each folder: labels {', '.join(LABELS)} of type tag, its images chosen by {MANIFEST} at the top of the "
    f"share or cloud storage; then upload {ANNOTATIONS} as CVAT 1.1"
)

MACHINES = frozenset({"file", "auto"})
MARKS = frozenset(
    {"tag", "box", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton"}
)


def read(data: bytes, reading: Reading) -> IncomingLabels:
    """:raises ValueError: if this is not such XML, is cut off, or has a document type.
    :raises BadRequest: if a category that means yes is none of the file's.
    """
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
            if inside[-3:] == ["labels", "label", "name"] and element.text:
                collected.categories.add(element.text)
            if inside[-1] == "track":
                collected.problem("a track", "it is of CVAT for video; export as CVAT for images")
            if inside[-1] == "image":
                _read_image(element, min(assignees) if len(assignees) == 1 else None, collected)
                element.clear()
            inside.pop()
    except ElementTree.ParseError as error:
        raise ValueError(f"its XML is broken ({error})") from error
    if root != "annotations":
        raise ValueError("it does not begin with <annotations>; export as CVAT for images 1.1")
    return collected.labels()


def _read_image(image: ElementTree.Element, labeller: str | None, collected: Collected) -> None:
    name = image.get("name")
    about = f"image {image.get('id', '?')}"
    if not name:
        collected.problem(about, "it has no name")
        return
    uri = collected.reading.uri_of(name)
    answered = collected.take(name, None, uri, _labels(image), labeller, plain=plain_name(name))
    collected.unanswered += not answered


def _labels(image: ElementTree.Element) -> Iterator[str]:
    """:raises ValueError: if a person made a mark without a label, or of a kind that is not known:
    it may mean anything.
    """
    for mark in image:
        label = mark.get("label")
        if mark.get("source") in MACHINES or (mark.tag not in MARKS and label is None):
            continue
        if mark.tag not in MARKS:
            raise ValueError(f"there is a {quoted(mark.tag)} on it, which is no mark of CVAT 1.1")
        if not label:
            raise ValueError(f"there is a {mark.tag} without a label on it")
        yield label
