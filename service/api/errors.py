"""From an exception to an answer:
the one table of which error is whose fault, and its status and code.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from indexer.errors import (
    BadRequest,
    CannotUndo,
    DimensionMismatch,
    EngineMoved,
    FilterExists,
    ImageGone,
    ImageRefused,
    ImageUnreachable,
    LakeDamaged,
    LakeError,
    LakeLocked,
    LakeNotFound,
    ModelNotTrusted,
    ModelUnavailable,
    ModelUnknown,
    NoMap,
    SearchAway,
    SnapshotGone,
    UnknownFilter,
    UnknownLake,
    UnknownRow,
    UnknownSearch,
    UnreadableImage,
    WhereError,
    WhereTooSlow,
    WrongModel,
)
from service.api.answers import Refused, error_response
from service.api.cursor import NOT_A_CURSOR
from service.api.door.headers import security_headers

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """How one class of error is answered."""

    status: int
    code: str
    field: str | None = None


# The first class that fits counts.
KINDS: Mapping[type[LakeError], Kind] = {
    WhereError: Kind(422, "bad_where", "where"),
    WhereTooSlow: Kind(503, "where_too_slow", "where"),
    DimensionMismatch: Kind(422, "wrong_dimension", "vector"),
    UnreadableImage: Kind(422, "unreadable_image"),
    UnknownLake: Kind(404, "unknown_lake", "lake"),
    UnknownFilter: Kind(404, "unknown_filter", "name"),
    NoMap: Kind(404, "no_map"),
    UnknownSearch: Kind(404, "unknown_search", "name"),
    UnknownRow: Kind(404, "unknown_row", "row_id"),
    SnapshotGone: Kind(410, "snapshot_gone", "cursor"),
    EngineMoved: Kind(410, "engine_moved", "cursor"),
    SearchAway: Kind(503, "engine_away"),
    ImageGone: Kind(410, "image_gone"),
    ImageRefused: Kind(403, "image_refused"),
    ImageUnreachable: Kind(503, "image_unreachable"),
    ModelNotTrusted: Kind(503, "model_not_trusted"),
    ModelUnknown: Kind(422, "model_unknown"),
    ModelUnavailable: Kind(503, "model_unavailable"),
    WrongModel: Kind(503, "model_unavailable"),
    LakeLocked: Kind(503, "lake_locked"),
    LakeNotFound: Kind(503, "lake_damaged"),
    LakeDamaged: Kind(503, "lake_damaged"),
    FilterExists: Kind(409, "filter_exists"),
    CannotUndo: Kind(409, "cannot_undo"),
    BadRequest: Kind(422, "invalid_request"),
    LakeError: Kind(503, "lake_error"),
}
HTTP_CODES = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
# Codes of errors that belong to one field of a request.
FIELD_CODES = {"cursor": "bad_cursor"}
RETRY_AFTER_S = 5
UPLOADED = re.compile(
    r"(files|input|keep_images|drop_images)\[\d+\]|image"
)  # the field of an uploaded image


def answer_to(error: LakeError, called: Mapping[str, str] = MappingProxyType({})) -> Response:
    """The answer to an error of the library.

    :param called: fields that the caller knows by another name -> that name.
    """
    kind = next(kind for cls, kind in KINDS.items() if isinstance(error, cls))
    field = getattr(error, "field", kind.field)
    if isinstance(error, UnreadableImage) and UPLOADED.fullmatch(error.uri):
        field = error.uri
    field = called.get(str(field), field)
    code = FIELD_CODES.get(str(field), kind.code) if kind.status == 422 else kind.code
    headers = {"Retry-After": str(RETRY_AFTER_S)} if kind.status == 503 else {}
    return error_response(kind.status, code, str(error), field, headers=headers)


def answer_to_invalid(errors: Sequence[Any]) -> Response:
    """The answer to a request that is not as it should be.

    :param errors: pydantic's; the first part of each one's place says where in the request it was.
    """
    field, message = describe(errors)
    return error_response(422, FIELD_CODES.get(str(field), "invalid_request"), message, field)


def install(app: FastAPI) -> None:
    """Make every error of the app an answer in the contract's shape."""

    @app.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> Response:
        return error.answer()

    @app.exception_handler(LakeError)
    def lake_error(request: Request, error: LakeError) -> Response:
        return answer_to(error)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer_to_invalid(error.errors())

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # Starlette's word for JSON and forms that it cannot read
            reason = str(error.detail).rstrip(".").lower()
            message = f"the body cannot be read ({reason}); send whole JSON in UTF-8, or a whole multipart form"
            return error_response(422, "invalid_request", message)
        message = (
            f"there is no {request.url.path} here; /docs lists what there is"
            if error.status_code == 404
            else ""
        )
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            message = f"{request.url.path} does not take {request.method}" + (
                f", only {allowed}" if allowed else ""
            )
        code = HTTP_CODES.get(error.status_code, "invalid_request")
        return error_response(
            error.status_code, code, message or str(error.detail), headers=error.headers
        )

    @app.exception_handler(Exception)
    def internal(request: Request, error: Exception) -> Response:
        log.error("%s %r failed", request.method, request.url.path, exc_info=error)
        message = "something went wrong here, not with your request; the log has it"
        # Answered outside of Limits, which gives all other answers these headers.
        return error_response(500, "internal", message, headers=security_headers(request.url.path))


def describe(errors: Sequence[Any]) -> tuple[str | None, str]:
    """The field and a sentence on it, from the first of pydantic's errors: texts[0].text."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return None, f"the body is not JSON: {first.get('ctx', {}).get('error', first['msg'])}"
    path = first["loc"][1:]  # the first says where it was: in the body, the address, a header
    field = (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        or None
    )
    if field is None:
        return None, 'the body must be a JSON object, as {"texts": ["a cat"]}; /docs describes it'
    message = str(first["msg"])
    if first["type"] == "extra_forbidden":
        message = "there is no such field; /docs lists those there are"
    if first["type"] in ("model_type", "model_attributes_type"):
        message = "input should be a JSON object; /docs has its fields"
    if first["type"] == "string_pattern_mismatch" and field == "cursor":
        message = NOT_A_CURSOR
    return field, f"{field}: {message[:1].lower()}{message[1:]}"
