"""The keys of the HTTP service: made, listed and revoked here,
checked by whoever answers requests. Knows no HTTP.

They belong to the user, not to a lake, and lie in `keys.json` in the user's state folder. Of a key
only the sha256 is kept. A slow hash (argon2, scrypt) would add nothing: it protects words that
people think of, which can be tried out one by one, while a key is 256 random bits, which cannot;
and it would cost its milliseconds on every request.

`keys.json`: `{"format": 1, "keys": [{"id", "name", "scope", "created_at", "prefix", "sha256"}]}`.
It is written beside and renamed under a lock; readers take no lock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from indexer.disk.durable import fsync_folder
from indexer.errors import BadRequest, KeysDamaged, LakeError

log = logging.getLogger(__name__)

FORMAT = 1
# Each includes those before it.
SCOPES = (
    "read",  # search and look: all that the routes of this release need
    "label",  # answer a filter's questions as well
    "write",  # make, change and delete filters as well
)
SECRET_START = "lks_"  # so that people and secret scanners recognise one
SECRET_BYTES = 32
SHOWN_CHARS = len(SECRET_START) + 6  # tells keys apart, and leaves 220 bits unknown
MAX_SECRET_CHARS = 200  # longer ones are not even hashed
MAX_NAME_CHARS = 64
LOCK_WAIT_S = 10.0

# inode, size, mtime, ctime: another one means that the file was replaced
Mark = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; the secret itself is not."""

    id: str
    name: str
    scope: str
    created_at: str  # ISO 8601 with the offset
    prefix: str  # the secret's first characters
    sha256: str  # of the whole secret, hex

    @property
    def scopes(self) -> tuple[str, ...]:
        """The key's scope and those that it includes."""
        return SCOPES[: SCOPES.index(self.scope) + 1]

    def allows(self, scope: str) -> bool:
        return scope in self.scopes

    def to_json(self) -> dict[str, str]:
        """For people and programs: without the hash."""
        facts = asdict(self)
        del facts["sha256"]
        return facts


