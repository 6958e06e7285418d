"""What a `where` calls what it can ask of groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.tags.names import beside

NAMES = ("group", "group_size", "is_best")


def names_of_groups(columns: Iterable[str]) -> Mapping[str, str]:
    """How a `where` asks for each of NAMES: as it is called, beside a user's own column of that
    name `lakesift_group`.
    """
    known = tuple(columns)
    return {beside(name, known): name for name in NAMES}


def where_others(columns: Iterable[str], group: int | None = None) -> str:
    """A `where` that all but the best of each group pass, or of that group alone: by the names that
    groups have beside these columns.

    :param group: its number, the row_id of the one in its middle; None: of all groups.
    """
    known = tuple(columns)
    others = f"NOT {beside('is_best', known)}"
    return others if group is None else f"{beside('group', known)} = {group} AND {others}"
