"""From what a user types to a source: a folder, a glob, a list of files, one image, or a URL."""

from __future__ import annotations

import os
import stat
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from indexer.errors import SourceError
from indexer.sources.columns import ColumnTable
from indexer.sources.file_list import FileListSource
from indexer.sources.folder import FolderSource
from indexer.sources.globs import Glob, has_magic
from indexer.sources.local import os_reason
from indexer.sources.names import absolute, is_url, may_be_image, uri_of
from indexer.sources.remote import RemoteSource

OpenSource: TypeAlias = FolderSource | FileListSource | RemoteSource
LIST_SUFFIXES = (".txt", ".lst", ".list")
_FORMS = "give a folder, a glob in quotes, a list of files (.txt, .lst, .list, or @FILE), one image, or a URL"


def open_source(text: str, columns: str | None = None) -> OpenSource:
    """Choose by what is there: an existing path is what it is, whatever its name; else `*?[` make a glob.

    A source's own `uri` and `table_path` open it again, from any current folder.

    :param columns: path of the user's table, .csv, .tsv or .parquet, joined to the images by path.
    :raises SourceError: if there is no such thing, or the table cannot be used.
    """
    if not text:
        raise SourceError("''", f"a source must have a name; {_FORMS}")
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    table = ColumnTable.load(columns) if columns else None
    if is_url(text):
        return RemoteSource(text, table)
    return _open_local(text, table)


def _open_local(text: str, table: ColumnTable | None) -> FolderSource | FileListSource:
    path = _existing(text)
    if path is None and text.startswith("@"):
        listed = _existing(text[1:])
        if listed is None:
            raise SourceError(text, "there is no such list of files")
        return FileListSource(listed, table)
    if path is None and has_magic(text):
        return _open_glob(text, table)
    if path is None:
        raise SourceError(text, f"there is no such file or folder; {_FORMS}")
    if os.path.isdir(path):  # noqa: PTH112 - pathlib knows no bytes
        return FolderSource(path, table=table)
    return _open_file(text, path, table)


def _open_file(text: str, path: bytes, table: ColumnTable | None) -> FileListSource:
    name = os.path.basename(path).decode("utf-8", "surrogateescape")  # noqa: PTH119
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
        raise SourceError(text, f"this is neither a file nor a folder; {_FORMS}")
    if name.lower().endswith(LIST_SUFFIXES):
        return FileListSource(path, table)
    if not may_be_image(name) and not name.startswith("."):
        raise SourceError(text, f"this is no image and no list of files; {_FORMS}")
    return FileListSource(path, table, is_single=True)


def _open_glob(text: str, table: ColumnTable | None) -> FolderSource:
    try:
        glob = Glob.split(absolute(text).decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise SourceError(text, f"this glob is not understood: {error}") from error
    root = glob.root or "/"
    return FolderSource(_existing(root) or os.fsencode(root), glob, table)


def _existing(text: str) -> bytes | None:
    """The path, if anything is there; also by its uri, which has %XX for bytes that are not UTF-8."""
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
