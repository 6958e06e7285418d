"""The threads that share the work of one query: one pool for the whole process, a thread a core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import TypeVar

from indexer.cores import usable_cores

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@cache
def pool() -> ThreadPoolExecutor:
    """Tasks must not wait for other tasks of the pool."""
    return ThreadPoolExecutor(usable_cores(), "search")


def beside(work: Callable[[], Answer], *, parallel: bool) -> Callable[[], Answer]:
    """Start the work in the pool; what comes back waits for its answer.
    Not parallel: the work is done by that call.
    """
    if not parallel:
        return work
    future: Future[Answer] = pool().submit(work)
    return future.result


def for_each(
    work: Callable[[Item], Answer], items: Sequence[Item], *, parallel: bool
) -> list[Answer]:
    """The answers, in the order of the items; the caller's own thread takes the last item.
    The others stand under the caller's limits, too: they have its context.
    """
    if not parallel or not items:
        return [work(item) for item in items]
    waiting = [pool().submit(copy_context().run, work, item) for item in items[:-1]]
    last = work(items[-1])
    return [*(future.result() for future in waiting), last]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep products of small matrices to one thread, in the whole process.

    Theirs only spin, where other work is done beside them: a fit took 550 ms with two threads on
    two busy cores, 11 ms with one. Sums come out the same on any number of cores, too.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
