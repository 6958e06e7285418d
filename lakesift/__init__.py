"""The names that a program needs: `from lakesift import Lake`.

A face alone; the work is in `indexer` and `service`. Nothing is loaded before a name is used, so
that `import lakesift` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.buckets.publishing import PublishReport as PublishReport
    from indexer.buckets.publishing import publish_lake as publish_lake
    from indexer.buckets.pulling import PullReport as PullReport
    from indexer.buckets.pulling import pull_lake as pull_lake
    from indexer.disk.manifest import SourceEntry as SourceEntry
    from indexer.embed.models import load_embedder as load_embedder
    from indexer.errors import LakeError as LakeError
    from indexer.parts.commit import CommitReport as CommitReport
    from indexer.parts.commit import commit_parts as commit_parts
    from indexer.parts.leaving import discard_parts as discard_parts
    from indexer.parts.part import index_part as index_part
    from indexer.report import SyncReport as SyncReport
    from indexer.sync import sync as sync
    from indexer.vector_files.importing import import_vectors as import_vectors
    from indexer.watching.watch import watch as watch
    from service import Hit as Hit
    from service import Lake as Lake
    from service import Page as Page
    from service import Query as Query
    from service import contact_sheet as contact_sheet
    from service import to_pandas as to_pandas
    from service.relevance import Filter as Filter
    from service.relevance import Filters as Filters
    from service.relevance import Prices as Prices
    from service.relevance import Target as Target
    from service.snapshot.vector_files import export_vectors as export_vectors

    __version__: str

# The module that each name comes from. The imports above say the same to type checkers.
_HOMES = {
    "CommitReport": "indexer.parts.commit",
    "Filter": "service.relevance",
    "Filters": "service.relevance",
    "Hit": "service",
    "Lake": "service",
    "LakeError": "indexer.errors",
    "Page": "service",
    "Prices": "service.relevance",
    "PublishReport": "indexer.buckets.publishing",
    "PullReport": "indexer.buckets.pulling",
    "Query": "service",
    "SourceEntry": "indexer.disk.manifest",
    "SyncReport": "indexer.report",
    "Target": "service.relevance",
    "commit_parts": "indexer.parts.commit",
    "contact_sheet": "service",
    "discard_parts": "indexer.parts.leaving",
    "export_vectors": "service.snapshot.vector_files",
    "index_part": "indexer.parts.part",
    "import_vectors": "indexer.vector_files.importing",
    "load_embedder": "indexer.embed.models",
    "publish_lake": "indexer.buckets.publishing",
    "pull_lake": "indexer.buckets.pulling",
    "sync": "indexer.sync",
    "to_pandas": "service",
    "watch": "indexer.watching.watch",
}

__all__ = [
    "CommitReport",
    "Filter",
    "Filters",
    "Hit",
    "Lake",
    "LakeError",
    "Page",
    "Prices",
    "PublishReport",
    "PullReport",
    "Query",
    "SourceEntry",
    "SyncReport",
    "Target",
    "__version__",
    "commit_parts",
    "contact_sheet",
    "discard_parts",
    "export_vectors",
    "import_vectors",
    "index_part",
    "load_embedder",
    "publish_lake",
    "pull_lake",
    "sync",
    "to_pandas",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("lakesift")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        import difflib

        near = difflib.get_close_matches(name, __all__, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(__all__)}"
        raise AttributeError(f"module 'lakesift' has no attribute {name!r}{hint}", name=name)
    # Found without this function from now on.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
