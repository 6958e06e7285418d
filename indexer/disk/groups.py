"""Groups: a lake's rows by the centre that they are nearest to, and what looking into a few costs.

Nothing needs them. A search that may miss a row now and then looks into the groups whose centres
are nearest to the query alone. How many it takes was measured on this lake, for queries that are
images and for queries that are texts apart, and is kept beside them. They can be dropped and made
again.

A folder of plain files: `about.json`, `centres.npy`, `starts.npy`, `places.npy`, and `codes.arrow`,
which has the rows' codes (`indexer.disk.codes`) in the order of the groups, so that a group is read
in one piece.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.disk.codes import CODE_ROWS, StoredCodes
from indexer.disk.entries import check_file, read_file
from indexer.fields import Fields

GROUPS_FORMAT = 1
ABOUT, CENTRES, STARTS, PLACES = "about.json", "centres.npy", "starts.npy", "places.npy"
CODES = "codes.arrow"
FILES = (ABOUT, CENTRES, STARTS, PLACES, CODES)

# What a query is made of.
Kind: TypeAlias = Literal["image", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEAST_ROWS = 1_000  # a smaller lake gets none: the nearest hundred are a good part of it
NEAREST = (10, 100)  # of so many nearest rows it is measured which share is found


@dataclass(frozen=True, slots=True)
class Depths:
    """Of queries of one kind: which share of the nearest rows is found in how many groups."""

    queries: int  # it was measured with
    made_of: str  # what those were: rows, captions or wordings
    groups: tuple[int, ...]  # rising
    # For each of these: of the 10 and of the 100 nearest rows, the mean share that is found, and
    # what that mean is at least, with a confidence of 95 %.
    recall_at_10: tuple[float, ...]
    recall_at_100: tuple[float, ...]
    least_at_10: tuple[float, ...]
    least_at_100: tuple[float, ...]

    def depth_for(self, recall: float, count: int) -> int | None:
        """The fewest groups with so much recall, with confidence; None: no number was enough.

        :param count: hits wanted: up to 10, the share of the 10 nearest counts; else of the 100.
        """
        least = self.least_at_10 if count <= NEAREST[0] else self.least_at_100
        pairs = zip(self.groups, least, strict=True)
        return next((groups for groups, share in pairs if share >= recall), None)

    def recall(self, groups: int) -> tuple[float, float]:
        """Of the 10 and of the 100 nearest, the share that so many groups have at least."""
        at = bisect_right(self.groups, groups) - 1
        return (self.recall_at_10[at], self.recall_at_100[at]) if at >= 0 else (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class About:
    """What is known of groups beside their rows."""

    # id and rows of each segment that they hold; its rows are counted through these, in order
    segments: tuple[tuple[str, int], ...]
    depths: Mapping[Kind, Depths]
    notes: tuple[str, ...] = ()  # why a kind of query was not measured

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.segments)


@dataclass(frozen=True, eq=False)
class StoredGroups:
    """The groups of a lake as they lie there; rows are counted in the order of the groups."""

    id: str
    about: About
    centres: Vectors  # (n, dim): means of their rows, not of unit length
    starts: NDArray[np.int64]  # (n + 1,): group g has the rows starts[g] to starts[g + 1]
    # (rows,): of each row its place, counted through the segments of `about`
    places: NDArray[np.unsignedinteger[Any]]
    codes: StoredCodes

    def __len__(self) -> int:
        return len(self.centres)

    @cached_property
    def _halves(self) -> NDArray[np.float32]:
        return halves_of(self.centres)

    @cached_property
    def cuts(self) -> tuple[Positions, Positions]:
        """int64, (groups + 1,) and (n + 1,): group g has the pieces firsts[g] to firsts[g + 1], and
        piece i the rows cuts[i] to cuts[i + 1], which are of one block of codes.
        """
        blocks = np.arange(0, self.about.rows, CODE_ROWS)
        cuts = np.union1d(self.starts, blocks)
        return np.searchsorted(cuts, self.starts), cuts

    @cached_property
    def longest(self) -> NDArray[np.float64]:
        """float64, (3, groups): the largest head_length, tail_length and residual of its rows; 0 of
        none. Of a million rows it takes some 5 ms, once.
        """
        found = np.zeros((3, len(self)))
        for number, name in enumerate(("head_length", "tail_length", "residual")):
            lengths = np.concatenate([getattr(block, name) for block in self.codes.blocks])
            held = np.flatnonzero(np.diff(self.starts))
            found[number, held] = np.maximum.reduceat(lengths, self.starts[held])
        return found

    def nearest(self, query: NDArray[np.float32], count: int) -> Positions:
        """int64, (count,): the groups whose centres are nearest to the query, by their number.

        :param query: float32, (dim,).
        """
        scores = np.vecdot(self.centres, query) - self._halves
        if count >= len(scores):
            return np.arange(len(scores))
        return np.sort(np.argpartition(scores, -count)[-count:])


def halves_of(centres: Vectors) -> NDArray[np.float32]:
    """float32, (n,): |c|^2 / 2. |q - c|^2 is smallest where q.c - |c|^2 / 2 is largest.

    To go by q.c alone finds less: of 60,000 drawn rows in 256 groups, 64 groups held 0.94 of a
    photo's ten nearest, by distance 0.99; of a text's both held 0.98.
    """
    return np.asarray(np.square(centres).sum(1) / 2, np.float32)


def write_groups(
    folder: Path,
    about: About,
    centres: Vectors,
    starts: NDArray[np.int64],
    places: NDArray[np.unsignedinteger[Any]],
) -> None:
    """All files but the codes, into a folder that is there.

    :raises OSError: if the disk is full.
    """
    said = {"format": GROUPS_FORMAT, **asdict(about)}
    with (folder / ABOUT).open("wb") as file:
        file.write(json.dumps(said, indent=1, ensure_ascii=False).encode())
    arrays = {CENTRES: centres.astype("<f4"), STARTS: starts.astype("<i8"), PLACES: places}
    for name, array in arrays.items():
        with (folder / name).open("wb") as file:
            np.save(file, array, allow_pickle=False)


def open_groups(folder: Path, dim: int) -> StoredGroups:
    """Map the files; codes are read when they are asked for.

    :raises ValueError: if they are no groups, of another dimension, or of a later format.
    :raises OSError: if one cannot be read.
    """
    for name in FILES:
        check_file(folder / name)
    about = _about(read_file(folder / ABOUT))
    centres = _array(folder / CENTRES, "f")
    starts, places = _array(folder / STARTS, "i"), _array(folder / PLACES, "u")
    if centres.ndim != 2 or centres.shape[1] != dim or not np.isfinite(centres).all():
        raise ValueError(f"its centres are not of {dim:,} dimensions")
    is_whole = (
        starts.shape == (len(centres) + 1,)
        and starts[0] == 0
        and starts[-1] == about.rows
        and bool(np.all(np.diff(starts) >= 0))
    )
    if not is_whole or not _holds_each(places, about.rows):
        raise ValueError("its groups do not hold each row once")
    codes = StoredCodes.open(folder / CODES, about.rows, dim)
    return StoredGroups(
        folder.name, about, np.ascontiguousarray(centres, np.float32), starts, places, codes
    )


def _holds_each(places: NDArray[Any], rows: int) -> bool:
    """Whether the numbers below rows are there, each once."""
    if places.shape != (rows,) or (rows and int(places.max()) >= rows):
        return False
    seen = np.zeros(rows, bool)
    seen[places] = True
    return bool(seen.all())


def _array(path: Path, kind: str) -> NDArray[Any]:
    """:raises ValueError: if it is no such array."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (EOFError, SyntaxError, TypeError, OverflowError):
        raise ValueError(f"{path.name} holds no array") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind != kind:
        raise ValueError(f"{path.name} holds an array of another kind")
    return array


