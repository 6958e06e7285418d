"""The read side: open a lake, search it. `from service import Lake; Lake.open("my.lake").search("a cat")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.contact_sheets import contact_sheet as contact_sheet
    from service.lake import Lake as Lake
    from service.search import Hit as Hit
    from service.search import Page as Page
    from service.search import Query as Query
    from service.search import to_pandas as to_pandas

__all__ = ["Hit", "Lake", "Page", "Query", "contact_sheet", "to_pandas"]


def __getattr__(name: str) -> Any:
    """Import on first use: `lakesift --help` must not wait for FAISS and Arrow."""
    if name == "Lake":
        from service.lake import Lake

        return Lake
    if name in ("Hit", "Page", "Query", "to_pandas"):
        from service import search

        return getattr(search, name)
    if name == "contact_sheet":
        from service.contact_sheets import contact_sheet

        return contact_sheet
    raise AttributeError(f"module 'service' has no attribute {name!r}")
