"""yolo: a folder that Ultralytics' trainers read once boxes are drawn.

It has data.yaml, images.txt, images/ and labels/.

The images stay where they are: `images/` holds links to them, named by row_id and the image's
format. YOLO looks for an image's boxes in a file of its name in `labels/` beside `images/`, so with
bare paths of the originals every label would have to lie among the photos, and two photos of one
name in folders that differ in more than that would meet. `labels/` is empty: an image without a
file there counts as one without objects, so label before you train. The one class is named as the
filter; data.yaml is yours to change.

What Ultralytics does not read is left out and told here: it passes over such files without a word.

Sources: https://docs.ultralytics.com/datasets/detect/
and its reader itself (`ultralytics.data`, 8.4), by hand.
"""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pyarrow.compute as pc

from service.formats.batch import Batch, LeftOutItem
from service.formats.chunk import Folder, Job
from service.formats.item import IS_PART, SUFFIXES, Handover, Item, LeftOut
from service.search.json_columns import bytes_of, joined

# Of our formats all but GIF; heic wants the package pi-heif there.
READ = {
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
    ".heic",
    ".heif",
    ".jp2",
    ".mpo",
}
SMALLEST_PX = 10  # Ultralytics takes an image with a shorter side for a broken one
LIST, DATA, IMAGES, LABELS = "images.txt", "data.yaml", "images", "labels"


class Writer:
    def __init__(self, job: Job, folder: Folder) -> None:
        self._images = folder.path / IMAGES
        self._images.mkdir()
        (folder.path / LABELS).mkdir()
        folder.open(DATA).write(_yaml(job.handover).encode())
        self._list = folder.open(LIST)

    def add(self, item: Item) -> None:
        self._list.write(self._linked(item))

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        names = _names(batch)
        paths = batch.local_paths.cast(pa.binary()).filter(names.is_valid()).to_pylist()
        for path, name in zip(paths, names.drop_null().to_pylist(), strict=True):
            self._link(path, name)
        lines, left_out = batch.lines(joined(f"./{IMAGES}/", names, "\n"), self._linked_as_text)
        self._list.write(bytes_of(lines))
        return left_out

    def _linked(self, item: Item) -> bytes:
        """Its line in the list."""
        if item.is_part:
            raise LeftOut(IS_PART)
        if item.path is None:
            raise LeftOut("it is not on this machine's disks, and YOLO reads files there")
        if item.suffix not in READ:
            raise LeftOut(f"YOLO reads no {item.suffix} files; convert it first")
        item.check_size()
        if min(item.width_px, item.height_px) < SMALLEST_PX:
            raise LeftOut(f"YOLO reads no images below {SMALLEST_PX} pixels a side")
        name = f"{item.row_id:012d}{item.suffix}"
        self._link(item.path, name)
        return f"./{IMAGES}/{name}\n".encode()

    def _linked_as_text(self, item: Item) -> str:
        return self._linked(item).decode()

    def _link(self, path: bytes, name: str) -> None:
        # Not pathlib: it interns each name, and a table of all interned strings that grows takes
        # megabytes at once.
        os.symlink(os.fsdecode(path), f"{self._images}/{name}")  # noqa: PTH211

    def finish(self) -> None: ...


def _names(batch: Batch) -> pa.Array:
    """text, (n,): the names of links; null where only an Item tells."""
    formats = pc.utf8_lower(batch.column("format"))
    read = {name: suffix for name, suffix in SUFFIXES.items() if suffix in READ}
    known = pc.index_in(formats, pa.array(list(read), pa.string()))
    sizes = [batch.size(name) for name in ("width_px", "height_px")]
    is_fine = pc.and_(*(pc.greater_equal(size, SMALLEST_PX) for size in sizes))
    is_ours = pc.and_(is_fine, batch.local_paths.is_valid())
    digits = pc.utf8_lpad(batch.column("row_id").cast(pa.string()), 12, "0")
    found = joined(digits, pa.array(list(read.values()), pa.string()).take(known))
    return pc.if_else(is_ours, found, pa.scalar(None, pa.string()))


def _yaml(handover: Handover) -> str:
    """JSON's strings are YAML's too: https://yaml.org/spec/1.2.2/#chapter-1-introduction-to-yaml"""
    about = f"{handover.filter}, version {handover.version}, snapshot {handover.snapshot}: {handover.decision}"
    return (
        f"# {_one_line(about)}\n# {_one_line(handover.promise)}\n"
        f"train: {LIST}\nval: {LIST}  # the same: set some aside\n"
        f"names:\n  0: {json.dumps(handover.filter)}  # what you draw boxes around\n"
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


NOTE = f"put the boxes of images/N.jpg into {LABELS}/N.txt, set some images aside in {DATA}, then train with it"
