"""COCO's JSON: which categories have an annotation on which image. It does not say who drew them.

An image is found by its `file_name`, or `coco_url`; its id is only taken for a row_id where the file says that it is
one of ours, and then beside the name.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import orjson

from service.export.incoming import Collected, IncomingLabels, Reading


def read_coco(data: bytes, reading: Reading) -> IncomingLabels:
    """:raises ValueError: if this is not such JSON, or lacks images, annotations or categories."""
    document = orjson.loads(data)
    for name in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(name), list):
            raise ValueError(f"it has no list of {name}")
    collected = Collected(reading)
    names = _names_of_images(document, collected)
    info = document.get("info")
    ours = isinstance(info, dict) and {"filter", "snapshot", "promise"} <= info.keys()
    for number, image in enumerate(document["images"], 1):
        _image(image, number, ours, names, collected)
    return collected.labels()


def _names_of_images(document: Mapping[str, Any], collected: Collected) -> dict[Any, list[str]]:
    """The names of the categories on each image, by the image's id."""
    categories = {
        category["id"]: category["name"]
        for category in document["categories"]
        if isinstance(category, dict) and isinstance(category.get("name"), str) and _is_id(category.get("id"))
    }
    known = {
        image.get("id") for image in document["images"] if isinstance(image, dict) and _is_id(image.get("id"))
    }
    names: dict[Any, list[str]] = defaultdict(list)
    for number, annotation in enumerate(document["annotations"], 1):
        about = f"annotation {number} in the file"
        if not isinstance(annotation, dict):
            collected.problem(about, "it is not built as an annotation")
            continue
        category, image = annotation.get("category_id"), annotation.get("image_id")
        if not _is_id(category) or category not in categories:
            collected.problem(about, f"there is no category {category}")
        elif not _is_id(image) or image not in known:
            collected.problem(about, f"there is no image {image}")
        else:
            names[image].append(categories[category])
    return names


def _image(image: Any, number: int, ours: bool, names: Mapping[Any, list[str]], collected: Collected) -> None:
    about = f"image {number} in the file"
    if not isinstance(image, dict) or not _is_id(image.get("id")):
        collected.problem(about, "it has no id")
        return
    name = image.get("coco_url") if ours and image.get("coco_url") else image.get("file_name")
    if not isinstance(name, str) or not name:
        collected.problem(about, "it has no file_name")
        return
    row_id = image["id"] if ours and isinstance(image["id"], int) else None
    found = names.get(image["id"], [])
    uri = collected.reading.uri_of(name)
    collected.unanswered += not collected.take(name, row_id, uri, found, None)


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)
