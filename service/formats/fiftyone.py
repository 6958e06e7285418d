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

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from service.formats.batch import Batch, LeftOutItem, own_columns
from service.formats.chunk import Folder, Job
from service.formats.item import Handover, Item
from service.formats.json_list import JsonObject
from service.search.json_columns import (
    columns_json,
    joined,
    joined_or_nothing,
    object_pieces,
    values_json,
    written,
)

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

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        paths, left_out = batch.told(batch.local_paths, lambda item: item.local_path)
        if left_out:
            batch, paths = batch.where(paths.is_valid()), paths.drop_null()
        names = joined('"', batch.column("row_id").cast(pa.string()), '":')
        self._data.add_all(joined(names, values_json(paths)))
        self._labels.add_all(_classifications(names, batch, self._handover))
        return left_out

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


def _classifications(names: pa.Array, batch: Batch, handover: Handover) -> pa.Array:
    """text, (n,): each one's name, and as `_classification`, in JSON."""
    about = {name: getattr(handover, name) for name in ("filter", "version", "snapshot")}
    own = {name: _key(name) for name in own_columns(batch.rows.column_names)}
    columns = columns_json(batch.rows, own)
    has_none = pc.equal(columns, "{}")
    attributes = {
        "row_id": written(batch.column("row_id")),
        "score": written(batch.said("score")),
        "human_label": written(batch.said("label")),
    }
    return joined_or_nothing(
        names,
        '{"label":',
        values_json(batch.said("decision")),
        joined(',"confidence":', values_json(batch.said("probability"))),
        ',"attributes":',
        *object_pieces(attributes, f",{orjson.dumps(about).decode()[1:-1]}"),
        pc.if_else(has_none, "", joined(',"columns":', columns)),
        "}}",
    )


def _key(name: str) -> str:
    """FiftyOne's database takes a dot in a key for a path, a dollar for an operator, and no NUL."""
    for odd in "%.$\0":  # the escape itself comes first
        name = name.replace(odd, f"%{ord(odd):02X}")
    return name


NOTE = (
    "load it with: fiftyone.Dataset.from_dir(FOLDER, "
    f'fiftyone.types.FiftyOneImageClassificationDataset, data_path="{DATA}")'
)