class KeyStore:
    """The keys in a folder. Safe from several threads and processes;
    each call sees what the last writer left.
    """

    def __init__(self, folder: str | Path) -> None:
        """:param folder: made by the first `add`."""
        self.folder = Path(folder)
        self.path = self.folder / "keys.json"
        self._seen: tuple[Mark | None, Sequence[Key]] = (None, ())

    def add(self, name: str, scope: str = "read") -> tuple[Key, str]:
        """Make a key; the second value is its secret, which cannot be had again.

        :raises BadRequest: if the name is taken or not fit to be shown, or there is no such scope.
        :raises KeysDamaged: if the file cannot be read; it is left as it is.
        """
        if scope not in SCOPES:
            raise BadRequest("--scope", f"{scope!r} is none of {', '.join(SCOPES)}")
        if not (0 < len(name) <= MAX_NAME_CHARS and name.isprintable() and name == name.strip()):
            raise BadRequest(
                "NAME",
                f"{name!r} is not 1 to {MAX_NAME_CHARS} printable characters, without spaces around them",
            )
        secret = SECRET_START + secrets.token_urlsafe(SECRET_BYTES)
        with self._writing():
            keys = self.list()
            if any(name in (key.name, key.id) for key in keys):
                raise BadRequest(
                    "NAME",
                    f"there is a key {name!r} already; choose another name, or revoke that one",
                )
            key = Key(_new_id(keys), name, scope, _now(), secret[:SHOWN_CHARS], _sha256(secret))
            self._write([*keys, key])
        return key, secret

    def list(self) -> Sequence[Key]:
        """All keys, oldest first.

        :raises KeysDamaged: if the file cannot be read.
        """
        try:
            status = self.path.stat()
            if _mark(status) != self._seen[0]:
                with self.path.open("rb") as file:
                    status = os.fstat(file.fileno())
                    self._seen = (_mark(status), _parse(file.read()))
            return self._seen[1]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise KeysDamaged(str(self.path), error.strerror or str(error)) from None
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise KeysDamaged(str(self.path), f"{type(error).__name__}: {error}") from None

    def revoke(self, id_or_name: str) -> Key:
        """Forget a key: who uses it is refused from the next request on.

        :raises BadRequest: if there is no such key.
        :raises KeysDamaged: if the file cannot be read; it is left as it is.
        """
        if not self.folder.is_dir():
            raise _unknown(id_or_name, ())
        with self._writing():
            keys = self.list()
            gone = next((key for key in keys if id_or_name in (key.id, key.name)), None)
            if gone is None:
                raise _unknown(id_or_name, keys)
            self._write([key for key in keys if key is not gone])
        return gone

    def check(self, secret: str) -> Key | None:
        """The key that a secret belongs to; None for a wrong one,
        and for every one while the file is damaged.

        Takes the same time whichever key it is, and however much of one was guessed.
        """
        if len(secret) > MAX_SECRET_CHARS:
            return None
        digest = _sha256(secret)
        found = None
        for key in self._usable():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def get(self, key_id: str) -> Key | None:
        """The key with that id, unless it was revoked meanwhile or the file is damaged."""
        return next((key for key in self._usable() if key.id == key_id), None)

    def warnings(self) -> Sequence[str]:
        """Sentences on what others on this machine may read or replace."""
        found = []
        if os.name != "nt":  # there the bits say nothing
            with suppress(OSError):
                if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                    found.append(
                        f"{self.path} is open to other users of this machine; close it: chmod 600 {self.path}"
                    )
                if stat.S_IMODE(self.folder.stat().st_mode) & 0o022:
                    found.append(
                        f"{self.folder} is writable for other users; close it: chmod 700 {self.folder}"
                    )
        return found

    def _usable(self) -> Sequence[Key]:
        try:
            return self.list()
        except KeysDamaged as error:
            log.warning("no key is taken: %s", error)
            return ()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self.folder / "keys.lock", timeout=LOCK_WAIT_S, mode=0o600):
                yield
        except Timeout:
            raise LakeError(
                f"{self.path} is being written by another process since {LOCK_WAIT_S:.0f} s; try again"
            ) from None
        except OSError as error:
            raise LakeError(
                f"{error.filename or self.path} cannot be written ({error.strerror}); "
                "LAKESIFT_STATE names another folder for keys"
            ) from None

    def _write(self, keys: Sequence[Key]) -> None:
        document = {"format": FORMAT, "keys": [asdict(key) for key in keys]}
        beside = self.path.with_name("keys.json.new")
        beside.unlink(missing_ok=True)  # of a crash: its mode may be another
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(document, ensure_ascii=False, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)
        fsync_folder(self.folder)


def _parse(data: bytes) -> Sequence[Key]:
    document = json.loads(data)
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']}, this lakesift knows {FORMAT}")
    keys = tuple(Key(**entry) for entry in document["keys"])
    for key in keys:
        if not all(isinstance(value, str) for value in asdict(key).values()):
            raise ValueError(f"key {key.name!r} holds something that is not text")
        if (
            key.scope not in SCOPES
            or len(bytes.fromhex(key.sha256)) != hashlib.sha256().digest_size
        ):
            raise ValueError(f"key {key.name!r} has no scope or no hash")
    return keys


def _mark(status: os.stat_result) -> Mark:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _new_id(keys: Sequence[Key]) -> str:
    taken = {name for key in keys for name in (key.id, key.name)}
    return next(made for made in iter(lambda: secrets.token_hex(4), "") if made not in taken)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _unknown(id_or_name: str, keys: Sequence[Key]) -> BadRequest:
    known = f"there are {', '.join(key.name for key in keys)}" if keys else "there are none"
    return BadRequest("NAME_OR_ID", f"there is no key {id_or_name!r}; {known}")
