"""A scorer: numbers that give every row a score, larger where it is more likely to be relevant.

Knows nothing of filters, prompts or labels; `fitting` makes scorers from those.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import Positions, Vectors
from indexer.disk.stored_vectors import HalfQueries, half_precision_pays
from indexer.errors import BadRequest, DimensionMismatch
from service.search.ranking import PARALLEL_FROM_ROWS
from service.snapshot.part import Block, Part, blocks_of
from service.snapshot.snapshot import Snapshot
from service.snapshot.threads import for_each

if TYPE_CHECKING:
    from service.where.where import Where

Kind: TypeAlias = Literal["prompts", "examples", "linear"]

# CLIP's training ends at 0.01; on 100 kinds of scene of the built-in model all from 0.01 to 0.05
# were alike for several wanted prompts, and wider ones made more of unwanted prompts, but less of
# the second wanted one.
TEMPERATURE = 0.02


@dataclass(frozen=True, eq=False)
class Scorer:
    """The score of a row x, with T the temperature,
    k = T logsumexp(keep @ x / T) and d = T logsumexp(drop @ x / T):

        k + T log(p) + bias,  where p = 1 / (1 + exp((d - k) / T)) is the softmax's share of what is
        wanted;
        k + bias if nothing is unwanted;  -d + bias if nothing is wanted

    So a row need only be near one of several wanted prompts, and loses what an unwanted one is
    nearer than they. Plain log-odds, k - d, order rows by what they are not: they lost up to half
    of the average precision of k alone on 100 kinds of scene, where this gained (0.54 for 0.53 with
    the nearest other class unwanted; k - d: 0.26). A linear scorer has its weights as the one row
    of keep: the score is w.x + bias.

    The vectors are rounded to half precision, in which rows are stored and scored, so that a new
    image and a row of the same vector get the same score but for the last bits.

    Source: Radford et al., "Learning transferable visual models from natural language supervision"
    (2021), 3.1.2.
    """

    kind: Kind
    keep: Vectors  # (a, dim); unit rows, but for the weights of a linear scorer
    drop: Vectors  # (b, dim)
    temperature: float = TEMPERATURE  # above 0, in units of the score
    bias: float = 0.0

    def __post_init__(self) -> None:
        """:raises ValueError: if these numbers are no scorer."""
        sides = [np.asarray(side, np.float32) for side in (self.keep, self.drop)]
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind is {self.kind!r}, expected {', '.join(get_args(Kind))}")
        if any(side.ndim != 2 for side in sides) or sides[0].shape[1] != sides[1].shape[1]:
            raise ValueError(
                f"keep is {sides[0].shape} and drop {sides[1].shape}, expected (a, dim) and (b, dim)"
            )
        if not len(sides[0]) + len(sides[1]):
            raise ValueError("there is nothing to keep and nothing to drop")
        if self.kind == "linear" and (len(sides[0]), len(sides[1])) != (1, 0):
            raise ValueError("a linear scorer has one row of weights, and nothing in drop")
        with np.errstate(over="ignore"):  # infinite, and refused in the next line
            rounded = [side.astype(np.float16).astype(np.float32) for side in sides]
        if not all(np.isfinite(side).all() for side in rounded):
            raise ValueError("a number is not finite in half precision (65,504 at most)")
        if not (np.isfinite(self.temperature) and self.temperature > 0 and np.isfinite(self.bias)):
            raise ValueError(
                f"temperature is {self.temperature} and bias {self.bias}, expected finite, and the first above 0"
            )
        object.__setattr__(self, "keep", rounded[0])
        object.__setattr__(self, "drop", rounded[1])

    def __eq__(self, other: object) -> bool:
        """Whether the numbers are the same."""
        return isinstance(other, Scorer) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    @property
    def dim(self) -> int:
        return int(self.keep.shape[1])

    @property
    def sides(self) -> Vectors:
        """float32, (a + b, dim): keep, then drop."""
        return np.concatenate([self.keep, self.drop])

    def of(self, vectors: Vectors) -> NDArray[np.float32]:
        """float32, (n,): the scores of vectors that need not be in any lake.

        :param vectors: float32, (n, dim), unit rows.
        :raises DimensionMismatch: if they are of another dim.
        """
        rows = np.asarray(vectors, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise DimensionMismatch(self.dim, rows.shape[-1] if rows.ndim else 0)
        # Not @, whose BLAS threads go on spinning, and whose sums depend on how many rows there
        # are.
        return self.combine(np.stack([np.vecdot(rows, side) for side in self.sides], axis=1))

    def combine(self, products: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32, (n,): scores from the inner products with `sides`.

        :param products: float32, (n, a + b).
        """
        count = len(self.keep)
        bias, temperature = np.float32(self.bias), np.float32(self.temperature)
        if not count:
            return bias - _soft_maximum(products, temperature)
        wanted = _soft_maximum(products[:, :count], temperature)
        if count == products.shape[1]:
            return wanted + bias
        nearer = _soft_maximum(products[:, count:], temperature) - wanted
        scores: NDArray[np.float32] = wanted - temperature * np.logaddexp(
            np.float32(0), nearer / temperature
        )
        return scores + bias

    def to_json(self) -> dict[str, Any]:
        """Numbers that `from_json` brings back bit for bit."""
        return {
            "kind": self.kind,
            "keep": self.keep.tolist(),
            "drop": self.drop.tolist(),
            "dim": self.dim,
            "temperature": float(self.temperature),
            "bias": float(self.bias),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scorer:
        """:raises KeyError, TypeError, ValueError: if it is not what to_json gives."""
        dim = int(data["dim"])
        keep, drop = (
            np.array(data[side], np.float32).reshape(-1, dim) for side in ("keep", "drop")
        )
        return cls(data["kind"], keep, drop, float(data["temperature"]), float(data["bias"]))


def _soft_maximum(products: NDArray[np.float32], temperature: np.float32) -> NDArray[np.float32]:
    """float32, (n,): T logsumexp(products / T) of each row."""
    if products.shape[1] == 1:
        return products[:, 0]
    best = products.max(axis=1)
    sums = np.exp((products - best[:, None]) / temperature).sum(axis=1)
    return np.asarray(best + temperature * np.log(sums), np.float32)


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows and their scores, by rising row_id."""

    row_ids: Positions  # int64, (n,)
    scores: NDArray[np.float32]  # (n,)

    def __len__(self) -> int:
        return len(self.row_ids)


def score_rows(snapshot: Snapshot, scorer: Scorer, where: str | None = None) -> Scored:
    """Score every live row that where keeps; the same numbers in every run on one machine.

    :raises DimensionMismatch: if the scorer is of another dim than the lake.
    :raises WhereError: if where is not understood.
    """
    if scorer.dim != snapshot.manifest.dim:
        raise DimensionMismatch(snapshot.manifest.dim, scorer.dim)
    masks = [part.mask(understood(snapshot, where)) for part in snapshot.parts]
    blocks = blocks_of(snapshot.parts)
    score = (
        _in_half_precision(snapshot.parts, scorer)
        if half_precision_pays()
        else _decoded(snapshot.parts, scorer)
    )
    parallel = sum(part.rows for part in snapshot.parts) >= PARALLEL_FROM_ROWS
    scores, ids = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
    for (number, start, end), found in zip(
        blocks, for_each(score, blocks, parallel=parallel), strict=True
    ):
        mask = masks[number]
        here = slice(None) if mask is None else mask[start:end]
        scores.append(found[here])
        ids.append(snapshot.parts[number].row_ids[start:end][here])
    return _by_row_id(np.concatenate(ids), np.concatenate(scores))


def understood(snapshot: Snapshot, where: str | None) -> Where | None:
    """A filter's where, over the snapshot's columns.

    :raises WhereError: if it is not understood.
    """
    if where is None:
        return None
    from service.where.where import Where  # the parser is loaded only where there is a predicate

    return Where.parse(where, snapshot.schema)


def _in_half_precision(
    parts: Sequence[Part], scorer: Scorer
) -> Callable[[Block], NDArray[np.float32]]:
    """Scores a block of the stored bytes as they lie there; nothing is decoded or copied."""
    sides = HalfQueries(scorer.sides)

    def score(block: Block) -> NDArray[np.float32]:
        number, start, end = block
        return scorer.combine(parts[number].vectors.score(sides, start, end))

    return score


def _decoded(parts: Sequence[Part], scorer: Scorer) -> Callable[[Block], NDArray[np.float32]]:
    """As `_in_half_precision`, for a CPU on which that does not pay."""

    def score(block: Block) -> NDArray[np.float32]:
        number, start, end = block
        return scorer.of(parts[number].vectors.take(np.arange(start, end)))

    return score


def _by_row_id(row_ids: Positions, scores: NDArray[np.float32]) -> Scored:
    # after a merge of segments, or a move
    if len(row_ids) > 1 and not np.all(row_ids[1:] > row_ids[:-1]):
        order = np.argsort(row_ids, kind="stable")
        row_ids, scores = row_ids[order], scores[order]
    return Scored(row_ids, scores)


def vectors_of(snapshot: Snapshot, row_ids: Collection[int] | Positions) -> Vectors:
    """float32, (n, dim): the stored vectors of these rows, in their order.

    :raises BadRequest: if the snapshot has no row of such a number.
    """
    wanted = np.asarray(list(row_ids), np.int64)
    known, numbers, positions = snapshot.places_of(wanted)
    if len(known) < len(wanted):
        raise BadRequest(
            "row_id", f"there is no row {wanted[~np.isin(wanted, known)][0]} in this lake"
        )
    vectors = np.empty((len(wanted), snapshot.manifest.dim), np.float32)
    for number in np.unique(numbers).tolist():
        here = numbers == number
        vectors[here] = snapshot.parts[number].vectors.take(positions[here])
    return vectors
