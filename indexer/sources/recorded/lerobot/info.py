"""`meta/info.json`: what a data set consists of, and where its files lie."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from indexer.errors import SourceError
from indexer.fields import Fields
from indexer.sources.labelled.reading import lenient_json
from indexer.sources.names import uri_of
from indexer.sources.recorded.inside import read_small

_PLACE = b"meta/info.json"
_MAX_BYTES = 32_000_000
_VERSIONS = re.compile(r"v[23]\.\d+")
_FIELD = re.compile(r"\{(\w+)(?::0?(\d{1,2})d)?\}")


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that is known at each frame."""

    name: str  # as observation.state
    dtype: str  # "video", "image", or that of numbers and texts
    names: tuple[str, ...]  # of the numbers that it is made of; (): they have none


@dataclass(frozen=True, slots=True)
class Info:
    version: str  # as v3.0
    fps: float
    chunks_size: int  # episodes a folder, in version 2
    features: tuple[Feature, ...]
    data_path: str  # with {fields}, relative to the set
    video_path: str
    splits: tuple[tuple[str, int, int], ...]  # name, first episode, the one after the last

    @classmethod
    def read(cls, root: bytes) -> Self:
        """:raises SourceError: if it is not there, damaged, or of a version that is not known."""
        path = _path(root)
        data = read_small(path, _MAX_BYTES)
        name = uri_of(path)[0]
        try:
            return cls._of(Fields(lenient_json.parse(data)))
        except (ValueError, RecursionError) as error:
            raise SourceError(name, f"it is no description of a LeRobot set: {error}") from error

    @classmethod
    def _of(cls, fields: Fields) -> Self:
        version = fields.text("codebase_version")
        if not _VERSIONS.fullmatch(version):
            raise ValueError(f"its version is {version!r}; read are v2.0, v2.1 and v3.0")
        fps = fields.number("fps")
        if not 0.001 <= fps <= 10_000:
            raise ValueError(f"its fps is {fps:g}")
        features = fields.take("features")
        if not isinstance(features, Mapping):
            raise ValueError("its features are no JSON object")
        return cls(
            version,
            fps,
            fields.whole("chunks_size", 1) if fields.has("chunks_size") else 1_000,
            tuple(_feature(name, value) for name, value in features.items()),
            fields.text("data_path"),
            # null or not there in sets without videos
            fields.text("video_path") if fields.has("video_path") else "",
            tuple(_splits(fields.take("splits") if fields.has("splits") else {})),
        )

    @property
    def has_files_of_episodes(self) -> bool:
        """Whether each episode has files of its own, as in version 2."""
        return self.version.startswith("v2.")

    def cameras(self, dtype: str) -> list[str]:
        """The features that are pictures: "video" or "image"."""
        return [feature.name for feature in self.features if feature.dtype == dtype]

    def split_of(self, episode: int) -> str | None:
        """As train; None where it is in none, or in several."""
        found = [name for name, first, end in self.splits if first <= episode < end]
        return found[0] if len(found) == 1 else None


def is_lerobot(root: bytes) -> bool:
    """Whether a folder is a LeRobot set for sure."""
    try:
        Info.read(root)
    except SourceError:
        return False
    return True


def filled(template: str, **values: str | int) -> str:
    """A path with its fields filled in.

    The template is somebody else's: no `str.format`, which would follow attributes.

    :raises ValueError: if it has a field that has no value.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise ValueError(f"its path {template!r} has the unknown field {found[1]}")
        return str(values[found[1]]).zfill(int(found[2] or 0))

    return _FIELD.sub(value, template)


def _path(root: bytes) -> bytes:
    return os.path.join(root, _PLACE)  # noqa: PTH118 - pathlib knows no bytes


def _feature(name: str, value: Any) -> Feature:
    dtype = value.get("dtype") if isinstance(value, Mapping) else None
    if not isinstance(dtype, str):
        raise ValueError(f"its feature {name} has no dtype")
    names = value.get("names")
    # {"motors": ["pan", "lift"]} in some versions
    if isinstance(names, Mapping) and len(names) == 1:
        [names] = names.values()
    is_list = isinstance(names, list) and all(isinstance(each, str) for each in names)
    return Feature(name, dtype, tuple(names) if is_list else ())


def _splits(splits: Any) -> list[tuple[str, int, int]]:
    """As {"train": "0:50"}; one that says it in another way is passed over."""
    found = []
    for name, span in splits.items() if isinstance(splits, Mapping) else ():
        match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", span) if isinstance(span, str) else None
        if match is not None:
            found.append((str(name), int(match[1]), int(match[2])))
    return found
