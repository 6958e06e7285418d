"""An engine by its address."""

from __future__ import annotations

from indexer.engines.engine import Engine
from indexer.errors import BadRequest


def open_engine(url: str) -> Engine:
    """The engine at an address; nothing is connected yet.

    :param url: as postgresql://user@host/database.
    :raises BadRequest: if it names no engine that there is an adapter for.
    """
    scheme = url.partition("://")[0]
    if scheme in ("postgresql", "postgres"):
        # not at the top: most commands need none
        from indexer.engines.pgvector.engine import PgVector

        return PgVector.of(url)
    raise BadRequest(
        "ENGINE", "its address begins with no postgresql://, and there is no other engine"
    )
