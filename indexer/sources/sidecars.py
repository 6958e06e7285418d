"""The `.txt` and `.json` beside an image: its caption and its columns, as image-text data sets come.

Beside `x.jpg` these count, the later having the last word: `x.json`, `x.txt`, `x.jpg.json`, `x.jpg.txt`.
A text is the caption. A JSON object gives the caption by its key "caption" and a column by every other key.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Container, Iterable
from hashlib import blake2b

from indexer.sources import ColumnValue
from indexer.sources.columns import CAPTION, RESERVED_COLUMNS

logger = logging.getLogger(__name__)

MAX_CAPTION_BYTES = 64_000  # a longer text is no caption
MAX_JSON_BYTES = 1_000_000  # of one file; an annotation that carries its image inside is larger
_INT64_MAX = 2**63 - 1


def is_sidecar(name: str) -> bool:
    return name.endswith((".txt", ".json"))


def sidecar_names(image: str, present: Container[str]) -> tuple[str, ...]:
    """Which of the names in the image's folder are its sidecars, in the order in which they speak."""
    stem = image.rpartition(".")[0] or image
    wanted = (f"{stem}.json", f"{stem}.txt", f"{image}.json", f"{image}.txt")
    return tuple(name for name in dict.fromkeys(wanted) if name in present)


def max_sidecar_bytes(name: str) -> int:
    return MAX_JSON_BYTES if name.endswith(".json") else MAX_CAPTION_BYTES


def mark(parts: Iterable[object]) -> str:
    """A short stable string that changes when one of the parts does: 16 hexadecimal digits."""
    return blake2b("\n".join(map(str, parts)).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def read_sidecars(sidecars: Iterable[str], read: Callable[[str, int], bytes]) -> dict[str, ColumnValue]:
    """What an image's sidecars say, by column; one that cannot be read costs only itself and is logged.

    :param read: gives at most so many bytes of a sidecar; raises OSError.
    """
    values: dict[str, ColumnValue] = {}
    for sidecar in sidecars:
        limit = max_sidecar_bytes(sidecar)
        try:
            data = read(sidecar, limit + 1)
            if len(data) > limit:
                raise ValueError(f"it is larger than {limit} bytes")
            values.update(_parsed(sidecar, data))
        # ValueError covers undecodable text, bad JSON and numbers of thousands of digits
        except (OSError, ValueError, RecursionError) as error:
            logger.warning("sidecar %s is left out: %s", sidecar, error)
    return values


def _parsed(sidecar: str, data: bytes) -> dict[str, ColumnValue]:
    text = data.decode("utf-8-sig")
    if not sidecar.endswith(".json"):
        return {CAPTION: text.strip()} if text.strip() else {}
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    columns = {_column_name(key): _column_value(value) for key, value in content.items() if key}
    if columns.get(CAPTION) is not None:
        columns[CAPTION] = str(columns[CAPTION])
    return columns


def _column_name(key: str) -> str:
    name = _storable(key)
    if name.lower() == CAPTION:
        return CAPTION
    reserved = name.lower() in RESERVED_COLUMNS  # whatever its case: SQL does not tell URI from uri
    return f"json_{name}" if reserved else name


def _column_value(value: object) -> ColumnValue:
    """Scalars as they are; lists and objects as JSON; what Parquet cannot hold as text, or null."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, int):
        return value if abs(value) <= _INT64_MAX else str(value)
    if isinstance(value, str):
        return _storable(value)
    return _storable(json.dumps(value, ensure_ascii=False))


def _storable(text: str) -> str:
    """JSON may spell half a surrogate pair, which UTF-8 has no bytes for."""
    return text.encode("utf-8", "replace").decode()
