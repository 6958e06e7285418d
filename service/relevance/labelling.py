"""Takes what people said of rows into a filter's book, from a caller, a CSV file or an annotation tool's file.

Whatever is of no use is told, each with a sentence, and costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from indexer.errors import BadRequest, UnknownRow
from service.export.incoming import read_labels
from service.relevance.label_files import read_label_file
from service.relevance.label_imports import labels_of
from service.relevance.labels import UNNAMED, LabelBook, NewLabel
from service.relevance.scored_rows import row_by_uri
from service.snapshot import Snapshot


class Labelling:
    """Saves answers about the rows of some snapshots."""

    def __init__(
        self, book: LabelBook, lake_name: str, snapshots: Sequence[Snapshot], purpose_of: Callable[[int], str]
    ) -> None:
        """
        :param lake_name: for messages.
        :param snapshots: whose rows may be labelled; where two have a uri, the last one's row is meant.
        :param purpose_of: row_id -> why it was labelled: teach, audit or picked.
        """
        self._book = book
        self._lake_name = lake_name
        self._snapshots = snapshots
        self._purpose_of = purpose_of

    def save(self, labels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Save answers, each {"row_id" or "uri", "label": yes/no/skip, "labeller"?}.

        :returns: {"saved": how many, "problems": [{"index", "message"}]}.
        """
        new, problems = [], []
        for index, entry in enumerate(labels):
            try:
                new.append(self._new_label(entry))
            except (BadRequest, UnknownRow) as error:
                problems.append({"index": index, "message": str(error)})
        return self._saved(new, problems)

    def save_file(self, path: str | Path, labeller: str) -> dict[str, Any]:
        """Save the answers of a CSV file; see `read_label_file`.

        :returns: {"saved", "problems": [{"line", "message"}]}.
        """
        found, problems = read_label_file(path, self._rows.get, self._has_row, labeller=labeller)
        told = [{"line": line, "message": message} for line, message in problems]
        return self._saved(self._with_purpose(found), told)

    def restore(
        self, rows: Sequence[int | str], labeller: str, decisions: Mapping[int, str], version: int
    ) -> dict[str, Any]:
        """Save a yes for rows that were dropped, each a row_id or a uri; others are told, and left as they are.

        Where somebody else has said no, the yes is saved too, and told: until they agree neither decides.

        :param decisions: row_id -> what version decided; a row without a decision was not looked at.
        :returns: {"saved", "problems": [{"about": the row, "message"}], "restored": row_ids, a yes each now}.
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
                problems.append({"about": str(row), "message": str(error)})
        saved = len(self._book.add(list(new.values())))
        answers = self._book.answers()
        for row_id in new:
            if answers[row_id].label != "yes":
                others = ", ".join(who for who, what in answers[row_id].labellers.items() if what == "no")
                message = f"its yes is saved, but {others} said no; until they agree neither answer decides"
                problems.append({"about": f"row {row_id}", "message": message})
        restored = [row_id for row_id in new if answers[row_id].label == "yes"]
        return {"saved": saved, "problems": problems, "restored": restored}

    def save_export(
        self,
        path: Path,
        format: str,
        labeller: str,
        *,
        yes: Sequence[str],
        empty_is_no: bool,
        root: str | None,
    ) -> dict[str, Any]:
        """Save the answers of an annotation tool's file; see `read_labels`.

        :returns: {"saved", "problems": [{"about", "message"}], "unanswered": images without an answer}.
        """
        incoming = read_labels(path, format, yes=yes, empty_is_no=empty_is_no, root=root)
        found, problems = labels_of(incoming.labels, self._rows.get, self._has_row, labeller)
        told = [{"about": about, "message": message} for about, message in [*incoming.problems, *problems]]
        return {**self._saved(self._with_purpose(found), told), "unanswered": incoming.unanswered}

    def _saved(self, new: Sequence[NewLabel], problems: list[dict[str, Any]]) -> dict[str, Any]:
        return {"saved": len(self._book.add(new)), "problems": problems}

    def _with_purpose(self, labels: Sequence[NewLabel]) -> list[NewLabel]:
        return [replace(label, purpose=self._purpose_of(label.row_id)) for label in labels]

    def _new_label(self, entry: Mapping[str, Any]) -> NewLabel:
        row_id = entry.get("row_id")
        if row_id is None:
            uri = entry.get("uri")
            row_id = None if uri is None else self._rows.get(str(uri))
            if row_id is None:
                raise BadRequest("uri", f"the lake has no image {uri}" if uri else "name a row_id or a uri")
        elif not isinstance(row_id, int) or not self._has_row(row_id):
            raise UnknownRow(self._lake_name, row_id)
        label, labeller = str(entry.get("label")), str(entry.get("labeller") or UNNAMED)
        return NewLabel(row_id, label, labeller, self._purpose_of(row_id))

    def _has_row(self, row_id: int) -> bool:
        return any(snapshot.find(row_id) is not None for snapshot in self._snapshots)

    @cached_property
    def _rows(self) -> dict[str, int]:
        """uri -> row_id; read only where a row is named by its uri."""
        return row_by_uri(self._snapshots)


def _check_dropped(decision: str | None, version: int) -> None:
    """:raises BadRequest: if it was not dropped."""
    if decision == "drop":
        return
    did = {"keep": "keeps it", "ask": "leaves it to a person: answer it with lakesift filter label"}
    raise BadRequest(
        "row_id",
        f"it was not dropped: version {version} {did.get(decision or '', 'did not look at it')}",
    )
