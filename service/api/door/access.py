"""Who asks, and what a request needs:
keys, sessions and the table of scopes. Knows headers, but no routes' work.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from service.api.answers import Refused
from service.api.config import ServeConfig
from service.api.door.attempts import Attempts
from service.api.door.hosts import is_loopback
from service.api.door.sessions import Sessions
from service.api.serving.keys import SECRET_START, Key, KeyStore
from service.api.serving.shared_arrays import SharedArrays

IN_SCOPE = "lakesift.access"  # where in the ASGI scope routes find the Access
REALM = 'Bearer realm="lakesift"'


@dataclass(frozen=True, slots=True)
class Need:
    """What requests of a method to a path need.
    A path that ends in * stands for all that begin so, {} for one part.
    """

    method: str  # GET is HEAD too, * is any
    path: str
    scope: str | None  # None: open to whoever reaches the service

    def fits(self, method: str, path: str) -> bool:
        if self.method not in ("*", "GET" if method == "HEAD" else method):
            return False
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        if "{" not in self.path:  # most are not: each request is held against some twenty
            return path == self.path
        wanted, parts = self.path.split("/"), path.split("/")
        return len(wanted) == len(parts) and all(
            part == want or (want == "{}" and part)
            for want, part in zip(wanted, parts, strict=True)
        )


FILTER = "/v1/lakes/{}/filters/{}"
TAGS = "/v1/lakes/{}/tags"
SEARCH = "/v1/lakes/{}/searches/{}"
# The first line that fits counts. What a later route needs goes above the last two lines.
NEEDS: Sequence[Need] = (
    Need("GET", "/", None),  # the page shows nothing by itself
    Need("GET", "/label", None),
    Need("GET", "/lake", None),
    Need("GET", "/page/*", None),
    Need("GET", "/favicon.ico", None),
    Need("GET", "/healthz", None),
    Need("GET", "/readyz", None),  # without a key it names no lake
    Need("*", "/v1/session", None),  # where the page signs in; it checks the key itself
    Need("POST", "/v1/search", "read"),  # a search by POST changes nothing
    Need("POST", "/v1/search/upload", "read"),
    Need("POST", "/v1/search/many", "read"),
    Need("POST", "/v1/scores", "read"),
    Need("POST", "/v1/scores/upload", "read"),
    Need("POST", "/v1/embeddings", "read"),
    Need("POST", "/v1/facets", "read"),
    Need("POST", "/v1/lakes/{}/map/colours", "read"),
    Need("POST", "/v1/lakes/{}/pick", "read"),
    Need("POST", "/v1/lakes/{}/compare", "read"),
    Need("POST", "/v1/lakes/{}/strange", "read"),
    Need("POST", "/knn-service", "read"),
    Need("POST", "/metadata", "read"),
    Need("POST", f"{FILTER}/next", "label"),
    Need("POST", f"{FILTER}/label", "label"),
    Need("POST", f"{FILTER}/undo", "label"),
    Need("POST", f"{FILTER}/decide", "read"),  # it changes nothing
    Need("POST", TAGS, "label"),
    Need("POST", f"{TAGS}/undo", "label"),
    Need("PUT", SEARCH, "label"),
    Need("DELETE", SEARCH, "label"),
    Need("GET", "*", "read"),
    Need("*", "*", "write"),
)


def scope_needed(method: str, path: str) -> str | None:
    """The scope that a key needs for a request; None where no key is asked for."""
    return next(need.scope for need in NEEDS if need.fits(method, path))


def needs_key(config: ServeConfig) -> bool:
    """Whether this service asks for keys: where others can reach it, and where it was told to."""
    return config.require_key or not is_loopback(config.host)


class Access:
    """Tells whom a request comes from, and refuses wrong keys."""

    def __init__(
        self,
        config: ServeConfig,
        keys: KeyStore,
        *,
        sessions: Sessions | None = None,
        attempts: Attempts | None = None,
        arrays: SharedArrays | None = None,
    ) -> None:
        """:param arrays: of the workers who know the same sessions and count wrong keys together;
        None: this process does so alone.
        """
        self.key_needed = needs_key(config)
        # Cookies do not tell ports apart; two services on one machine must not sign each other's
        # callers out.
        self.cookie = f"lakesift_session_{config.port}"
        self.sessions = Sessions(keys, arrays=arrays) if sessions is None else sessions
        self._attempts = Attempts(arrays=arrays) if attempts is None else attempts
        self._keys = keys

    def admit(self, request: HTTPConnection, method: str) -> Key | None:
        """Let a request through, or raise.

        :returns: the key it came with; None where none is asked for.
        :raises Refused: 401 without a key or with a wrong one, 403 if the key's scope is too
            narrow, 429 after too many wrong ones.
        """
        scope = scope_needed(method, request.scope["path"])
        if scope is None or not self.key_needed:
            return None
        key = self.key_of(request)
        if key is None:
            raise _key_needed(request)
        if not key.allows(scope):
            raise Refused(
                403,
                "scope_missing",
                f"this needs a key of scope {scope}, and {key.name} has {key.scope}; make one with: "
                f"lakesift key add NAME --scope {scope}",
                headers={
                    "WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'
                },
            )
        return key

    def labeller(self, request: HTTPConnection, said: Collection[str | None]) -> str | None:
        """Under which name a request's answers are saved: where keys are asked for, its key's.

        :param said: the names that the request gives to its answers; None: no name.
        :returns: None where no keys are asked for: then the names are as they were said.
        :raises Refused: 403, if one is another's name. It is refused, and not replaced in silence:
            agreement between people, conflicts and `undo` go by these names, and who meant to hand
            in somebody else's answers should learn that they would count as their own.
        """
        if not self.key_needed:
            return None
        # not at the top: a supervisor of workers asks only whether keys are needed
        from service.relevance.labels.book import UNNAMED

        key = self.key_of(request)
        if key is None:
            raise _key_needed(request)
        others = sorted({name for name in said if name} - {key.name, UNNAMED})
        if others:
            raise Refused(
                403,
                "labeller_not_yours",
                f"answers with this key are {key.name}'s, and these are said to be {others[0]}'s; "
                "leave labeller out, or let each person answer with a key of their own: lakesift "
                "key add NAME --scope label",
            )
        return key.name

    def key_of(self, request: HTTPConnection) -> Key | None:
        """The key a request was sent with,
        in a header or through its session; None where there is none.

        :raises Refused: if a key was sent and it is wrong; a good session beside it does not help.
        """
        secret = _sent_secret(request)
        if secret is not None:
            return self.check(secret, request)
        token = self.token_of(request)
        return None if token is None else self.sessions.key_of(token)

    def token_of(self, request: HTTPConnection) -> str | None:
        return request.cookies.get(self.cookie)

    def check(self, secret: str, request: HTTPConnection) -> Key:
        """The key of a secret.

        A right key is taken even from an address that has to wait: 256 bits are not guessed, and
        whoever sends wrong ones from behind the same proxy must not lock the others out. What the
        wait spares is our log and their time.

        :raises Refused: 401 if it is wrong, 429 if that happened too often.
        """
        key = self._keys.check(secret)
        if key is not None:
            return key
        wait_s = self._attempts.fail(request.client.host if request.client else "")
        if wait_s:
            raise Refused(
                429,
                "too_many_attempts",
                f"too many wrong keys came from your address; wait {wait_s} s",
                headers={"Retry-After": str(wait_s)},
            )
        raise Refused(
            401,
            "key_invalid",
            "this key is not known here, or was revoked; `lakesift key list` shows those there are",
            headers={"WWW-Authenticate": f'{REALM}, error="invalid_token"'},
        )


def _sent_secret(request: HTTPConnection) -> str | None:
    """The key in the headers; None where they have none.
    Other schemes of Authorization are a proxy's affair.
    """
    scheme, _, credentials = (only(request, "authorization") or "").strip().partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else None
    plain = only(request, "x-api-key")
    if bearer is not None and plain is not None and bearer != plain.strip():
        raise Refused(
            400,
            "invalid_request",
            "Authorization and X-API-Key hold different keys; send one of them",
        )
    return bearer if bearer is not None else plain and plain.strip()


def only(request: HTTPConnection, name: str) -> str | None:
    """A header's value; sent twice it is refused,
    as others on the way may have gone by the other one.

    :raises Refused: 400, if the header was sent more than once.
    """
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise Refused(
            400,
            "invalid_request",
            f"the header {name.title()} was sent {len(values)} times; send it once",
        )
    return values[0] if values else None


def _key_needed(request: HTTPConnection) -> Refused:
    message = (
        "this service asks for a key: sign in on its page, or send it as `Authorization: Bearer KEY` or "
        "`X-API-Key: KEY`; its owner makes one with: lakesift key add NAME"
    )
    if SECRET_START.encode() in request.scope["query_string"]:
        message = (
            "a key in the address is not taken, since addresses are logged: revoke it, make a new one, and send it as "
            "`Authorization: Bearer KEY`"
        )
    return Refused(401, "key_needed", message, headers={"WWW-Authenticate": REALM})
