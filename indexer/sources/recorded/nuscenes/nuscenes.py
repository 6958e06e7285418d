"""A nuScenes set: the pictures of its cameras, with camera, time, scene, pose, and labels from the
3D boxes that are in the picture.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import orjson

from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.labelled import Said
from indexer.sources.local import os_reason
from indexer.sources.names import address_of, uri_of
from indexer.sources.recorded.inside import inside
from indexer.sources.recorded.nuscenes.boxes import (
    Camera,
    Numbers,
    Pose,
    are_in_picture,
    corners,
    heading_deg,
)
from indexer.sources.recorded.nuscenes.tables import Tables, are_tables
from indexer.sources.sidecars import mark
from indexer.words import count

SAYS = frozenset({"camera", "captured_at"})
_TABLE = b"sample_data.json"
_AS_THEY_ARE = (
    "camera",
    "scene",
    "scene_description",
    "location",
    "vehicle",
    "logfile",
    "is_key_frame",
    "sample_token",
    "sample_data_token",
)
_EPOCH = datetime(1970, 1, 1)
_LAST_US = 253_402_300_800_000_000  # the year 10000


class NuScenes:
    """The camera pictures that a set's tables name, as a `LabelledSet`.

    What is said of a picture travels with it, as JSON in its `sidecars`: no set's tables fit into
    memory for sure.
    """

    def __init__(self, path: bytes) -> None:
        """
        :param path: absolute; of the set, which has one folder of tables, or of one of its tables'
            folders, or of its sample_data.json.
        :raises SourceError: if there is no table of such a set, or several sets of tables.
        """
        self._tables, by_root = _tables_of(path)
        self._root = os.path.dirname(self._tables)  # noqa: PTH120 - pathlib knows no bytes
        # Pictures lie beside the tables: what names them is the set, or a file that lists them.
        named = self._root if by_root else os.path.join(self._tables, _TABLE)  # noqa: PTH118
        self.uri = uri_of(named)[0]
        self.root = uri_of(self._root)[0]

    def sites(self, most: int) -> list[str]:
        return []

    def images(self, listing: Listing) -> Iterator[ImageFile]:
        with Tables.opened(self._tables) as tables:
            uri = uri_of(self._tables)[0]
            listing.left_out += [(uri, fault) for fault in tables.faults()]
            folders = _Folders()
            outside = 0
            for row, labels in _labelled(tables):
                path = inside(self._root, row["filename"] or "")
                if path is None:
                    outside += 1
                elif folders.has(path):
                    listing.files += 1
                    yield _image_file(path, _words(row, labels))
            if outside:
                names = count(outside, "name leads", "names lead")
                listing.left_out.append((uri, f"{names} out of the set, and are passed over"))
            folders.tell(listing)

    def mark(self, file: ImageFile) -> str | None:
        return mark(file.sidecars)

    def said(self, file: ImageFile) -> Said | None:
        labels = _read(file).get("labels")
        return None if labels is None else Said.of(labels, len(labels))

    def beside(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        columns = _read(file)
        columns.pop("labels", None)
        taken_us = columns.pop("taken_us", None)
        if taken_us is not None:
            columns["captured_at"] = _EPOCH + timedelta(microseconds=taken_us)
        return columns


def is_nuscenes(path: bytes) -> bool:
    """Whether a path is such a set, or the tables of one, for sure."""
    # A folder of a million photos is not looked through for tables.
    is_set = os.path.isdir(os.path.join(path, b"samples"))  # noqa: PTH112, PTH118
    is_table = os.path.basename(path) == _TABLE  # noqa: PTH119
    return bool(_folders_of_tables(path)) if is_set or is_table else are_tables(path)


def _tables_of(path: bytes) -> tuple[bytes, bool]:
    """The folder of the tables, and whether it is the only one of its set."""
    uri = uri_of(path)[0]
    found = _folders_of_tables(path)
    if not found:
        raise SourceError(
            uri,
            "this is no nuScenes set: it has no folder such as v1.0-trainval with sample_data.json, "
            "calibrated_sensor.json and the others; nuImages has other tables, and is not read",
        )
    if len(found) > 1:
        names = ", ".join(os.path.basename(folder).decode("utf-8", "replace") for folder in found)  # noqa: PTH119
        raise SourceError(
            uri, f"it has several sets of tables ({names}); name one, as {uri_of(found[0])[0]}"
        )
    return found[0], found[0] not in (path, os.path.dirname(path))  # noqa: PTH120


def _folders_of_tables(path: bytes) -> list[bytes]:
    if os.path.basename(path) == _TABLE:  # noqa: PTH119
        path = os.path.dirname(path)  # noqa: PTH120
    if are_tables(path):
        return [path]
    try:
        with os.scandir(path) as entries:
            names = sorted(entry.path for entry in entries if entry.name.startswith(b"v1.0-"))
    except OSError:
        return []
    return [folder for folder in names if are_tables(folder)]


class _Folders:
    """Which folders of pictures are there. Who fetched the key frames alone has no sweeps, and is
    told so in one sentence and not of each picture.
    """

    def __init__(self) -> None:
        self._why_not: dict[bytes, OSError | None] = {}
        self._missing: Counter[bytes] = Counter()

    def has(self, path: bytes) -> bool:
        folder = os.path.dirname(path)  # noqa: PTH120
        if folder not in self._why_not:
            self._why_not[folder] = _why_not(folder)
        if self._why_not[folder] is not None:
            self._missing[folder] += 1
        return self._why_not[folder] is None

    def tell(self, listing: Listing) -> None:
        for folder, missing in self._missing.items():
            uri, what = uri_of(folder)[0], f"{count(missing, 'picture')} of the set"
            error = self._why_not[folder]
            if error is not None and not isinstance(error, FileNotFoundError):
                listing.unlisted.append((f"{uri}/", f"{os_reason(error)}, with {what}"))
            elif _is_unplugged(folder):
                listing.unlisted.append((f"{uri}/", f"a link to it leads nowhere, with {what}"))
            else:
                listing.left_out.append((uri, f"there is no such folder, of {what}"))


def _why_not(folder: bytes) -> OSError | None:
    """Why a folder cannot be looked into; None if it can."""
    try:
        os.stat(os.path.join(folder, b"."))  # noqa: PTH116, PTH118 - pathlib knows no bytes
    except OSError as error:
        return error
    return None


def _is_unplugged(folder: bytes) -> bool:
    """Whether a folder that is not there lies behind a link, as to another disk."""
    lost = folder
    while not os.path.exists(parent := os.path.dirname(lost)):  # noqa: PTH110, PTH120
        lost = parent
    return os.path.islink(lost)  # noqa: PTH114


def _labelled(tables: Tables) -> Iterator[tuple[dict[str, Any], list[str] | None]]:
    """Each picture with the categories of the boxes in it, one for each box; None where nobody
    looked: boxes are of key frames.
    """
    by_sample = groupby(tables.boxes(), key=lambda box: box["sample_token"])
    sample, boxes = next(by_sample, (None, iter(())))
    for token, images in groupby(tables.images(), key=lambda image: image["sample_token"]):
        while sample is not None and token is not None and sample < token:
            sample, boxes = next(by_sample, (None, iter(())))
        here = _Boxes(list(boxes) if sample is not None and sample == token else [])
        for image in images:
            looked = tables.has_boxes and image["is_key_frame"]
            yield image, here.in_picture(image) if looked else None


class _Boxes:
    """The boxes of one sample."""

    def __init__(self, boxes: list[dict[str, Any]]) -> None:
        self._names = [box["name"] for box in boxes]
        self._are_known = all(map(_is_whole, boxes))
        self._corners = np.empty((0, 8, 3))
        if boxes and self._are_known:
            parts = [np.array([box[name] for box in boxes], np.float64) for name, _ in _SIZES]
            self._corners = corners(*parts)

    def in_picture(self, image: Mapping[str, Any]) -> list[str] | None:
        """None where the tables do not say what one of the boxes is, or how the camera saw it."""
        car, camera = _pose(image, "ego"), _camera(image)
        if car is None or camera is None or not self._are_known:
            return None
        seen = are_in_picture(self._corners, car, camera)
        return sorted(name for name, is_seen in zip(self._names, seen, strict=True) if is_seen)


_SIZES = (("translation", (3,)), ("size", (3,)), ("rotation", (4,)))


def _is_whole(box: Mapping[str, Any]) -> bool:
    parts = [_array(box[name], shape) for name, shape in _SIZES]
    are_numbers = all(part is not None for part in parts)
    return are_numbers and box["name"] is not None and bool(np.any(box["rotation"]))


def _array(value: Any, shape: tuple[int, ...]) -> Numbers | None:
    """Numbers of this shape; None: they are not, or are no numbers one can reckon with."""
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if numbers.shape == shape and np.isfinite(numbers).all() else None


def _pose(image: Mapping[str, Any], name: str) -> Pose | None:
    at, turned = _array(image[f"{name}_at"], (3,)), _array(image[f"{name}_turned"], (4,))
    return None if at is None or turned is None or not turned.any() else Pose(at, turned)


def _camera(image: Mapping[str, Any]) -> Camera | None:
    pose, intrinsic = _pose(image, "camera"), _array(image["camera_intrinsic"], (3, 3))
    width, height = image["width"], image["height"]
    if pose is None or intrinsic is None or not width or not height:
        return None
    return Camera(pose, intrinsic, width, height)


def _words(row: Mapping[str, Any], labels: list[str] | None) -> str:
    """What is said of a picture, as `NuScenes.beside` and `said` read it."""
    said: dict[str, Any] = {name: row[name] for name in _AS_THEY_ARE}
    if row["timestamp"] is not None and 0 <= row["timestamp"] < _LAST_US:
        said["taken_us"] = row["timestamp"]
    at, turned = row["ego_at"], row["ego_turned"]
    if _are_numbers(at, 3) and _are_numbers(turned, 4) and any(turned):
        said |= dict(zip(("ego_x", "ego_y", "ego_z"), at, strict=True))
        said["ego_rotation"] = json.dumps(turned)
        said["ego_heading"] = round(heading_deg(turned), 3)
    if labels is not None:
        said["labels"] = labels
    known = {name: value for name, value in said.items() if value is not None}
    return orjson.dumps(known).decode()


def _are_numbers(value: Any, count: int) -> bool:
    """Pictures are many, and numpy takes longer for so few numbers."""
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(number, float) and math.isfinite(number) for number in value)
    )


def _read(file: ImageFile) -> dict[str, Any]:
    return dict(orjson.loads(file.sidecars[0])) if file.sidecars else {}


def _image_file(path: bytes, words: str) -> ImageFile:
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib knows no bytes
    except OSError:
        return ImageFile(address_of(path), 0, None, None, None, (words,))
    modified_us = status.st_mtime_ns // 1000
    return ImageFile(address_of(path), status.st_size, modified_us, None, None, (words,))
