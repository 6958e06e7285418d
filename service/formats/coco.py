"""coco: COCO's JSON for a set that is yet to be annotated.

It has the images, one category to begin with, and no annotation.

An image's id is its row_id. `file_name` is the name below the root that was given, else the
absolute path, which is what joining it to any folder gives; a URL is in `coco_url`, as in COCO's
own files. The user's own columns are among its `columns`.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from indexer.sources.labelled.kinds.coco import key_of
from indexer.sources.labelled.reading import lenient_json
from service.formats.batch import Batch, LeftOutItem, decided_json, own_columns
from service.formats.chunk import Job
from service.formats.incoming import Collected, IncomingLabels, Reading, plain_name, quoted
from service.formats.item import Item
from service.formats.json_list import JsonList
from service.search.json_columns import columns_json, joined, values_json


class Writer:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        handover = job.handover
        head = {
            "info": {
                "description": f"{handover.filter}, version {handover.version}: {handover.decision}",
                **handover.to_json(),
            },
            "licenses": [],
            "categories": [{"id": 1, "name": handover.filter, "supercategory": ""}],
            "annotations": [],
        }
        self._root = job.root
        self._list = JsonList(file, head, "images")

    def add(self, item: Item) -> None:
        item.check_size()
        self._list.add(self._image(item))

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        images, left_out = batch.lines(self._images(batch), self._image_json)
        self._list.add_all(images)
        return left_out

    def finish(self) -> None:
        self._list.finish()

    def _image_json(self, item: Item) -> str:
        item.check_size()
        return orjson.dumps(self._image(item)).decode()

    def _images(self, batch: Batch) -> pa.Array:
        """text, (n,): as `_image`, in JSON; null where only an Item tells."""
        names = batch.places if self._root is None else batch.below(self._root)
        is_at_url = pc.and_not(batch.is_url, batch.is_part)
        coco_url = joined(',"coco_url":', values_json(batch.places))
        own = columns_json(
            batch.rows, {name: name for name in own_columns(batch.rows.column_names)}
        )
        found = joined(
            '{"id":',
            values_json(batch.column("row_id")),
            ',"file_name":',
            values_json(names),
            ',"width":',
            values_json(batch.size("width_px")),
            ',"height":',
            values_json(batch.size("height_px")),
            pc.if_else(is_at_url, coco_url, ""),
            *decided_json(batch),
            pc.if_else(pc.equal(own, "{}"), "", joined(',"columns":', own)),
            "}",
        )
        return pc.if_else(batch.has_size, found, pa.scalar(None, pa.string()))

    def _image(self, item: Item) -> dict[str, Any]:
        name = item.place if self._root is None else item.below(self._root)
        image: dict[str, Any] = {
            "id": item.row_id,
            "file_name": name,
            "width": item.width_px,
            "height": item.height_px,
        }
        if item.path is None and not item.is_part:
            image["coco_url"] = item.uri
        image |= {
            "decision": item.decision,
            "score": item.score,
            "probability": item.probability,
        }
        own = item.own_columns
        return {**image, "columns": own} if own else image


def read(data: bytes, reading: Reading) -> IncomingLabels:
    """:raises ValueError: if this is not such JSON, or lacks images, annotations or categories.
    :raises BadRequest: if a category that means yes is none of the file's.
    """
    document = lenient_json.parse(data)
    for name in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(name), list):
            raise ValueError(f"it has no list of {name}")
    collected = Collected(reading)
    categories = _Names.of(document["categories"], lambda category: category.get("name"))
    collected.categories.update(categories.first.values())
    collected.categories.update(name for each in categories.several.values() for name in each)
    collected.categories.discard("")
    info = document.get("info")
    ours = isinstance(info, dict) and {"filter", "snapshot", "promise"} <= info.keys()
    images = _Names.of(document["images"], lambda image: _name(image, ours))
    said = _said_of(document["annotations"], categories, images.first, collected)
    taken: set[Any] = set()
    for number, image in enumerate(document["images"], 1):
        _image(image, number, ours, images, said, taken, collected)
    return collected.labels()


@dataclass(slots=True)
class _Names:
    """What each id stands for; files merged by hand give one id to two."""

    first: dict[Any, str] = field(default_factory=dict)  # "" where nothing is said
    several: dict[Any, list[str]] = field(default_factory=dict)  # those of two names or more

    @classmethod
    def of(cls, entries: list[Any], name_of: Callable[[Mapping[str, Any]], Any]) -> _Names:
        names = cls()
        for entry in entries:
            key = key_of(entry.get("id")) if isinstance(entry, dict) else None
            if key is None:
                continue
            found = name_of(entry)
            name = found if isinstance(found, str) else ""
            if names.first.setdefault(key, name) != name:
                several = names.several.setdefault(key, [names.first[key]])
                if name not in several:
                    several.append(name)
        return names


@dataclass(slots=True)
class _Said:
    """What the annotations say of the images, by the image's id."""

    names: dict[Any, list[str]] = field(default_factory=lambda: defaultdict(list))
    unclear: dict[Any, str] = field(default_factory=dict)  # why there may be more than these


