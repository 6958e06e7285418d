"""Whether a folder is a lake: by what its manifest says, since others use the same names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

from indexer.sources.local import read_start

_MAX_BYTES = 64_000_000  # of a manifest; that of 10 million images is far below
_KEYS = {"format", "model_id", "fingerprint", "segments", "checksum"}
# A damaged manifest begins as it was written: its lake is no source of images all the same.
_START = re.compile(rb'\s*\{\s*"format":\s*[0-9]+,\s*"model_id":')
_COPIES = 3  # of manifests/ that are asked where manifest.json is damaged
# What a first run makes before its first manifest.
_FOLDERS = (b"manifests", b"segments", b"tombstones", b"skipped", b"staging")


def is_lake(folder: bytes) -> bool:
    """True for one that is damaged or just being made, too. Opens plain files alone."""
    manifest = os.path.join(folder, b"manifest.json")  # noqa: PTH118 - pathlib knows no bytes
    if _is_manifest(manifest) or any(map(_is_manifest, _copies(folder))):
        return True
    return not os.path.lexists(manifest) and all(
        os.path.isdir(os.path.join(folder, name))  # noqa: PTH112, PTH118
        for name in _FOLDERS
    )


def _copies(folder: bytes) -> Iterator[bytes]:
    """The youngest of manifests/, looked for only where manifest.json is none."""
    try:
        names = os.listdir(os.path.join(folder, b"manifests"))  # noqa: PTH118, PTH208
    except OSError:
        return
    numbered = [name for name in names if re.fullmatch(rb"[0-9]+\.json", name)]
    for name in sorted(numbered, key=lambda name: int(name[:-5]), reverse=True)[:_COPIES]:
        yield os.path.join(folder, b"manifests", name)  # noqa: PTH118


def _is_manifest(path: bytes) -> bool:
    try:
        data = read_start(path, _MAX_BYTES)
    except OSError:
        return False
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return _START.match(data) is not None
    return isinstance(body, dict) and body.keys() >= _KEYS
