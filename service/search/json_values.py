"""What JSON says of a query: each value is checked, and told by its field where it is wrong."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_origin, get_type_hints

from indexer.errors import BadRequest

if TYPE_CHECKING:
    from indexer.arrays import Vectors

Object = TypeVar("Object")

_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    Mapping: "an object",
}


def checked(field: str, value: Any, kind: Any) -> Any:
    """The value, if JSON would have it so."""
    kind = Mapping if is_dataclass(kind) else get_origin(kind) or kind
    kinds = (int, float) if kind is float else kind
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        raise BadRequest(field, f"it is {type(value).__name__}, where {_WORDS[kind]} is wanted")
    return value


def object_of(field: str, kind: type[Object], said: Mapping[str, Any]) -> Object:
    """A dataclass of what JSON says, which has to name each of its fields."""
    kinds = get_type_hints(kind)
    if set(said) != set(kinds):
        written = ", ".join(f'"{name}": ...' for name in kinds)
        raise BadRequest(field, f"write it as {{{written}}}")
    return kind(**{name: checked(f"{field}.{name}", said[name], kinds[name]) for name in kinds})


def examples(
    said: Mapping[str, Any], field: str, name: str, kind: type
) -> tuple[tuple[Any, float], ...]:
    """Of ["a cat", {"text": "rain", "weight": -1}]: ("a cat", 1.0), ("rain", -1.0)."""
    found = []
    for number, item in enumerate(checked(field, said.get(field, []), list)):
        at = f"{field}[{number}]"
        example = item if isinstance(item, Mapping) else {name: item}
        if name not in example or set(example) - {name, "weight"}:
            raise BadRequest(at, f'write it as {{"{name}": ..., "weight": 1}}')
        weight = checked(f"{at}.weight", example.get("weight", 1.0), float)
        found.append((checked(f"{at}.{name}", example[name], kind), float(weight)))
    return tuple(found)


def numbers_of(text: str) -> list[float]:
    """The numbers of a vector in base64: float32, little-endian, as OpenAI's API writes them.

    :raises BadRequest: if it is no base64, no whole number of them, or one is not finite.
    """
    import numpy as np

    way_out = "send float32 numbers, little-endian, in base64, or a list of numbers"
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("vector", f"it is no base64; {way_out}") from None
    if not data:
        raise BadRequest("vector", f"it is empty; {way_out}")
    if len(data) % 4:
        raise BadRequest(
            "vector", f"its {len(data)} bytes are no float32 numbers of 4 bytes each; {way_out}"
        )
    numbers = np.frombuffer(data, "<f4")
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise BadRequest(
            "vector",
            f"its number {wrong[0]} (from 0) is {numbers[wrong[0]]}; send finite numbers alone",
        )
    return [float(number) for number in numbers]


def vector(numbers: Any) -> Vectors:
    """The vector, with 1 as its largest number where it is not of unit length:
    JSON has larger numbers than float32, and only the direction counts.

    :param numbers: a list, or a text as `numbers_of` takes it.
    """
    import numpy as np  # not at the top: the command's help needs none

    if isinstance(numbers, str):
        numbers = numbers_of(numbers)
    try:
        vector = np.array(checked("vector", numbers, list), np.float64)
    except (TypeError, ValueError):
        raise BadRequest("vector", "it is not a list of numbers") from None
    with np.errstate(over="ignore"):
        is_unit = abs(np.linalg.norm(vector) - 1) < 1e-6
    largest = np.abs(vector).max()
    return np.asarray(vector if is_unit or not largest else vector / largest, np.float32)
