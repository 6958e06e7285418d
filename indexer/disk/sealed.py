"""JSON documents that carry a checksum of themselves, so that a flipped bit is found before it is
believed. Knows nothing of what they say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from indexer.fields import Fields

CHECKSUM = "checksum"
BROKEN = "its checksum does not match its content"


def checksum_of(body: Mapping[str, Any]) -> str:
    """The sha256 of a document without its checksum, hex: of its JSON with sorted keys and no
    spaces, in UTF-8, so that it is of what the document says and not of how it is laid out.
    """
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Half a pair of surrogates can stand in JSON, and then its checksum does not match.
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def sealed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its checksum as the last field, as JSON brings it back.

    :raises ValueError: if a number is not finite.
    """
    body = json.loads(json.dumps(body, allow_nan=False))
    return {**body, CHECKSUM: checksum_of(body)}


def break_seal(fields: Fields) -> bool:
    """Take a document's checksum out of it and compare.

    :returns: False where it has none: it was written by an older version.
    :raises ValueError: if it does not match.
    """
    if not fields.has(CHECKSUM):
        return False
    checksum = fields.take(CHECKSUM)
    try:
        is_right = checksum == checksum_of(fields.rest())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not is_right:
        raise ValueError(BROKEN)
    return True
