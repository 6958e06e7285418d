"""Small pictures kept on disk, within a bound;
the least recently used go first. Knows nothing of images.

Each file begins with the sha256 of what follows, so that what a crash or a bad disk left is never
handed out. Several processes may share the folder: files are written beside and renamed, and a file
that another one took is a miss.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

DIGEST_BYTES = 32
# A name begins with a checksum as the lake has it, and a lake may come from somebody else: no path
# may be in it.
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*")
TOUCH_AFTER_S = 3600.0  # a use within this long of the last one is not written down again
# A process looks at the whole folder once it has written a tenth of the bound, and then makes a
# tenth of room.
SHARE_BETWEEN_LOOKS = 0.1


class ThumbnailCache:
    """Bytes under a name. Safe to call from several threads.
    Disk trouble is logged once and is never an error.
    """

    def __init__(self, folder: Path, max_bytes: int, *, writers: int = 1) -> None:
        """:param max_bytes: of all files together; 0: nothing is kept, nor looked for.
        :param writers: processes that write there together: each looks the sooner.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._step = int(max_bytes * SHARE_BETWEEN_LOOKS)
        self._look_after = self._step // writers
        self._unlooked = (
            self._step
        )  # bytes written since the folder was last looked at: at first, it never was
        self._lock = threading.Lock()
        self._tidying = threading.Lock()
        self._complained = False

    def get(self, name: str) -> bytes | None:
        """What was put there, or None."""
        if not self._max_bytes or not _NAME.fullmatch(name):
            return None
        path = self._path(name)
        try:
            content = path.read_bytes()
            status = path.stat()
        except OSError:
            return None
        digest, data = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            self._drop(path)
            return None
        self._touch(path, status)
        return data

    def put(self, name: str, data: bytes) -> bool:
        """Keep data, if the disk lets us; True when `tidy` is due."""
        if len(data) > self._step or not _NAME.fullmatch(name):
            return False
        path = self._path(name)
        beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                beside.write_bytes(hashlib.sha256(data).digest() + data)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)
            return False
        with self._lock:
            self._unlooked += DIGEST_BYTES + len(data)
            return self._unlooked >= self._look_after

    def drop(self, name: str) -> None:
        """Keep it no longer."""
        if self._max_bytes and _NAME.fullmatch(name):
            self._drop(self._path(name))

    def tidy(self) -> None:
        """Look at the whole folder and delete what was not used for longest,
        until a tenth of the bound is free.
        """
        if not self._tidying.acquire(blocking=False):
            return
        try:
            with self._lock:
                self._unlooked = 0
            files = sorted(self._files())
            excess = sum(size for _, size, _ in files) - (self._max_bytes - self._step)
            for _, size, path in files:
                if excess <= 0:
                    return
                self._drop(Path(path))
                excess -= size
        finally:
            self._tidying.release()

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name  # 256 folders: none grows too long to list

    def _files(self) -> list[tuple[float, int, str]]:
        """Last use, size and path; what a crash left half-written
        counts too, and goes in its turn.
        """
        found = []
        for folder in self._entries(str(self._folder)):
            for entry in self._entries(folder.path):
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                found.append((status.st_mtime, status.st_size, entry.path))
        return found

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except OSError:
            return []

    def _touch(self, path: Path, status: os.stat_result) -> None:
        if time.time() - status.st_mtime > TOUCH_AFTER_S:
            with suppress(OSError):  # a read-only cache serves all the same
                os.utime(path)

    def _drop(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            log.warning(
                "thumbnails cannot be kept in %s (%s): each is made anew", self._folder, error
            )
        self._complained = True
