"""fiftyone: a folder that `fiftyone.types.FiftyOneImageClassificationDataset` reads, by reference.

`data.json` says where each image lies, `labels.json` what was decided: the decision as a Classification's label, the
probability as its confidence, and row_id, score and the filter as its attributes. So:

    fiftyone.Dataset.from_dir(FOLDER, fiftyone.types.FiftyOneImageClassificationDataset, data_path="data.json")

Source: https://docs.voxel51.com/user_guide/import_datasets.html (FiftyOneImageClassificationDataset)
"""

from __future__ import annotations

from typing import Any

from service.export.chunk import Folder, FolderFormat, Job
from service.export.item import Handover, Item
from service.export.json_list import JsonObject

DATA, LABELS = "data.json", "labels.json"


class _Samples:
    def __init__(self, job: Job, folder: Folder) -> None:
        self._handover = job.handover
        self._data = JsonObject(folder.open(DATA))
        self._labels = JsonObject(folder.open(LABELS), b'{"classes":null,"labels":{', b"}}")

    def add(self, item: Item) -> None:
        name = str(item.row_id)  # FiftyOne cuts a name's suffix off: two photos of one stem would become one
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
    }
    label: dict[str, Any] = {"label": item.decision}
    if item.probability is not None:
        label["confidence"] = item.probability
    return {**label, "attributes": {name: value for name, value in attributes.items() if value is not None}}


NOTE = (
    "load it with: fiftyone.Dataset.from_dir(FOLDER, "
    f'fiftyone.types.FiftyOneImageClassificationDataset, data_path="{DATA}")'
)
FIFTYONE = FolderFormat("fiftyone", _Samples, note=NOTE)
