"""Makes the map of a lake, or brings it in step with the rows that came and went since.

Landmarks are laid out against each other; all other images are placed beside those they look like,
a piece at a time. What is done is kept in `map/making` until the map is whole, so that a run that
was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from indexer.arrays import Positions, Vectors
from indexer.disk.durable import make_folder, replace_file
from indexer.disk.entries import read_file, reason_of
from indexer.disk.locks import only_maker
from indexer.errors import BadRequest, LakeError
from indexer.report import Progress, Silent
from service.map.landmarks import FEWEST, STEPS, check_installed, lay_out
from service.map.names import names_of
from service.map.placing import Placer
from service.map.stored import About, MapFile, Places, StoredMap
from service.search.ranking import Found, vectors_of
from service.snapshot.snapshot import Snapshot, hash_row_ids

LANDMARKS = 10_000
MOST_LANDMARKS = 100_000
PIECE_ROWS = 65_536  # placed at once, and kept
_RECIPE = 1  # one more whenever other places come out


@dataclass(frozen=True, slots=True)
class MapMade:
    """What was done."""

    rows: int  # images on the map
    placed: int  # of them, that were placed by this run
    landmarks: int  # that were laid out against each other
    is_new: bool  # False: those that came since were placed beside the others
    names: int  # clusters that have a name

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "placed": self.placed,
            "landmarks": self.landmarks,
            "is_new": self.is_new,
            "names": self.names,
        }


def make_map(
    snapshot: Snapshot,
    *,
    anew: bool = False,
    landmarks: int = LANDMARKS,
    seed: int = 0,
    progress: Progress | None = None,
) -> MapMade:
    """Put all images of a snapshot on the map that is stored beside the lake; the first time, lay
    it out.

    The same snapshot, landmarks and seed give the same map on one machine.

    :param anew: True: lay it out anew, though there is one.
    :param landmarks: 100 to 100,000: images that are laid out against each other.
    :raises BadRequest: if landmarks or seed is out of range.
    :raises LakeDamaged: if the map that is there cannot be read.
    :raises LakeError: if openTSNE is not installed, the lake cannot be written, or another process
        makes its map.
    """
    if not FEWEST < landmarks <= MOST_LANDMARKS:
        raise BadRequest("landmarks", f"{landmarks:,} is not from 100 to {MOST_LANDMARKS:,}")
    if not 0 <= seed < 2**32:
        raise BadRequest("seed", f"{seed} is not from 0 to 4,294,967,295")
    progress = progress or Silent()
    file = MapFile(snapshot.layout.map)
    with _alone(snapshot):
        before = None if anew else file.read()
        if before is not None and before.is_landmark[_known(snapshot, before)].any():
            return _in_step(snapshot, file, before, progress)
        return _made(snapshot, file, landmarks, seed, progress)


def keep_in_step(snapshot: Snapshot, progress: Progress | None = None) -> MapMade | None:
    """As `make_map`, of a lake that has a map; None: it has none, or lacks nothing."""
    file = MapFile(snapshot.layout.map)
    if not _lacks(snapshot, file.read()):
        return None
    with _alone(snapshot):
        before = file.read()  # another may just have made it
        if before is None or not _lacks(snapshot, before):
            return None
        return _in_step(snapshot, file, before, progress or Silent())


def _alone(snapshot: Snapshot) -> AbstractContextManager[None]:
    return only_maker(snapshot.layout.map / "map.lock", "the map")


def _lacks(snapshot: Snapshot, before: StoredMap | None) -> bool:
    """Whether a map is there that lacks rows, or has some that are gone."""
    if before is None or np.array_equal(before.row_ids, snapshot.places[0]):
        return False
    # Where no landmark is left, nothing is there to place others beside: a new map is needed.
    return bool(before.is_landmark[_known(snapshot, before)].any())


def _known(snapshot: Snapshot, before: StoredMap) -> Positions:
    """int64, (n,): which of the points are of rows that live."""
    return np.flatnonzero(np.isin(before.row_ids, snapshot.places[0], assume_unique=True))


def _in_step(snapshot: Snapshot, file: MapFile, before: StoredMap, progress: Progress) -> MapMade:
    here = _known(snapshot, before)
    row_ids, places = before.row_ids[here], before.places[here]
    is_landmark = before.is_landmark[here]
    new = np.setdiff1d(snapshot.places[0], row_ids, assume_unique=True)
    if len(new):
        marks = _vectors(snapshot, row_ids[is_landmark])
        placer = Placer(marks, places[is_landmark])
        progress.stage("placing", len(new))
        pieces = [places]
        for start in range(0, len(new), PIECE_ROWS):
            piece = new[start : start + PIECE_ROWS]
            pieces.append(placer.place(_vectors(snapshot, piece)))
            progress.advance(len(piece))
        row_ids, places = np.concatenate([row_ids, new]), np.concatenate(pieces)
        is_landmark = np.concatenate([is_landmark, np.zeros(len(new), bool)])
        order = np.argsort(row_ids, kind="stable")
        row_ids, places, is_landmark = row_ids[order], places[order], is_landmark[order]
    about = replace(before.about, snapshot=snapshot.number)
    file.write(StoredMap(about, row_ids, places, is_landmark))
    marked = int(np.count_nonzero(is_landmark))
    return MapMade(len(row_ids), len(new), marked, False, len(about.names))


def _made(
    snapshot: Snapshot, file: MapFile, landmarks: int, seed: int, progress: Progress
) -> MapMade:
    row_ids = snapshot.places[0]
    if len(row_ids) >= FEWEST:
        check_installed()
    chosen = np.sort(np.argsort(hash_row_ids(row_ids), kind="stable")[:landmarks])
    making = _Making.of(snapshot, chosen, landmarks, seed)
    vectors = _vectors(snapshot, row_ids[chosen])
    marks = making.piece("landmarks")
    if marks is None or len(marks) != len(chosen):
        progress.stage("laying out", STEPS)
        marks = lay_out(vectors, seed, progress.advance)
        making.keep("landmarks", marks)
    places = np.empty((len(row_ids), 2), np.float32)
    if len(row_ids):
        placer = Placer(vectors, marks)
        progress.stage("placing", len(row_ids))
    for start in range(0, len(row_ids), PIECE_ROWS):
        piece = row_ids[start : start + PIECE_ROWS]
        placed = making.piece(f"placed-{start}")
        if placed is None or len(placed) != len(piece):
            placed = placer.place(_vectors(snapshot, piece))
            making.keep(f"placed-{start}", placed)
        places[start : start + len(piece)] = placed
        progress.advance(len(piece))
    places[chosen] = marks
    is_landmark = np.zeros(len(row_ids), bool)
    is_landmark[chosen] = True
    names = names_of(marks, _captions(snapshot, row_ids[chosen]))
    made_at = datetime.now().astimezone().isoformat(timespec="seconds")
    about = About(snapshot.number, made_at, len(chosen), seed, names)
    file.write(StoredMap(about, row_ids, places, is_landmark))
    making.forget()
    return MapMade(len(row_ids), len(row_ids), len(chosen), True, len(names))


def _vectors(snapshot: Snapshot, row_ids: Positions) -> Vectors:
    """float32, (n, dim). :param row_ids: int64, (n,): rows that live."""
    ids, numbers, positions = snapshot.places_of(row_ids)
    return vectors_of(snapshot, Found(np.zeros(len(ids), np.float32), numbers, positions, ids))


def _captions(snapshot: Snapshot, row_ids: Positions) -> list[str | None]:
    _, numbers, positions = snapshot.places_of(row_ids)
    captions: list[str | None] = snapshot.rows(numbers, positions, ["caption"])[
        "caption"
    ].to_pylist()
    return captions


@dataclass(frozen=True, slots=True)
class _Making:
    """The pieces of a map that is not whole yet, kept under a name that tells what it is of."""

    folder: Path

    @classmethod
    def of(cls, snapshot: Snapshot, chosen: Positions, landmarks: int, seed: int) -> _Making:
        said = hashlib.sha256(snapshot.places[0].tobytes())
        said.update(repr((_RECIPE, len(chosen), landmarks, seed)).encode())
        return cls(snapshot.layout.map / "making" / said.hexdigest()[:32])

    def piece(self, name: str) -> Places | None:
        """None: it is not there, or not whole."""
        try:
            data = read_file(self.folder / f"{name}.f32")
        except OSError:
            return None
        whole, mark = data[:-32], data[-32:]
        if hashlib.sha256(whole).digest() != mark or len(whole) % 8:
            return None
        places = np.frombuffer(whole, np.float32).reshape(-1, 2)
        # A lake may be somebody else's: what lies outside would make a map that cannot be read.
        return places if np.all(np.abs(places) <= 1) else None

    def keep(self, name: str, places: Places) -> None:
        """:raises LakeError: if the lake cannot be written."""
        data = np.ascontiguousarray(places, np.float32).tobytes()
        try:
            for folder in (self.folder.parent.parent, self.folder.parent, self.folder):
                make_folder(folder)
            replace_file(self.folder / f"{name}.f32", data + hashlib.sha256(data).digest())
        except OSError as error:
            raise LakeError(
                f"{self.folder} cannot be written ({reason_of(error)}); see to it and try again"
            ) from None

    def forget(self) -> None:
        """Of maps that were given up, too."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)
