"""What a lake and its columns are called in an engine.

Nothing that a lake says gets into a statement or an expression: its name and its columns' names are
hashed into names of ours.
"""

from __future__ import annotations

import hashlib
import json
import re

from indexer.engines.columns import EngineColumn


def table_of(lake: str) -> str:
    """lakesift_, what is plain of the lake's name, and a hash of the whole: at most 50 characters,
    none of which needs quotes.
    """
    plain = re.sub(r"[^a-z0-9]+", "_", lake.lower()).strip("_")[:30]
    digest = hashlib.sha256(lake.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"lakesift_{plain}_{digest}" if plain else f"lakesift_{digest}"


def column_of(column: EngineColumn) -> str:
    """Its name in the table: another one, where its type is another."""
    said = json.dumps([list(column.path), column.type]).encode()
    return f"c_{hashlib.sha256(said).hexdigest()[:16]}"
