"""Images are embedded while their sources are still being listed, so that a bucket of ten million
is searchable within seconds.

The listing goes on in a thread of its own, as fast as it can, into the run's plan on disk; new
images are taken from there. When the listing ends, so does this, and the run goes on with
comparing: what was not taken is embedded then, in the same order.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from threading import Event, Thread
from types import TracebackType
from typing import Self

from indexer.run.context import Context
from indexer.run.listing import Lister
from indexer.run.plan.arrivals import Arrivals, Todo
from indexer.sources.opening import OpenSource

# A lake that has rows is mostly listed sooner, and is compared at once then.
KNOWN_LAKE_AFTER_S = 10.0
_LOOK_S = 0.05  # between two looks at what arrived
# A look reads all that was listed and every row of the lake. One that found nothing new is followed
# by a rest so many times as long: looking at 200,000 images that were known took longer than
# listing them, and held that up.
_REST = 4
_TELL_S = 0.5  # between two looks at how far the listing is


class Streaming:
    """The listing of a run, and the new images that it has found so far. A context manager;
    leaving it ends the listing.
    """

    def __init__(self, run: Context, lister: Lister) -> None:
        self._run, self._lister = run, lister
        self._ended, self._left = Event(), Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._list, name="listing", daemon=True)
        self._arrivals: Arrivals | None = None
        self._began = False  # to embed
        self._told = 0  # images that were listed

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        if error is None or isinstance(error, Exception):
            self._thread.join()
        else:  # Ctrl-C for the second time: a store that does not answer is not waited for
            self._thread.join(1.0)

    def is_due(self, after_s: float) -> bool:
        """Wait until the listing has gone on for so long; False: it ended before."""
        deadline = time.monotonic() + after_s
        while not self._ended.is_set() and not self._run.should_stop():
            self._tell_listed()
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return True
            self._ended.wait(min(_LOOK_S, left_s))
        return False

    def new_images(self, may_go: Sequence[str] | None) -> Iterator[Todo]:
        """In the order of the listing, until it ends, or one is in doubt, or this is left.

        :param may_go: as `Plan.arrivals` has it.
        """
        arrivals = self._arrivals = self._run.plan.arrivals(may_go)
        while not self._is_over(arrivals):
            for image in arrivals.new_images():
                yield image
                if self._is_over(arrivals):
                    return
            if not self._began:
                self._tell_listed()
            self._ended.wait(max(_LOOK_S, _REST * arrivals.idle_look_s))

    def pass_over(self) -> None:
        """One of the new images is another run's: it is not counted among those to index."""
        if self._arrivals is not None:
            self._arrivals.passed += 1

    def _is_over(self, arrivals: Arrivals) -> bool:
        return (
            arrivals.in_doubt
            or self._ended.is_set()
            or self._left.is_set()
            or self._run.should_stop()
        )

    def tell(self) -> None:
        """How many images there are to index, as far as is known; from now on, instead of how many
        were listed.
        """
        self._began = True
        passed = self._arrivals.passed if self._arrivals else 0
        self._run.progress.expect(self._lister.images - passed, more=True)

    def wait(self) -> None:
        """For the end of the listing, once what was given is done.

        :raises LakeError: what it ended with.
        """
        if self._arrivals is not None:
            self._arrivals.store_given()
        while not self._ended.wait(_TELL_S):
            self._retell()
        self._retell()
        if self._error is not None:
            raise self._error

    def _retell(self) -> None:
        if self._began:
            self.tell()
        else:
            self._tell_listed()

    def _tell_listed(self) -> None:
        now = self._lister.images
        self._run.progress.advance(now - self._told)
        self._told = now

    def _list(self) -> None:
        try:
            self._lister.list(
                lambda images: None, lambda: self._left.is_set() or self._run.should_stop()
            )
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self._error = error
        finally:
            self._ended.set()


def starts_of(sources: Iterable[OpenSource]) -> list[str]:
    """How the uris begin that each source lists; "" where it may list any."""
    return [re.split(r"[*?[]", each.uri)[0] if each.lists_below else "" for each in sources]


def are_apart(sources: Iterable[OpenSource]) -> bool:
    """Whether no image can be listed by two of the sources: whose it is shows at the end alone."""
    starts = sorted(starts_of(sources))
    return not any(later.startswith(start) for start, later in pairwise(starts))
