"""Files that hold many images: shards, tables, archives. Nothing is unpacked.

A container lists its images by where their bytes lie; `indexer.sources.bytes_of` reads them there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.sources import ColumnValue


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a container."""

    address: Address
    size_bytes: int  # of the image; 0 where that is not known before it is read
    # what speaks of the image, as `Container.columns` takes it again
    sidecars: tuple[str, ...] = ()
    # changes with what the sidecars say, as far as the container itself stays the same
    columns_mark: str | None = None
    refused: str | None = None  # why it cannot be read; it is skipped with this reason


# Why a container was not listed whole, where that is nobody's fault.
STOPPED = "looking into it was stopped"


class DamagedContainer(Exception):
    """A container ends early or makes no sense from some place on; str() is the reason.

    What was listed before it is whole.
    """


class PassedOver(Exception):
    """A container is whole, and its images are not read as they lie there; str() is the reason."""


class Container(Protocol):
    """Reads one kind of file that holds images. Safe for several threads."""

    def members(self, file: Address) -> Iterator[Member]:
        """Every image, in the file's order, none decoded.

        :raises DamagedContainer: after all that can be listed.
        :raises PassedOver: instead of any.
        :raises UnreadableImage: if the file itself cannot be read. A store raises its own errors.
        """

    def columns(self, member: Address, sidecars: tuple[str, ...]) -> dict[str, ColumnValue]:
        """`caption` and columns of one image, as the container holds them.

        :raises UnreadColumns: if they cannot be read just now, and may be read later.
        """

    def read(self, member: Address, limits: ReadLimits) -> bytes:
        """The bytes of an image that has no offset and length in the file.

        :raises UnreadableImage: as `BytesOf.read`.
        """
