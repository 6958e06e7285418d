"""What an engine can be asked of a row's columns: a small tree, which an adapter writes in its own
language. Its logic is SQL's, with NULL for unknown.

Values are data, never text of a query: an adapter sends them as parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# A column's name, or a struct column's and its field's: ("place", "latitude").
Path: TypeAlias = tuple[str, ...]
# Of a time: the steps of its column's type since 1970.
Value: TypeAlias = int | float | str | bool
Sign: TypeAlias = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compared:
    """NaN equals NaN and is larger than every number; texts are in the order of their bytes."""

    column: Path
    sign: Sign
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    column: Path
    values: tuple[Value, ...]  # at least one


@dataclass(frozen=True, slots=True)
class Like:
    """% is any run of characters, _ is one; a backslash makes the next one stand for itself."""

    column: Path
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    column: Path


@dataclass(frozen=True, slots=True)
class Holds:
    """A column of true and false, as it stands."""

    column: Path


@dataclass(frozen=True, slots=True)
class Every:
    terms: tuple[Predicate, ...]  # at least one


@dataclass(frozen=True, slots=True)
class Either:
    terms: tuple[Predicate, ...]  # at least one


@dataclass(frozen=True, slots=True)
class Negated:
    term: Predicate


@dataclass(frozen=True, slots=True)
class Is:
    """Whether a predicate is true, false or unknown (None): never unknown itself."""

    term: Predicate
    wanted: bool | None


Predicate: TypeAlias = Compared | OneOf | Like | IsNull | Holds | Every | Either | Negated | Is
