"""A JSON of labels: COCO's, Label Studio's or Datumaro's, as it looks; and a folder's JSONs."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from functools import partial

from indexer.errors import SourceError
from indexer.sources import Listing
from indexer.sources.labelled import SPLITS, split_of
from indexer.sources.labelled.kinds import coco, datumaro, label_studio
from indexer.sources.labelled.reading import lenient_json
from indexer.sources.labelled.reading.documents import Document, Named
from indexer.sources.labelled.reading.files import Files, joined, parent, shown

_NEITHER = (
    "it is no set of COCO, Label Studio or Datumaro: it has no list of images, of tasks or of "
    "items; see docs/labelled.md"
)
# What COCO's own files say of its images again, or of other things than objects.
_OF_INSTANCES = "instances_"
_OF_CAPTIONS = "captions_"
_ROBOFLOW = "_annotations.coco.json"


def read(name: str, layout: str | None, with_boxes: bool, data: bytes) -> Named:
    """
    :param name: of the file.
    :param layout: how the user says that it is read: "coco", "label-studio" or "datumaro"; None: as
        it looks.
    :param with_boxes: the places of the boxes are wanted, and not their number alone.
    :raises ValueError: if it is no such file.
    """
    try:
        document = lenient_json.parse(data.removeprefix(codecs.BOM_UTF8))
    except ValueError as error:
        raise ValueError(f"it is no JSON ({error})") from error
    del data
    is_tasks, is_items = label_studio.is_tasks(document), datumaro.is_items(document)
    if layout == "label-studio" or (layout is None and is_tasks):
        return label_studio.read(document, name, with_boxes=with_boxes)
    if layout == "datumaro" or (layout is None and is_items):
        return datumaro.read(document, with_boxes=with_boxes)
    if layout is None and not coco.is_coco(document):
        raise ValueError(_NEITHER)
    return coco.read(document, name, with_boxes=with_boxes)


def single(
    name: str, layout: str | None, *, with_boxes: bool
) -> Callable[[Listing], list[Document]]:
    """The one file of this name, as `NamedImages` asks for its documents."""
    reader = partial(read, name, layout, with_boxes)
    return lambda listing: [Document(name, reader, _split(name))]


def folder(root: str, files: Files) -> Callable[[Listing], Sequence[Document]]:
    """The COCO files of a folder, as `NamedImages` asks for its documents: right in it, in its
    `annotations/`, and in the folders of its splits.
    """

    def found(listing: Listing) -> list[Document]:
        inner = ["", "annotations", *SPLITS]
        folders = dict.fromkeys(joined(root, name) for name in inner)
        names = [name for each in folders for name in files.names_in(each) if _is_json(name)]
        exports = [name for name in names if name.endswith(_ROBOFLOW)]
        names = exports or names
        last = {name: name.rpartition("/")[2] for name in names}
        if any(each.startswith(_OF_INSTANCES) for each in last.values()):
            kept = (_OF_INSTANCES, _OF_CAPTIONS)
            for name in names:
                if not last[name].startswith(kept):
                    why = (
                        "it may say of things again what instances_*.json do, and is left out; "
                        "give it by itself"
                    )
                    listing.left_out.append((shown(name), why))
            names = [name for name in names if last[name].startswith(kept)]
        if not names:
            where = "neither right in it, in annotations/ nor in folders as train/"
            raise SourceError(shown(root), f"there is no .json of COCO, {where}")
        # Boxes tell whether two files speak of the same things.
        return [Document(name, partial(read, name, "coco", True), _split(name)) for name in names]

    return found


def _is_json(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last.lower().endswith(".json") and not last.startswith(".")


def _split(name: str) -> str | None:
    """The part of its set that a file's name says, or else its folder's."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    return split_of(stem) or split_of(parent(name).rpartition("/")[2])
