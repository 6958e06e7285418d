"""A folder on disk, and a glob below one: walked without recursion in the order of names, links
followed, no file opened.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import merge

from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing, TableFolder
from indexer.sources.catalogue.folders import kind_of_folder, names_on_disk
from indexer.sources.columns import ColumnTable
from indexer.sources.containers.kinds import Kind, is_listed
from indexer.sources.globs import Glob
from indexer.sources.joining import Join
from indexer.sources.lake_folder import is_lake
from indexer.sources.local import image_file, local_columns, os_reason
from indexer.sources.names import address_of, is_hidden, uri_of
from indexer.sources.sidecars import is_sidecar, sidecar_names
from indexer.sources.sorted_names import SortedNames


@dataclass(slots=True)
class _Survey:
    """What is in a folder. Names are those of paths, in bytes."""

    images: SortedNames  # and containers
    folders: list[bytes] = field(default_factory=list)
    linked_folders: list[bytes] = field(default_factory=list)
    sidecars: set[str] = field(default_factory=set)
    is_lake: bool = False
    table: str | None = None  # the kind of table that it holds


class FolderSource:
    """All images below a folder, or those that a glob matches.

    Hidden names are left out, and lakes, which is told. A link to a file is a file of its own.
    Links to folders are followed after everything reached without links, each real folder once: a
    new link changes no uri, and loops end. Before that, and below each link, images come in the
    order of their paths, whatever order the file system has.
    """

    def __init__(
        self,
        root: bytes,
        glob: Glob | None = None,
        table: ColumnTable | None = None,
        said: Kind | None = None,
    ) -> None:
        """
        :param root: absolute and normalised; for a glob the folder that it starts from.
        :param said: what its files are whose names do not say it.
        """
        self._said = said
        self._root = root
        self._glob = glob
        self._root_uri = uri_of(root)[0]
        self.join = Join(self._root_uri.rstrip("/"), table)

    @property
    def uri(self) -> str:
        if self._glob is None:
            return self._root_uri
        pattern, _ = uri_of(os.fsencode(self._glob.pattern))
        return f"{self._root_uri.rstrip('/')}/{pattern}"

    def sites(self, most: int) -> list[str]:
        """:param most: there is one."""
        return [self.uri][:most]

    @property
    def table_path(self) -> str | None:
        return self.join.table_path

    @property
    def unmatched_rows(self) -> int:
        """Rows of the user's table that belong to no image of the last listing."""
        return self.join.unmatched_rows

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        self.join.begin()
        device = self._device()
        closed: set[bytes] = set()
        for path, sidecars in self._walk(listing):
            file = self._image(path, sidecars, closed, listing)
            if file is not None:
                listing.files += 1
                yield file
        if (
            self._device() != device
        ):  # a disk pulled out leaves an empty folder behind, which must not read as deletions
            raise SourceError(
                self.uri, "it went away while it was being listed; make it available and run again"
            )

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return local_columns(file, self.join)

    def _device(self) -> int:
        try:
            return os.stat(self._root).st_dev  # noqa: PTH116 - pathlib knows no bytes
        except OSError as error:
            raise self._not_there(error) from error

    def _not_there(self, error: OSError) -> SourceError:
        return SourceError(
            self._root_uri,
            f"this folder cannot be listed: {os_reason(error)}; check the path and its rights",
        )

    def _walk(self, listing: Listing) -> Iterator[tuple[bytes, set[str]]]:
        """Every path that may be an image, and the sidecars in its folder.

        Only what is reached by a link is checked for a second visit: some file systems give all
        folders one inode number, and without links there are no loops.
        """
        links, visited = deque([self._root]), set[tuple[int, int]]()
        by_link = False
        while links:
            entered = [self._enter(links.popleft(), links, visited, by_link, listing)]
            while entered:
                for path, sidecars in entered[-1]:
                    if sidecars is None:
                        entered.append(self._enter(path, links, visited, by_link, listing))
                        break
                    yield path, sidecars
                else:
                    entered.pop()
            by_link = True

    def _enter(
        self,
        folder: bytes,
        links: deque[bytes],
        visited: set[tuple[int, int]],
        by_link: bool,
        listing: Listing,
    ) -> Iterator[tuple[bytes, set[str] | None]]:
        """The images of a folder, each with the sidecars there are, and its folders with None."""
        try:
            status = os.stat(folder)  # noqa: PTH116
            identity = (status.st_dev, status.st_ino)
            if by_link and identity in visited:
                return
            visited.add(identity)
            survey = _survey(folder, self._said)
        except OSError as error:
            self._cannot_list(folder, error, listing)
            return
        if survey.is_lake:
            self._refuse_lake_as_root(folder)
            listing.left_out.append((uri_of(folder)[0], "it is a lake, and was not looked into"))
            return
        if survey.table and self._takes_table(folder):
            listing.tables.append(TableFolder(survey.table, address_of(folder)))
            return
        links.extend(sorted(filter(self._is_wanted, survey.linked_folders)))
        # Ends with "/", which puts `a-b` before what is in `a`, as their paths are.
        folders = sorted(path + b"/" for path in filter(self._is_wanted, survey.folders))
        begin = folder if folder.endswith(b"/") else folder + b"/"
        images = (begin + name for name in survey.images)
        if not folders:
            for path in images:
                yield path, survey.sidecars
            return
        for path in merge(images, folders):
            if path.endswith(b"/"):
                yield path[:-1], None
            else:
                yield path, survey.sidecars

    def _image(
        self, path: bytes, sidecars: set[str], closed: set[bytes], listing: Listing
    ) -> ImageFile | None:
        """:param closed: folders whose files cannot be looked at, which was told."""
        folder, _, name = path.rpartition(b"/")
        if folder in closed or (self._glob and not self._glob.matches(self._relative(path))):
            return None
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError as error:
            if not os.path.islink(path):  # noqa: PTH114
                # else it was deleted just now
                if not isinstance(error, FileNotFoundError | NotADirectoryError):
                    closed.add(folder)
                    self._cannot_list(folder or b"/", error, listing)
                return None
            status = None
        beside = (
            sidecar_names(name.decode("utf-8", "surrogateescape"), sidecars) if sidecars else ()
        )
        return image_file(path, status, beside, self.join)

    def _is_wanted(self, folder: bytes) -> bool:
        name = os.path.basename(folder).decode("utf-8", "surrogateescape")  # noqa: PTH119
        return not is_hidden(name) and (
            self._glob is None or self._glob.may_contain(self._relative(folder))
        )

    def _takes_table(self, folder: bytes) -> bool:
        """A glob that does not match a table's own folder may match files in it."""
        return self._glob is None or self._glob.matches(self._relative(folder))

    def _relative(self, path: bytes) -> str:
        return path[len(self._root) :].lstrip(b"/").decode("utf-8", "surrogateescape")

    def _cannot_list(self, folder: bytes, error: OSError, listing: Listing) -> None:
        if folder == self._root:
            raise self._not_there(error) from error
        # those were deleted just now
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            listing.unlisted.append((uri_of(folder)[0] + "/", os_reason(error)))

    def _refuse_lake_as_root(self, folder: bytes) -> None:
        if folder == self._root:
            raise SourceError(
                self._root_uri,
                "this folder is a lake, not a source of images; to search it: lakesift search",
            )


def _survey(folder: bytes, said: Kind | None = None) -> _Survey:
    survey = _Survey(SortedNames())
    # a new lake has the folder manifests/ before its first manifest.json
    has_manifest = has_segments = False
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.decode("utf-8", "surrogateescape")
            if _is_folder(entry):
                (survey.linked_folders if entry.is_symlink() else survey.folders).append(entry.path)
                has_segments |= name == "segments"
                has_manifest |= name == "manifests"
                continue
            if is_sidecar(name):
                survey.sidecars.add(name)
                has_manifest |= name == "manifest.json"
            if is_listed(name, said):
                survey.images.add(entry.name)
    survey.is_lake = has_manifest and has_segments and is_lake(folder)
    folders = {os.path.basename(each) for each in (*survey.folders, *survey.linked_folders)}  # noqa: PTH119
    survey.table = kind_of_folder(
        {os.fsdecode(name) for name in folders},
        lambda name: names_on_disk(os.path.join(folder, os.fsencode(name))),  # noqa: PTH118
    )
    return survey


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False
