"""An engine by its address."""

from __future__ import annotations

from indexer.engines.engine import Engine
from indexer.errors import BadRequest


def open_engine(url: str) -> Engine:
    """The engine at an address; nothing is connected yet.

    :param url: as postgresql://user@host/database, milvus://host/database or
        milvus+lite://lakes.db.
    :raises BadRequest: if it names no engine that there is an adapter for.
    """
    scheme = url.partition("://")[0]
    if scheme in ("postgresql", "postgres"):
        # not at the top: most commands need none
        from indexer.engines.pgvector.engine import PgVector

        return PgVector.of(url)
    if scheme in ("milvus", "milvus+lite"):
        from indexer.engines.milvus.engine import Milvus

        return Milvus.of(url)
    raise BadRequest(
        "ENGINE",
        "its address begins with none of postgresql://, milvus:// and milvus+lite://, and there is no other engine",
    )
