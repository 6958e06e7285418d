"""The work of one request, for whoever does a part of it in the request's own thread or task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

from service.api.answers import Refused
from service.pictures.jobs import Job

WAIT_S = 10  # that whoever is refused should let pass

_CURRENT: ContextVar[Job | None] = ContextVar("job", default=None)


def current_job() -> Job:
    """The request's share of the decoders; without limits where this is no request's work."""
    return _CURRENT.get() or Job()


@contextmanager
def working(job: Job) -> Iterator[None]:
    """Handlers run in threads that have the context of their request: they find its job there."""
    token = _CURRENT.set(job)
    try:
        yield
    finally:
        _CURRENT.reset(token)


class OneAtATime:
    """Work that takes a whole core for long: a process does it for one request, and others wait."""

    def __init__(self, what: str) -> None:
        """:param what: is going on, in a sentence, as "images are being picked"."""
        self._what = what
        self._busy = Lock()

    def __enter__(self) -> None:
        """:raises Refused: 429, if another request's is under way."""
        if not self._busy.acquire(blocking=False):
            message = f"{self._what} for somebody else; try again in {WAIT_S} seconds"
            raise Refused(429, "too_busy", message, headers={"Retry-After": str(WAIT_S)})

    def __exit__(self, *_: object) -> None:
        self._busy.release()
