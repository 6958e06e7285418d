"""A row's image, and small copies of it. By row alone: no caller names a path or a URL."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from indexer.errors import UnknownRow
from service.api.schemas import ErrorAnswer
from service.api.serving.hub import ServedLake
from service.formats.extracted_name import ExtractedName
from service.formats.item import SUFFIXES
from service.pictures.media_types import FORMATS, JPEG, SHOWN, shown_as
from service.pictures.originals import ROW_COLUMNS, IndexedImage
from service.pictures.thumbnails import LARGEST_PX, RECIPE, SMALLEST_PX, Thumbnails, snap

router = APIRouter(prefix="/v1/lakes", tags=["images"])

VERSION_DIGITS = 16  # of the row's sha256, as the caller's v
A_YEAR_S = 31_536_000
# Opened by itself an image is no page: it runs nothing, loads nothing, and is of no type but its
# own.
SEALED = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MAX_NAME_CHARS = 150

LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]
RowId = Annotated[int, Path(ge=1, lt=2**53)]
Version = Annotated[
    str | None,
    Query(
        max_length=64,
        description="The first 16 digits of the row's sha256: the answer may then be kept for ever.",
    ),
]
Size = Annotated[
    int, Query(ge=SMALLEST_PX, le=LARGEST_PX, description="Of the longer side, in pixels.")
]
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (403, 404, 410, 422, 429, 503)
}


def _answers(*media_types: str) -> dict[int | str, dict[str, Any]]:
    picture = {"type": "string", "format": "binary"}
    return {
        **ERRORS,
        200: {
            "content": {kind: {"schema": picture} for kind in media_types},
            "description": "The picture.",
        },
        304: {"description": "The caller's copy (If-None-Match) is still good."},
    }


@router.get(
    "/{lake}/rows/{row_id}/image",
    response_class=Response,
    responses=_answers(*SHOWN),
    summary="A row's image",
)
def image(request: Request, lake: LakeName, row_id: RowId, v: Version = None) -> Response:
    """The file's own bytes where browsers show them: JPEG, PNG, GIF, WebP, AVIF, BMP.
    Others, as HEIC and TIFF, come as a JPEG with at most 4096 px a side. 410 where
    the file is gone, or is not the one that was indexed; 403 where the row names a place
    that lies in no source of its lake.
    """
    indexed = _indexed(request, lake, row_id)
    headers = _headers(indexed, f"{indexed.sha256}-{RECIPE}", v)
    if has_copy(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    thumbnails: Thumbnails = request.app.state.thumbnails
    data, media_type = _shown(thumbnails, indexed) or (thumbnails.large(indexed), None)
    headers["Content-Disposition"] = _disposition(indexed, converted=media_type is None)
    return Response(data, media_type=media_type or JPEG, headers=headers)


def _shown(thumbnails: Thumbnails, indexed: IndexedImage) -> tuple[bytes, str] | None:
    """The original and its media type, where browsers show it."""
    if indexed.format not in FORMATS:
        return None
    data = thumbnails.originals.read(indexed)
    media_type = shown_as(data)  # what it is sent as is decided by the bytes alone
    return None if media_type is None else (data, media_type)


@router.get(
    "/{lake}/rows/{row_id}/thumbnail",
    response_class=Response,
    responses=_answers(JPEG),
    summary="A small copy of a row's image",
)
def thumbnail(
    request: Request, lake: LakeName, row_id: RowId, size: Size = 256, v: Version = None
) -> Response:
    """A JPEG, upright, at least as large as asked for: its longer side is the next of 128,
    256, 512, 1024 px, or the image's own where that is smaller.
    """
    indexed = _indexed(request, lake, row_id)
    headers = _headers(indexed, f"{indexed.sha256}-{snap(size)}-{RECIPE}", v)
    if has_copy(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    thumbnails: Thumbnails = request.app.state.thumbnails
    headers["Content-Disposition"] = _disposition(indexed, converted=True)
    return Response(thumbnails.of(indexed, size), media_type=JPEG, headers=headers)


def _indexed(request: Request, lake: str, row_id: int) -> IndexedImage:
    """:raises UnknownRow: if no row of the current snapshot has this number.
    :raises ImageRefused: if it names a place outside the lake's sources.
    """
    served: ServedLake = request.app.state.hub.lake(lake)
    snapshot = served.lake.snapshot
    place = snapshot.find(row_id)
    if place is None:
        raise UnknownRow(served.name, row_id)
    part, position = place
    row = part.columns(ROW_COLUMNS).slice(position, 1).to_pylist()[0]
    return IndexedImage.of(row, snapshot.reach)


def _headers(indexed: IndexedImage, tag: str, version: str | None) -> dict[str, str]:
    lasting = version == indexed.sha256[:VERSION_DIGITS]
    kept = f"private, max-age={A_YEAR_S}, immutable" if lasting else "private, no-cache"
    return {**SEALED, "ETag": f'"{tag}"', "Cache-Control": kept}


def has_copy(request: Request, etag: str) -> bool:
    """Whether the caller's If-None-Match names what it would get.
    Weak marks do not matter here: RFC 9110, 13.1.2.
    """
    named = [
        tag.strip().removeprefix("W/")
        for tag in request.headers.get("if-none-match", "").split(",")
    ]
    return etag in named or "*" in named


def _disposition(indexed: IndexedImage, *, converted: bool) -> str:
    """Under which name a browser saves it: RFC 6266,
    with the name in RFC 5987's form beside a plain one.
    """
    part = ExtractedName.of(indexed.uri)
    name = indexed.address.uri if part is None else part.file(SUFFIXES.get(indexed.format, ""))
    name = name.rpartition("/")[2]
    # A recording is not the name of one image.
    if indexed.address.stream is not None:
        stem = indexed.address.uri.rpartition("/")[2].rpartition(".")[0]
        name = f"{stem}-{indexed.row_id}{SUFFIXES.get(indexed.format, '')}"
    if converted:
        stem, dot, _ = name.rpartition(".")
        name = f"{stem if dot else name}.jpg"
    name = name[-MAX_NAME_CHARS:]
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
