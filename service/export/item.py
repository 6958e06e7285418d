"""What is handed over: one image and what a filter decided on it, and which filter that was."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from indexer.sources.names import is_url, path_of
from service.hits import row_json

Decision = Literal["keep", "drop", "ask"]
# What a file of a format, as rows name it, is called where the original's own name may lie or have no suffix.
SUFFIXES = {
    "jpeg": ".jpg",
    "mpo": ".jpg",  # a JPEG with more JPEGs behind it
    "tiff": ".tif",
    "heif": ".heic",
    "jpeg2000": ".jp2",
    **{name: f".{name}" for name in ("png", "webp", "gif", "bmp", "avif")},
}
NOT_UTF8 = "its path is not UTF-8, and this format can hold nothing else; txt and webdataset carry it"


class LeftOut(Exception):
    """One image cannot be handed over in this form; str() is the reason. The rest goes on."""

    def __init__(self, reason: str, *, for_now: bool = False) -> None:
        """:param for_now: the next run may do better (network, permission), so its chunk is written anew then."""
        super().__init__(reason)
        self.for_now = for_now


@dataclass(frozen=True, slots=True)
class Item:
    """One image and the decision on it."""

    row_id: int
    uri: str
    path: bytes | None  # a local path's exact bytes; None: uri is a URL
    width_px: int
    height_px: int
    decision: Decision
    score: float
    probability: float | None  # of being relevant, in [0, 1]; None before there are labels
    label: Literal["yes", "no"] | None  # a person's, where there is one
    labeller: str | None
    columns: Mapping[str, Any] = field(
        repr=False
    )  # the row's other columns; every item of an export has the same

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
        """:param row: a row of a snapshot, every column."""
        uri = str(row["uri"])
        return cls(
            row_id=int(row["row_id"]),
            uri=uri,
            path=None if is_url(uri) else path_of(uri, row["path_bytes"]),
            width_px=int(row["width_px"]),
            height_px=int(row["height_px"]),
            decision=decision,
            score=score,
            probability=probability,
            label=label,
            labeller=labeller,
            columns=row,
        )

    @property
    def suffix(self) -> str:
        """As ".jpg": of the image's format, or of its name where that is not known; ".img" where neither is."""
        known = SUFFIXES.get(str(self.columns.get("format")).lower())
        own = posixpath.splitext(self.uri)[1].lower()
        return known or (own if own[1:].isalnum() and own.isascii() else ".img")

    @property
    def local_path(self) -> str:
        """The path as text.

        :raises LeftOut: if the image is not on this machine's disks, or its path is not UTF-8.
        """
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
        """The name below root, as a tool knows it that has root for its top folder: without a leading slash.

        :param root: a folder's absolute path, or a URL as far as the folder; None: "/", or the store: `bucket/a.jpg`.
        :raises LeftOut: if the image does not lie below root, or its path is not UTF-8.
        """
        place = self.place
        if root is None:
            return place.partition("://")[2] if is_url(place) else place.removeprefix("/")
        top = root.rstrip("/") + "/"
        if not place.startswith(top):
            raise LeftOut(f"it does not lie below {root}")
        return place.removeprefix(top)

    def to_json(self) -> dict[str, Any]:
        """All of it, with plain values alone; columns without a value are left away, as everywhere in the API."""
        row = {"row_id": self.row_id, "uri": self.uri, "width_px": self.width_px, "height_px": self.height_px}
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
    """Which filter decided, on what, with what promise; every format that has room for it says so."""

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
