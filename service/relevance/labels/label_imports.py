"""Labels that come back in a file, as labels of this lake's rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from indexer.errors import BadRequest
from service.formats.incoming import FileProblem, IncomingLabel, is_uri, quoted
from service.relevance.labels.book import UNNAMED, NewLabel
from service.relevance.labels.row_names import AmbiguousName

CONTRADICTED = (
    "label: it is yes in one place and no in another, and neither says by whom; take one out"
)
Finding: TypeAlias = Callable[[IncomingLabel], int | None]


def labels_of(
    incoming: Iterable[IncomingLabel],
    find_uri: Callable[[str], int | None],
    has_row: Callable[[int], bool],
    labeller: str = UNNAMED,
    find_plain: Callable[[str], int | None] = lambda name: None,
) -> tuple[list[NewLabel], list[FileProblem]]:
    """Each answer as a label, or what it is about and why it is none.

    In a tool's file a name counts more than a row_id, which may be another lake's. In a person's
    table a row_id counts more than a name, since the image may have moved; the two must not name
    two rows. An image to which nobody in particular says both yes and no has no label.

    :param find_uri: the row_id of a uri, None if there is none; has_row: whether there is such a
        row.
    :param labeller: who answered where the file does not say.
    :param find_plain: the row_id of a file name alone; as find_uri, it raises BadRequest where it
        may be several.
    """
    labels: dict[int, NewLabel] = {}
    problems: list[FileProblem] = []
    incoming = list(incoming)

    def find(each: IncomingLabel) -> int | None:
        row_id = find_uri(each.uri or "")
        return row_id if row_id is not None or each.plain is None else find_plain(each.plain)

    for place, each in enumerate(incoming):
        try:
            row_id = (_row_of if each.line is None else _row_in_table)(each, find, has_row)
            labels[place] = NewLabel(row_id, each.label, each.labeller or labeller, "picked")
        except BadRequest as error:
            problems.append((_about(each), str(error)))
    unsigned = {
        place: label for place, label in labels.items() if not signed(incoming[place].labeller)
    }
    unclear = contradicted(unsigned.values())
    told = [place for place, label in unsigned.items() if label.row_id in unclear]
    # a tool's file may name the image in one way only: once is enough
    problems += [
        (about, CONTRADICTED) for about in dict.fromkeys(_about(incoming[p]) for p in told)
    ]
    for place in told:
        del labels[place]
    return list(labels.values()), problems


def signed(labeller: str | None) -> bool:
    """Whether an answer says whose it is."""
    return labeller not in (None, "", UNNAMED)


def contradicted(unsigned: Collection[NewLabel]) -> set[int]:
    """The row_ids to which nobody in particular says both yes and no.

    Of one person the later answer counts, of two both do. Without a name nothing tells which.
    """
    said = {
        word: {each.row_id for each in unsigned if each.label == word} for word in ("yes", "no")
    }
    return said["yes"] & said["no"]


def _about(label: IncomingLabel) -> str | int:
    return label.line or label.uri or f"row {label.row_id}"


def _row_of(label: IncomingLabel, find: Finding, has_row: Callable[[int], bool]) -> int:
    if label.uri is not None:
        found = find(label)
        if found is None:
            raise BadRequest(
                "uri",
                "it is not in this lake; if the tool shortened its name, say from where (root)",
            )
        return found
    if label.row_id is None or not has_row(label.row_id):
        raise BadRequest("row_id", f"{label.row_id} is no row of this lake")
    return label.row_id


def _row_in_table(label: IncomingLabel, find: Finding, has_row: Callable[[int], bool]) -> int:
    uri, row_id = label.uri or "", label.row_id
    if row_id is not None:
        if not has_row(row_id):
            raise BadRequest("row_id", f"'{row_id}' is no row of this lake")
        # none: the image has moved since, its row_id stayed
        named = _rows_named(label, find) if uri else set()
        if named and row_id not in named:
            raise BadRequest(
                "row_id", f"row {row_id} is not {quoted(uri)}; take one of the two out"
            )
        return row_id
    found = find(label)
    if found is None:
        below = "" if is_uri(uri) else "; if it is below a folder, say which (root)"
        raise BadRequest("uri", f"{quoted(uri)} is not in this lake{below}")
    return found


def _rows_named(label: IncomingLabel, find: Finding) -> frozenset[int] | set[int]:
    try:
        found = find(label)
    except AmbiguousName as error:
        return error.row_ids
    return set() if found is None else {found}
