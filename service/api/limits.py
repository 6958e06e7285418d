"""The limits: how much a request may send, of what kind, how slowly, and how many may be under way. ASGI, outermost.

What is refused is refused before it is read into memory, and the answer reaches a caller who is still sending.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.access import FILTER, Need
from service.api.answers import Refused
from service.api.config import ServeConfig
from service.api.exchange import Exchange, has_body, too_large
from service.api.headers import is_page, with_security_headers

UPLOADS = (
    Need("POST", "/v1/search/upload", None),
    Need("POST", "/v1/lakes/{}/filters/upload", None),
    Need("POST", f"{FILTER}/decide", None),
)
SESSION = "/v1/session"
MAX_SESSION_BYTES = 4_096  # a key in JSON; whoever sends it has shown none yet
PATIENCE_S = 30.0
LINGER_S = 5.0


class Limits:
    """Answers 408, 413, 415 and 429 by itself, and gives every answer its security headers."""

    def __init__(
        self,
        app: ASGIApp,
        config: ServeConfig,
        *,
        patience_s: float = PATIENCE_S,
        linger_s: float = LINGER_S,
    ) -> None:
        """:param patience_s, linger_s: as Exchange has them."""
        self._app = app
        self._config = config
        self._patience_s = patience_s
        self._linger_s = linger_s
        self._in_flight = 0
        self._uploads = 0  # of those

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(
            scope,
            receive,
            with_security_headers(scope["path"], send),
            max_bytes=self._max_bytes(scope["path"]),
            patience_s=self._patience_s,
            linger_s=self._linger_s,
        )
        refused = self._refuse_unread(scope)
        if refused is not None:
            await exchange.refuse(refused)
        else:
            await self._run(exchange, scope["path"])
        await exchange.finish()  # whoever is slow to go takes nobody's place

    async def _run(self, exchange: Exchange, path: str) -> None:
        if _always_answered(path):
            await exchange.run(self._app)
            return
        is_upload = _is_upload(path)
        if is_upload and self._uploads >= self._config.max_uploads:
            await exchange.refuse(_busy(self._uploads, "uploads"))
            return
        if self._in_flight >= self._config.max_busy:
            await exchange.refuse(_busy(self._in_flight, "requests"))
            return
        self._in_flight += 1
        self._uploads += is_upload
        try:
            await exchange.run(self._app)
        finally:
            self._in_flight -= 1
            self._uploads -= is_upload

    def _refuse_unread(self, scope: Scope) -> Refused | None:
        """What the headers alone show."""
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return Refused(400, "invalid_request", "Content-Length is not a number")
        most = self._max_bytes(scope["path"])
        if len(length.lstrip("0")) > 18 or int(length) > most:  # Python parses no more than 4,300 digits
            return too_large(most)
        return _wrong_type(scope, headers) if has_body(headers) else None

    def _max_bytes(self, path: str) -> int:
        if _is_upload(path):
            return self._config.max_upload_bytes
        if path == SESSION:
            return min(MAX_SESSION_BYTES, self._config.max_body_bytes)
        return self._config.max_body_bytes


def _is_upload(path: str) -> bool:
    return any(upload.fits("POST", path) for upload in UPLOADS)


def _busy(count: int, what: str) -> Refused:
    message = f"{count} {what} are being answered, which is the limit; try again in a second"
    return Refused(429, "too_busy", message, headers={"Retry-After": "1"})


def _always_answered(path: str) -> bool:
    """Cheap, and wanted just when all is busy. Signing in too: whoever dribbles keys must not stop the others."""
    return path in ("/healthz", "/readyz", "/metrics", SESSION) or is_page(path)


def _wrong_type(scope: Scope, headers: Headers) -> Refused | None:
    """Forms of other sites can send text/plain and the like unasked, but not JSON: one more reason to insist."""
    if scope["method"] not in ("POST", "PUT", "PATCH") or not scope["path"].startswith("/v1/"):
        return None
    wanted = "multipart/form-data" if _is_upload(scope["path"]) else "application/json"
    sent = headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent == wanted:
        return None
    return Refused(
        415,
        "unsupported_media_type",
        f"{scope['path']} takes {wanted}, and this is {sent[:100] or 'of no Content-Type'}",
    )
