"""Browser sessions: a random token in a cookie stands for a key.
In memory: a restart signs everybody out.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.api.serving.keys import Key, KeyStore
from service.api.serving.shared_arrays import SharedArrays

LIFE_S = 12 * 3600.0  # since the last use
MAX_SESSIONS = 10_000
TOKEN_BYTES = 32
MAX_ID_BYTES = 64  # of a key's id; ours have 8


class Sessions:
    """Who is signed in. Only hashes of the tokens are kept, so that a memory dump opens nothing."""

    def __init__(
        self,
        keys: KeyStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_sessions: int = MAX_SESSIONS,
        arrays: SharedArrays | None = None,
    ) -> None:
        """:param clock: one that all workers share, as the system's monotonic one.
        :param max_sessions: beyond it the session that was not used for longest ends.
        :param arrays: where several workers know the same sessions; None: they are this process's.
        """
        self._keys = keys
        self._clock = clock
        self._arrays = arrays or SharedArrays()
        # A row a session: the sha256 of its token as four numbers, its key, and when it ends (0: it
        # is free).
        shared = self._arrays.array
        self._names: NDArray[np.uint64] = shared("sessions", np.uint64, (max_sessions, 4))
        self._key_ids: NDArray[np.bytes_] = shared(
            "sessions-keys", f"S{MAX_ID_BYTES}", (max_sessions,)
        )
        self._ends_at: NDArray[np.float64] = shared("sessions-ends", np.float64, (max_sessions,))

    def __len__(self) -> int:
        return int(np.count_nonzero(self._ends_at))

    def begin(self, key: Key) -> str:
        """A new session's token.

        :raises ValueError: if the key's id is too long to be kept, as none of ours is.
        """
        key_id = key.id.encode()
        if len(key_id) > MAX_ID_BYTES:
            raise ValueError(f"the id of key {key.name} has more than {MAX_ID_BYTES} bytes")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._arrays.locked():
            row = int(np.argmin(self._ends_at))  # a free one, or what was not used for longest
            self._names[row] = _hash(token)
            self._key_ids[row] = key_id
            self._ends_at[row] = self._clock() + LIFE_S
        return token

    def key_of(self, token: str) -> Key | None:
        """The session's key, for LIFE_S more;
        None where there is no session, or its key was revoked.
        """
        with self._arrays.locked():
            row = self._row_of(token)
            if row is None:
                return None
            now = self._clock()
            key = None
            if self._ends_at[row] > now:
                key = self._keys.get(bytes(self._key_ids[row]).decode())
            if key is None:
                self._free(row)
            else:
                self._ends_at[row] = now + LIFE_S
            return key

    def end(self, token: str) -> None:
        with self._arrays.locked():
            row = self._row_of(token)
            if row is not None:
                self._free(row)

    def _row_of(self, token: str) -> int | None:
        name = _hash(token)
        for row in np.flatnonzero(self._names[:, 0] == name[0]):
            if self._ends_at[row] and np.array_equal(self._names[row], name):
                return int(row)
        return None

    def _free(self, row: int) -> None:
        self._ends_at[row] = 0.0
        self._names[row] = 0


def _hash(token: str) -> NDArray[np.uint64]:
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
    return np.frombuffer(digest, np.uint64)
