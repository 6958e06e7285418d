"""An audit: which rows are asked about, in which order, fixed and stored before anybody answers.

`filters/<name>/audits/<number>.json` holds the design with the seed of the draws,
`<number>.parquet` the population: every row's score as it was then, its stratum (-1: answered
before the audit), and whether that answer was yes. So what was promised can be worked out again on
any machine, bit for bit, without the model and without scoring anything.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.disk.durable import fsync_file, fsync_folder, make_folder, replace_file
from indexer.disk.entries import check_file, create_file, read_file
from indexer.disk.filter_checks import audit_names
from indexer.errors import LakeDamaged, LakeError
from service.relevance.definition import Target
from service.relevance.promise import shares as shares_on_disk
from service.relevance.promise.martingale import NO, UNKNOWN, YES, Numbers, Wholes, draw_strata
from service.relevance.promise.prices import Worth
from service.relevance.promise.promise import Known, delta_of
from service.relevance.promise.shares import Shares
from service.relevance.scoring.scorer import Scored

FORMAT = 2
# strata of equal size, and as many that halve towards the top, where cuts are wanted fine
BANDS = 20
SMALLEST_BAND = 20  # rows, but for the last and where many rows tie
FIRST_DRAWS = 2_048  # worked out at first; twice as many each time that more are looked at
ANSWERED = -1  # the stratum of rows that were answered before


@dataclass(frozen=True, slots=True)
class Grouped:
    """Which group of a column's each row is of."""

    column: str
    names: tuple[str | None, ...]  # their values; None: rows without one
    of_row: NDArray[np.int16]  # (n,), of each row: the number of its name


@dataclass(frozen=True, slots=True)
class Design:
    """What is fixed before the first draw."""

    number: int  # of the audit, from 1
    seed: str  # 256 bits of the operating system's randomness, hex
    snapshot: int
    target: Target
    edges: tuple[float, ...]  # of each stratum but the last: the lowest score in it
    sizes: tuple[int, ...]  # rows of each stratum, best scores first
    shares: tuple[float, ...]  # the chance of each stratum a draw, while it lasts; above 0, sum 1
    planned: int | None  # labels that may be enough; a forecast
    budget: int | None  # labels that may be spent, where a person said so
    aim: int | None  # the cut it is planned for: the first so many strata are kept
    assume: str | None = None  # what is to be assumed, where draws are shared out for that: "tail"
    one_in: int = 1  # the part of the filter's chance of error that its lake had; see `sharing.py`
    aims: bool = False  # a part of the stakes aims at the budget; see `goal.py`
    # What a label and a miss cost, in annotations, where a person said so; see `prices.py`.
    label_price: float | None = None
    miss_price: float = 0.0
    # Of every group of this column something is promised; None: of all rows alone. See `groups.py`.
    every: str | None = None
    groups: tuple[str | None, ...] = ()  # their values; None: rows without one
    # The chance of each cell a draw, stratum after stratum, in each group after group.
    cell_shares: tuple[float, ...] = ()
    # The draws, rising, from each of which on they may be shared out anew: see `replanning.py`.
    looks: tuple[int, ...] = ()
    # Where there are looks: the number of the last label that was there; None: it has none.
    labels_before: int | None = None
    # Of what follows an audit (`following.py`): its number among those, from 1; how many draws
    # count of each part before it, the audit first; the shares of relevant rows expected, by which
    # its stakes are shared out. 0, none and none: an audit itself.
    piece: int = 0
    counts: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    # The column whose values are scenes, of which something is promised; None: of rows. Then sizes
    # count scenes. See `scenes.py`.
    scene: str | None = None

    @property
    def worth(self) -> Worth | None:
        """What things cost; None: nobody said so."""
        return None if self.label_price is None else Worth(self.label_price, self.miss_price)

    def delta(self, confidence: float) -> float:
        """The chance of error that a promise of this confidence may take."""
        return delta_of(confidence, self.number, self.one_in)

    def to_json(self) -> bytes:
        document = {"format": self._format, **asdict(self)}
        if not self.looks:  # as it was written before there were any
            del document["looks"], document["labels_before"]
        if not self.piece:  # likewise
            for name in ("piece", "counts", "rates"):
                del document[name]
        if self.scene is None:  # likewise
            del document["scene"]
        return (json.dumps(document, indent=1) + "\n").encode()

    @property
    def _format(self) -> int:
        """Format 2 is of scenes: sizes and draws of one are of something else."""
        return 1 if self.scene is None else FORMAT

    @classmethod
    def from_json(cls, data: bytes, path: str) -> Design:
        """:raises LakeDamaged: if it is not what to_json gives."""
        try:
            document = json.loads(data)
            if document.pop("format") != (FORMAT if "scene" in document else 1):
                raise ValueError("it is of another format")
            document["target"] = Target(**document["target"])
            lists = {name: tuple(document[name]) for name in ("edges", "sizes", "shares")}
            more = ("groups", "cell_shares", "looks", "counts", "rates")
            lists |= {name: tuple(document[name]) for name in more if name in document}
            if not isinstance(document.get("one_in", 1), int) or document.get("one_in", 1) < 1:
                raise ValueError("one_in is not a whole number from 1")
            return cls(**{**document, **lists})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LakeDamaged(path, f"it is no audit's design ({error})") from None


