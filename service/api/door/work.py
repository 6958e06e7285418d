"""The work of one request, for whoever does a part of it in the request's own thread or task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from service.pictures.jobs import Job

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
