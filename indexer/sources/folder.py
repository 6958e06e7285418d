"""A folder on disk, and a glob below one: walked without recursion, links followed, no file opened."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.columns import ColumnTable
from indexer.sources.globs import Glob
from indexer.sources.joining import Join
from indexer.sources.local import image_file, local_columns, os_reason, read_local
from indexer.sources.names import is_hidden, may_be_image, uri_of
from indexer.sources.sidecars import is_sidecar, sidecar_names


@dataclass(slots=True)
class _Survey:
    """What must be known of a folder before its first image is listed."""

    folders: list[bytes] = field(default_factory=list)
    linked_folders: list[bytes] = field(default_factory=list)
    sidecars: set[str] = field(default_factory=set)
    is_lake: bool = False


class FolderSource:
    """All images below a folder, or those that a glob matches.

    Hidden names are left out, and lakes. A link to a file is a file of its own. Links to folders are followed
    after everything reached without links, each real folder once: a new link changes no uri, and loops end.
    """

    is_local = True

    def __init__(self, root: bytes, glob: Glob | None = None, table: ColumnTable | None = None) -> None:
        """:param root: absolute and normalised; for a glob the folder that it starts from."""
        self._root = root
        self._glob = glob
        self._root_uri = uri_of(root)[0]
        self._join = Join(self._root_uri.rstrip("/"), table)

    @property
    def uri(self) -> str:
        if self._glob is None:
            return self._root_uri
        pattern, _ = uri_of(os.fsencode(self._glob.pattern))
        return f"{self._root_uri.rstrip('/')}/{pattern}"

    @property
    def table_path(self) -> str | None:
        return self._join.table_path

    @property
    def unmatched_rows(self) -> int:
        """Rows of the user's table that belong to no image of the last listing."""
        return self._join.unmatched_rows

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        self._join.begin()
        device = self._device()
        for folder, survey in self._folders(listing):
            for file in self._images(folder, survey.sidecars, listing):
                listing.files += 1
                yield file
        if (
            self._device() != device
        ):  # a disk pulled out leaves an empty folder behind, which must not read as deletions
            raise SourceError(
                self.uri, "it went away while it was being listed; make it available and run again"
            )

    def read(self, file: ImageFile, max_bytes: int) -> bytes:
        return read_local(file, max_bytes)

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return local_columns(file, self._join)

    def _device(self) -> int:
        try:
            return os.stat(self._root).st_dev  # noqa: PTH116 - pathlib knows no bytes
        except OSError as error:
            raise self._not_there(error) from error

    def _not_there(self, error: OSError) -> SourceError:
        return SourceError(
            self._root_uri, f"this folder cannot be listed: {os_reason(error)}; check the path and its rights"
        )

    def _folders(self, listing: Listing) -> Iterator[tuple[bytes, _Survey]]:
        """Every folder to look into.

        Only what is reached by a link is checked for a second visit: some file systems give all folders one
        inode number, and without links there are no loops.
        """
        waiting, links = [self._root], deque[bytes]()
        visited: set[tuple[int, int]] = set()
        by_link = False
        while waiting or links:
            by_link = by_link or not waiting
            folder = waiting.pop() if waiting else links.popleft()
            try:
                status = os.stat(folder)  # noqa: PTH116
                identity = (status.st_dev, status.st_ino)
                if by_link and identity in visited:
                    continue
                visited.add(identity)
                survey = _survey(folder)
            except OSError as error:
                self._cannot_list(folder, error, listing)
                continue
            if survey.is_lake:
                self._refuse_lake_as_root(folder)
                continue
            waiting.extend(sorted(filter(self._is_wanted, survey.folders), reverse=True))
            links.extend(sorted(filter(self._is_wanted, survey.linked_folders)))
            yield folder, survey

    def _images(self, folder: bytes, sidecars: set[str], listing: Listing) -> Iterator[ImageFile]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    file = self._image(entry, sidecars)
                    if file is not None:
                        yield file
        except OSError as error:
            self._cannot_list(folder, error, listing)

    def _image(self, entry: os.DirEntry[bytes], sidecars: set[str]) -> ImageFile | None:
        name = entry.name.decode("utf-8", "surrogateescape")
        if not may_be_image(name) or _is_folder(entry):
            return None
        if self._glob and not self._glob.matches(self._relative(entry.path)):
            return None
        try:
            status = entry.stat()
        except OSError as error:
            if not entry.is_symlink():
                if isinstance(error, FileNotFoundError):
                    return None  # deleted just now
                raise  # the folder may be read but not entered: none of its files can be looked at
            status = None
        beside = sidecar_names(name, sidecars) if sidecars else ()
        return image_file(entry.path, status, beside, self._join)

    def _is_wanted(self, folder: bytes) -> bool:
        name = os.path.basename(folder).decode("utf-8", "surrogateescape")  # noqa: PTH119
        return not is_hidden(name) and (self._glob is None or self._glob.may_contain(self._relative(folder)))

    def _relative(self, path: bytes) -> str:
        return path[len(self._root) :].lstrip(b"/").decode("utf-8", "surrogateescape")

    def _cannot_list(self, folder: bytes, error: OSError, listing: Listing) -> None:
        if folder == self._root:
            raise self._not_there(error) from error
        if not isinstance(error, FileNotFoundError | NotADirectoryError):  # those were deleted just now
            listing.unlisted.append((uri_of(folder)[0] + "/", os_reason(error)))

    def _refuse_lake_as_root(self, folder: bytes) -> None:
        if folder == self._root:
            raise SourceError(
                self._root_uri, "this folder is a lake, not a source of images; to search it: lakesift search"
            )


def _survey(folder: bytes) -> _Survey:
    survey = _Survey()
    has_manifest = has_segments = False  # a new lake has the folder manifests/ before its first manifest.json
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.decode("utf-8", "surrogateescape")
            if _is_folder(entry):
                (survey.linked_folders if entry.is_symlink() else survey.folders).append(entry.path)
                has_segments |= name == "segments"
                has_manifest |= name == "manifests"
            elif is_sidecar(name):
                survey.sidecars.add(name)
                has_manifest |= name == "manifest.json"
    survey.is_lake = has_manifest and has_segments
    return survey


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False
