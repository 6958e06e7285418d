"""What is handed over: one image and what a filter decided on it, and which filter that was."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from indexer.address import Address
from indexer.disk.rows import ROW_SCHEMA
from indexer.sources.names import is_url
from service.search.decided import Decision
from service.search.hits import row_json

# What a file of a format, as rows name it, is called where the original's own name may lie or have
# no suffix.
SUFFIXES = {
    "jpeg": ".jpg",
    "mpo": ".jpg",  # a JPEG with more JPEGs behind it
    "tiff": ".tif",
    "heif": ".heic",
    "jpeg2000": ".jp2",
    **{name: f".{name}" for name in ("png", "webp", "gif", "bmp", "avif", "ppm")},
}
IS_PART = (
    "it lies inside another file, and this format names whole files; --extract FOLDER (extract= in "
    "Python) writes it out, webdataset copies it, txt, csv and parquet name it with its place"
)
NOT_UTF8 = (
    "its path is not UTF-8, and this format can hold nothing else; txt and webdataset carry it"
)
NOT_READ = (
    "its row was imported and its image not read yet, so its size is unknown; "
    "`lakesift sync LAKE --recompute width_px` reads it"
)


class LeftOut(Exception):
    """One image cannot be handed over in this form; str() is the reason. The rest goes on."""

    def __init__(self, reason: str, *, for_now: bool = False) -> None:
        """:param for_now: the next run may be able to (network, permission), so that it writes the
        image's chunk anew.
        """
        super().__init__(reason)
        self.for_now = for_now


@dataclass(frozen=True, slots=True)
class Item:
    """One image and the decision on it."""

    row_id: int
    uri: str  # with the part, as in `/a.tar#member=7.jpg`
    # a local path's exact bytes; None: uri is a URL, or the image has no file of its own
    path: bytes | None
    width_px: int
    height_px: int
    decision: Decision
    score: float
    probability: float | None  # of being relevant, in [0, 1]; None before there are labels
    label: Literal["yes", "no"] | None  # a person's, where there is one
    labeller: str | None
    # the row's other columns; every item of an export has the same ones
    columns: Mapping[str, Any] = field(repr=False)
    # a member of an archive, a row of a table; False once it was written out to a path of its own
    is_part: bool = False

    def check_size(self) -> None:
        """For formats that say it: boxes are drawn in it.

        :raises LeftOut: if it is not known.
        """
        if not (self.width_px and self.height_px):
            raise LeftOut(NOT_READ, for_now=True)

    @classmethod
    def of(
        cls,
        row: Mapping[str, Any],
        decision: Decision,
        score: float,
        probability: float | None = None,
        label: Literal["yes", "no"] | None = None,
        labeller: str | None = None,
    ) -> Item:
        """:param row: a row of a snapshot, every column.

        :raises UnreadableImage: if it holds no address of an image.
        """
        address = Address.of(row)
        return cls(
            row_id=int(row["row_id"]),
            uri=str(address),
            path=address.path if address.is_whole else None,
            width_px=int(row["width_px"] or 0),
            height_px=int(row["height_px"] or 0),
            decision=decision,
            score=score,
            probability=probability,
            label=label,
            labeller=labeller,
            columns=row,
            is_part=not address.is_whole,
        )

    @property
    def suffix(self) -> str:
        """The suffix of the image's format, as ".jpg".

        Where the format is not known it is the name's own suffix, and ".img" where there is none.
        """
        known = SUFFIXES.get(str(self.columns.get("format")).lower())
        own = posixpath.splitext(self.uri)[1].lower()
        return known or (own if own[1:].isalnum() and own.isascii() else ".img")

    @property
    def local_path(self) -> str:
        """The path as text.

        :raises LeftOut: if the image is not on this machine's disks, or its path is not UTF-8.
        """
        self._check_whole()
        if self.path is None:
            raise LeftOut("it is not on this machine's disks, and this format names files there")
        return self.place

    @property
    def place(self) -> str:
        """The path, or the URL, as text; raises LeftOut where a path is not UTF-8."""
        if self.path is None:
            return self.uri
        try:
            return self.path.decode()
        except UnicodeDecodeError:
            raise LeftOut(NOT_UTF8) from None

    def below(self, root: str | None) -> str:
        """The name that a tool with this top folder has for the image: without a leading slash.

        :param root: a folder's absolute path, or a URL as far as the folder; None: "/", or the
            store: `bucket/a.jpg`.
        :raises LeftOut: if the image does not lie below root, or its path is not UTF-8.
        """
        self._check_whole()
        place = self.place
        if root is None:
            return place.partition("://")[2] if is_url(place) else place.removeprefix("/")
        top = root.rstrip("/") + "/"
        if not place.startswith(top):
            raise LeftOut(f"it does not lie below {root}")
        return place.removeprefix(top)

    def _check_whole(self) -> None:
        if self.is_part:
            raise LeftOut(IS_PART)

    @property
    def own_columns(self) -> dict[str, Any]:
        """The user's own columns and the caption that have a value, in plain values."""
        ours = set(ROW_SCHEMA.names) - {"caption"}
        shown = self.to_json()["columns"]
        return {name: value for name, value in shown.items() if name not in ours}

    def to_json(self) -> dict[str, Any]:
        """All of it in plain values. Columns without a value are left out, as in the whole API."""
        row = {
            "row_id": self.row_id,
            "uri": self.uri,
            "width_px": self.width_px,
            "height_px": self.height_px,
        }
        columns = row_json({**self.columns, **row})["columns"]
        return {
            **row,
            "decision": self.decision,
            "score": self.score,
            "probability": self.probability,
            "label": self.label,
            "labeller": self.labeller,
            "columns": columns,
        }


@dataclass(frozen=True, slots=True)
class Handover:
    """Which filter decided, on what, and with what promise.

    Every format that has room for it says so.
    """

    filter: str
    version: int
    snapshot: int
    promise: str  # one sentence
    decision: str  # which decisions are handed over, as "keep" or "keep, ask"

    def to_json(self) -> dict[str, Any]:
        return {
            "filter": self.filter,
            "version": self.version,
            "snapshot": self.snapshot,
            "promise": self.promise,
            "decision": self.decision,
        }
