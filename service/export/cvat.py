"""cvat: a folder with `manifest.jsonl`, which CVAT makes a task's frames of, and `annotations.xml` for that task.

Both name images below the root that was given, which is CVAT's share or the top of its cloud storage; without one, by
the whole path without its first slash (a share of "/"), or as `bucket/name`. The manifest goes to that top, since
CVAT takes its names as relative to it. The XML is "CVAT for images 1.1": a tag a frame, `keep`, `ask` or `drop`, for a
task with labels of these names and type "tag". CVAT marks what it reads from a file as such, so that what people add
can be told from it when labels come back.

Sources: https://docs.cvat.ai/docs/dataset_management/dataset_manifest/, https://docs.cvat.ai/docs/other/xml_format/
"""

from __future__ import annotations

import posixpath
import re
from xml.sax.saxutils import escape, quoteattr

import orjson

from service.export.chunk import Folder, FolderFormat, Job
from service.export.item import Handover, Item, LeftOut

IMAGES = 10_000  # in a task: CVAT opens a job's list of frames whole
MANIFEST, ANNOTATIONS = "manifest.jsonl", "annotations.xml"
LABELS = ("keep", "drop", "ask")
# What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Task:
    def __init__(self, job: Job, folder: Folder) -> None:
        self._root = job.root
        self._count = 0
        self._manifest = folder.open(MANIFEST)
        self._manifest.write(b'{"version":"1.1"}\n{"type":"images"}\n')
        self._xml = folder.open(ANNOTATIONS)
        self._xml.write(_head(job.handover).encode())

    def add(self, item: Item) -> None:
        name = item.below(self._root)
        if _NOT_XML.search(name):
            raise LeftOut("its path has a control character in it, which XML cannot hold")
        stem, suffix = posixpath.splitext(name)
        frame = {"name": stem, "extension": suffix, "width": item.width_px, "height": item.height_px}
        self._manifest.write(orjson.dumps(frame) + b"\n")
        self._xml.write(_image(self._count, name, item).encode())
        self._count += 1

    def finish(self) -> None:
        self._xml.write(b"</annotations>\n")


def _head(handover: Handover) -> str:
    labels = "".join(
        f"<label><name>{label}</name><type>tag</type><attributes></attributes></label>" for label in LABELS
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


NOTE = (
    f"a task of each folder: labels {', '.join(LABELS)} of type tag, its images chosen by {MANIFEST} at the top of the "
    f"share or cloud storage; then upload {ANNOTATIONS} as CVAT 1.1"
)
CVAT = FolderFormat("cvat", _Task, chunk=IMAGES, note=NOTE)
