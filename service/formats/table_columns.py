"""The columns of the tables, csv and parquet: ours, then the row's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from indexer.disk.rows import beside
from service.formats.batch import DECIDED, Batch
from service.formats.item import Item
from service.search.hits import NOT_AMONG_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

OWN = (
    "row_id",
    "uri",
    "decision",
    "score",
    "probability",
    "label",
    "labeller",
    "width_px",
    "height_px",
)


def own_values(item: Item) -> list[Any]:
    """The values of OWN, in their order."""
    return [getattr(item, name) for name in OWN]


def own_column(batch: Batch, name: str) -> pa.Array:
    """One of OWN, (n,)."""
    if name == "uri":
        return batch.uris
    if name in DECIDED:
        return batch.said(name)
    return batch.size(name) if name.endswith("_px") else batch.column(name)


def plain_columns(names: Iterable[str]) -> dict[str, str]:
    """The row's columns that are shown, each with the name it is shown by: `label` of the user's
    is `own_label` beside ours.
    """
    return {name: beside(name, OWN, "own_") for name in names if name not in NOT_AMONG_COLUMNS}
