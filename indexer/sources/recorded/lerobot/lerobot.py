"""A LeRobot set as a source: its files, which frames of them are taken, and what is said of those.

Frames are taken from each episode by itself, its first one first, so that it does not matter in
which file an episode lies, and behind which other.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from indexer.address import Address
from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.columns import ColumnTable
from indexer.sources.containers import Container, DamagedContainer, Member
from indexer.sources.containers.frames import Frames
from indexer.sources.containers.image_columns import batches, leaf_of
from indexer.sources.containers.video.video import Video
from indexer.sources.joining import Join
from indexer.sources.local import image_file
from indexer.sources.names import uri_of
from indexer.sources.recorded.inside import inside
from indexer.sources.recorded.lerobot.episodes import Episode, read_episodes, read_tasks
from indexer.sources.recorded.lerobot.frame_rows import EPISODE, FRAME, TASK, FrameRows, are_rows
from indexer.sources.recorded.lerobot.info import Info
from indexer.sources.recorded.lerobot.timing import Shown, frames_of
from indexer.sources.sidecars import is_too_large, mark
from indexer.sources.store import Stores
from indexer.words import count

logger = logging.getLogger(__name__)

SAYS = frozenset({"camera"})
NOT_THERE = "the set's tables name them, and they are not there"
NO_ROWS = "the Parquet files with the rows of their frames cannot be read"
_NO_BYTES = "there are no bytes of an image in this row"


@dataclass(frozen=True, slots=True)
class _Set:
    """What the tables of a set say."""

    info: Info
    episodes: Mapping[int, Episode]
    tasks: Mapping[int, str]
    rows: FrameRows
    by_video: Mapping[str, tuple[str, list[Episode]]]  # uri -> its camera and episodes
    by_data: Mapping[str, list[Episode]]  # uri of a Parquet file -> its episodes
    marks: Mapping[int, str]  # of what is said of an episode

    @classmethod
    def read(cls, root: bytes) -> _Set:
        """:raises SourceError: if a table is not there or damaged; then nothing is listed."""
        info = Info.read(root)
        episodes, tasks = read_episodes(root, info), read_tasks(root, info)
        by_video: dict[str, tuple[str, list[Episode]]] = {}
        by_data: dict[str, list[Episode]] = defaultdict(list)
        for episode in episodes:
            by_data[_uri(root, episode.data_path)].append(episode)
            for camera, clip in episode.clips.items():
                uri = _uri(root, clip.path)
                of = by_video.setdefault(uri, (camera, []))
                if of[0] != camera:
                    raise SourceError(uri, f"the set says that it is of {of[0]} and of {camera}")
                of[1].append(episode)
        return cls(
            info,
            {episode.index: episode for episode in episodes},
            tasks,
            FrameRows(Stores(), info.features),
            by_video,
            by_data,
            _marks(root, info, episodes, tasks),
        )


class LeRobot:
    """The frames of a set's videos, and the images in its Parquet files."""

    def __init__(self, root: bytes, table: ColumnTable | None, frames: Frames) -> None:
        """
        :param root: absolute; the folder of `meta/`.
        :param frames: those of each episode that are listed.
        """
        self._root, self._frames = root, frames
        self._uri = uri_of(root)[0]
        self.join = Join(self._uri.rstrip("/"), table)
        self._read: _Set | None = None
        self._reading = threading.Lock()

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def table_path(self) -> str | None:
        return self.join.table_path

    def sites(self, most: int) -> Collection[str]:
        return [self._uri][:most]

    @property
    def _set(self) -> _Set:
        with self._reading:
            if self._read is None:
                self._read = _Set.read(self._root)
            return self._read

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        """Its videos, and the Parquet files of images: both hold the images."""
        self.join.begin()
        with self._reading:
            self._read = None
        found = self._set
        of_episodes = {clip.path for e in found.episodes.values() for clip in e.clips.values()}
        if found.info.cameras("image"):
            of_episodes |= {episode.data_path for episode in found.episodes.values()}
        nothing = Join("", None)
        no_rows = _without_rows(self._root, found)
        for name in sorted(of_episodes):
            path = inside(self._root, name)
            assert path is not None
            try:
                status = os.stat(path)  # noqa: PTH116 - pathlib knows no bytes
            except OSError:
                listing.lacking.setdefault(NOT_THERE, []).append(uri_of(path)[0])
                continue
            # What the lake knows of frames is more than what a damaged table says of them now.
            if (uri := uri_of(path)[0]) in no_rows and uri in listing.whole:
                listing.lacking.setdefault(NO_ROWS, []).append(uri)
                continue
            yield image_file(path, status, (), nothing)

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        """Of a whole file, of which none is an image."""
        return {}

    # -- as the guide of its files

    def mark(self, file: Address) -> str:
        found = self._set
        if file.uri in found.by_video:
            camera, episodes = found.by_video[file.uri]
            clips = [(episode.index, episode.clips[camera]) for episode in episodes]
        else:
            camera, clips = "", []
            episodes = found.by_data.get(file.uri, [])
        return mark((camera, clips, *(found.marks[episode.index] for episode in episodes)))

    def members(self, file: Address, reader: Container) -> Iterator[Member]:
        said = self.mark(file)
        found = self._of_video(file, reader) if isinstance(reader, Video) else self._of_data(file)
        return (replace(member, columns_mark=said) for member in found)

    def _of_video(self, file: Address, video: Video) -> Iterator[Member]:
        found = self._set
        camera, episodes = found.by_video[file.uri]
        said: dict[int, str] = {}

        def choose(frames: Iterable[tuple[int, bool]]) -> Iterator[int]:
            times = list(frames)
            shown = [
                Shown(each.index, each.length, round(each.clips[camera].from_s * 1e6))
                for each in episodes
            ]
            of_episodes = 0
            for episode, here in frames_of(times, shown, found.info.fps):
                of_episodes += len(here)
                index = {frame.time_us: frame.frame_index for frame in here}
                for time_us in self._frames.of((frame.time_us, frame.is_key) for frame in here):
                    said[time_us] = _words(camera, episode.episode, index[time_us])
            self._tell(
                file, len(times) - of_episodes, sum(e.length for e in episodes) - of_episodes
            )
            return iter(sorted(said))

        for member in video.members(file, choose=choose):
            yield replace(member, sidecars=(said[member.address.time_us or 0],))

    def _tell(self, file: Address, left_out: int, missing: int) -> None:
        if left_out > 0:
            what = count(left_out, "frame is", "frames are")
            logger.warning("%s: %s of no episode that the set names, and left out", file, what)
        if missing > 0:
            what = count(missing, "frame that the set names is", "frames that the set names are")
            logger.warning("%s: %s not in it", file, what)

    def _of_data(self, file: Address) -> Iterator[Member]:
        found = self._set
        assert file.path is not None
        try:
            table = pq.ParquetFile(os.fsdecode(file.path))
            wanted = self._wanted(found, table)
            for camera in found.info.cameras("image"):
                leaf = leaf_of(table, camera)
                for group in range(table.num_row_groups):
                    row = 0
                    for values in batches(table, group, leaf):
                        for size in pc.binary_length(values).to_pylist():
                            if (at := wanted.get((group, row))) is not None:
                                yield Member(
                                    replace(file, member=camera, row_group=group, row_index=row),
                                    size or 0,
                                    sidecars=(_words(camera, *at),),
                                    refused=None if size else _NO_BYTES,
                                )
                            row += 1
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            reason = (str(error).strip().splitlines() or [""])[0][:200]
            raise DamagedContainer(f"Parquet cannot read it ({reason})") from error

    def _wanted(self, found: _Set, table: pq.ParquetFile) -> dict[tuple[int, int], tuple[int, int]]:
        """Row group and row -> episode and frame, of the frames that are taken."""
        by_episode: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for group in range(table.num_row_groups):
            read = table.read_row_group(group, columns=[EPISODE, FRAME])
            pairs = zip(read[EPISODE].to_pylist(), read[FRAME].to_pylist(), strict=True)
            for row, (episode, frame) in enumerate(pairs):
                if episode in found.episodes and isinstance(frame, int):
                    by_episode[episode].append((frame, group, row))
        wanted = {}
        for episode, frames in by_episode.items():
            places = {round(at[0] * 1e6 / found.info.fps): at for at in sorted(frames)}
            for time_us in self._frames.of((time_us, True) for time_us in places):
                frame, group, row = places[time_us]
                wanted[group, row] = (episode, frame)
        return wanted

    def said_of(self, member: Address, sidecars: tuple[str, ...]) -> Mapping[str, ColumnValue]:
        found = self._set
        camera, index, frame = json.loads(sidecars[0])
        episode = found.episodes.get(index)
        if episode is None:
            return {"camera": camera}
        path = inside(self._root, episode.data_path)
        row = found.rows.of(path, index, frame) if path is not None else {}
        number = row.pop(TASK, None)
        split = found.info.split_of(index)
        return {
            "timestamp": frame / found.info.fps,
            **row,
            "camera": camera,
            EPISODE: index,
            FRAME: frame,
            "task": _task(episode, found.tasks, number),
            **({} if split is None else {"split": split}),
        }


