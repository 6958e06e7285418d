"""In which order hits and rows come: by match, date, path, at random, or by a column.

Knows no snapshot, so that `lakesift --help` can read it at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from indexer.errors import BadRequest

if TYPE_CHECKING:
    import pyarrow as pa

Key: TypeAlias = Literal["match", "date", "path", "random", "column"]

# What a name means that is not in double quotes; a column of such a name is written in them.
WORDS: tuple[Key, ...] = ("match", "date", "path", "random")
MAX_CHARS = 1_000
MAX_SEED = 2**53 - 1  # JSON's readers have no more exactly
_SEED = re.compile(r"random:(\d{1,16})")
_QUOTED = re.compile(r'"((?:[^"]|"")+)"')


@dataclass(frozen=True, slots=True)
class Sort:
    """One order of the rows; those without a value come last, ties by rising row_id."""

    by: Key
    is_down: bool = False
    column: str = ""  # of `column`, as `where` names it: camera, or place.latitude
    seed: int = 0  # of `random`: another one, another order

    @classmethod
    def parse(cls, text: str) -> Sort:
        """Understand `date`, `date:down`, `random`, `random:17`, `width_px:up` or `"path":down`.

        Without a direction it is rising, but for `match`, whose best comes first.

        :raises BadRequest: if it is none of these.
        """
        if len(text) > MAX_CHARS:
            raise BadRequest("sort", f"it has {len(text):,} characters, {MAX_CHARS:,} are allowed")
        if seed := _SEED.fullmatch(text):
            if int(seed[1]) > MAX_SEED:
                raise BadRequest("sort", f"{seed[1]} is no seed; one is 0 to {MAX_SEED}")
            return cls("random", seed=int(seed[1]))
        name, direction = _parted(text)
        if not name:
            raise BadRequest("sort", f"{text!r} names nothing to sort by; {_WAY_OUT}")
        if quoted := _QUOTED.fullmatch(name):
            column = quoted[1].replace('""', '"')
            return cls("column", direction == "down", column)
        for word in WORDS:
            if name == word == "random" and direction is not None:
                raise BadRequest("sort", "random has no direction; random:17 is another order")
            if name == word:
                return cls(word, direction == "down" or (word == "match" and direction is None))
        return cls("column", direction == "down", name)

    @property
    def said(self) -> str:
        """As `parse` takes it."""
        if self.by == "random":
            return f"random:{self.seed}"
        direction = "down" if self.is_down else "up"
        return f"{quoted_if(self.column) if self.by == 'column' else self.by}:{direction}"

    @property
    def is_best_first(self) -> bool:
        """Whether it is the order that a search has anyway."""
        return self.by == "match" and self.is_down

    def find(self, schema: pa.Schema) -> tuple[str, ...]:
        """The column's path in a lake's schema.

        :raises BadRequest: if there is none, or it holds nothing that has an order.
        """
        import pyarrow as pa

        from service.search.single_column import single_column

        name, found = single_column("sort", self.column, schema)
        if pa.types.is_binary(found.type):
            raise BadRequest("sort", f"{found.said} holds bytes, which have no order; {_WAY_OUT}")
        return (name, *found.said.removeprefix(name).split(".")[1:])


def quoted_if(column: str, words: Collection[str] = WORDS) -> str:
    """A column's name as `parse` takes it, in double quotes where it would mean something else."""
    is_plain = column not in words and '"' not in column and ":" not in column
    return column if is_plain else '"' + column.replace('"', '""') + '"'


def _parted(text: str) -> tuple[str, str | None]:
    name, colon, direction = text.rpartition(":")
    return (name, direction) if colon and direction in ("up", "down") else (text, None)


_WAY_OUT = "sort by match, date, path, random or a column, with :up or :down behind it"
