"""A folder that holds a model of the `builtin` kind: what is in it, and that it is whole.

model.json names the other files and their sha256; each file is compared with it when it is read, so
that a model loads whole or not at all. `lakesift train` writes such folders, and one comes with the
install. Runs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import ModelUnavailable

FORMAT = 1
DESCRIPTION = "model.json"
IMAGE_TOWER = "image.onnx"  # "pixels" uint8 (n, side, side, 3) -> "vectors" float32 (n, dim)
# "input_ids", "attention_mask" int64 (n, tokens) -> "vectors" float32 (n, dim)
TEXT_TOWER = "text.onnx"
TOKENIZER = "tokenizer.json"
FILES = (IMAGE_TOWER, TEXT_TOWER, TOKENIZER)
COUNTS = ("dim", "side_px", "most_tokens")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder whose model.json was read, and whose files were there."""

    path: Path
    model_id: str  # as a user names it, for messages
    way_out: str  # what a message says to do about a damaged folder
    name: str
    dim: int
    side_px: int  # of the square that the image tower takes
    most_tokens: int  # of a text, its start and end among them
    sha256: Mapping[str, str]  # by file name

    @classmethod
    def open(cls, path: Path, model_id: str, way_out: str) -> ModelFolder:
        """Read model.json; the other files are only looked for.

        :raises ModelUnavailable: if there is no such folder, no model.json of this format, or no
            other file.
        """
        try:
            facts = _checked(_facts(path, way_out))
            for file in FILES:
                if not (path / file).is_file():
                    raise _NotAModel(f"{path / file} is missing; {way_out}")
        except _NotAModel as reason:
            raise ModelUnavailable(model_id, str(reason)) from None
        return cls(path, model_id, way_out, sha256=facts.pop("files"), **facts)

    def read(self, file: str) -> bytes:
        """The content of one of FILES, which is what model.json says.

        :raises ModelUnavailable: if it cannot be read, or is another.
        """
        path = self.path / file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelUnavailable(
                self.model_id, f"{path} cannot be read ({error.strerror})"
            ) from error
        found, expected = hashlib.sha256(content).hexdigest(), self.sha256[file]
        if found != expected:
            raise self.damaged(
                file,
                f"has {len(content):,} bytes of sha256 {found[:12]}..., expected {expected[:12]}...",
            )
        return content

    def damaged(self, file: str, reason: str) -> ModelUnavailable:
        """:param reason: what is wrong with the file, as in "is not an ONNX model"."""
        return ModelUnavailable(self.model_id, f"{self.path / file} {reason}; {self.way_out}")

    @property
    def weights_sha256(self) -> str:
        """One hash over all that the vectors depend on and a name does not say."""
        parts = [f"format {FORMAT}", f"most_tokens {self.most_tokens}"]
        parts += [f"{file} {self.sha256[file]}" for file in FILES]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def fingerprint(self) -> dict[str, str | int]:
        """The same for every copy of the folder, wherever it lies."""
        return {
            "name": f"builtin@{self.name}",
            "weights": self.weights_sha256,
            "preprocessing": f"shortest side {self.side_px} bicubic, centre {self.side_px}x{self.side_px}, RGB, "
            "(x - 127) / 128",
            "dim": self.dim,
            "precision": "int8 weights, fp32 arithmetic",
        }


class _NotAModel(Exception):
    """str() is the reason, with the way out."""


def _facts(path: Path, way_out: str) -> dict[str, Any]:
    """What model.json says, unchecked but for its format."""
    try:
        content = (path / DESCRIPTION).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise _NotAModel(_why_unread(path, error, way_out)) from error
    try:
        facts = json.loads(content)
    except ValueError as error:
        raise _NotAModel(f"{path / DESCRIPTION} is not JSON ({error}); {way_out}") from error
    if not isinstance(facts, dict) or not _is_count(facts.get("format")):
        raise _NotAModel(
            f"{path / DESCRIPTION} does not describe a model: it has no format; {way_out}"
        )
    if facts["format"] > FORMAT:
        raise _NotAModel(
            f"{path} is a model of format {facts['format']}, this lakesift reads up to {FORMAT}; "
            "run: pip install --upgrade lakesift"
        )
    return {"path": path, "way_out": way_out, **facts}


def _why_unread(path: Path, error: OSError | ValueError, way_out: str) -> str:
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"{path / DESCRIPTION} cannot be read ({error.strerror})"
    if path.is_file():
        return f"{path} is a file; name the folder that holds {DESCRIPTION}"
    if path.is_dir():
        return f"{path} is no model folder, there is no {DESCRIPTION} in it; {way_out}"
    return f"there is no folder {path}; {way_out}"


def _checked(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that are known, each of its kind; others may stand beside them."""
    name, files, where = facts.get("name"), facts.get("files"), facts["path"] / DESCRIPTION
    if not isinstance(name, str) or not name:
        raise _NotAModel(f"{where} has no name; {facts['way_out']}")
    for count in COUNTS:
        if not _is_count(facts.get(count)):
            raise _NotAModel(f"{where} has no {count} (a whole number above 0); {facts['way_out']}")
    for file in FILES:
        if not isinstance(files, dict) or not _is_sha256(files.get(file)):
            raise _NotAModel(f"{where} has no sha256 of {file} under files; {facts['way_out']}")
    assert isinstance(files, dict)  # FILES is not empty
    return {"name": name, "files": {file: files[file] for file in FILES}} | {
        key: facts[key] for key in COUNTS
    }


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
