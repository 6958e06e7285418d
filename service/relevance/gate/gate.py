"""The gate: decides images that are not in the lake,
as an applied version of a filter would decide them as rows.

Nothing is promised of them: a promise is about the rows that its audit drew from. Knows vectors and
what is known of an image, but not how images are read; `incoming` does that.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import Vectors
from indexer.disk.rows import LIST, lists_of
from indexer.errors import SnapshotGone
from service.lake import Lake
from service.relevance.definition import Definition, Thresholds
from service.relevance.gate import drift
from service.relevance.gate.answers import DecideAnswer, DecideCounts, ImageDecided, YesNo
from service.relevance.promise.applying import likely_cut, unseen_from_of
from service.relevance.promise.audit import Audit
from service.relevance.promise.counting import line_of
from service.relevance.scoring.scorer import Scorer
from service.search.decided import Decision
from service.snapshot.by_content import contents_of
from service.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from service.where.where import Where

NOTE = "unpromised until audited: index these images into the lake, and audit it again for a promise of them, too"
# An image whose vector is made again may score a little beside its row: half precision, and the
# sums of another batch. Nearer than this to a line, the row's own score counts. In units of the
# longest of the scorer's vectors.
SAME_SCORE = 1e-4
KEPT_RULES = 4
SAID: Mapping[YesNo, Decision] = {"yes": "keep", "no": "drop"}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A new image: its vector, and what else is known of it."""

    name: str
    vector: Vectors  # float32, (dim,), unit length, by the lake's own model
    phash: int
    sha256: str | None = None  # of the file's bytes; None: it came as pixels
    row: Mapping[str, Any] = field(
        default_factory=dict
    )  # the columns it would have as a row, as far as known


@dataclass(frozen=True, slots=True)
class Rule:
    """All that decisions follow from but people's answers, of one version."""

    definition: Definition
    lines: Thresholds
    where: Where | None
    schema: pa.Schema  # of the lake's rows
    audited: drift.Scores  # (n,), rising: the scores of all that was audited
    different: float  # the effective number of images audited
    near: Mapping[str, float]  # sha256 -> score, of the rows next to a line


class Gate:
    """Decides one batch of images, which may come in pieces, and counts and compares what came."""

    def __init__(self, rule: Rule, said: Mapping[str, YesNo]) -> None:
        """:param said: sha256 -> yes or no, of rows that people answered."""
        self.rule = rule
        self.counts = dict.fromkeys(("keep", "ask", "drop", "outside", "unreadable"), 0)
        self._said = said
        self._scores = array("f")
        self._sample = drift.Sample()

    def decide(self, images: Sequence[Incoming]) -> list[ImageDecided]:
        """In their order.

        :raises DimensionMismatch: if a vector is not of the lake's dim.
        """
        if not images:
            return []
        scores = self._scores_of(images)
        calibration = self.rule.definition.calibration
        chances = None if calibration is None else calibration.probability(scores)
        return [
            self._decide(
                image, float(scores[at]), None if chances is None else float(chances[at]), inside
            )
            for at, (image, inside) in enumerate(zip(images, self._inside(images), strict=True))
        ]

    def _scores_of(self, images: Sequence[Incoming]) -> NDArray[np.float32]:
        """float32, (n,): as the lake would score them,
        so of vectors in half precision, in which it stores them.
        """
        vectors = np.stack([image.vector for image in images]).astype(np.float16).astype(np.float32)
        scores = self.rule.definition.scorer.of(vectors)
        for at, image in enumerate(images):
            known = self.rule.near.get(image.sha256 or "")
            if known is not None:
                scores[at] = known
        return scores

    def _inside(self, images: Sequence[Incoming]) -> Sequence[bool]:
        where = self.rule.where
        if where is None:
            return [True] * len(images)
        names = sorted(where.columns) or ["row_id"]
        columns = [
            _column([image.row.get(name) for image in images], self.rule.schema.field(name).type)
            for name in names
        ]
        kept: list[bool] = where.mask(pa.table(columns, names)).tolist()
        return kept

    def _decide(
        self, image: Incoming, score: float, chance: float | None, inside: bool
    ) -> ImageDecided:
        if not inside:
            self.counts["outside"] += 1
            return ImageDecided.without(image.name, self._outside())
        self._scores.append(score)
        self._sample.add(image.phash, image.vector)
        label = self._said.get(image.sha256 or "")
        decision = self._by_score(score) if label is None else SAID[label]
        self.counts[decision] += 1
        chance = None if chance is None else round(chance, 4)
        return ImageDecided(image.name, decision, round(score, 6), chance, label, None)

    def _by_score(self, score: float) -> Decision:
        lines = self.rule.lines
        if score >= lines.keep:
            return "keep"
        return "ask" if score >= lines.drop else "drop"

    def _outside(self) -> str:
        return f"the filter looks only at images for which {self.rule.definition.where} holds"

    def unreadable(self, name: str, reason: str) -> ImageDecided:
        """An image that there is no vector of."""
        self.counts["unreadable"] += 1
        return ImageDecided.without(name, reason)

    @property
    def drift(self) -> drift.DriftFound:
        """How all that was decided so far compares with what was audited."""
        rule = self.rule
        now = np.array(self._scores, np.float32)
        # Of a batch too large to look at whole, the sample's number counts: a few too low is on the
        # safe side.
        return drift.compare(
            rule.audited, rule.different, now, self._sample.different, rule.lines.drop
        )

    def answer(self, images: Sequence[ImageDecided] = ()) -> DecideAnswer:
        """The whole answer, of all that was decided so far.

        :param images: as `decide` and `unreadable` gave them.
        """
        return DecideAnswer(
            filter=self.rule.definition.name,
            version=self.rule.definition.version,
            thresholds=self.rule.lines,
            promised=False,
            note=NOTE,
            images=images,
            counts=DecideCounts(**self.counts),
            drift=self.drift,
        )


