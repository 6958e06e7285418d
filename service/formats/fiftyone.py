"""fiftyone: a folder that `fiftyone.types.FiftyOneImageClassificationDataset` reads, by reference.

`data.json` says where each image lies, `labels.json` what was decided: the decision as a
Classification's label, the probability as its confidence, and row_id, score and the filter as its
attributes. The user's own columns are the attribute `columns`. So:

    fiftyone.Dataset.from_dir(FOLDER, fiftyone.types.FiftyOneImageClassificationDataset,
    data_path="data.json")

Source: https://docs.voxel51.com/user_guide/import_datasets.html
(FiftyOneImageClassificationDataset)
"""

from __future__ import annotations

from typing import Any

from service.formats.chunk import Folder, Job
from service.formats.item import Handover, Item
from service.formats.json_list import JsonObject

DATA, LABELS = "data.json", "labels.json"


class Writer:
    def __init__(self, job: Job, folder: Folder) -> None:
        self._handover = job.handover
        self._data = JsonObject(folder.open(DATA))
        self._labels = JsonObject(folder.open(LABELS), b'{"classes":null,"labels":{', b"}}")

    def add(self, item: Item) -> None:
        # FiftyOne cuts a name's suffix off: two photos of one stem would become one
        name = str(item.row_id)
        self._data.add(name, item.local_path)
        self._labels.add(name, _classification(item, self._handover))

    def finish(self) -> None:
        self._data.finish()
        self._labels.finish()


def _classification(item: Item, handover: Handover) -> dict[str, Any]:
    attributes = {
        "row_id": item.row_id,
        "score": item.score,
        "human_label": item.label,
        "filter": handover.filter,
        "version": handover.version,
        "snapshot": handover.snapshot,
        "columns": {_key(name): value for name, value in item.own_columns.items()} or None,
    }
    label: dict[str, Any] = {"label": item.decision}
    if item.probability is not None:
        label["confidence"] = item.probability
    return {
        **label,
        "attributes": {name: value for name, value in attributes.items() if value is not None},
    }


def _key(name: str) -> str:
    """FiftyOne's database takes a dot in a key for a path, a dollar for an operator, and no NUL."""
    for odd in "%.$\0":  # the escape itself comes first
        name = name.replace(odd, f"%{ord(odd):02X}")
    return name


NOTE = (
    "load it with: fiftyone.Dataset.from_dir(FOLDER, "
    f'fiftyone.types.FiftyOneImageClassificationDataset, data_path="{DATA}")'
)
