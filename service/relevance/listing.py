"""A lake's filters, a line each; one that is damaged is told, and hides none of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from indexer.errors import LakeError

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
