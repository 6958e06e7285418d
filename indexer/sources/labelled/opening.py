"""From a place to a labelled set: by its name, by what is there, or as the user says."""

from __future__ import annotations

from functools import partial

from indexer.errors import SourceError
from indexer.sources import Listing
from indexer.sources.columns import ColumnTable
from indexer.sources.globs import has_magic
from indexer.sources.labelled import LabelledSet, json_file
from indexer.sources.labelled.kinds import cvat
from indexer.sources.labelled.kinds.classes import Classes
from indexer.sources.labelled.kinds.voc import Voc, is_voc
from indexer.sources.labelled.kinds.yolo import Yolo
from indexer.sources.labelled.reading.documents import Document, NamedImages
from indexer.sources.labelled.reading.files import Files, parent, shown
from indexer.sources.labelled.source import LabelledSource
from indexer.sources.names import CVAT_SUFFIXES, JSON_SUFFIXES, YOLO_SUFFIXES, is_url

LAYOUTS = ("folder", "classes", "voc", "coco", "yolo", "label-studio", "cvat", "datumaro")
NO_BOXES = (
    "its boxes cannot be rows of their own: of labelled sets alone they are known, and folders of "
    "classes have none; leave out --crops"
)
_JSON = ("coco", "label-studio", "datumaro")
_FOLDERS = ("folder", "classes", "voc")


def open_set(
    text: str,
    name: str,
    table: ColumnTable | None,
    layout: str | None,
    *,
    crops: bool = False,
    careful: bool = False,
) -> LabelledSource | None:
    """A labelled set; None where it is none.

    :param text: as the user typed it, for messages.
    :param name: the place, as `files` has names; a local one is there.
    :param layout: how it is read, one of LAYOUTS; None: as it looks.
    :param careful: True: a lake names the source, and not the user (`guard`).
    :raises SourceError: if it is no set of the layout that the user names.
    """
    files = Files(careful=careful)
    kind = _kind(name)
    is_folder = _is_folder(name, kind, files)
    if layout is None and is_url(name) and has_magic(name):
        return None
    if layout is None:
        # what lies in a bucket is not asked for: any folder there may be a large one
        is_set = is_folder and not is_url(name) and is_voc(name, files)
        layout = "voc" if is_set else None if is_folder else kind
    if layout is None or (layout == "folder" and is_folder):
        return None
    _check(text, name, layout, kind, is_folder=is_folder)
    if crops and layout in ("classes", "folder"):
        raise SourceError(text, NO_BOXES)
    images = _set_of(name, layout, files, is_folder=is_folder, crops=crops)
    uri = shown(name)
    root = uri if is_folder else shown(parent(name))
    return LabelledSource(uri, root, images, table, crops=crops, careful=careful)


def _set_of(name: str, layout: str, files: Files, *, is_folder: bool, crops: bool) -> LabelledSet:
    if layout == "classes":
        return Classes(files.folder(name))
    if layout == "voc":
        return Voc(name, files)
    if layout == "yolo":
        return Yolo(name, files)
    if layout == "cvat":

        def documents(listing: Listing) -> list[Document]:
            return [Document(name, partial(cvat.read, with_boxes=crops))]

        return NamedImages(files, documents, with_boxes=crops)
    if is_folder:
        found = json_file.folder(name, files)
        return NamedImages(files, found, root=name, with_boxes=crops)
    said = None if layout == "json" else layout
    found = json_file.single(name, said, with_boxes=crops)
    return NamedImages(files, found, with_boxes=crops)


def _kind(name: str) -> str | None:
    """What a file of labels is by its name; None for any other file."""
    last = name.rpartition("/")[2].lower()
    if last.endswith(JSON_SUFFIXES):
        return "json"
    if last.endswith(YOLO_SUFFIXES):
        return "yolo"
    return "cvat" if last.endswith(CVAT_SUFFIXES) else None


def _is_folder(name: str, kind: str | None, files: Files) -> bool:
    return kind is None or name.endswith("/") if is_url(name) else files.is_folder(name)


def _check(text: str, name: str, layout: str, kind: str | None, *, is_folder: bool) -> None:
    """:raises SourceError: if a place is none of this layout."""
    if layout in _FOLDERS:
        fits, wanted = is_folder, "a folder"
    elif layout in ("coco", "yolo") and is_folder:
        fits, wanted = True, ""
    elif layout in _JSON:
        fits, wanted = not is_folder and kind == "json", "a .json"
    elif layout == "cvat":
        fits, wanted = not is_folder and kind == "cvat", "an .xml"
    else:
        fits, wanted = kind == layout, "a .yaml"
    if not fits:
        raise SourceError(text, f"this is not {wanted}, as {layout} wants")
    lists = layout in ("voc", "yolo") or (layout == "coco" and is_folder)
    if lists and name.lower().startswith(("http://", "https://")):
        raise SourceError(text, "a web server does not list its folders; copy the set first")
