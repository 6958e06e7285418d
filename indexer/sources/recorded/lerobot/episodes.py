"""`meta/`: which episodes there are, what the robot was to do, and in which files they lie."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from indexer.errors import SourceError
from indexer.fields import Fields
from indexer.sources.labelled.reading import lenient_json
from indexer.sources.names import uri_of
from indexer.sources.recorded.inside import inside, read_small
from indexer.sources.recorded.lerobot.info import Info, filled

_MAX_LINES_BYTES = 500_000_000
_MOST = 2**31  # of an episode's number and frames: both together are one key
_DATA = ("data/chunk_index", "data/file_index")


@dataclass(frozen=True, slots=True)
class Clip:
    """The part of a video that shows an episode."""

    path: str  # relative to the set
    from_s: float  # in the video
    to_s: float


@dataclass(frozen=True, slots=True)
class Episode:
    index: int
    length: int  # frames
    tasks: tuple[str, ...]
    data_path: str  # of the Parquet file with its rows, relative to the set
    clips: Mapping[str, Clip] = field(default_factory=dict)  # by camera


def read_episodes(root: bytes, info: Info) -> list[Episode]:
    """
    :raises SourceError: if a file of them is not there, is damaged, or contradicts itself.
    """
    read = _of_lines if info.has_files_of_episodes else _of_tables
    episodes: list[Episode] = []
    seen: set[int] = set()
    for place, episode in read(root, info):
        if episode.index in seen:
            raise SourceError(place, f"the episode {episode.index} is there twice")
        if max(episode.index, episode.length) >= _MOST:
            raise SourceError(place, f"no episode is {episode.index}, of {episode.length:,} frames")
        seen.add(episode.index)
        for path in (episode.data_path, *(clip.path for clip in episode.clips.values())):
            if inside(root, path) is None:
                raise SourceError(place, f"it names {path!r}, which is not in the set")
        episodes.append(episode)
    if not episodes:
        raise SourceError(uri_of(root)[0], "it has no episodes yet")
    return episodes


def read_tasks(root: bytes, info: Info) -> dict[int, str]:
    """What the robot was to do, by number; {} where the set has no table of it.

    :raises SourceError: if the table is damaged.
    """
    lines = os.path.join(root, b"meta/tasks.jsonl")  # noqa: PTH118
    table = os.path.join(root, b"meta/tasks.parquet")  # noqa: PTH118
    if info.has_files_of_episodes:
        if not os.path.exists(lines):  # noqa: PTH110
            return {}
        return {fields.whole("task_index"): fields.text("task") for fields in _lines(lines)}
    if not os.path.exists(table):  # noqa: PTH110
        return {}
    found = _table(table)
    texts = next((f.name for f in found.schema if _is_text(f.type)), None)
    if "task_index" not in found.column_names or texts is None:
        raise SourceError(uri_of(table)[0], "it has no task_index and no text of the tasks")
    numbers, tasks = found["task_index"].to_pylist(), found[texts].to_pylist()
    return dict(zip(numbers, tasks, strict=True))


def _of_lines(root: bytes, info: Info) -> Iterator[tuple[str, Episode]]:
    """Version 2: a line for each episode, and files of its own."""
    path = os.path.join(root, b"meta/episodes.jsonl")  # noqa: PTH118
    place = uri_of(path)[0]
    for fields in _lines(path):
        try:
            index, length = fields.whole("episode_index"), fields.whole("length")
            tasks = fields.items("tasks") if fields.has("tasks") else []
            at = {"episode_chunk": index // info.chunks_size, "episode_index": index}
            clips = {
                camera: Clip(
                    filled(info.video_path, video_key=camera, **at), 0.0, length / info.fps
                )
                for camera in info.cameras("video")
            }
            data_path = filled(info.data_path, **at)
        except ValueError as error:
            raise SourceError(place, str(error)) from error
        yield place, Episode(index, length, tuple(map(str, tasks)), data_path, clips)


def _of_tables(root: bytes, info: Info) -> Iterator[tuple[str, Episode]]:
    """Version 3: tables of episodes, several of which lie in one file."""
    folder = os.path.join(root, b"meta/episodes")  # noqa: PTH118
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), b"*/*.parquet")))  # noqa: PTH118, PTH207
    if not paths:
        raise SourceError(uri_of(folder)[0], "there are no tables of episodes in it")
    cameras = info.cameras("video")
    parts = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
    of_clips = [f"videos/{camera}/{part}" for camera in cameras for part in parts]
    wanted = ["episode_index", "length", "tasks", *_DATA, *of_clips]
    for path in paths:
        place = uri_of(path)[0]
        # each row also has the statistics of all features, which are large
        for row in _table(path, wanted).to_pylist():
            try:
                yield place, _episode(info, row, cameras)
            except (KeyError, ValueError, TypeError) as error:
                raise SourceError(place, f"an episode of it is not whole: {error}") from error


def _episode(info: Info, row: Mapping[str, Any], cameras: list[str]) -> Episode:
    fields = Fields(row)
    clips = {}
    for camera in cameras:
        if not fields.has(f"videos/{camera}/from_timestamp"):
            continue
        at = {
            name: fields.whole(f"videos/{camera}/{name}") for name in ("chunk_index", "file_index")
        }
        path = filled(info.video_path, video_key=camera, **at)
        from_s, to_s = (fields.number(f"videos/{camera}/{n}_timestamp") for n in ("from", "to"))
        clips[camera] = Clip(path, from_s, to_s)
    at = {"chunk_index": fields.whole(_DATA[0]), "file_index": fields.whole(_DATA[1])}
    tasks = fields.items("tasks") if fields.has("tasks") else []
    return Episode(
        fields.whole("episode_index"),
        fields.whole("length"),
        tuple(map(str, tasks)),
        filled(info.data_path, **at),
        clips,
    )


def _table(path: bytes, columns: list[str] | None = None) -> pa.Table:
    """:param columns: those that are read where they are there; None: all."""
    try:
        opened = pq.ParquetFile(os.fsdecode(path))
        there = opened.schema_arrow.names
        return opened.read(columns and [name for name in columns if name in there])
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise SourceError(uri_of(path)[0], f"Parquet cannot read it ({reason})") from error


def _lines(path: bytes) -> Iterator[Fields]:
    for number, line in enumerate(read_small(path, _MAX_LINES_BYTES).splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield Fields(lenient_json.parse(line))
        except ValueError as error:
            raise SourceError(
                uri_of(path)[0], f"line {number:,} is no JSON object ({error})"
            ) from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
