"""Keeps models, or parts of them, that were made once,
in the user's cache folder. Knows nothing of what is in them.

A file's name ends in the sha256 of its content, so a file that was damaged is noticed, thrown away
and built anew. Files are written beside and renamed: two processes that build the same model at
once do the same work twice and leave one whole file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import platformdirs

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """LAKESIFT_CACHE, or the user's cache folder for lakesift."""
    return Path(os.environ.get("LAKESIFT_CACHE") or platformdirs.user_cache_dir("lakesift"))


def cached(key: str, suffix: str, build: Callable[[], bytes]) -> bytes:
    """The model stored under a key; built and stored if it is not there, or not whole.

    Where the folder cannot be read or written, the model is built in memory each time, which a
    warning says.

    :param key: names everything that the model was made from; fit for a file name.
    :param suffix: what kind of file it is, such as ".onnx".
    """
    folder = cache_folder() / "models"
    stored = _stored(folder, key, suffix)
    if stored is not None:
        return stored
    content = build()
    try:
        _store(folder, key, suffix, content)
    except OSError as error:
        log.warning(
            "cannot keep a converted model in %s (%s): it is converted at every start",
            folder,
            error,
        )
    return content


def is_cached(key: str, suffix: str) -> bool:
    """Whether `cached` would find something to read, whole or not."""
    return any((cache_folder() / "models").glob(f"{key}-*{suffix}"))


def _stored(folder: Path, key: str, suffix: str) -> bytes | None:
    try:
        for path in sorted(folder.glob(f"{key}-*{suffix}")):
            content = path.read_bytes()
            if path.name == _file_name(key, suffix, content):
                return content
            log.warning("%s is damaged and is made anew", path)
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cannot read converted models from %s (%s)", folder, error)
    return None


def _store(folder: Path, key: str, suffix: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(folder / _file_name(key, suffix, content))
    finally:
        beside.unlink(missing_ok=True)


def _file_name(key: str, suffix: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()}{suffix}"
