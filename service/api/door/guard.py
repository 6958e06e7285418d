"""The guard: from which names and pages requests may come,
and with which keys. ASGI, before every route.
"""

from __future__ import annotations

import logging

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from indexer.errors import BadRequest
from service.api.answers import Refused
from service.api.config import ServeConfig
from service.api.door.access import IN_SCOPE, Access, needs_key, only, scope_needed
from service.api.door.hosts import (
    Host,
    allowed_names,
    allowed_origins,
    check_proxies,
    is_loopback,
    same_origin,
)
from service.api.door.work import current_job
from service.api.serving.keys import KeyStore
from service.api.serving.shared_arrays import SharedArrays

log = logging.getLogger(__name__)


def check_start(config: ServeConfig, keys: KeyStore) -> None:
    """Refuse a start that would leave the service open to strangers, or shut to everybody.

    :raises BadRequest: if keys are needed and there is none, an allowed host is not a name, an
        allowed origin is none, or a proxy to believe is no address.
    :raises KeysDamaged: if keys are needed and their file cannot be read.
    """
    allowed_names(config)
    allowed_origins(config)
    check_proxies(config)
    if not needs_key(config):
        return
    for warning in keys.warnings():
        log.warning("%s", warning)
    if not keys.list():
        field = "--require-key" if is_loopback(config.host) else "--host"
        why = (
            "a key is asked for" if is_loopback(config.host) else f"others can reach {config.host}"
        )
        raise BadRequest(
            field, f"{why}, and there is no key yet; make one with: lakesift key add NAME"
        )


class Guard:
    """Answers 400, 401, 403 and 429 by itself;
    what passes may go to any route. Hands routes its Access.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: ServeConfig,
        keys: KeyStore,
        access: Access | None = None,
        arrays: SharedArrays | None = None,
    ) -> None:
        """:param access: for tests with a clock of their own; None makes one.
        :param arrays: of the workers who know the same sessions and count wrong keys together.
        """
        self._app = app
        self._names = allowed_names(config)
        self._origins = allowed_origins(config)
        self._access = Access(config, keys, arrays=arrays) if access is None else access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(HTTPConnection(scope), scope["method"])
            except Refused as refused:
                await refused.answer()(scope, receive, send)
                return
            scope[IN_SCOPE] = self._access
        # there are no web sockets here: none gets past these checks either
        elif scope["type"] != "lifespan":
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    def _check(self, request: HTTPConnection, method: str) -> None:
        self._check_origin(request, method, self._check_host(request))
        key = self._access.admit(request, method)
        if key is not None:  # behind a proxy many callers have one address
            current_job().asker = key.id

    def _check_host(self, request: HTTPConnection) -> Host:
        text = only(request, "host") or ""
        host = Host.parse(text)
        if host is None:
            raise Refused(
                403, "host_not_allowed", f"the Host header {text[:100]!r} is not a host and a port"
            )
        if host.name not in self._names:
            raise Refused(
                403,
                "host_not_allowed",
                f"this service is not known as {host.name}; if it should be, start it with --allow-host {host.name}",
            )
        return host

    def _check_origin(self, request: HTTPConnection, method: str, host: Host) -> None:
        origin = only(request, "origin")
        # Such a page reads. What it could change, somebody meant to change it here.
        if origin in self._origins and scope_needed(method, request.scope["path"]) == "read":
            return
        if origin is not None and not same_origin(origin, request.scope["scheme"], host):
            raise Refused(
                403,
                "origin_not_allowed",
                f"requests from pages of {origin[:100]} are not taken, only from this service's own page at "
                f"{request.scope['scheme']}://{request.headers['host']}; a proxy has to pass Host on, and "
                "where it speaks https set X-Forwarded-Proto and be believed (--trust-proxy); pages that may "
                "read from here are named by --allow-origin",
            )
        if _from_elsewhere(request, method):
            raise Refused(
                403,
                "origin_not_allowed",
                "another site's page asked for this; only links to it are followed",
            )


def _from_elsewhere(request: HTTPConnection, method: str) -> bool:
    """What another site's page loads or sends,
    unlike a link that a person follows. Old browsers do not say.

    `same-site` is no better: it is another port of this machine, or another machine of the same
    domain.
    """
    if request.headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    followed = method in ("GET", "HEAD") and request.headers.get("sec-fetch-mode") == "navigate"
    return not (followed and request.headers.get("sec-fetch-dest") == "document")
