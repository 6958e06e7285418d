"""What one pass over a compressed tar finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.sources.containers import DamagedContainer
from indexer.sources.containers.packed.pieces import Point

# Photos do not get smaller; masks and blank pages may, a hundred times.
_MOST_TIMES, _SMALL_BYTES = 100, 64 << 20


@dataclass(frozen=True, slots=True)
class Scan:
    """The points, how many bytes there are, and why there may be more that cannot be unpacked."""

    points: Sequence[Point]
    unpacked_bytes: int
    damage: str | None = None


def check_growth(unpacked_bytes: int, packed_bytes: int) -> None:
    """:raises DamagedContainer: if it is a bomb."""
    if unpacked_bytes > _MOST_TIMES * packed_bytes + _SMALL_BYTES:
        raise DamagedContainer(
            f"it holds more than {_MOST_TIMES} times its size, as no tar of photos does; "
            "unpack it yourself"
        )