class Gates:
    """Makes the gates of one filter;
    keeps what is the same for every batch. Safe from several threads.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._rules: dict[tuple[int, bool, int], Rule] = {}
        self._digests: dict[int, str] = {}  # row_id -> sha256, of rows that people answered

    def open(
        self, definition: Definition, audit: Audit, said: Mapping[int, str], *, ask: bool
    ) -> Gate:
        """
        :param definition: a version that was applied; audit: the one it was applied with.
        :param said: row_id -> yes, no, skip or conflict.
        :param ask: whether images near the line are left to a person, as `apply` would; else they
            are kept.
        :raises WhereError: if the filter's where is not understood any more.
        """
        current = self._lake.snapshot
        key = (definition.version, ask, current.number)
        rule = self._rules.get(key)
        if rule is None:
            rule = _rule(current, self._audited(audit), definition, audit, ask)
            self._rules = {key: rule, **dict(list(self._rules.items())[: KEPT_RULES - 1])}
        return Gate(rule, self._by_content(audit, said))

    def _audited(self, audit: Audit) -> Snapshot:
        """The audit's snapshot; where that is gone, what is left of it in the current one."""
        try:
            return self._lake.at(audit.design.snapshot)
        except SnapshotGone:
            return self._lake.snapshot

    def _by_content(self, audit: Audit, said: Mapping[int, str]) -> dict[str, YesNo]:
        """sha256 -> yes or no; left out where rows of the same bytes were answered differently."""
        answers = {row_id: cast(YesNo, label) for row_id, label in said.items() if label in SAID}
        unknown = [row_id for row_id in answers if row_id not in self._digests]
        if unknown:
            found = dict(self._digests)
            for snapshot in {
                s.number: s for s in (self._audited(audit), self._lake.snapshot)
            }.values():
                seen = contents_of(snapshot, unknown)
                found |= {row_id: content.sha256 for row_id, content in seen.items()}
            self._digests = found
        labels: dict[str, set[YesNo]] = {}
        for row_id, label in answers.items():
            if row_id in self._digests:
                labels.setdefault(self._digests[row_id], set()).add(label)
        return {digest: found.pop() for digest, found in labels.items() if len(found) == 1}


def lines_of(definition: Definition, audit: Audit, *, ask: bool) -> Thresholds:
    """The lines of a version that was applied, as if it had been applied with, or without, ask.

    Without, what lies between the lines is kept: a person who looks at it costs less than what is
    lost.
    """
    applied = definition.thresholds
    assert applied is not None, "this version was not applied"
    if not ask:
        return Thresholds(applied.drop, applied.drop)
    edges = audit.design.edges
    if (
        applied.keep > applied.drop
        or definition.target.precision is not None
        or applied.drop not in edges
    ):
        return applied
    unseen = (definition.measured or {}).get("unseen_from", unseen_from_of(audit))
    likely = likely_cut(audit, definition.calibration, unseen)
    return Thresholds(line_of(audit, min(edges.index(applied.drop) + 1, likely)), applied.drop)


def _rule(
    current: Snapshot, audited: Snapshot, definition: Definition, audit: Audit, ask: bool
) -> Rule:
    lines = lines_of(definition, audit, ask=ask)
    where = None
    if definition.where is not None:
        # the parser is loaded only where there is a predicate
        from service.where.where import Where

        where = Where.parse(definition.where, current.schema)
    return Rule(
        definition,
        lines,
        where,
        current.schema,
        np.sort(audit.scores),
        _different(audited, audit),
        _near(audited, audit, lines, definition.scorer),
    )


def _near(snapshot: Snapshot, audit: Audit, lines: Thresholds, scorer: Scorer) -> dict[str, float]:
    """sha256 -> score, of the audited rows so near to a line that
    the same image may fall on its other side.
    """
    reach = SAME_SCORE * float(np.linalg.norm(scorer.sides, axis=1).max())
    ends = [np.abs(audit.scores - np.float32(line)) <= reach for line in (lines.keep, lines.drop)]
    here = np.flatnonzero(ends[0] | ends[1])
    scores = dict(zip(audit.row_ids[here].tolist(), audit.scores[here].tolist(), strict=True))
    found = contents_of(snapshot, audit.row_ids[here])
    return {content.sha256: scores[row_id] for row_id, content in found.items()}


def _different(snapshot: Snapshot, audit: Audit) -> float:
    """The effective number of the images audited, from a sample of them."""
    every = -(-len(audit.row_ids) // drift.MOST_COMPARED) or 1
    _, numbers, positions = snapshot.places_of(audit.row_ids[::every])
    hashes, vectors = [np.empty(0, np.uint64)], [np.empty((0, snapshot.manifest.dim), np.float32)]
    for number in np.unique(numbers).tolist():
        part, here = snapshot.parts[number], positions[numbers == number]
        hashes.append(part.phashes[0][here])
        vectors.append(part.vectors.take(here))
    found = drift.effective(drift.groups(np.concatenate(hashes), np.concatenate(vectors)))
    return found or float(len(audit.row_ids))  # none of them is left to look at


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """The values as a column of the lake's type; a value that cannot be one is unknown."""
    if kind == LIST:
        return lists_of(values)
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _one_by_one(values, kind)


def _one_by_one(values: list[Any], kind: pa.DataType) -> pa.Array:
    found = []
    for value in values:
        try:
            found.append(pa.scalar(value, kind).as_py())
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            found.append(None)
    return pa.array(found, kind)
