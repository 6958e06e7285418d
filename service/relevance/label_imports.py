"""Answers that come back from an annotation tool's file, as labels of this lake's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from service.relevance.labels import UNNAMED, NewLabel

if TYPE_CHECKING:
    from service.export.incoming import IncomingLabel

LABEL_FORMATS = ("csv", "label_studio", "cvat", "coco")


def labels_of(
    incoming: Iterable[IncomingLabel],
    find_uri: Callable[[str], int | None],
    has_row: Callable[[int], bool],
    labeller: str = UNNAMED,
) -> tuple[list[NewLabel], list[tuple[str, str]]]:
    """Each answer as a label, or what it is about and why it is none.

    A name counts more than a row_id, which may be another lake's.

    :param labeller: who answered where the file does not say.
    """
    labels, problems = [], []
    for each in incoming:
        try:
            row_id = _row_of(each, find_uri, has_row)
            labels.append(NewLabel(row_id, each.label, each.labeller or labeller, "picked"))
        except BadRequest as error:
            problems.append((each.uri or f"row {each.row_id}", str(error)))
    return labels, problems


def _row_of(
    label: IncomingLabel, find_uri: Callable[[str], int | None], has_row: Callable[[int], bool]
) -> int:
    if label.uri is not None:
        found = find_uri(label.uri)
        if found is None:
            raise BadRequest(
                "uri", "it is not in this lake; if the tool shortened its name, say from where (root)"
            )
        return found
    if label.row_id is None or not has_row(label.row_id):
        raise BadRequest("row_id", f"{label.row_id} is no row of this lake")
    return label.row_id
