"""Browser sessions: a random token in a cookie stands for a key.
In memory: a restart signs everybody out.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from service.api.serving.keys import Key, KeyStore

LIFE_S = 12 * 3600.0  # since the last use
MAX_SESSIONS = 10_000
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Session:
    key_id: str
    ends_at: float


class Sessions:
    """Who is signed in. Only hashes of the tokens are kept, so that a memory dump opens nothing."""

    def __init__(
        self,
        keys: KeyStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_sessions: int = MAX_SESSIONS,
    ) -> None:
        """:param max_sessions: beyond it the session that was not used for longest ends."""
        self._keys = keys
        self._clock = clock
        self._max = max_sessions
        # by the token's hash, last used last
        self._live: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._live)

    def begin(self, key: Key) -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            self._live[_hash(token)] = _Session(key.id, self._clock() + LIFE_S)
            while len(self._live) > self._max:
                self._live.popitem(last=False)
        return token

    def key_of(self, token: str) -> Key | None:
        """The session's key, for LIFE_S more;
        None where there is no session, or its key was revoked.
        """
        name = _hash(token)
        with self._lock:
            session = self._live.pop(name, None)
            if session is None or session.ends_at <= self._clock():
                return None
            key = self._keys.get(session.key_id)
            if key is not None:
                self._live[name] = _Session(key.id, self._clock() + LIFE_S)
            return key

    def end(self, token: str) -> None:
        with self._lock:
            self._live.pop(_hash(token), None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
