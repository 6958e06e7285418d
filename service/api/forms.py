"""Multipart forms under the very limits of requests in JSON. Knows no routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from indexer.errors import BadRequest

LONGEST_FIELD = 100  # characters of an unknown field that are said back
Said = TypeVar("Said", bound=BaseModel)


def only_fields(known: Collection[str], way_out: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that refuses fields a form has no use for:
    forms are read field by field, so a misspelt one would be passed over.

    :param way_out: what to send instead, the end of a sentence.
    """

    async def check(request: Request) -> None:
        unknown = set(await request.form()) - set(known)
        if unknown:
            raise BadRequest(
                sorted(unknown)[0][:LONGEST_FIELD], f"there is no such field; {way_out}"
            )

    return check


def json_of(field: str, text: str) -> Any:
    """What a field of a form says in JSON.

    :raises BadRequest: if it is not JSON.
    """
    try:
        return from_json(text)
    except ValueError as error:
        raise BadRequest(field, f"it is not JSON ({error})") from None


def checked(model: type[Said], said: dict[str, Any]) -> Said:
    """What a form said, as the request in JSON would be checked.

    :raises RequestValidationError: naming the first field that is wrong.
    """
    try:
        return model.model_validate(said)
    except ValidationError as error:
        mistakes = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(mistakes) from None
