"""What a manifest knows of each file, so that a damaged one is found before it is believed.

The length and the hash of both ends are checked whenever a lake is opened; the hash of every 16 MiB
block when the lake is small, in the background, or by `doctor --deep`. Both ends, because FAISS
keeps its header at the start of a file and Parquet at its end.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from indexer.disk.entries import check_file, open_file

BLOCK_BYTES = 16 * 2**20
END_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class FileCheck:
    length: int  # bytes
    ends: str  # sha256 of the first and the last 64 KiB, hex
    blocks: tuple[str, ...]  # sha256 of every 16 MiB block, hex

    def to_json(self) -> dict[str, object]:
        return {"length": self.length, "ends": self.ends, "blocks": list(self.blocks)}

    @classmethod
    def from_json(cls, data: dict[str, object]) -> FileCheck:
        blocks = data["blocks"]
        assert isinstance(blocks, list)
        return cls(
            int(str(data["length"])), str(data["ends"]), tuple(str(block) for block in blocks)
        )


def check_of(path: Path) -> FileCheck:
    """Read the whole file once and remember what it is."""
    blocks = []
    with open_file(path) as file:
        while block := file.read(BLOCK_BYTES):
            blocks.append(hashlib.sha256(block).hexdigest())
    return FileCheck(path.lstat().st_size, _hash_ends(path), tuple(blocks))


def find_damage(path: Path, check: FileCheck, *, deep: bool) -> str | None:
    """Say in a few words how the file differs from what was committed, or None where it does not.

    :param deep: True reads every block; False looks at the length and at both ends.
    """
    try:
        check_file(path)
        length = path.lstat().st_size
        if length != check.length:
            return f"it has {length:,} bytes where {check.length:,} were committed"
        if _hash_ends(path) != check.ends:
            return "its first or last 64 KiB are not what was committed"
        if deep:
            return _find_bad_block(path, check)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return None


def _find_bad_block(path: Path, check: FileCheck) -> str | None:
    with open_file(path) as file:
        for number, expected in enumerate(check.blocks):
            if hashlib.sha256(file.read(BLOCK_BYTES)).hexdigest() != expected:
                return (
                    f"the 16 MiB block at byte {number * BLOCK_BYTES:,} is not what was committed"
                )
    return None


def _hash_ends(path: Path) -> str:
    digest = hashlib.sha256()
    with open_file(path) as file:
        digest.update(file.read(END_BYTES))
        file.seek(max(0, os.fstat(file.fileno()).st_size - END_BYTES))
        digest.update(file.read(END_BYTES))
    return digest.hexdigest()
