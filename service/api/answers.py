"""The one shape of every error, {"error": {"code", "message", "field"}}; the type of a stream."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

NDJSON = "application/x-ndjson"


def error_response(
    status: int,
    code: str,
    message: str,
    field: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """:param field: what of the request is wrong, as texts[0].text; None where no one field is."""
    body = {
        "error": {"code": code, "message": _sendable(message), "field": field and _sendable(field)},
    }
    return JSONResponse(body, status, headers={"Cache-Control": "no-store", **(headers or {})})


def _sendable(text: str) -> str:
    """A message may quote what was sent;
    half a surrogate pair is JSON, but cannot be written as UTF-8.
    """
    return text.encode("utf-8", "backslashreplace").decode()


class Refused(Exception):
    """A request that goes no further; raised within `service/api` and answered there."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers

    def answer(self) -> Response:
        return error_response(self.status, self.code, str(self), headers=self.headers)
