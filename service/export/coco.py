"""coco: COCO's JSON for a set that is yet to be annotated: images, one category to begin with, no annotation.

An image's id is its row_id. `file_name` is the name below the root that was given, else the absolute path, which is
what joining it to any folder gives; a URL is in `coco_url`, as in COCO's own files.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

from typing import Any, BinaryIO

from service.export.chunk import FileFormat, Job
from service.export.item import Item
from service.export.json_list import JsonList


class _Images:
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
        self._list.add(self._image(item))

    def finish(self) -> None:
        self._list.finish()

    def _image(self, item: Item) -> dict[str, Any]:
        name = item.place if self._root is None else item.below(self._root)
        image: dict[str, Any] = {
            "id": item.row_id,
            "file_name": name,
            "width": item.width_px,
            "height": item.height_px,
        }
        if item.path is None:
            image["coco_url"] = item.uri
        return {**image, "decision": item.decision, "score": item.score, "probability": item.probability}


COCO = FileFormat("coco", _Images)
