"""From what a user types to a source: a folder, a glob, a list or a table of files, a shard,
one image, or a URL.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.disk.manifest import Moments
from indexer.errors import SourceError
from indexer.sources.catalogue.named import open_named
from indexer.sources.columns import TABLE_SUFFIXES, ColumnTable
from indexer.sources.containers.frames import Frames
from indexer.sources.containers.image_columns import image_column, why_none
from indexer.sources.containers.kinds import SAID, Kind, is_listed, kind_as_said, kind_said
from indexer.sources.containers.pages import Pages
from indexer.sources.expanding import ExpandedSource, Listed
from indexer.sources.file_list import FileListSource
from indexer.sources.folder import FolderSource
from indexer.sources.globs import Glob, has_magic
from indexer.sources.labelled.opening import LAYOUTS as LABELLED
from indexer.sources.labelled.opening import NO_BOXES, open_set
from indexer.sources.labelled.reading.files import text_of
from indexer.sources.labelled.source import LabelledSource
from indexer.sources.local import os_reason
from indexer.sources.names import absolute, address_of, is_url, uri_of
from indexer.sources.recorded.lerobot import lerobot
from indexer.sources.recorded.lerobot.info import is_lerobot
from indexer.sources.recorded.lerobot.lerobot import LeRobot
from indexer.sources.recorded.nuscenes import nuscenes
from indexer.sources.recorded.nuscenes.nuscenes import NuScenes, is_nuscenes
from indexer.sources.remote import RemoteSource

OpenSource: TypeAlias = ExpandedSource
LIST_SUFFIXES = (".txt", ".lst", ".list")
_MOST_SITES = 100
_FORMS = (
    "give a folder, a glob in quotes, a list of files (.txt, .lst, .list, or @FILE) or a table of them "
    "(.csv, .jsonl, .parquet), a labelled set (.json, .yaml of YOLO, .xml of CVAT), a shard, one image, or a URL"
)
# Sets that robots and cars recorded. A lake remembers that a source is one, so that it does not
# become a folder of any images when its tables are damaged.
_RECORDED = ("lerobot", "nuscenes")
LAYOUTS = (*LABELLED, *_RECORDED, *SAID)


def open_source(
    text: str,
    columns: str | None = None,
    *,
    layout: str | None = None,
    crops: bool = False,
    moments: Moments | None = None,
    frames: str | None = None,
    careful: bool = False,
) -> OpenSource:
    """Choose by what is there: an existing path is what it is,
    whatever its name; else `*?[` make a glob.

    A source's own `uri` and `table_path` open it again, from any current folder.

    :param columns: path of the user's table, .csv, .tsv or .parquet, joined to the images by path.
    :param layout: how it is read, one of LAYOUTS; None: as it looks. "folder" is a folder of
        images without labels, whatever it looks like; "tar", "zip" and so on say what its files
        are whose names do not say it.
    :param crops: each box of a labelled set is an image, too.
    :param moments: which images of recordings are taken; None: all.
    :param frames: which frames of its videos are listed, as `Frames.parse` takes it.
    :param careful: True: a lake names the source, and not the user (`guard`).
    :raises SourceError: if there is no such thing, it cannot be read so, or the table or `frames`
        cannot be used.
    """
    if not text:
        raise SourceError("''", f"a source must have a name; {_FORMS}")
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    # such a table names the images itself, and is opened as what it is
    is_named = columns is not None and os.path.isdir(absolute(columns))  # noqa: PTH112
    table = None
    if columns and not is_named:
        table = ColumnTable.load(columns, keys_are_paths=not is_url(text))
    if layout is not None and layout not in LAYOUTS:
        raise SourceError(text, f"it is to be read as {layout!r}; known are {', '.join(LAYOUTS)}")
    opened: Listed
    if is_url(text):
        if layout in _RECORDED:
            raise SourceError(text, f"{layout} sets are read on this machine's disks; copy it here")
        said, labelled = kind_said(layout), None
        if said is None:
            labelled = open_set(text, text, table, layout, crops=crops, careful=careful)
        if labelled is None and crops:
            raise SourceError(text, NO_BOXES)
        opened = labelled or RemoteSource(text, table, careful=careful, said=said)
    else:
        path = _existing(text)
        found = layout or _recorded(path)
        if path is not None and found in _RECORDED:
            return _open_recorded(text, path, found, table, crops, frames, careful)
        opened = _open_local(text, path, table, layout, crops, careful, is_named)
    return ExpandedSource(
        opened, layout=layout, crops=crops, moments=moments, frames=frames, careful=careful
    )


def sites_of(source: OpenSource) -> Collection[str]:
    """URLs of the sites whose images a source lists, as far as it names them; of a list the first
    100.
    """
    return source.sites(_MOST_SITES)


def _recorded(path: bytes | None) -> str | None:
    """The layout of a set that was recorded, if it plainly is one."""
    if path is None:
        return None
    if is_lerobot(path):
        return "lerobot"
    return "nuscenes" if is_nuscenes(path) else None


def _open_recorded(
    text: str,
    path: bytes,
    layout: str,
    table: ColumnTable | None,
    crops: bool,
    frames: str | None,
    careful: bool,
) -> ExpandedSource:
    """:raises SourceError: if it is no such set."""
    if crops:
        raise SourceError(text, NO_BOXES)
    if layout == "nuscenes":
        cars = NuScenes(path)
        images = LabelledSource(cars.uri, cars.root, cars, table)
        return ExpandedSource(images, layout=layout, careful=careful, says=nuscenes.SAYS)
    try:
        wanted = Frames.parse(frames)
    except ValueError as error:
        raise SourceError(text, str(error)) from error
    if wanted.scenes or wanted.still_permille:
        raise SourceError(
            text,
            "of its videos frames are chosen by --every and --key-frames; leave out --scenes and --skip-still",
        )
    robots = LeRobot(path, table, wanted)
    return ExpandedSource(
        robots, layout=layout, frames=frames, careful=careful, guide=robots, says=lerobot.SAYS
    )


def _open_local(
    text: str,
    path: bytes | None,
    table: ColumnTable | None,
    layout: str | None,
    crops: bool,
    careful: bool,
    is_named: bool,
) -> Listed:
    said = kind_said(layout)
    if said is not None:
        if crops:
            raise SourceError(text, NO_BOXES)
    elif layout is not None and (path is None or text.startswith("@")):
        raise SourceError(text, f"there is nothing of this name to be read as {layout}")
    if path is not None and said is None:
        name = text_of(path)
        labelled = open_set(text, name, table, layout, crops=crops, careful=careful)
        if labelled is not None:
            return labelled
    if crops:
        raise SourceError(text, NO_BOXES)
    if path is None and text.startswith("@"):
        listed = _existing(text[1:])
        if listed is None:
            raise SourceError(text, "there is no such list of files")
        return FileListSource(listed, table, careful=careful)
    if path is None and has_magic(text):
        return _open_glob(text, table, said)
    if path is None:
        raise SourceError(text, f"there is no such file or folder; {_FORMS}")
    if os.path.isdir(path):  # noqa: PTH112 - pathlib knows no bytes
        # what a lake knows to hold images is not looked into once more
        asks = is_named or not (careful or table or said)
        named = open_named(address_of(path), must=is_named, careful=careful) if asks else None
        return named or FolderSource(path, table=table, said=said)
    if text.endswith("/"):
        raise SourceError(text, f"this is no folder; {_FORMS}")
    if said is not None:
        return _open_said(text, path, table, said)
    return _open_file(text, path, table, careful)


def _open_said(text: str, path: bytes, table: ColumnTable | None, said: Kind) -> FileListSource:
    """One file that the user says the kind of."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
        raise SourceError(text, f"this is neither a file nor a folder; {_FORMS}")
    name = os.fsdecode(path)
    if (kind := kind_as_said(name, said)) is not said:
        what = "an image" if kind is None else f"a {kind.name}"
        raise SourceError(text, f"its name says that it is {what}; leave out --as, or rename it")
    return FileListSource(path, table, is_single=True)


