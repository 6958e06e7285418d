"""How many containers of a store are looked into at once while it is listed."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Callable, Iterator

import fsspec
import pytest

from indexer.address import Address
from indexer.sources import Listing
from indexer.sources.containers import Member
from indexer.sources.containers.tar import Tar
from indexer.sources.expanding import ExpandedSource
from indexer.sources.opening import open_source

SHARDS = 40


@pytest.fixture
def store() -> Iterator[str]:
    """Forty shards of one image each in a store."""
    fs = fsspec.filesystem("memory")
    for number in range(SHARDS):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(f"{number:02}.jpg")
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"abc"))
        with fs.open(f"/listers/{number:02}.tar", "wb") as file:
            file.write(packed.getvalue())
    yield "memory://listers/"
    fs.rm("/listers", recursive=True)


class Watched:
    """Counts who looks into a shard, and lets nobody go before as many as may are at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, may: int) -> None:
        self.may, self.going, self.at_entry = may, 0, list[int]()
        self.when_full: Callable[[], None] = lambda: None
        self._changed = threading.Condition()
        real = Tar.members

        def members(tar: Tar, file: Address) -> Iterator[Member]:
            with self._changed:
                self.going += 1
                self.at_entry.append(self.going)
                if self.going == self.may:
                    self.when_full()
                self._changed.notify_all()
                # The last ones are fewer.
                self._changed.wait_for(lambda: self.going >= self.may, 0.5)
            yield from real(tar, file)
            with self._changed:
                self.going -= 1

        monkeypatch.setattr(Tar, "members", members)


def shards_of(source: ExpandedSource, listing: Listing) -> list[str]:
    return [file.uri.rpartition("/")[2] for file in source.files(listing)]


ALL = [f"{number:02}.tar" for number in range(SHARDS)]


@pytest.mark.parametrize(("listers", "at_once"), [(0, 8), (3, 3), (20, 20)])
def test_as_many_as_may_are_looked_into_at_once_and_come_in_their_order(
    store: str, monkeypatch: pytest.MonkeyPatch, listers: int, at_once: int
) -> None:
    watched = Watched(monkeypatch, at_once)
    assert shards_of(open_source(store), Listing(listers=listers)) == ALL
    assert max(watched.at_entry) == at_once


def test_a_store_that_is_asked_too_much_is_looked_into_half_as_much(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch, 8)
    source = open_source(store)

    def busy() -> None:
        source._bytes_of.stores.on_busy()
        watched.when_full, watched.may = lambda: None, 4

    watched.when_full = busy
    assert shards_of(source, Listing()) == ALL
    full = watched.at_entry.index(8)
    assert max(watched.at_entry[full + 1 :]) == 4


def test_no_thread_stays_where_a_listing_is_left(store: str) -> None:
    before = set(threading.enumerate())
    files = open_source(store).files(Listing())
    next(files)
    files.close()  # type: ignore[attr-defined]
    assert not [
        thread for thread in set(threading.enumerate()) - before if "containers" in thread.name
    ]
