"""Finds the columns of a schema by the names a user writes in a `where`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from service.alike.live import LiveGroups
from service.alike.names import names_of_groups
from service.tags.names import asked_as, shown_as
from service.tags.tags import Tags
from service.where.grouped import group_column
from service.where.tagged import TagColumn
from service.where.values import Column, Mismatch, column

_NAMES_SHOWN = 30


class Columns:
    """Finds columns by the names a user writes, and remembers which were used."""

    def __init__(
        self,
        schema: pa.Schema,
        text: str | None = None,
        tags: Callable[[], Tags] | None = None,
        groups: Callable[[], LiveGroups | None] | None = None,
    ) -> None:
        """
        :param text: the SQL that the names stand in; None: a name stands alone.
        :param tags: called if they are asked for; None: this may not be asked of tags.
        :param groups: as tags; its answer is None where the lake has none yet.
        """
        self.schema = schema
        self.used: set[str] = set()
        self.tags_used: Tags | None = None
        self._text = text
        self._tags = tags
        self.groups_used: LiveGroups | None = None
        self.asked_of_groups: set[str] = set()  # as they are called
        self._groups = groups
        self._names_of_groups = names_of_groups(schema.names)
        self.name_of_tags = asked_as(schema.names)
        self._names_of_tags = {self.name_of_tags, shown_as(schema.names)}

    def has(self, name: str) -> bool:
        beside = name.lower() in self._names_of_tags or name.lower() in self._names_of_groups
        return beside or any(name.lower() == each.name.lower() for each in self.schema)

    def find(self, parts: list[str]) -> Column:
        """Find a column, or a field inside a struct column;
        a.b may also be one name with a dot in it.

        :raises Mismatch: if there is none, or more than one.
        """
        if len(parts) == 1 and parts[0].lower() in self._names_of_tags:
            return self._find_tags(parts[0])
        if len(parts) == 1 and parts[0].lower() in self._names_of_groups:
            return self._find_group(parts[0])
        if len(parts) > 1 and not self._has_fields(parts[0]) and self.has(".".join(parts)):
            parts = [".".join(parts)]
        fields = list(self.schema)
        is_quoted = None if self._text is None else f'"{parts[0]}"' in self._text
        path: list[str] = []
        for part in parts:
            found = _find_field(".".join([*path, part]), part, fields, is_quoted)
            path.append(found.name)
            fields = list(found.type) if pa.types.is_struct(found.type) else []
        self.used.add(path[0])
        return column(tuple(path), found.type)

    def _has_fields(self, name: str) -> bool:
        """Whether there is a column of this name that others are inside: `a.b` is of `a` then."""
        return any(
            each.name.lower() == name.lower() and pa.types.is_struct(each.type)
            for each in self.schema
        )

    def _find_tags(self, said: str) -> TagColumn:
        if self._tags is None:
            raise Mismatch(
                f"{self.name_of_tags} is not for filters: people tag at any time, and a promise is for images that "
                "stay the same; search and export by it instead"
            )
        if self.tags_used is None:
            self.tags_used = self._tags()
        return TagColumn.of(said, self.tags_used)

    def _find_group(self, said: str) -> Column:
        if self._groups is None:
            raise Mismatch(
                f"{said} is not for filters: groups are made anew at any time, and a promise is for images that stay "
                "the same; search and export by it instead"
            )
        if self.groups_used is None:
            self.groups_used = self._groups()
        if self.groups_used is None:
            raise Mismatch(
                f"{said} is of groups of near-identical images, and this lake has none yet; `lakesift curate groups "
                "LAKE` makes them"
            )
        self.asked_of_groups.add(said.lower())
        return group_column(said, self._names_of_groups[said.lower()])

    def find_named(self, name: str) -> Column:
        """Find what a name that stands alone means: camera, or place.latitude.

        :raises Mismatch: as `find` does.
        """
        return self.find([name] if name in self.schema.names else name.split("."))


def _find_field(
    said: str, name: str, fields: list[pa.Field[Any]], is_quoted: bool | None
) -> pa.Field[Any]:
    exact = [each for each in fields if each.name == name]
    alike = exact or [each for each in fields if each.name.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise Mismatch(
            f"more than one column is called {said}: {', '.join(each.name for each in alike)}"
        )
    prefix = said.removesuffix(name)
    nearest = _nearest(name, prefix, [each.name for each in fields], is_alone=is_quoted is None)
    raise Mismatch(f"there is no column {said}{nearest}{_QUOTED[bool(is_quoted)]}")


_QUOTED = {False: "", True: " (double quotes name a column, text is written in single quotes)"}


def _nearest(name: str, prefix: str, names: list[str], *, is_alone: bool) -> str:
    by_lower = {each.lower(): each for each in names}
    near = [
        prefix + by_lower[each] for each in difflib.get_close_matches(name.lower(), by_lower, n=3)
    ]
    if near:
        return f"; did you mean {' or '.join(near)}?"
    if not names:
        return ", and nothing is inside it"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    is_column = is_alone or prefix or "'" in name
    text = "" if is_column else f"; a text is written in single quotes: '{name}'"
    return f"; the columns are {', '.join(names[:_NAMES_SHOWN])}{more}{text}"
