"""Which files are containers, by their names, and what reads each kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.sources.containers import Container
from indexer.sources.containers.frames import Frames
from indexer.sources.containers.kept import Kept
from indexer.sources.containers.lance import MISSING as LANCE_MISSING
from indexer.sources.containers.lance import Lance
from indexer.sources.containers.looking import kind_by_looking
from indexer.sources.containers.packed.seek_file import TAR_GZ
from indexer.sources.containers.packed.tar import PackedTar
from indexer.sources.containers.parquet import Parquet
from indexer.sources.containers.robot.log import (
    PACKED,
    RobotLog,
    open_bag,
    open_database,
    open_mcap,
)
from indexer.sources.containers.tar import COMPRESSED, Tar
from indexer.sources.containers.video import ffmpeg
from indexer.sources.containers.video.video import Video
from indexer.sources.containers.zip import Zip
from indexer.sources.names import is_hidden, is_photo, is_text, may_be_image
from indexer.sources.opened import open_file
from indexer.sources.store import Stores, store_reason


class Kind(NamedTuple):
    """One entry of the list of kinds."""

    name: str  # as rows' etag and messages call it
    suffixes: tuple[str, ...]
    reader: Callable[[Stores], Container]
    # whether files of this name often hold something else than images, which is no news
    is_common: bool = False
    # whether its images are moments of streams
    has_streams: bool = False
    # what this machine lacks to read such files, and the way out; None where it lacks nothing
    lacks: Callable[[], str | None] = lambda: None


KINDS = (
    Kind("tar", (".tar",), Tar),
    Kind(TAR_GZ, (".tar.gz", ".tgz"), PackedTar),
    Kind("zip", (".zip",), Zip),
    Kind("parquet", (".parquet",), Parquet, is_common=True),
    # data files of a Lance table, which are listed through their table
    Kind(
        "lance",
        (".lance",),
        Lance,
        is_common=True,
        lacks=lambda: None if find_spec("lance") else LANCE_MISSING,
    ),
    Kind("mcap", (".mcap",), partial(RobotLog, open_mcap), has_streams=True),
    Kind("bag", (".bag", ".bag.active"), partial(RobotLog, open_bag), True, has_streams=True),
    Kind("db3", (".db3",), partial(RobotLog, open_database), True, has_streams=True),
    Kind(
        "video",
        (".mp4", ".m4v", ".mov", ".mkv", ".webm"),
        Video,
        has_streams=True,
        lacks=lambda: None if ffmpeg.is_installed() else ffmpeg.MISSING,
    ),
)
# What `--as` takes: kinds that a file's own bytes tell, so that a row need not remember them.
SAID = ("tar", TAR_GZ, "zip", "parquet", "mcap", "bag", "db3", "video")
_LOOKED_AT = 64  # files whose kind is remembered
# What looks like a container and is none that can be read in place, and why.
UNREADABLE = dict.fromkeys(
    (".tar.zst", ".tzst", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"), COMPRESSED
)
UNREADABLE |= dict.fromkeys((".mcap.zstd", ".db3.zstd", ".bag.gz", ".mcap.zst"), PACKED)
_SUFFIXES = tuple(suffix for kind in KINDS for suffix in kind.suffixes)
_NOT_READ = tuple(UNREADABLE)


def kind_of(name: str) -> Kind | None:
    """The kind that a file of this name is, with or without its folder; None for any other file."""
    last = name[name.rfind("/") + 1 :].lower()
    if not last.endswith(_SUFFIXES) or is_hidden(last):  # most names of a listing are of images
        return None
    return next((kind for kind in KINDS if last.endswith(kind.suffixes)), None)


def kind_said(name: str | None) -> Kind | None:
    """:param name: as the user says what files are; None, and what is no kind: he did not."""
    return next((kind for kind in KINDS if kind.name == name and name in SAID), None)


def kind_as_said(uri: str, said: Kind | None) -> Kind | None:
    """The kind of a file that a source names: by its name, else as the user says; pictures stay
    pictures.
    """
    kind, last = kind_of(uri), uri.rpartition("/")[2]
    if kind is not None or said is None or is_hidden(last) or is_photo(last):
        return kind
    return said


class Containers:
    """One reader of each kind, with what it keeps open. Safe for several threads."""

    def __init__(self, stores: Stores, frames: Frames | None = None) -> None:
        """:param frames: those of a video that are listed."""
        self._stores = stores
        self._looked_at: Kept[Kind | None] = Kept(stores, _LOOKED_AT)
        self._readers = {kind.name: kind.reader(stores) for kind in KINDS}
        self._readers["video"] = Video(stores, frames)

    def of(self, kind: Kind) -> Container:
        return self._readers[kind.name]

    @property
    def packed(self) -> PackedTar:
        reader = self._readers[TAR_GZ]
        assert isinstance(reader, PackedTar)
        return reader

    def read(self, member: Address, limits: ReadLimits, seeks: Path | None = None) -> bytes:
        """An image that has no offset and length in its file.

        :param seeks: the folder of seek indexes of the lake whose row it is.
        :raises UnreadableImage: as `BytesOf.read`.
        """
        kind = kind_of(member.uri) or self._by_looking(member)
        if kind is None:
            reason = "its file is no container, by its name and by its first bytes"
            raise UnreadableImage(str(member), reason)
        if kind.name == TAR_GZ:
            return self.packed.read(member, limits, seeks)
        return self.of(kind).read(member, limits)

    def _by_looking(self, member: Address) -> Kind | None:
        file = Address(member.uri, member.path_bytes)

        def look() -> Kind | None:
            opened, _ = open_file(file, self._stores)
            with opened:
                return kind_said(kind_by_looking(opened))

        try:
            return self._looked_at.of(file.uri, file, look)
        except UnreadableImage:
            raise
        # each store raises its own library's errors
        except Exception as error:
            gone = isinstance(error, FileNotFoundError)
            raise UnreadableImage(str(member), store_reason(error), transient=not gone) from error


def is_listed(name: str, said: Kind | None = None) -> bool:
    """Whether a source lists a file of this name: an image or a container, as far as names tell.

    A container that cannot be read is listed too, to be told of.

    :param said: what the user says that files are whose names do not say it; text is none.
    """
    if said is not None and not is_hidden(name) and not is_text(name):
        return True
    return may_be_image(name) or kind_of(name) is not None or why_not_read(name) is not None


def why_not_read(name: str) -> str | None:
    """Why a file that looks like a container is passed over; None for any other file."""
    last = name[name.rfind("/") + 1 :].lower()
    if not last.endswith(_NOT_READ) or is_hidden(last):
        return None
    return next((why for suffix, why in UNREADABLE.items() if last.endswith(suffix)), None)