def _task(episode: Episode, tasks: Mapping[int, str], number: ColumnValue) -> str | None:
    """By the frame's own number; where the set does not say it, that of an episode with one."""
    task = tasks.get(number) if isinstance(number, int) else None
    if task not in episode.tasks:
        task = episode.tasks[0] if len(episode.tasks) == 1 else None
    return None if task is None or is_too_large(task) else task


def _words(camera: str, episode: int, frame: int) -> str:
    return json.dumps([camera, episode, frame])


def _uri(root: bytes, name: str) -> str:
    path = inside(root, name)
    assert path is not None  # `read_episodes` has looked
    return uri_of(path)[0]


def _marks(
    root: bytes, info: Info, episodes: Iterable[Episode], tasks: Mapping[int, str]
) -> dict[int, str]:
    """Of each episode what changes with what is said of its frames."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, task in tasks.items():
        numbers[task].append(number)
    files: dict[str, object] = {}
    marks = {}
    for episode in episodes:
        if episode.data_path not in files:
            files[episode.data_path] = _stat(inside(root, episode.data_path))
        marks[episode.index] = mark(
            (
                info.fps,
                info.features,
                info.split_of(episode.index),
                episode.index,
                episode.length,
                [(task, sorted(numbers.get(task, []))) for task in episode.tasks],
                files[episode.data_path],
            )
        )
    return marks


def _without_rows(root: bytes, found: _Set) -> set[str]:
    """Uris of the videos with an episode whose rows cannot be read."""
    names = {episode.data_path for episode in found.episodes.values()}
    broken = {name for name in names if not are_rows(inside(root, name) or b"")}
    return {
        uri
        for uri, (_, episodes) in found.by_video.items()
        if any(episode.data_path in broken for episode in episodes)
    }


def _stat(path: bytes | None) -> object:
    try:
        status = os.stat(path or b"")  # noqa: PTH116 - pathlib knows no bytes
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
