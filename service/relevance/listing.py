"""A lake's filters, a line each; one that is damaged is told, and hides none of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.errors import LakeError, WrongModel
from service.lake import Lake
from service.relevance.definition import Definition

if TYPE_CHECKING:
    from service.relevance.filters import Filters


def listing(filters: Filters) -> dict[str, Any]:
    """{"filters": the summary of each that can be used, "problems": [{"name", "message"}] of the rest}, by name."""
    usable, problems = [], []
    for name in filters.names():
        try:
            usable.append(filters.open(name).summary())
        except LakeError as error:
            problems.append({"name": name, "message": str(error)})
    return {"filters": usable, "problems": problems}


def check_filter_model(definition: Definition, lake: Lake) -> None:
    """:raises WrongModel: if its scorer cannot be compared with the lake's vectors, as one put into another lake."""
    theirs, ours = definition.model, lake.manifest.fingerprint
    if dict(theirs) == dict(ours):
        return
    keys = [key for key in {**ours, **theirs} if theirs.get(key) != ours.get(key)]
    expected, found = (", ".join(f"{key} {model.get(key)}" for key in keys) for model in (ours, theirs))
    raise WrongModel(
        str(lake.folder), expected, f"filter {definition.name} of {found}", "make the filter anew"
    )
