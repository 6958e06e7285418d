"""The read side: open a lake, search it.
`from service import Lake; Lake.open("my.lake").search("a cat")`.
"""

from __future__ import annotations

import os
import sys


def _leave_the_callers_folder() -> None:
    """After `python -m service.cli`, import nothing that lies in the
    current folder: it may hold somebody's json.py.

    The `lakesift` command has no such folder on its path. A program that imports this package keeps
    its own.
    """
    asked = sys.orig_argv[sys.orig_argv.index("-m") + 1 :][:1] if "-m" in sys.orig_argv else []
    if sys.argv[:1] == ["-m"] and asked and asked[0].partition(".")[0] == __name__:
        ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
        here = os.path.realpath(os.curdir)
        sys.path[:] = [path for path in sys.path if path == ours or os.path.realpath(path) != here]


_leave_the_callers_folder()  # before anything else is imported

from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from service.lake import Lake as Lake
    from service.pictures.contact_sheets import contact_sheet as contact_sheet
    from service.search.search import Hit as Hit
    from service.search.search import Page as Page
    from service.search.search import Query as Query
    from service.search.search import to_pandas as to_pandas

__all__ = ["Hit", "Lake", "Page", "Query", "contact_sheet", "to_pandas"]


def __getattr__(name: str) -> Any:
    """Import on first use: `lakesift --help` must not wait for FAISS and Arrow."""
    if name == "Lake":
        from service.lake import Lake

        return Lake
    if name in ("Hit", "Page", "Query", "to_pandas"):
        from service.search import search

        return getattr(search, name)
    if name == "contact_sheet":
        from service.pictures.contact_sheets import contact_sheet

        return contact_sheet
    raise AttributeError(f"module 'service' has no attribute {name!r}")
