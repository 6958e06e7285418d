"""Takes what people said of rows into a filter's book, from a caller or from a file.

Whatever is of no use is told, each with a sentence, and costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

from indexer.errors import BadRequest, UnknownRow
from service.formats.incoming import FileProblem, IncomingLabels, plain_name
from service.formats.read_labels import read_labels
from service.relevance.as_json import AsJson, told
from service.relevance.labels.book import SETTLE, UNNAMED, LabelBook, NewLabel
from service.relevance.labels.label_imports import CONTRADICTED, contradicted, labels_of, signed
from service.relevance.labels.row_names import RowNames
from service.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Problem(AsJson):
    """Why one of several labels was of no use."""

    index: int = field(metadata=told("Of the label, from 0."))
    message: str


@dataclass(frozen=True, slots=True)
class LineProblem(AsJson):
    """Why a line of a file was of no use."""

    line: int  # counted from 1 with the header
    message: str

    @property
    def about(self) -> str:
        return f"line {self.line}"


@dataclass(frozen=True, slots=True)
class NamedProblem(AsJson):
    """Why what was said of an image was of no use."""

    about: str  # as the image was named
    message: str


class Labelling:
    """Saves answers about the rows of some snapshots."""

    def __init__(
        self,
        book: LabelBook,
        lake_name: str,
        snapshots: Sequence[Snapshot],
        purpose_of: Callable[[int], str],
    ) -> None:
        """
        :param lake_name: for messages.
        :param snapshots: whose rows may be labelled; where two have a uri, the last one's row is
            meant.
        :param purpose_of: row_id -> why it was labelled: teach, audit or picked.
        """
        self._book = book
        self._lake_name = lake_name
        self._snapshots = snapshots
        self._purpose_of = purpose_of

    def save(
        self,
        labels: Sequence[Mapping[str, Any]],
        *,
        only_open: bool = False,
        settle: bool = False,
    ) -> tuple[list[int], list[Problem], list[int]]:
        """Save answers, each {"row_id" or "uri", "label": yes/no/skip, "labeller"?}.

        :param only_open: pass over rows that another labeller has answered.
        :param settle: each decides a row on which people disagree; of another it is of no use.
        :raises BadRequest: if both are said.
        :returns: the numbers of those that were saved, what was of no use, and the row_ids passed
            over.
        """
        if only_open and settle:
            raise BadRequest("settle", "say settle or only_open, and not both")
        new: dict[int, NewLabel] = {}
        problems = []
        for index, entry in enumerate(labels):
            try:
                label = self._new_label(entry)
                new[index] = replace(label, purpose=SETTLE) if settle else label
            except (BadRequest, UnknownRow) as error:
                problems.append(Problem(index, str(error)))
        unsigned = {index: label for index, label in new.items() if not signed(label.labeller)}
        unclear = contradicted(unsigned.values())
        for index, label in unsigned.items():
            if label.row_id in unclear:
                problems.append(Problem(index, CONTRADICTED))
                del new[index]
        records = self._book.add(list(new.values()), only_open=only_open, only_disputed=settle)
        taken = {record.row_id for record in records}
        if settle:
            agreed = {index: each for index, each in new.items() if each.row_id not in taken}
            for index, each in agreed.items():
                message = f"row {each.row_id} has no conflict to settle; answer it without settle"
                problems.append(Problem(index, message))
                del new[index]
        passed = [each.row_id for each in new.values() if each.row_id not in taken]
        in_order = sorted(problems, key=attrgetter("index"))
        return [record.seq for record in records], in_order, list(dict.fromkeys(passed))

    def save_file(
        self, path: str | Path, labeller: str, format: str = "csv", root: str | None = None
    ) -> tuple[int, list[LineProblem]]:
        """Save the answers of a table that a person filled in; see `read_labels`.

        :returns: how many were saved, and what was of no use, in the order of the lines.
        """
        incoming = read_labels(Path(path), format, root=root)
        saved, problems = self._take(incoming, labeller, root)
        in_order = sorted(problems, key=itemgetter(0))
        return saved, [LineProblem(int(line), message) for line, message in in_order]

    def restore(
        self, rows: Sequence[int | str], labeller: str, decisions: Mapping[int, str], version: int
    ) -> tuple[int, list[NamedProblem], list[int]]:
        """Save a yes for rows that were dropped, each a row_id or a uri;
        others are told, and left as they are.

        Where somebody else has said no, the yes is saved too, and told: until they agree neither
        decides.

        :param decisions: row_id -> what version decided; a row without a decision was not looked
            at.
        :returns: how many were saved, what was of no use, and the row_ids that have a yes now.
        """
        new: dict[int, NewLabel] = {}
        problems = []
        for row in dict.fromkeys(rows):
            try:
                named = {"row_id" if isinstance(row, int) else "uri": row}
                label = self._new_label({**named, "label": "yes", "labeller": labeller})
                _check_dropped(decisions.get(label.row_id), version)
                new[label.row_id] = label
            except (BadRequest, UnknownRow) as error:
                problems.append(NamedProblem(str(row), str(error)))
        saved = self._add(list(new.values()))
        answers = self._book.answers()
        for row_id in new:
            if (by := answers[row_id].settled) and answers[row_id].label != "yes":
                message = f"its yes is saved, but {by} settled it as a no; settle it anew: lakesift filter settle"
                problems.append(NamedProblem(f"row {row_id}", message))
            elif answers[row_id].label != "yes":
                others = ", ".join(
                    who for who, what in answers[row_id].labellers.items() if what == "no"
                )
                message = f"its yes is saved, but {others} said no; until they agree neither answer decides"
                problems.append(NamedProblem(f"row {row_id}", message))
        restored = [row_id for row_id in new if answers[row_id].label == "yes"]
        return saved, problems, restored

    def save_export(
        self,
        path: Path,
        format: str,
        labeller: str,
        *,
        yes: Sequence[str],
        empty_is_no: bool,
        root: str | None,
    ) -> tuple[int, list[NamedProblem], int]:
        """Save the answers of an annotation tool's file; see `read_labels`.

        :returns: how many were saved, what was of no use, and how many images have no answer.
        """
        incoming = read_labels(path, format, yes=yes, empty_is_no=empty_is_no, root=root)
        saved, problems = self._take(incoming, labeller, root)
        named = [
            NamedProblem(about if isinstance(about, str) else f"line {about}", message)
            for about, message in problems
        ]
        return saved, named, incoming.unanswered

    def _take(
        self, incoming: IncomingLabels, labeller: str, root: str | None
    ) -> tuple[int, list[FileProblem]]:
        found, problems = labels_of(
            incoming.labels,
            lambda uri: self._names.find(uri),
            self._has_row,
            labeller,
            lambda name: self._names.find_plain(name, root),
        )
        saved = self._add(self._with_purpose(found))
        return saved, [*incoming.problems, *problems]

    def _add(self, new: Sequence[NewLabel]) -> int:
        """How many were saved."""
        return len(self._book.add(new))

    def _with_purpose(self, labels: Sequence[NewLabel]) -> list[NewLabel]:
        return [replace(label, purpose=self._purpose_of(label.row_id)) for label in labels]

    def _new_label(self, entry: Mapping[str, Any]) -> NewLabel:
        row_id = entry.get("row_id")
        if row_id is None:
            uri = entry.get("uri")
            row_id = None if uri is None else self._find(str(uri))
            if row_id is None:
                raise BadRequest(
                    "uri", f"the lake has no image {uri}" if uri else "name a row_id or a uri"
                )
        elif not isinstance(row_id, int) or not self._has_row(row_id):
            raise UnknownRow(self._lake_name, row_id)
        label, labeller = str(entry.get("label")), str(entry.get("labeller") or UNNAMED)
        return NewLabel(row_id, label, labeller, self._purpose_of(row_id))

    def _has_row(self, row_id: int) -> bool:
        return any(snapshot.find(row_id) is not None for snapshot in self._snapshots)

    def _find(self, name: str) -> int | None:
        found = self._names.find(name)
        plain = plain_name(name) if found is None else None
        return found if plain is None else self._names.find_plain(plain)

    @cached_property
    def _names(self) -> RowNames:
        """Read only where a row is named by its uri."""
        return RowNames.of(self._snapshots)


def _check_dropped(decision: str | None, version: int) -> None:
    """:raises BadRequest: if it was not dropped."""
    if decision == "drop":
        return
    did = {"keep": "keeps it", "ask": "leaves it to a person: answer it with lakesift filter label"}
    raise BadRequest(
        "row_id",
        f"it was not dropped: version {version} {did.get(decision or '', 'did not look at it')}",
    )