def _said_of(
    annotations: list[Any],
    categories: _Names,
    images: Collection[Any],
    collected: Collected,
) -> _Said:
    several = categories.several
    sure = {key: name for key, name in categories.first.items() if name and key not in several}
    said = _Said()
    unclear: list[tuple[Any, str]] = []
    for number, annotation in enumerate(annotations, 1):
        if not isinstance(annotation, dict):
            problem = "it is not built as an annotation"
            collected.problem(f"annotation {number} in the file", problem)
            continue
        category, image = key_of(annotation.get("category_id")), key_of(annotation.get("image_id"))
        if category in sure and image in images:
            said.names[image].append(sure[category])
            continue
        about = f"annotation {number} in the file"
        unclear.append((image, about))
        if category in sure:
            problem = f"there is no image {annotation.get('image_id')!r}"
        elif category in several:
            both = _either(several[category])
            problem = f"category {category} is {both}; give each an id of its own"
        else:
            problem = f"there is no category {annotation.get('category_id')}"
        collected.problem(about, problem)
    if unclear:
        # 7 and "7" are two ids; yet an image whose id is written otherwise may be the one meant
        as_text = {str(key): key for key in images}
        for image, about in unclear:
            meant = as_text.get(str(image), image)
            said.unclear[meant] = f"what {about} says of it is not known, so it is not answered"
    return said


def _image(
    image: Any,
    number: int,
    ours: bool,
    images: _Names,
    said: _Said,
    taken: set[Any],
    collected: Collected,
) -> None:
    """:param taken: the ids of the images that were read; this one's is added."""
    about = f"image {number} in the file"
    key = key_of(image.get("id")) if isinstance(image, dict) else None
    if key is None:
        collected.problem(about, "it has no id")
        return
    name = _name(image, ours)
    if not isinstance(name, str) or not name:
        collected.problem(about, "it has no file_name")
        return
    if key in images.several:
        id_of = f"id {key} is of {_either(images.several[key])}"
        collected.problem(name, f"{id_of}: which of them was annotated is not known")
        return
    if key in taken:
        return
    taken.add(key)
    collected.unanswered += not collected.take(
        name,
        key if ours and isinstance(key, int) else None,
        collected.reading.uri_of(name),
        said.names.get(key, ()),
        None,
        plain=plain_name(name),
        unclear=said.unclear.get(key, ""),
    )


def _name(image: Mapping[str, Any], ours: bool) -> Any:
    return image.get("coco_url") if ours and image.get("coco_url") else image.get("file_name")


def _either(names: list[str]) -> str:
    first, second = map(quoted, names[:2])
    if len(names) == 2:
        return f"both {first} and {second}"
    return f"{first}, {second} and {len(names) - 2:,} more"
