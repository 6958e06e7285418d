"""The columns of the tables, csv and parquet: ours, then the row's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.export.item import Item
from service.hits import NOT_AMONG_COLUMNS

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


def plain_columns(names: Iterable[str]) -> list[str]:
    """The row's columns that are shown, without those that would hide one of ours."""
    return [name for name in names if name not in NOT_AMONG_COLUMNS and name not in OWN]
