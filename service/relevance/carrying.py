"""Takes a filter into another lake: one of another model, on another machine, of more images.

Row ids belong to a lake and vectors to a model, so neither is worth anything elsewhere. What is the
same in both lakes is an image's bytes: what was said of a row here is said of the row with the same
bytes there. Texts are embedded anew. The promise stays behind, as with every copy, and audits go on
counting: the same wish on the same images with another model is another try. The lakes do not know
of each other's audits, so the copy takes a part of the chance of error along (`sharing.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from indexer.errors import BadRequest, FilterExists, SnapshotGone
from indexer.words import count
from service.lake import Lake
from service.relevance.decisions.store import FilterStore
from service.relevance.definition import Definition, ExampleImage, Examples, Target
from service.relevance.filter import Filter
from service.relevance.labels.book import labels_by_row
from service.relevance.scoring.teaching import teach
from service.snapshot.by_content import rows_with, same_images
from service.snapshot.snapshot import Snapshot


class LakeFilters(Protocol):
    """What is needed of a lake's `Filters`."""

    lake: Lake
    store: FilterStore

    def open(self, name: str) -> Filter: ...

    def drafted(
        self,
        snapshot: Snapshot,
        name: str,
        keep: Examples,
        drop: Examples,
        where: str | None,
        target: Target,
    ) -> Definition: ...


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a filter that was taken into another lake."""

    filter: Filter  # the new one
    labels: int  # rows that have an answer there
    left_out: tuple[str, ...]  # examples and labels that could not be taken along, a sentence each
    # Of the best scorer that the labels on images of both lakes allow, cross-validated; None: there
    # are too few.
    average_precision_here: float | None
    average_precision_there: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.filter.summary().to_json(),
            "left_out": list(self.left_out),
            "average_precision_before": _rounded(self.average_precision_here),
            "average_precision": _rounded(self.average_precision_there),
        }


def carry(
    here: LakeFilters, name: str, there: LakeFilters, new_name: str, *, labels: bool
) -> Carried:
    """See `Filters.carry`."""
    if here.lake.folder.resolve() == there.lake.folder.resolve():
        raise BadRequest(
            "into", f"{there.lake.folder} is the lake it is in; leave it out for a copy there"
        )
    source = here.open(name)
    definition, snapshot = source.definition, there.lake.snapshot
    said = labels_by_row(source.answers()) if labels else {}
    book = here.store.labels(name) if labels else None
    rows = {*definition.keep.row_ids, *definition.drop.row_ids}
    rows |= {record.row_id for record in book.records()} if book else set()
    same = same_images(rows, _snapshots(here, definition), snapshot)
    move = _Move(there, definition, same)
    keep, drop = move.examples(definition.keep), move.examples(definition.drop)
    if not (keep.texts or keep.row_ids or keep.images or drop.texts or drop.row_ids or drop.images):
        raise BadRequest(
            "into",
            f"none of the example images of {name} is in {there.lake.folder}; index them there first",
        )
    taken = {same[row_id]: label for row_id, label in said.items() if row_id in same}
    _check_labels(name, there, len(said), len(taken))
    if new_name in there.store.names():
        raise FilterExists(new_name)
    draft = there.drafted(snapshot, new_name, keep, drop, definition.where, definition.target)
    made = replace(
        draft,
        reason=f"copied from version {definition.version} of {name} in {here.lake.folder.name}",
        # Last of all that may go wrong: what is taken is taken, though no copy comes of it.
        copied=here.store.give(name, there.lake.folder.name, new_name),
    )
    there.store.add_copy(made, book, same.get)
    missing = len(said) - sum(row_id in same for row_id in said)
    return Carried(
        filter=there.open(new_name),
        labels=len(taken),
        left_out=(*move.left_out, *_labels_left_out(there, missing, len(said))),
        average_precision_here=_quality(
            here.lake.snapshot,
            source,
            {row_id: label for row_id, label in said.items() if row_id in same},
        ),
        average_precision_there=_quality(snapshot, there.open(new_name), taken),
    )


class _Move:
    """Examples, as the other lake has them."""

    def __init__(self, there: LakeFilters, definition: Definition, same: Mapping[int, int]) -> None:
        self.left_out: list[str] = []
        self._lake = there.lake.folder
        self._same = same
        self._same_model = dict(definition.model) == dict(there.lake.manifest.fingerprint)
        digests = {
            image.sha256 for side in (definition.keep, definition.drop) for image in side.images
        }
        self._rows = {} if self._same_model else rows_with(there.lake.snapshot, digests)

    def examples(self, examples: Examples) -> Examples:
        """A picture from outside the lake is a row there, where its vector is of another model."""
        rows = [self._same[row_id] for row_id in examples.row_ids if row_id in self._same]
        self.left_out += [
            f"example row {row_id} was left out: {self._lake} has no image of the same bytes"
            for row_id in examples.row_ids
            if row_id not in self._same
        ]
        if not self._same_model:
            rows += [row_id for image in examples.images for row_id in self._row_of(image)]
        images = examples.images if self._same_model else ()
        return Examples(examples.texts, tuple(dict.fromkeys(rows)), images)

    def _row_of(self, image: ExampleImage) -> list[int]:
        found = sorted(self._rows.get(image.sha256, {}).values())[:1]
        if not found:
            self.left_out.append(
                f"example {image.name} was left out: its vector is of another model, and {self._lake} has no image of "
                "the same bytes"
            )
        return found


def _snapshots(here: LakeFilters, definition: Definition) -> list[Snapshot]:
    """That of the filter, for rows that have gone since, and the current one."""
    try:
        return [here.lake.at(definition.snapshot), here.lake.snapshot]
    except SnapshotGone:
        return [here.lake.snapshot]


def _check_labels(name: str, there: LakeFilters, said: int, taken: int) -> None:
    """:raises BadRequest: if there are labels, and none of them can be taken along."""
    if said and not taken:
        raise BadRequest(
            "labels",
            f"none of the {said:,} labelled images of {name} is in {there.lake.folder}; index them there first, or "
            "leave the labels out",
        )


def _labels_left_out(there: LakeFilters, missing: int, said: int) -> list[str]:
    if not missing:
        return []
    return [
        f"{missing:,} of {count(said, 'label was', 'labels were')} left out: "
        f"{there.lake.folder} has no images of the same bytes as theirs"
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _quality(snapshot: Snapshot, filter: Filter, said: Mapping[int, str]) -> float | None:
    facts = teach(snapshot, filter.versions.at(1).scorer, said).facts
    found = facts.get("average_precision")
    return None if found is None else float(found[facts["chosen"]])
