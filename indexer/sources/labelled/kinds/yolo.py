"""YOLO: a `data.yaml` that names folders of images and classes; for each image a text of boxes.

The text of `images/train/7.jpg` is `labels/train/7.txt`; where no folder is called `images` it lies
beside the image. An image without one has nothing on it: that is how the format says so. Darknet's
older `obj.data` says the same, with its classes in a file of their own.

Source: https://docs.ultralytics.com/datasets/ (detect, segment, obb, pose)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing, UnreadColumns
from indexer.sources.labelled import Part, Said
from indexer.sources.labelled.reading.files import Files, Folder, joined, name_of, parent, shown
from indexer.sources.labelled.reading.names import spellings
from indexer.sources.labelled.shapes import Bounds, around, pairs
from indexer.sources.local import os_reason
from indexer.sources.names import YOLO_SUFFIXES
from indexer.sources.sidecars import mark
from indexer.sources.text_file import decoded

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
_WHOLE = ""  # of a set that is not divided; no YAML has such a part
_SUFFIXES = (*(suffix for suffix in YOLO_SUFFIXES if suffix != ".data"), ".data")
_MAX_YAML_BYTES = 10_000_000
_MAX_LIST_BYTES = 1_000_000_000
_MAX_TEXT_BYTES = 10_000_000  # of one image's boxes
_FORM = "see docs/labelled.md for a data.yaml that is read"


class Yolo:
    """The images of a YOLO set, each with its classes and boxes."""

    def __init__(self, path: str, files: Files) -> None:
        """:param path: of the YAML, of Darknet's `.data`, or of a folder with either in it, or with
        a `classes.txt`, as Label Studio and labelImg write it.
        """
        self._given, self._path, self._files = path, path, files
        self._uri = shown(path)
        self._names: dict[int, str] = {}
        self._has_points = False  # numbers behind a box are of a skeleton, and no outline
        self._splits: dict[str, str] = {}  # uri of an image -> its split
        self._folders: list[Folder] = []
        self._told = False

    def images(self, listing: Listing) -> Iterator[ImageFile]:
        self._files.begin()
        self._path = self._description()
        said = self._read()
        self._names = self._classes(said.get("names"))
        self._has_points = said.get("kpt_shape") not in (None, "", "~", "null")
        self._splits, self._folders, self._told = {}, [], False
        found = 0
        for split in (*SPLITS, _WHOLE):
            for place in _places(said.get(split)):
                path = self._place_of(said.get("path"), place)
                if path is None:
                    listing.left_out.append((self._uri, f"there is no {place!r}, its {split}"))
                    continue
                found += 1
                for file in self._below(path, listing):
                    if self._splits.setdefault(file.uri, split) == split:
                        yield file
        if not found:
            named = ", ".join(SPLITS)
            raise SourceError(self._uri, f"none of its {named} is a folder that is there; {_FORM}")

    def mark(self, file: ImageFile) -> str | None:
        of_text = self._files.mark(_text_of(file))
        points = (True,) if self._has_points else ()
        split = self._split_of(file)
        return mark((of_text, tuple(self._names.items()), split, *points))

    def said(self, file: ImageFile) -> Said | None:
        name = _text_of(file)
        try:
            data = self._files.read(name, _MAX_TEXT_BYTES)
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise UnreadColumns(shown(name), os_reason(error)) from error
        labels, parts = [], []
        for line in data.decode("utf-8", "replace").splitlines():
            marked = self._marked(line, file) if line.strip() else None
            if marked is not None:
                label, bounds = marked
                labels.append(label)
                if bounds is not None:
                    parts.append(Part(label, bounds))
        return Said.of(labels, len(labels), split=self._split_of(file), parts=parts)

    def beside(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        # what speaks of an image lies beside it, whichever folder that is
        return self._folders[0].columns(file) if self._folders and file.sidecars else {}

    def sites(self, most: int) -> list[str]:
        return []

    def _split_of(self, file: ImageFile) -> str | None:
        split = self._splits.get(file.uri)
        return None if split == _WHOLE else split

    def _marked(self, line: str, file: ImageFile) -> tuple[str, Bounds | None] | None:
        """The class of what one line marks, and its place in parts of the image; None where the
        line marks nothing.

        Four numbers behind the class are a box, by centre and sides; a fifth is how sure a model
        was. Six and more are the points of an outline, or of a turned box; of a set with skeletons
        those behind the fourth are its points.
        """
        try:
            number, *numbers = (float(word) for word in line.split())
            if len(numbers) < 4 or not number.is_integer() or not 0 <= number < 2**31:
                raise ValueError
        except (ValueError, OverflowError):
            self._tell(file, f"{line[:80]!r} is no box")
            return None
        label = self._names.get(int(number))
        if label is None:
            self._tell(file, f"it is of class {int(number)}, which has no name")
            label = str(int(number))
        if self._has_points or len(numbers) < 6:
            x, y, width, height = numbers[:4]
            return label, Bounds(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if len(numbers) % 2:
            self._tell(file, f"{line[:80]!r} is neither a box nor an outline; its place is lost")
            return label, None
        return label, around(pairs(numbers))

    def _tell(self, file: ImageFile, what: str) -> None:
        if not self._told:
            self._told = True
            logger.warning("labels of %s: %s; no more of these are told", file.uri, what)

    def _below(self, path: str, listing: Listing) -> Iterator[ImageFile]:
        """Of a folder, or of a text that names images; a `.txt` beside an image is no caption."""
        if self._files.is_folder(path):
            folder = self._files.folder(path)
            self._folders.append(folder)
            for file in folder.files(listing):
                beside = tuple(uri for uri in file.sidecars if not uri.lower().endswith(".txt"))
                yield replace(file, sidecars=beside)
            return
        names = self._named_in(path)
        self._files.look_up(names)
        for name in names:
            listing.files += 1
            yield self._files.image(name)

    def _named_in(self, path: str) -> list[str]:
        try:
            data = self._files.read(path, _MAX_LIST_BYTES + 1)
            if len(data) > _MAX_LIST_BYTES:
                raise ValueError(f"it has more than {_MAX_LIST_BYTES:,} bytes")
            lines = [line.strip() for line in decoded(data).split("\n")]
        except (OSError, ValueError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            raise SourceError(shown(path), f"this list cannot be read: {reason}") from error
        # `./` is below the list itself, as the format's own tools have it; other names may be below
        # the set. Darknet's are below its own folder, as `data/obj_train_data/7.jpg`.
        folders = [parent(path), parent(self._path)]
        named = (
            self._first_there(folders, [*spellings(line), line.removeprefix("data/")], is_file=True)
            or joined(folders[0], line)
            for line in lines
            if line
        )
        return list(dict.fromkeys(named))

    def _description(self) -> str:
        """The file that says what there is, of a folder the one in it.

        :raises SourceError: if a folder has none, or several.
        """
        if self._given.lower().endswith(_SUFFIXES) and not self._files.is_folder(self._given):
            return self._given
        names = self._files.names_in(self._given)
        for suffixes in (_SUFFIXES[:-1], _SUFFIXES[-1:], ("/classes.txt",)):
            found = [name for name in names if name.lower().endswith(suffixes)]
            if len(found) == 1:
                return found[0]
            if found:
                several = ", ".join(name.rpartition("/")[2] for name in found[:3])
                raise SourceError(self._uri, f"it has {several}; give the one that is meant")
        raise SourceError(self._uri, f"it has no data.yaml, obj.data or classes.txt; {_FORM}")

    def _read(self) -> dict[str, Any]:
        try:
            data = self._files.read(self._path, _MAX_YAML_BYTES + 1)
        except OSError as error:
            raise SourceError(self._uri, f"it cannot be read: {os_reason(error)}") from error
        if len(data) > _MAX_YAML_BYTES:
            raise SourceError(self._uri, f"it has more than {_MAX_YAML_BYTES:,} bytes; {_FORM}")
        if self._path.lower().endswith(".data"):
            said = self._of_darknet(data)
        elif self._path.lower().endswith(".txt"):
            has_images = self._files.is_folder(joined(self._given, "images"))
            return {"names": _lines(data), _WHOLE: "images" if has_images else "."}
        else:
            try:
                # Texts alone, with no types: a class may be called `no` or `007`.
                said = yaml.load(data, yaml.BaseLoader)
            except (yaml.YAMLError, ValueError, RecursionError) as error:
                reason = " ".join(str(error).split())[:300]
                raise SourceError(self._uri, f"it is no YAML ({reason})") from error
        if not isinstance(said, dict) or not any(name in said for name in SPLITS):
            images = joined(parent(self._path), "images")
            # some tools write the names alone, beside images/ and labels/
            if isinstance(said, dict) and "names" in said and self._files.is_folder(images):
                return {**said, _WHOLE: images}
            raise SourceError(self._uri, f"it names no train, val or test; {_FORM}")
        return said

    def _of_darknet(self, data: bytes) -> dict[str, Any]:
        """What a `.data` says, as a YAML says it: a name and a value a line."""
        pairs_of_text = (line.partition("=") for line in decoded(data).split("\n"))
        said: dict[str, Any] = {name.strip(): value.strip() for name, _, value in pairs_of_text}
        if "valid" in said:
            said["val"] = said.pop("valid")
        names = self._place_of(None, str(said.get("names")))
        if names is None:
            raise SourceError(self._uri, f"there is no {said.get('names')!r}, its names; {_FORM}")
        try:
            said["names"] = _lines(self._files.read(names, _MAX_YAML_BYTES))
        except (OSError, ValueError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            raise SourceError(shown(names), f"it cannot be read: {reason}") from error
        return said

    def _classes(self, names: Any) -> dict[int, str]:
        found = enumerate(names) if isinstance(names, list) else names
        found = found.items() if isinstance(found, dict) else found
        if found is None or isinstance(found, str):
            raise SourceError(self._uri, f"it has no list of names; {_FORM}")
        try:
            return {int(number): name for number, name in found if isinstance(name, str)}
        except (TypeError, ValueError) as error:
            raise SourceError(self._uri, f"its names are no list; {_FORM}") from error

    def _place_of(self, root: Any, place: str) -> str | None:
        """Where a split lies. Sets that were exported and unpacked name folders of the machine
        they were made on, or `../train/images` for the `train/images` beside the YAML.
        """
        own = parent(self._path)
        base = joined(own, root) if _is_text(root) else own
        bare = place.replace("\\", "/")
        while bare.startswith(("../", "./")):
            bare = bare.partition("/")[2]
        # Darknet's are below a folder of its own, which is called data/.
        return self._first_there([base, own], spellings(place)) or self._first_there(
            [own], [*spellings(bare), bare.removeprefix("data/")]
        )

    def _first_there(
        self, folders: list[str], names: list[str], *, is_file: bool = False
    ) -> str | None:
        for name in (joined(folder, each) for folder in folders for each in names if each):
            if self._files.is_file(name) or (not is_file and self._files.is_folder(name)):
                return name
        return None


def _lines(data: bytes) -> list[str]:
    return [line.strip() for line in decoded(data).rstrip().split("\n")]


def _places(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if _is_text(each)]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value not in ("", "~", "null") and "\0" not in value


def _text_of(file: ImageFile) -> str:
    """Where an image's boxes stand."""
    name = name_of(file.address)
    before, images, after = name.rpartition("/images/")
    beside = f"{before}/labels/{after}" if images else name
    folder, slash, last = beside.rpartition("/")
    return f"{folder}{slash}{last.rpartition('.')[0] or last}.txt"
