"""Every knob of the service, with unit and default.
Each is also an environment variable, LAKESIFT_<NAME>.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from indexer.errors import BadRequest

OUTAGES = ("own", "503")


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """How one service listens and what it takes from a caller."""

    host: str = "127.0.0.1"
    port: int = 8377
    # further names callers may know this service by, as a proxy's
    allow_hosts: tuple[str, ...] = ()
    require_key: bool = False  # True: keys are needed on loopback too
    max_k: int = 1_000  # hits a page; streams have no limit
    max_body_bytes: int = 1_000_000
    max_upload_bytes: int = 64_000_000  # all images of one upload
    max_images: int = 16  # of one upload
    max_batch: int = 256  # images of one upload that a filter decides; max_upload_bytes counts, too
    max_pixels: int = 180_000_000  # width x height of one uploaded image
    max_uploads: int = 8  # at once: each may hold max_upload_bytes in memory
    # for a free decoder: longer than one picture may take, of those that others sent
    upload_wait_s: float = 25.0
    max_busy: int = 64  # requests at once; more get 429
    thumbnail_cache_bytes: int = 2_000_000_000
    # proxies, by address or network: what they say of their callers in X-Forwarded-For and -Proto
    # is believed
    trust_proxies: tuple[str, ...] = ()
    # for a row's image in a store, and a second more for each MB
    fetch_patience_s: float = 20.0
    trust_model: bool = False  # True: load whatever model a lake names
    max_streams: int = 16  # answers sent piece by piece, at once: streams, exports, ledgers
    max_decode_s: float = 60.0  # of all pictures of one upload together
    max_where_s: float = 3.0  # for one request's `where`
    max_connections: int = 512  # below what a process may have open: 1,024 files on most systems
    max_head_bytes: int = 65_536  # of a request: its first line and headers
    max_headers: int = 100
    head_patience_s: float = 10.0  # for a whole head
    body_patience_s: float = 30.0  # for a whole body, and a second more for each 64 kB
    write_patience_s: float = 60.0  # for a caller of whose answer no byte moves
    workers: int = 1  # processes that answer together, 1 to 64
    # the share of the nearest that a search finds which asks for none, on a lake with groups; 1:
    # all; 0: as each lake is set
    recall: float = 0.0
    # where searches take their candidates from, as postgresql://me@db.example/lakes; "": from the
    # lakes' own indexes
    engine: str = field(default="", repr=False)
    # what becomes of searches while it cannot answer: "own": they are done here; "503": refused
    engine_outage: str = "own"
    # that it is asked for at first; more find more, and take longer
    engine_candidates: int = 400
    # pages of other origins that may read, as http://localhost:3005
    allow_origins: tuple[str, ...] = ()
    # what next_cursor is signed with, the same on all machines that answer for one another; "": the
    # one in the state folder
    cursor_secret: str = field(default="", repr=False)
    # "json": a line of JSON for each request, on stdout; "": none
    access_log: str = ""
    # after SIGTERM: `/readyz` says 503 for so long before no more requests are taken
    drain_s: float = 0.0
    traces: bool = False  # True: a span for each request goes to OTEL_EXPORTER_OTLP_ENDPOINT

    def __post_init__(self) -> None:
        """:raises BadRequest: if a value makes no sense."""
        if self.access_log not in ("", "json"):
            raise BadRequest(
                "--access-log", f"{self.access_log!r} is no form of a log; json is the one there is"
            )
        if not 0 <= self.recall <= 1:
            raise BadRequest(
                "LAKESIFT_RECALL", f"{self.recall:g} is no share of the nearest; it is up to 1"
            )
        if not 1 <= self.engine_candidates <= 10_000:
            raise BadRequest(
                "LAKESIFT_ENGINE_CANDIDATES",
                f"{self.engine_candidates} is no number of candidates; that is 1 to 10,000",
            )
        if self.engine_outage not in OUTAGES:
            raise BadRequest(
                "LAKESIFT_ENGINE_OUTAGE",
                f"{self.engine_outage!r} is none of {' and '.join(OUTAGES)}",
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> ServeConfig:
        """The defaults, overridden by LAKESIFT_HOST,
        LAKESIFT_PORT and the like; lists are split at commas.

        :raises BadRequest: if a variable does not parse.
        """
        changes: dict[str, Any] = {}
        for knob in fields(cls):
            name = f"LAKESIFT_{knob.name.upper()}"
            if name in environ:
                changes[knob.name] = _parsed(name, environ[name], knob.default)
        return cls(**changes)


def _parsed(name: str, text: str, default: object) -> object:
    if isinstance(default, bool):
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("", "0", "false", "no", "off"):
            return False
        raise BadRequest(name, f"{text!r} is neither true nor false")
    if isinstance(default, int):
        if not text.isascii() or not text.isdigit():
            raise BadRequest(name, f"{text!r} is not a whole number")
        return int(text)
    if isinstance(default, float):
        try:
            number = float(text)
        except ValueError:
            raise BadRequest(name, f"{text!r} is not a number") from None
        if not 0 <= number < math.inf:
            raise BadRequest(name, f"{text!r} is not a number from 0 on")
        return number
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text
