"""The columns of the tables, csv and parquet: ours, then the row's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from indexer.disk.rows import beside
from service.formats.item import Item
from service.search.hits import NOT_AMONG_COLUMNS

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


def plain_columns(names: Iterable[str]) -> dict[str, str]:
    """The row's columns that are shown, each with the name it is shown by: `label` of the user's
    is `own_label` beside ours.
    """
    return {name: beside(name, OWN, "own_") for name in names if name not in NOT_AMONG_COLUMNS}
