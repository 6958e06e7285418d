"""The limits: how much a request may send, of what kind,
how slowly, and how many may be under way. ASGI, outermost.

What is refused is refused before it is read into memory, and the answer reaches a caller who is
still sending. A place among those who are answered is had while we work: not while a caller is
still sending, nor while it reads, however slowly it does either.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.answers import NDJSON, Refused
from service.api.config import ServeConfig
from service.api.door.access import FILTER, Need
from service.api.door.attempts import network_of
from service.api.door.connections import head_too_large
from service.api.door.exchange import Exchange, has_body, too_large
from service.api.door.headers import is_page, with_security_headers
from service.api.door.places import Places
from service.api.door.work import working
from service.api.serving.shared_arrays import SharedArrays
from service.pictures.jobs import Job
from service.where import patience
from service.where.patience import Patience

UPLOADS = (
    Need("POST", "/v1/search/upload", None),
    Need("POST", "/v1/scores/upload", None),
    Need("POST", "/v1/lakes/{}/filters/upload", None),
    Need("POST", f"{FILTER}/decide", None),
)
# What is sent piece by piece, as fast as its caller reads.
STREAMED = (
    Need("GET", f"{FILTER}/export", None),
    Need("GET", f"{FILTER}/ledger", None),
)
# JSON that may hold images: an upload where it is too large to be anything else.
IN_TEXT = ("/knn-service", "/v1/embeddings")
SEARCH = "/v1/search"  # streamed, where the caller wants that
MANY = "/v1/search/many"
# Each may put as many searches into a pass over the rows as have room in it.
MANY_AT_ONCE = 8
SESSION = "/v1/session"
READY = "/readyz"
READY_AT_ONCE = 4  # each waits for the model in a thread: they must not take all the spare ones
MAX_SESSION_BYTES = 4_096  # a key in JSON; whoever sends it has shown none yet
LINGER_S = 5.0
SENT_FOR_ONE_ANSWERED = 2  # uploads on their way, for each that may be answered


class Limits:
    """Answers 408, 413, 415, 429 and 431 by itself, and gives every answer its security headers."""

    def __init__(
        self,
        app: ASGIApp,
        config: ServeConfig,
        *,
        linger_s: float = LINGER_S,
        arrays: SharedArrays | None = None,
    ) -> None:
        """:param linger_s: as Exchange has it.
        :param arrays: of the workers who have these limits together.
        """
        self._app = app
        self._config = config
        self._linger_s = linger_s
        self._requests = Places(config.max_busy, "request", shared=False, arrays=arrays)
        self._uploads = Places(config.max_uploads, "upload", arrays=arrays)
        self._arriving = Places(
            SENT_FOR_ONE_ANSWERED * config.max_uploads, "upload", arrays=arrays, name="arriving"
        )
        self._streams = Places(config.max_streams, "stream", arrays=arrays)
        self._many = Places(MANY_AT_ONCE, f"{MANY} request", arrays=arrays, name="many")
        # of each worker: its own threads are what is spared
        self._ready = Places(READY_AT_ONCE, "request", shared=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        visit = _Visit(scope, headers, self._is_upload(scope["path"], headers))
        max_bytes = self._max_bytes(visit)
        job = Job(self._config.max_decode_s, asker=visit.caller)
        exchange = Exchange(
            scope,
            receive,
            with_security_headers(scope["path"], send),
            max_bytes=max_bytes,
            patience_s=self._config.body_patience_s,
            linger_s=self._linger_s,
            whole=lambda: self._begin(visit),
            begun=lambda: visit.give(self._requests, self._uploads, self._many),
            gone=job.call_off if visit.is_upload else None,
        )
        refused = self._refuse_unread(scope, headers, max_bytes) or self._refuse_arriving(visit)
        if refused is not None:
            await exchange.refuse(refused)
        else:
            try:
                with patience.within(Patience(self._config.max_where_s)), working(job):
                    await exchange.run(self._app)
            finally:
                visit.give_all()
        await exchange.finish()  # whoever is slow to go takes nobody's place

    def _refuse_arriving(self, visit: _Visit) -> Refused | None:
        try:
            if visit.is_upload:
                visit.take(self._arriving)
        except Refused as refused:
            return refused
        return None

    def _begin(self, visit: _Visit) -> None:
        """The body is whole: now there is work.

        :raises Refused: if there is too much of it.
        """
        if visit.is_always_answered:
            if visit.is_ready:
                visit.take(self._ready)
            return
        if visit.is_upload:
            visit.take(self._uploads)
            visit.give(self._arriving)
        if visit.is_stream:
            visit.take(self._streams)
        if visit.is_many:
            visit.take(self._many)
        visit.take(self._requests)

    def _refuse_unread(self, scope: Scope, headers: Headers, most: int) -> Refused | None:
        """What the headers alone show.

        :param most: bytes that the body may have.
        """
        head_bytes = sum(len(name) + len(value) + 4 for name, value in headers.raw)
        head_bytes += len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
        too_many = len(headers.raw) > self._config.max_headers
        if too_many or head_bytes > self._config.max_head_bytes:
            return head_too_large(self._config)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return Refused(400, "invalid_request", "Content-Length is not a number")
        # Python parses no more than 4,300 digits
        if len(length.lstrip("0")) > 18 or int(length) > most:
            return too_large(most)
        return _wrong_type(scope, headers) if has_body(headers) else None

    def _is_upload(self, path: str, headers: Headers) -> bool:
        """By its path; of JSON that may hold images by what its Content-Length says, too."""
        if path not in IN_TEXT:
            return _is_form(path)
        length = headers.get("content-length", "")
        return not length.isdigit() or len(length) > 18 or int(length) > self._config.max_body_bytes

    def _max_bytes(self, visit: _Visit) -> int:
        if visit.is_upload:
            return self._config.max_upload_bytes
        if visit.path == SESSION:
            return min(MAX_SESSION_BYTES, self._config.max_body_bytes)
        return self._config.max_body_bytes


def _is_form(path: str) -> bool:
    return any(upload.fits("POST", path) for upload in UPLOADS)


class _Visit:
    """A request, and the places that it has."""

    def __init__(self, scope: Scope, headers: Headers, is_upload: bool) -> None:
        self.path = path = scope["path"]
        self.caller = network_of(scope["client"][0] if scope.get("client") else "")
        self.is_upload = is_upload
        self.is_stream = _is_stream(path, headers)
        self.is_many = path == MANY
        self.is_always_answered = _always_answered(path)
        self.is_ready = path == READY
        self._held: list[Places] = []

    def take(self, places: Places) -> None:
        """:raises Refused: if there is none."""
        places.take(self.caller)
        self._held.append(places)

    def give(self, *places: Places) -> None:
        """Give these back, if it has them."""
        for each in places:
            if each in self._held:
                self._held.remove(each)
                each.give(self.caller)

    def give_all(self) -> None:
        self.give(*self._held)


def _is_stream(path: str, headers: Headers) -> bool:
    if path == SEARCH:
        return NDJSON in headers.get("accept", "")
    return any(streamed.fits("GET", path) for streamed in STREAMED)


def _always_answered(path: str) -> bool:
    """Cheap, and wanted just when all is busy. Signing in too:
    whoever dribbles keys must not stop the others.
    """
    return path in ("/healthz", READY, "/metrics", SESSION) or is_page(path)


def _wrong_type(scope: Scope, headers: Headers) -> Refused | None:
    """Forms of other sites can send text/plain and the like unasked,
    but not JSON: one more reason to insist.
    """
    if scope["method"] not in ("POST", "PUT", "PATCH") or not scope["path"].startswith("/v1/"):
        return None
    wanted = "multipart/form-data" if _is_form(scope["path"]) else "application/json"
    sent = headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent == wanted:
        return None
    return Refused(
        415,
        "unsupported_media_type",
        f"{scope['path']} takes {wanted}, and this is {sent[:100] or 'of no Content-Type'}",
    )
