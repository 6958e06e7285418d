"""What verbs say of parts that somebody embedded and nobody committed."""

from __future__ import annotations

import sys
from pathlib import Path

from indexer.errors import LakeError


def tell_waiting(lake: Path) -> None:
    """To whoever writes or measures the lake without them."""
    from service.doctor.waiting import parts_waiting

    try:
        waiting = parts_waiting(lake)
    except LakeError as error:
        print(f"warning: {error}", file=sys.stderr)
        return
    if waiting is not None:
        print(f"note: {waiting}", file=sys.stderr)