class Audit:
    """A design and its population."""

    def __init__(
        self,
        design: Design,
        row_ids: Wholes,
        scores: NDArray[np.float32],
        strata: NDArray[np.int16],
        yes_before: NDArray[np.bool_] | None = None,
        of_group: NDArray[np.int16] | None = None,
        later: tuple[Shares, ...] = (),
    ) -> None:
        """:param row_ids: int64, (n,), rising; scores:
        (n,); strata: int16, (n,), ANSWERED or from 0.
        :param yes_before: (n,), rows whose answer was yes when the audit began; None: it was not
            written down, as in lakes of early versions.
        :param of_group: int16, (n,), the number of each row's group; None: there are no groups.
        :param later: how the draws were shared out anew, look after look.
        """
        self.later = later
        self.design = design
        self.row_ids = row_ids
        self.scores = scores
        self.strata = strata
        self.yes_before = yes_before
        self.of_group = of_group
        self._drawn = np.empty(0, np.int64), np.empty(0, np.int64)

    @property
    def sizes(self) -> Wholes:
        return np.array(self.design.sizes, np.int64)

    @property
    def shares(self) -> Numbers:
        """float64, (strata,): up to the first look."""
        return np.array(self.design.shares)

    @property
    def shares_now(self) -> Numbers:
        """float64, (strata,): those of the draws to come."""
        return np.array(self.later[-1].shares if self.later else self.design.shares)

    def shares_of(self, count: int) -> Numbers:
        """Those that the first so many draws were made with, as `weigh` takes them: (strata,), or
        (n, strata) where they were shared out anew on the way.
        """
        if not self.later:
            return self.shares
        ends = [*(later.first for later in self.later), max(count, self.later[-1].first)]
        lengths = np.diff(np.minimum([0, *ends], count))
        every = [self.design.shares, *(later.shares for later in self.later)]
        return np.repeat(np.array(every), lengths, axis=0)

    @property
    def decided(self) -> int:
        """How many draws are known: up to the next look, or all."""
        total = int(self.sizes.sum())
        looks = self.design.looks[len(self.later) :]
        return min(looks[0], total) if looks else total

    @property
    def drawn_strata(self) -> NDArray[np.integer[Any]]:
        """int, (n,): the stratum of each row that is drawn for itself or its scene, or ANSWERED."""
        return self.strata

    @cached_property
    def cell_sizes(self) -> Wholes:
        """int64, (strata, groups): rows of each cell; without groups each stratum is one."""
        groups = max(len(self.design.groups), 1)
        cells = self._cells[self._cells >= 0]
        count = len(self.design.sizes) * groups
        return np.bincount(cells, minlength=count).reshape(-1, groups)

    @cached_property
    def cell_shares(self) -> Numbers:
        """float64, (strata, groups): the chance of each cell a draw, sum 1."""
        shares = self.design.cell_shares or self.design.shares
        return np.array(shares).reshape(self.cell_sizes.shape)

    @cached_property
    def _cells(self) -> Wholes:
        """int64, (n,): the number of each row's cell; ANSWERED of those that are not drawn."""
        strata = self.strata.astype(np.int64)
        if self.of_group is None:
            return strata
        cells = strata * len(self.design.groups) + self.of_group
        return np.where(strata < 0, ANSWERED, cells)

    def cells_drawn(self, count: int) -> Wholes:
        """int64, (n,), n <= count: the cells of the first draws."""
        self.draws(count)
        return self._drawn[0][:count]

    @property
    def order(self) -> tuple[Wholes, Wholes]:
        """int64, (n,) each: the strata of all draws that are known, in their order, and the row_ids
        drawn.
        """
        return self.draws(self.decided)

    def draws(self, count: int) -> tuple[Wholes, Wholes]:
        """int64, (n,) each, n <= count: the first draws' strata and row_ids.
        Only what was asked for is worked out, and none beyond a look to come.
        """
        return self.own_draws(count)

    def own_draws(self, count: int) -> tuple[Wholes, Wholes]:
        """As `draws`, of those alone that were made with this design."""
        known = min(self.decided, int(self.cell_sizes.sum()))
        if len(self._drawn[0]) < min(count, known):
            self._drawn = self._draw(min(max(count, 2 * len(self._drawn[0]), FIRST_DRAWS), known))
        cells, rows = self._drawn
        return cells[:count] // self.cell_sizes.shape[1], rows[:count]

    def _draw(self, count: int) -> tuple[Wholes, Wholes]:
        keys, generator = self._keys
        # A copy: PCG64 goes on from where the keys end each time.
        draws = np.random.PCG64(0)
        draws.state = generator
        uniforms = (draws.random_raw(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        cells = self._cells_by(uniforms)
        rows = np.empty(len(cells), np.int64)
        for number, wanted in enumerate(np.bincount(cells).tolist()):
            if wanted:
                rows_of = np.flatnonzero(self._cells == number)
                first = _least(keys[rows_of], wanted)
                rows[cells == number] = self.row_ids[rows_of[first]]
        return cells, rows

    def _cells_by(self, uniforms: Numbers) -> Wholes:
        """int64, (n,): the cell of each draw, from the first on.

        :param uniforms: (n,), in [0, 1), one a draw.
        """
        sizes = self.cell_sizes.ravel()
        found = np.empty(0, np.int64)
        ends = [*(later.first for later in self.later), len(uniforms)]
        every = [self.cell_shares.ravel(), *(np.array(later.shares) for later in self.later)]
        for end, shares in zip(ends, every, strict=True):
            left = sizes - np.bincount(found, minlength=len(sizes))
            found = np.concatenate([found, draw_strata(left, shares, uniforms[len(found) : end])])
        return found

    @cached_property
    def _keys(self) -> tuple[NDArray[np.uint64], Any]:
        """uint64, (n,): by whose size a stratum's rows are drawn;
        and the generator's state after them.
        """
        generator = np.random.PCG64(int(self.design.seed, 16))
        # Raw numbers of the generator: NumPy promises their stream for good, unlike that of its
        # distributions.
        return generator.random_raw(len(self.row_ids)), generator.state

    def prefix(self, answers: Mapping[int, str]) -> list[int]:
        """YES, NO or UNKNOWN of the draws, up to the first row that nobody has answered at all.

        :param answers: row_id -> yes, no, skip or conflict.
        """
        found = []
        for row_id in self._rows_drawn():
            if row_id not in answers:
                break
            found.append({"yes": YES, "no": NO}.get(answers[row_id], UNKNOWN))
        return found

    def pending(
        self, answers: Mapping[int, str], count: int, budget: int | None = None
    ) -> list[int]:
        """The first so many drawn rows that nobody has answered, in their order.

        :param budget: only of the first so many draws; None: of all.
        """
        drawn = islice(self._rows_drawn(), budget)
        return list(islice((row_id for row_id in drawn if row_id not in answers), count))

    def _rows_drawn(self) -> Iterator[int]:
        """The row_ids of the draws in their order, worked out as far as they are looked at."""
        done = 0
        while done < (count := len(self.draws(max(2 * done, FIRST_DRAWS))[1])):
            yield from self.draws(count)[1][done:].tolist()
            done = count

    def asked(self, count: int) -> set[int]:
        """The row_ids that the first so many draws ask about."""
        return set(self.draws(count)[1].tolist())

    def rows_below(self, cut: int) -> int:
        """How many rows that nobody had answered before a line drops, by their scores."""
        return int(self.sizes[cut:].sum())

    def known(self, answers: Mapping[int, str], group: int | None = None) -> Known:
        """The rows answered before the audit, as they are answered now.

        :param group: of this one alone; None: of all.

        One counts as yes only where it was yes when the audit began, and is: whoever has seen the
        draws cannot add what speaks for the promise. A yes that came since counts as an answer
        taken back: its row is kept, and the worst is assumed of it. A yes that has become no counts
        as no: it speaks for nothing.
        """
        inside = self.strata == ANSWERED
        if group is not None:
            inside = inside & (self.of_group == group)
        return self.known_among(inside, answers)

    def known_among(self, inside: NDArray[np.bool_], answers: Mapping[int, str]) -> Known:
        """As `known`, of some of the rows: bool, (n,)."""
        said = np.array([answers.get(row_id) for row_id in self.row_ids[inside].tolist()], object)
        was_yes = True if self.yes_before is None else self.yes_before[inside]
        yes = int(np.count_nonzero((said == "yes") & was_yes))
        no = int(np.count_nonzero(said == "no"))
        return Known(yes, no, len(said) - yes - no)

    @property
    def known_at_first(self) -> Known:
        """The rows answered before the audit, as they were answered then."""
        inside = int(np.count_nonzero(self.strata == ANSWERED))
        yes = 0 if self.yes_before is None else int(np.count_nonzero(self.yes_before))
        return Known(yes, inside - yes)

    def answered(self, answers: Mapping[int, str]) -> tuple[Wholes, Wholes]:
        """int64, (m,) each: where the rows are that somebody has answered, and their row_ids.

        :param answers: row_id -> yes, no, skip or conflict; of other rows, too.
        """
        said = np.fromiter(sorted(answers), np.int64, len(answers))
        at = np.searchsorted(self.row_ids, said)
        here = at < len(self.row_ids)
        here[here] = self.row_ids[at[here]] == said[here]
        return at[here], said[here]

    def shared_anew(self, shares: Shares) -> Audit:
        """The same audit, with its draws shared out anew from its next look on."""
        return Audit(
            self.design,
            self.row_ids,
            self.scores,
            self.strata,
            self.yes_before,
            self.of_group,
            (*self.later, shares),
        )

    # -- on disk

    def save(self, folder: Path) -> None:
        """Write population, then design: an audit that has a design is whole.

        :raises LakeError: if the folder cannot be written.
        """
        try:
            make_folder(folder)
            columns = {"row_id": self.row_ids, "score": self.scores, "stratum": self.strata}
            if self.yes_before is not None:
                columns["yes_before"] = self.yes_before
            if self.of_group is not None:
                columns["of_group"] = self.of_group
            table = pa.table({**columns, **self._more_columns()})
            design, path = (folder / Path(name).name for name in self._names)
            beside = path.with_name(path.name + ".new")
            create_file(beside).close()  # what has this name may be a link; Arrow writes into ours
            pq.write_table(
                table.replace_schema_metadata({"snapshot": str(self.design.snapshot)}), beside
            )
            fsync_file(beside)
            beside.replace(path)
            fsync_folder(folder)
            replace_file(design, self.design.to_json())
        except OSError as error:
            raise LakeError(
                f"{folder} cannot be written ({_why(error)}); no audit was begun"
            ) from None

    @property
    def _names(self) -> tuple[str, str]:
        return audit_names(self.design.number, self.design.piece)

    def _more_columns(self) -> dict[str, Any]:
        return {}

    @classmethod
    def load(cls, folder: Path, number: int, piece: int = 0) -> Audit:
        """:raises LakeDamaged: if a file is missing or not what `save` writes.

        :param piece: from 1, of what follows it, as rows and strata alone: see `Following.load`.
        """
        audit = Audit.read(folder, number, piece)
        if not np.array_equal(
            np.bincount(audit.strata[audit.strata >= 0], minlength=len(audit.design.sizes)),
            audit.design.sizes,
        ):
            path = folder / Path(audit_names(number, piece)[1]).name
            raise LakeDamaged(str(path), "its strata are not those of the design")
        return audit

    @staticmethod
    def read(folder: Path, number: int, piece: int = 0) -> Audit:
        """As `load`, whatever is drawn."""
        path = folder / Path(audit_names(number, piece)[0]).name
        try:
            design = Design.from_json(read_file(path), str(path))
            path = path.with_suffix(".parquet")
            check_file(path)
            table = pq.read_table(path)
            rows, scores, strata = (
                np.asarray(table[name]) for name in ("row_id", "score", "stratum")
            )
            yes_before = None
            if "yes_before" in table.column_names:
                yes_before = np.asarray(table["yes_before"].cast(pa.bool_()), np.bool_)
            of_group = np.asarray(table["of_group"]) if design.groups else None
        except (OSError, pa.ArrowException, KeyError) as error:
            raise LakeDamaged(str(path), str(error)) from None
        later = shares_on_disk.load(folder, number, design.seed, design.looks, len(design.sizes))
        audit = Audit(design, rows, scores, strata, yes_before, of_group, later)
        if of_group is not None and not np.isin(of_group, np.arange(len(design.groups))).all():
            raise LakeDamaged(str(path), "its groups are not those of the design")
        return audit


def _least(keys: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """int64, (count,): where the least keys are, rising;
    of equal ones the first. count <= len(keys).
    """
    among = np.flatnonzero(keys <= np.partition(keys, count - 1)[count - 1])
    return np.asarray(among[np.argsort(keys[among], kind="stable")][:count])


def numbers(folder: Path) -> list[int]:
    """The audits that were begun, rising."""
    return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit())


def bands(scores: NDArray[np.float32]) -> list[int]:
    """How many rows each stratum has, best scores first; rows of one score are never parted.

    :param scores: (n,), falling.
    """
    count = len(scores)
    if not count:
        return []
    halving = [
        round(count * 2.0 ** (-number / 2)) for number in range(2 * int(np.log2(count + 1)) + 1)
    ]
    even = [round(count * number / BANDS) for number in range(1, BANDS + 1)]
    wanted = sorted({edge for edge in [*halving, *even] if edge >= SMALLEST_BAND} | {count})
    # The end of the block of equal scores that an edge falls into.
    ends = np.searchsorted(-scores, -scores[np.array(wanted) - 1], side="right").tolist()
    kept = [0]
    for end in sorted(set(ends)):
        if end - kept[-1] >= min(SMALLEST_BAND, count) or end == count:
            kept.append(end)
    return np.diff(kept).tolist()


def fresh_seed() -> str:
    """256 bits of the operating system's randomness, hex:
    no one can tell an audit's draws beforehand.
    """
    return secrets.token_hex(32)


def begin(
    number: int,
    snapshot: int,
    target: Target,
    scored: Scored,
    answers: Mapping[int, str],
    one_in: int = 1,
    grouped: Grouped | None = None,
) -> Audit:
    """The population of a new audit; its shares are even,
    and `planned` by `plan.planned` before it is saved.

    :param one_in: the lake's part of the filter's chance of error; see `sharing.py`.
    :param grouped: of whose groups something is promised; None: of all rows alone.
    :param answers: row_id -> yes, no, skip or conflict; rows answered yes or no are known and not
        drawn.
    """
    said = [answers.get(row_id) for row_id in scored.row_ids.tolist()]
    is_known = np.array([answer in ("yes", "no") for answer in said], bool)
    unknown = np.flatnonzero(~is_known)
    order = unknown[np.argsort(-scored.scores[unknown], kind="stable")]
    sizes = bands(scored.scores[order])
    strata = np.full(len(scored), ANSWERED, np.int16)
    strata[order] = np.repeat(np.arange(len(sizes), dtype=np.int16), sizes)
    lowest = scored.scores[order[np.cumsum(sizes) - 1]] if sizes else np.empty(0, np.float32)
    total = max(sum(sizes), 1)
    design = Design(
        number=number,
        seed=fresh_seed(),
        snapshot=snapshot,
        target=target,
        edges=tuple(float(edge) for edge in lowest[:-1]),
        sizes=tuple(sizes),
        shares=tuple(size / total for size in sizes),
        planned=None,
        budget=None,
        aim=None,
        one_in=one_in,
        every=None if grouped is None else grouped.column,
        groups=() if grouped is None else grouped.names,
    )
    is_yes = np.array([answer == "yes" for answer in said], bool)
    if grouped is None:
        return Audit(design, scored.row_ids, scored.scores, strata, is_yes)
    audit = Audit(design, scored.row_ids, scored.scores, strata, is_yes, grouped.of_row)
    even = tuple((audit.cell_sizes.ravel() / total).tolist())
    audit.design = replace(design, cell_shares=even)
    return audit


def with_plan(
    audit: Audit,
    shares: Numbers,
    aim: int | None,
    planned: int | None,
    budget: int | None = None,
    assume: str | None = None,
    worth: Worth | None = None,
    looks: tuple[int, ...] = (),
) -> Audit:
    """The same population, drawn with other shares."""
    numbers_of = tuple(float(share) for share in shares)
    design = replace(
        audit.design,
        shares=numbers_of,
        aim=aim,
        planned=planned,
        budget=budget,
        assume=assume,
        aims=budget is not None,
        label_price=None if worth is None else worth.label,
        miss_price=0.0 if worth is None else worth.miss,
        looks=looks,
    )
    return Audit(
        design, audit.row_ids, audit.scores, audit.strata, audit.yes_before, audit.of_group
    )


def _why(error: OSError) -> str:
    """The system's own words: Arrow puts its own around them."""
    return os.strerror(error.errno) if error.errno else str(error)
