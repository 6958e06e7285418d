"""Whether images of a set hang together, as frames of one video do: then each is no evidence for
itself, and p and q come out too small.

Of each image that is looked at, one follows it in the lake, and one comes ten further on; all three
are of one folder, or of one archive or film. Images that were drawn each by itself are as like the
one as the other. Frames are more like the next: the differences of some thousand such pairs have a
mean far above 0 then, in its own standard errors. Those of a camera that stands still are copies of
each other, the tenth, too.

What it cannot see: frames that lie in the lake in another order, as under names drawn at random.
What it mistakes for frames: images of one folder that are listed by what they show.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Vectors
from service.curate.rows import Rows

LOOKED_AT = 2_000  # images, at most
FEWEST = 50
FURTHER = 10
COPIES = 0.98  # cosine, in the mean, from which on they are copies; as of flat images in `collapse`
SURE = 4.0  # standard errors; of images each by itself one set of thirty thousand goes as far


@dataclass(frozen=True, slots=True)
class Succession:
    """Mean cosines of an image of a set with others of it."""

    next: float  # with the one that follows it in the lake
    tenth: float  # with the one ten further on
    hangs_together: bool  # it is more like the next, beyond chance, or a copy of it

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def succession(rows: Rows, random: np.random.Generator) -> Succession | None:
    """None: they are too few to tell.

    :param rows: of one set.
    """
    firsts = max(len(rows) - FURTHER, 0)
    begin = np.sort(random.choice(firsts, min(LOOKED_AT, firsts), replace=False))
    begin = begin[_folders(rows.at(begin)) == _folders(rows.at(begin + FURTHER))]
    if len(begin) < FEWEST:
        return None
    return of_pairs(*(rows.at(begin + further).vectors() for further in (0, 1, FURTHER)))


def _folders(rows: Rows) -> NDArray[np.object_]:
    """(n,): what each row lies in: the folder of its file; of a member, the file with its folder
    in that.
    """
    read = rows.snapshot.rows(rows.parts, rows.positions, ["uri", "member"])
    return np.array(
        [
            uri.rpartition("/")[0] if member is None else f"{uri}/{member.rpartition('/')[0]}"
            for uri, member in zip(
                *(read[name].to_pylist() for name in read.column_names), strict=True
            )
        ],
        dtype=object,
    )


def of_pairs(first: Vectors, following: Vectors, tenth: Vectors) -> Succession:
    """
    :param first, following, tenth: float32, (n, dim), unit rows, n at least 2.
    """
    near, far = (
        np.einsum("ij,ij->i", first, other, dtype=np.float64) for other in (following, tenth)
    )
    more = near - far
    error = float(more.std(ddof=1)) / math.sqrt(len(more))
    is_nearer = bool(more.mean() > SURE * error)
    return Succession(
        float(near.mean()), float(far.mean()), is_nearer or float(near.mean()) >= COPIES
    )