def _about(data: bytes) -> About:
    """:raises ValueError: if it is no such document."""
    fields = Fields.parse(data)
    format = fields.whole("format")
    if format > GROUPS_FORMAT:
        raise ValueError(f"it has format {format}; this lakesift reads up to {GROUPS_FORMAT}")
    segments = []
    for pair in fields.items("segments"):
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int)):
            raise ValueError("segments are no pairs of an id and a number of rows")
        if pair[1] < 1:
            raise ValueError("a segment has no rows")
        segments.append((str(pair[0]), pair[1]))
    inner = fields.inner("depths").rest()
    depths = {
        kind: _depths(Fields(inner[kind], f"depths.{kind}")) for kind in KINDS if kind in inner
    }
    return About(tuple(segments), depths, tuple(map(str, fields.items("notes"))))


def _depths(fields: Fields) -> Depths:
    groups = fields.items("groups")
    names = ("recall_at_10", "recall_at_100", "least_at_10", "least_at_100")
    shares = [tuple(fields.items(name)) for name in names]
    are_rising = all(
        isinstance(each, int) and each > before
        for before, each in zip([0, *groups], groups, strict=False)
    )
    are_shares = all(
        len(each) == len(groups) and all(isinstance(n, int | float) and 0 <= n <= 1 for n in each)
        for each in shares
    )
    if not are_rising or not are_shares:
        raise ValueError(f"{fields.path('groups')} and their shares are no table")
    return Depths(fields.whole("queries"), fields.text("made_of"), tuple(groups), *shares)
