"""The fields of a JSON object, taken out one by one with their types checked:
what reads files that people may edit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


class Fields:
    """The fields of one JSON object. A complaint is a ValueError that
    names the field; `end` names what is too much.
    """

    def __init__(self, value: Any, name: str = "") -> None:
        """:param name: of the object in the whole document,
        for the complaints; "" for the document itself.
        """
        self._name = name
        if not isinstance(value, Mapping):
            raise ValueError(f"{name or 'it'} is not a JSON object")
        self._values = dict(value)

    @classmethod
    def parse(cls, text: bytes | str) -> Fields:
        """:raises ValueError: if text is not one JSON object in UTF-8;
        NaN and Infinity are not JSON.
        """
        try:
            return cls(json.loads(text, parse_constant=_refuse))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def path(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def has(self, name: str) -> bool:
        """True where the field is there and not null."""
        return self._values.get(name) is not None

    def take(self, name: str) -> Any:
        if name not in self._values:
            raise ValueError(f"it has no field {self.path(name)}")
        return self._values.pop(name)

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str):
            raise ValueError(f"{self.path(name)} is not a text")
        return value

    def whole(self, name: str, at_least: int = 0) -> int:
        return whole(self.take(name), self.path(name), at_least)

    def number(self, name: str) -> float:
        return number(self.take(name), self.path(name))

    def items(self, name: str) -> list[Any]:
        value = self.take(name)
        if not isinstance(value, list):
            raise ValueError(f"{self.path(name)} is not a list")
        return value

    def inner(self, name: str) -> Fields:
        return Fields(self.take(name), self.path(name))

    def maybe_text(self, name: str) -> str | None:
        return self.text(name) if self._filled(name) else None

    def maybe_whole(self, name: str, at_least: int = 0) -> int | None:
        return self.whole(name, at_least) if self._filled(name) else None

    def maybe_number(self, name: str) -> float | None:
        return self.number(name) if self._filled(name) else None

    def maybe_inner(self, name: str) -> Fields | None:
        return self.inner(name) if self._filled(name) else None

    def rest(self) -> dict[str, Any]:
        """What was not taken yet, as it is: of an object of any fields."""
        return dict(self._values)

    def maybe_mapping(self, name: str) -> dict[str, Any] | None:
        """The object as it is, of any fields."""
        return self.inner(name).rest() if self._filled(name) else None

    def _filled(self, name: str) -> bool:
        """Whether a field that may be null is not; it must be there either way."""
        return self.has(name) or self.take(name) is not None

    def end(self) -> None:
        """:raises ValueError: if a field was not taken: whoever wrote it meant something by it."""
        if self._values:
            raise ValueError(f"it has the unknown field {self.path(min(self._values))}")


def whole(value: Any, name: str, at_least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value < 2**53:
        raise ValueError(f"{name} is not a whole number from {at_least}")
    return value


def number(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not _finite(value):
        raise ValueError(f"{name} is not a finite number")
    return float(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        return False


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
