"""What a service hands to a caller and takes back as its own: signed, so that it is.

The secret lies in the user's state folder, beside the keys, and is made when it is first needed;
all processes of a service have it. Services on several machines that answer for one another are
given one, `LAKESIFT_CURSOR_SECRET`.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from pathlib import Path

from indexer.errors import BadRequest

SECRET_FILE = "cursor.secret"  # in the state folder
SECRET_CHARS = 32  # of one that is given: what people think of is shorter
# Half of a sha256: who tries to hit one in 2^128 needs more tries than a service can answer.
TAG_BYTES = 16

log = logging.getLogger(__name__)


class Signer:
    """HMAC with sha256 (RFC 2104), cut to TAG_BYTES as RFC 2104, section 5 allows."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(secret.encode()).digest()

    def signed(self, data: bytes) -> bytes:
        return data + self._tag(data)

    def opened(self, signed: bytes) -> bytes:
        """:raises ValueError: if it was signed with another secret, changed, or not signed."""
        data, tag = signed[:-TAG_BYTES], signed[-TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(data)):
            raise ValueError("it is not signed by this service")
        return data

    def _tag(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")[:TAG_BYTES]


def secret_of(given: str, folder: Path) -> str:
    """The secret that was given; else the one in the state folder, made if there is none.

    Where the folder cannot be read or written, one that ends with this process.

    :raises BadRequest: if the given one is too short to be one.
    """
    if given:
        if len(given) < SECRET_CHARS:
            raise BadRequest(
                "LAKESIFT_CURSOR_SECRET",
                f"it has {len(given)} characters, and a secret has at least {SECRET_CHARS}; "
                "`openssl rand -hex 32` makes one",
            )
        return given
    try:
        return _kept(folder)
    except OSError as error:
        log.warning(
            "pages of hits cannot be followed after a restart, since %s cannot be kept (%s)",
            folder / SECRET_FILE,
            error.strerror or error,
        )
        return secrets.token_hex(SECRET_CHARS)


def _kept(folder: Path) -> str:
    """:raises OSError: if the folder cannot be read or written."""
    path = folder / SECRET_FILE
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Whole or not there: several processes may start at once, and one's file is all that counts.
    beside = folder / f"{SECRET_FILE}.{secrets.token_hex(4)}"
    for _ in range(2):
        try:
            kept = path.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            kept = ""
        if len(kept) >= SECRET_CHARS:
            return kept
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(secrets.token_hex(SECRET_CHARS))
            if kept:  # too short to be one, as of a full disk
                beside.replace(path)
            else:
                _place(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    return path.read_text("utf-8")


def _place(beside: Path, path: Path) -> None:
    """Unless another process was first."""
    try:
        os.link(beside, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        beside.replace(path)
