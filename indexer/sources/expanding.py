"""A source whose containers are listed as the images in them.

A container that is as it was, with all of its images in the lake, is not opened. That can be told
from its rows: their etag is the kind, the mark of the container's file and the number of images in
it, as `tar:91b5ff3d2e1f6a07:1000`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import chain
from typing import NamedTuple, Protocol, TypeAlias

from indexer.address import PART, Address
from indexer.disk.manifest import Moments
from indexer.errors import SourceError, UnreadableImage
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.bytes_of import BytesOf
from indexer.sources.catalogue import DataFile
from indexer.sources.catalogue.kinds import TABLE_KINDS, open_table
from indexer.sources.catalogue.members import columns_of, members_of
from indexer.sources.containers import Container, DamagedContainer, Member, PassedOver
from indexer.sources.containers.frames import Frames
from indexer.sources.containers.img2dataset import not_fetched
from indexer.sources.containers.kinds import Kind, kind_as_said, kind_of, kind_said, why_not_read
from indexer.sources.containers.packed.seek_file import TAR_GZ, state
from indexer.sources.containers.robot.log import RobotLog
from indexer.sources.containers.video.video import Video
from indexer.sources.folder import FolderSource
from indexer.sources.joining import Join
from indexer.sources.local import os_reason
from indexer.sources.names import is_photo
from indexer.sources.pace import Pace
from indexer.sources.remote import RemoteSource
from indexer.sources.sidecars import mark
from indexer.sources.store import store_reason
from indexer.words import count

_LOOK_UP_S = 0.2  # to see whether the run is to stop


class _Found(NamedTuple):
    members: list[Member]
    damage: str | None = None  # why there may be more that could not be listed
    passed_over: str | None = None  # why its images are not read, which is no damage


class Guide(Protocol):
    """A set that knows which images of its containers count, and what is said of each."""

    def mark(self, file: Address) -> str:
        """Changes with what is said of the images of a container."""

    def members(self, file: Address, reader: Container) -> Iterator[Member]:
        """As `Container.members`. Safe for several threads."""

    def said_of(self, member: Address, sidecars: tuple[str, ...]) -> Mapping[str, ColumnValue]:
        """As `Container.columns`."""


_Waiting: TypeAlias = "ImageFile | tuple[ImageFile, Kind, Future[_Found]]"


class Listed(Protocol):
    """A source as `opening` makes it."""

    @property
    def uri(self) -> str: ...

    @property
    def table_path(self) -> str | None: ...

    @property
    def join(self) -> Join: ...

    def sites(self, most: int) -> Collection[str]: ...

    def files(self, listing: Listing) -> Iterator[ImageFile]: ...

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]: ...


class ExpandedSource:
    """What a source lists, with each container's images in its place."""

    def __init__(
        self,
        inner: Listed,
        *,
        layout: str | None = None,
        crops: bool = False,
        moments: Moments | None = None,
        frames: str | None = None,
        careful: bool = False,
        guide: Guide | None = None,
        says: frozenset[str] = frozenset(),
    ) -> None:
        """
        :param layout: how the user said that it is read; None: he said nothing.
        :param crops: the inner source lists boxes, too.
        :param moments: which images of recordings are taken; None: all.
        :param frames: those of videos that the user asked for, as `Frames.parse` takes it; None: he
            said nothing.
        :param careful: True: a lake names the source, and not the user (`guard`).
        :param guide: of the inner source's containers; None: each is read by itself.
        :param says: columns of the images themselves, such as "camera", that it says in their
            place.
        :raises SourceError: if frames cannot be understood.
        """
        self._inner, self._guide, self.says = inner, guide, says
        self._said = kind_said(layout)
        self.layout, self.crops, self.moments, self.frames = layout, crops, moments, frames
        try:
            self._frames = Frames.parse(frames)
        except ValueError as error:
            raise SourceError(inner.uri, str(error)) from error
        self._bytes_of = BytesOf(careful=careful, frames=self._frames)
        self._data_files: dict[str, DataFile] = {}  # of tables, by uri

    @property
    def uri(self) -> str:
        return self._inner.uri

    @property
    def table_path(self) -> str | None:
        return self._inner.table_path

    def sites(self, most: int) -> Collection[str]:
        """URLs of the sites whose images it lists, as far as it names them."""
        return self._inner.sites(most)

    @property
    def lists_below(self) -> bool:
        """Whether all that it lists begins as its uri does, up to a glob's first pattern."""
        return isinstance(self._inner, FolderSource | RemoteSource)

    @property
    def unmatched_rows(self) -> int:
        """Rows of the user's table that belong to no image of the last listing."""
        return self._inner.join.unmatched_rows

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        stopping = threading.Event()
        pace = Pace(listing.listers)
        self._bytes_of.containers.packed.folder = listing.seeks
        self._bytes_of.stores.on_busy = pace.slow_down

        def should_stop() -> bool:
            return stopping.is_set() or listing.should_stop()

        with ThreadPoolExecutor(pace.most, "containers") as pool:
            try:
                yield from self._files(listing, pool, pace, should_stop)
            finally:
                stopping.set()  # whoever looks into a container for nobody ends
                pool.shutdown(cancel_futures=True)

    def _files(
        self,
        listing: Listing,
        pool: ThreadPoolExecutor,
        pace: Pace,
        should_stop: Callable[[], bool],
    ) -> Iterator[ImageFile]:
        waiting: deque[_Waiting] = deque()
        for file in chain(self._inner.files(listing), self._of_tables(listing)):
            if listing.leaves(file):
                continue
            # Most of a listing, and never a container: asked first.
            is_picture = is_photo(file.uri)
            if not is_picture and (why := why_not_read(file.uri)):
                listing.left_out.append((file.uri, why))
                continue
            kind = None if is_picture else kind_as_said(file.uri, self._said)
            if kind is None:
                if not waiting:
                    yield file
                    continue
                waiting.append(file)
            elif kind.name == "video" and self._frames.none:
                continue
            elif not listing.is_ours(file.uri):
                listing.others += 1
                listing.untouched.append(file.uri)
            elif self._is_known(file, kind, listing):
                listing.untouched.append(file.uri)
                if kind.name == TAR_GZ and listing.mends_seeks:
                    self._keep_index(file)
            elif found := self._found_before(file, kind, listing):
                if waiting:
                    waiting.extend(found)
                else:
                    yield from found
            elif lacking := kind.lacks():
                listing.lacking.setdefault(lacking, []).append(file.uri)
            # also whoever comes behind one that is waited for: the order is that of the listing
            elif waiting or file.address.is_url or kind.has_streams:
                looking = pool.submit(self._in_turn, pace, file, kind, should_stop)
                waiting.append((file, kind, looking))
            else:
                yield from self._told(file, kind, self._look_into(file, kind, should_stop), listing)
            # What waits is held whole, and is more than has its turn: or nobody knew that more
            # at once is wanted.
            while waiting and (len(waiting) >= 2 * pace.limit or _is_done(waiting[0])):
                yield from self._next(waiting.popleft(), listing)
        while waiting:
            yield from self._next(waiting.popleft(), listing)

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        kind = kind_as_said(file.uri, self._said)
        if kind is None or file.address.is_whole:
            return self._inner.columns(file)
        return self._inner.join.with_table(file, lambda: self._own(file, kind))

    def _own(self, file: ImageFile, kind: Kind) -> Mapping[str, ColumnValue]:
        if self._guide is not None:
            return self._guide.said_of(file.address, file.sidecars)
        containers, data_file = self._bytes_of.containers, self._data_files.get(file.uri)
        if data_file is not None:
            return columns_of(containers, data_file, file.address)
        return containers.of(kind).columns(file.address, file.sidecars)

    def _of_tables(self, listing: Listing) -> Iterator[ImageFile]:
        """The data files of all tables that the inner source met."""
        self._data_files.clear()
        for folder in listing.tables:
            if lacking := TABLE_KINDS[folder.kind].lacks():
                listing.lacking.setdefault(lacking, []).append(folder.address.uri)
                continue
            try:
                table = open_table(folder, self._bytes_of.stores)
            except SourceError as error:
                if folder.address.uri == self.uri.rstrip("/"):
                    raise
                listing.unlisted.append((f"{folder.address.uri}/", error.reason))
                continue
            for why, files in table.passed_over.items():
                told = f"{count(files, 'data file is', 'data files are')} passed over: {why}"
                listing.left_out.append((folder.address.uri, told))
            for file in table.files:
                if kind_of(file.address.uri) is None:
                    listing.left_out.append((file.address.uri, "a hidden file of a table"))
                    continue
                self._data_files[file.address.uri] = file
                yield ImageFile(file.address, file.size_bytes, None, file.mark, None)

    def _is_known(self, file: ImageFile, kind: Kind, listing: Listing) -> bool:
        """Whether it is as it was, and whole in the lake.

        The user's table may say something else of its images than it did: then each is looked at.
        """
        whole = listing.whole.get(file.uri)
        if whole is None or self.table_path is not None:
            return False
        etag = self._etag(file, kind)
        if self._guide is not None and whole.columns_etag != self._columns_etag(
            file.address, etag, self._guide.mark(file.address)
        ):
            return False
        return whole.etag.startswith(f"{etag}:")

    def _found_before(self, file: ImageFile, kind: Kind, listing: Listing) -> Sequence[ImageFile]:
        """Its images, where a listing before found them, and it is as it was.

        Those of which a table or a set speaks are looked at again: it may say something else now.
        """
        if self._guide is not None or self.table_path is not None:
            return ()
        found, etag = listing.known(file.uri), self._etag(file, kind)
        return found if all(image.etag == etag for image in found) else ()

    def _columns_etag(self, member: Address, etag: str, columns_mark: str | None) -> str | None:
        return self._inner.join.etag(member, [f"{etag}:{columns_mark}"] if columns_mark else [])

    def _keep_index(self, file: ImageFile) -> None:
        # Who shows its images finds the index again; why that fails is told there.
        with suppress(Exception):
            known = state(file.size_bytes, file.modified_us, file.etag)
            self._bytes_of.containers.packed.keep_index(file.address, known)

    def _in_turn(
        self, pace: Pace, file: ImageFile, kind: Kind, should_stop: Callable[[], bool]
    ) -> _Found:
        with pace:
            return _Found([]) if should_stop() else self._look_into(file, kind, should_stop)

    def _look_into(self, file: ImageFile, kind: Kind, should_stop: Callable[[], bool]) -> _Found:
        found: list[Member] = []
        reader = self._bytes_of.containers.of(kind)
        try:
            if self._guide is not None:
                found.extend(self._guide.members(file.address, reader))
            elif isinstance(reader, RobotLog):
                found.extend(reader.members(file.address, self.moments or Moments(), should_stop))
            elif isinstance(reader, Video):
                found.extend(reader.members(file.address, should_stop))
            elif data_file := self._data_files.get(file.uri):
                found.extend(members_of(self._bytes_of.containers, data_file))
            else:
                found.extend(reader.members(file.address))
            if kind.name == "tar":
                found.extend(not_fetched(file.address, self._bytes_of.stores))
        except PassedOver as error:
            return _Found([], passed_over=str(error))
        except DamagedContainer as error:
            return _Found(found, str(error))
        except (UnreadableImage, SourceError) as error:
            return _Found(found, error.reason)
        # each store raises its own library's errors
        except Exception as error:  # noqa: BLE001
            if isinstance(error, OSError) and not file.address.is_url:
                return _Found(found, os_reason(error))
            return _Found(found, store_reason(error))
        return _Found(found)

    def _told(
        self, file: ImageFile, kind: Kind, found: _Found, listing: Listing
    ) -> Iterator[ImageFile]:
        members = found.members
        if found.damage is not None:
            listing.unlisted.append((file.uri + PART, found.damage))
            listing.partial.append(file.uri)
        elif found.passed_over is not None:
            listing.left_out.append((file.uri, found.passed_over))
        elif not members and not kind.is_common:
            listing.left_out.append((file.uri, "there are no images in it"))
        etag = self._etag(file, kind)
        for member in members:
            yield ImageFile(
                member.address,
                size_bytes=member.size_bytes,
                modified_us=file.modified_us,
                etag=etag,
                columns_etag=self._columns_etag(member.address, etag, member.columns_mark),
                sidecars=member.sidecars,
                refused=member.refused,
            )
            listing.files += 1

    def _etag(self, file: ImageFile, kind: Kind) -> str:
        """Changes with the container's file, and with what is taken of it. A run adds the number of
        its images.
        """
        if data_file := self._data_files.get(file.uri):
            # whatever a copy's time is: such a file is never rewritten
            return f"{data_file.kind}:{data_file.mark}"
        taken: tuple[object, ...] = ()
        if kind.name == "video" or self._guide is not None:
            taken = (self._frames,)
        elif kind.has_streams and self.moments:
            every = self.moments
            # As it was written before there were runs, so that no recording is read anew for it.
            taken = (
                f"Moments(every_us={every.every_us}, join={every.join}, within_us={every.within_us})",
            )
            if every.still_permille:
                taken = (*taken, every.still_permille)
        return f"{kind.name}:{mark((file.size_bytes, file.modified_us, file.etag, *taken))}"

    def _next(self, file: _Waiting, listing: Listing) -> Iterator[ImageFile]:
        if isinstance(file, ImageFile):
            yield file
        else:
            container, kind, looking = file
            while not looking.done() and not listing.should_stop():
                wait([looking], _LOOK_UP_S)
            # What is stopped ends by itself, and nothing is told of half a container.
            if not listing.should_stop():
                yield from self._told(container, kind, looking.result(), listing)


def _is_done(file: _Waiting) -> bool:
    return isinstance(file, ImageFile) or file[2].done()
