"""Teaching a filter: the scorer as its answers make it, what to ask next, and how good it ranks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar

import numpy as np

from service.lake import Lake
from service.relevance.decisions.versions import Versions
from service.relevance.definition import Definition
from service.relevance.filter_labels import Labels
from service.relevance.scoring.depth import (
    FOUND,
    NOTHING_ASKED,
    OLD,
    Asked,
    Depth,
    Ranking,
    advice,
    checkpoints,
    depth_of,
    looks,
)
from service.relevance.scoring.scorer import Scored, Scorer, score_rows
from service.relevance.scoring.teaching import Taught, propose, teach
from service.snapshot.snapshot import Snapshot, hash_row_ids

# Looks at earlier answers that are kept, three of each: of 10,000 answers there are 20.
KEPT = 80

Said: TypeAlias = tuple[tuple[int, bool], ...]  # row_id and True is relevant, in their order
Found = TypeVar("Found")


class Teacher:
    """Teaches one filter of an open lake, as `Filter.teacher`. Safe from several threads."""

    def __init__(self, lake: Lake, versions: Versions, labels: Labels) -> None:
        self._lake = lake
        self._versions = versions
        self._labels = labels
        self._kept = _Kept(KEPT)

    def taught(self, snapshot: Snapshot, said: Mapping[int, str] | None = None) -> Taught:
        """The best scorer that the labels allow; the draft where there are too few.

        :param said: row_id -> yes, no, skip or conflict; None: all labels.
        """
        draft = self._versions.at(1).scorer
        return teach(snapshot, draft, self._labels.said() if said is None else said)

    def to_ask(
        self, definition: Definition, count: int, busy: Collection[int] = ()
    ) -> tuple[Snapshot, list[int], Scored | None, Taught]:
        """The rows to label next, and their scores; None once an audit was begun, which may draw
        them too. They are in no order then.

        :param busy: row_ids not to ask about: somebody is labelling them.
        """
        snapshot = self._lake.snapshot
        taught = self.taught(snapshot)
        scored = score_rows(snapshot, taught.scorer, definition.where)
        said = self._labels.said()
        known = _known(said)
        passed = [*(row_id for row_id in said if row_id not in known), *busy]
        draft = self._versions.at(1).scorer
        rows = propose(snapshot, scored, known, count, draft, passed_over=passed)
        if definition.audit is None:
            return snapshot, rows, scored, taught
        mixed = np.argsort(hash_row_ids(np.array(rows, np.int64)))
        return snapshot, [rows[at] for at in mixed.tolist()], None, taught

    def ranking(self) -> Ranking:
        """How many of the top hold nine of ten images that belong, with all answers, and with the
        first 10, 20, 40 ... of them; see `scoring/depth.py`.
        """
        definition, snapshot = self._versions.latest, self._lake.snapshot
        known = _known(self._labels.said())
        # In the order in which rows were last answered: the first so many are those of then.
        in_order = sorted(known, key=self._labels.answered_at())
        said = tuple((row_id, known[row_id]) for row_id in in_order)
        then = _Then(self._kept, snapshot, definition, self._versions.at(1).scorer)
        depths = [then.depth(said[:look]) for look in [*looks(len(said)), len(said)]]
        *before, now = depths
        history = tuple(each for each in before if each is not None)
        what, because = advice(now, history, sum(known.values()))
        return Ranking(
            filter=definition.name,
            version=definition.version,
            rows=then.rows,
            found=FOUND,
            now=now,
            history=history,
            advice=what,
            because=because,
        )


class _Kept:
    """What was worked out before, as long as it is asked for. Safe from several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Found]) -> Found:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                found: Found = self._found[key]
                return found
        found = make()
        with self._lock:
            self._found[key] = found
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return found


class _Then:
    """The ranking as it was with the first answers alone. Each such look is worked out once: the
    first answers stay what they are while more are given.
    """

    def __init__(
        self, kept: _Kept, snapshot: Snapshot, definition: Definition, draft: Scorer
    ) -> None:
        self._kept = kept
        self._snapshot = snapshot
        self._where = definition.where
        self._draft = draft

    @property
    def rows(self) -> int:
        """Those that the filter looks at."""
        return self._kept.get(("rows", self._snapshot.number), lambda: len(self._scored(())))

    def depth(self, said: Said) -> Depth | None:
        def find() -> Depth | None:
            known = dict(said)
            return depth_of(self._scored(said), known, self._taught(said).unseen, self._asked(said))

        return self._kept.get(("depth", self._snapshot.number, said), find)

    def _asked(self, said: Said) -> Asked:
        """What the scorers of then said of the answers that came next."""
        marks = [*checkpoints(len(said)), len(said)]
        found = NOTHING_ASKED
        for start, end in pairwise(marks):
            if end > OLD * len(said):
                found += self._asked_next(said[:start], said[start:end])
        return found

    def _asked_next(self, before: Said, after: Said) -> Asked:
        key = "asked", self._snapshot.number, before, after
        return self._kept.get(key, lambda: Asked.of(self._scored(before), dict(after)))

    def _taught(self, said: Said) -> Taught:
        labels = {row_id: "yes" if is_yes else "no" for row_id, is_yes in said}
        key = "taught", self._snapshot.number, said
        return self._kept.get(key, lambda: teach(self._snapshot, self._draft, labels))

    def _scored(self, said: Said) -> Scored:
        return score_rows(self._snapshot, self._taught(said).scorer, self._where)


def _known(said: Mapping[int, str]) -> dict[int, bool]:
    """row_id -> True is relevant."""
    return {row_id: label == "yes" for row_id, label in said.items() if label in ("yes", "no")}
