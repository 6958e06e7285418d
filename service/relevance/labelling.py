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