def _open_file(text: str, path: bytes, table: ColumnTable | None, careful: bool) -> FileListSource:
    name = os.path.basename(path).decode("utf-8", "surrogateescape")  # noqa: PTH119
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
        raise SourceError(text, f"this is neither a file nor a folder; {_FORMS}")
    if name.lower().endswith(LIST_SUFFIXES):
        return FileListSource(path, table, careful=careful)
    if name.lower().endswith(TABLE_SUFFIXES) and not _holds_images(path, name):
        return _open_table(text, path, table, careful)
    if not is_listed(name) and not name.startswith("."):
        raise SourceError(text, f"this is no image and no list of files; {_FORMS}")
    return FileListSource(path, table, is_single=True)


def _open_table(text: str, path: bytes, table: ColumnTable | None, careful: bool) -> FileListSource:
    """A table whose rows name the images: its other columns ride along."""
    name = uri_of(path)[0]
    # as the manifest has it, the table of such a source is the source itself
    if table is not None and table.path != name:
        raise SourceError(text, "this table has its columns itself; leave out --columns")
    try:
        named = table or ColumnTable.load(os.fsdecode(path))
    except SourceError as error:
        if why := _why_no_images(path, name):
            raise SourceError(name, why) from error
        raise
    return FileListSource(path, named, is_table=True, careful=careful)


def _holds_images(path: bytes, name: str) -> bool:
    """Whether a table has the images themselves in a column."""
    if not name.lower().endswith(".parquet"):
        return False
    try:
        with Path(os.fsdecode(path)).open("rb") as opened:
            table = pq.ParquetFile(opened, pre_buffer=False)
            pages = Pages(table, opened)
            # one with too large pages is told as such
            return image_column(table, pages=pages) is not None or bool(pages.large_columns)
    except (pa.ArrowException, OSError, ValueError):
        return False


def _why_no_images(path: bytes, name: str) -> str | None:
    """Why a table's images are not read, if it has them in a form that is not read here."""
    if not name.lower().endswith(".parquet"):
        return None
    try:
        return why_none(pq.ParquetFile(os.fsdecode(path)))
    except (pa.ArrowException, OSError, ValueError):
        return None


def _open_glob(text: str, table: ColumnTable | None, said: Kind | None) -> FolderSource:
    pattern = absolute(text).decode("utf-8", "surrogateescape")
    try:
        glob = Glob.split(pattern + "/" if text.endswith("/") else pattern, _is_there)
    except ValueError as error:
        raise SourceError(text, f"this glob is not understood: {error}") from error
    if glob is None:  # it came to be just now
        return FolderSource(absolute(text), table=table, said=said)
    root = glob.root or "/"
    return FolderSource(_existing(root) or os.fsencode(root), glob, table, said)


def _is_there(path: str) -> bool:
    return os.path.exists(path.encode("utf-8", "surrogateescape"))  # noqa: PTH110


def _existing(text: str) -> bytes | None:
    """The path, if anything is there; also by its uri,
    which has %XX for bytes that are not UTF-8.
    """
    paths = [absolute(text)]
    unescaped = unquote_to_bytes(os.fsencode(text))
    if uri_of(unescaped)[1] is not None:
        paths.append(absolute(os.fsdecode(unescaped)))
    for path in paths:
        try:
            os.stat(path)  # noqa: PTH116
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            raise SourceError(text, f"this path cannot be looked at: {reason}") from error
        return path
    return None
