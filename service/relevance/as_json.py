"""An answer of a filter: a frozen dataclass with one form in JSON.

Python reads attributes. The command line and HTTP print `to_json`, and HTTP's schemas are made from
the same fields, so that a field and what is said about it are written once. Knows no answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field
from typing import Any, ClassVar


class AsJson:
    """A base of frozen dataclasses whose fields are those of a JSON object, in its order."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    # For OpenAPI: `to_json` writes every field, those with a default too.
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "json_schema_serialization_defaults_required": True
    }

    def to_json(self) -> dict[str, Any]:
        """The JSON object: every field in its order, and those of the answers within."""
        return {name: _json(getattr(self, name)) for name in self.__dataclass_fields__}

    def __getitem__(self, name: str) -> Any:
        """A field by its name in JSON: scripts from when answers were dicts go on.

        :raises KeyError: if there is none of this name.
        """
        if name not in self.__dataclass_fields__:
            raise KeyError(name)
        return getattr(self, name)


def told(description: str) -> dict[str, str]:
    """What OpenAPI says of a field, as `field(metadata=told(...))`."""
    return {"description": description}


def _json(value: Any) -> Any:
    if isinstance(value, AsJson):
        return value.to_json()
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _json(each) for name, each in value.items()}
    return value
