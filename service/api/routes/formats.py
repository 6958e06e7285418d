"""The formats that there are, for whoever offers them to people."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.formats.format_list import FORMATS


class FormatFacts(BaseModel):
    name: str = Field(description="As a filter's `/export` takes it.")
    title: str = Field(description="For people.")
    writes: str = Field(description="What it makes of the images. Empty: nothing.")
    reads: str = Field(description="The file whose labels it takes back. Empty: none.")
    downloads: bool
    copies: bool = Field(
        description="It holds the images themselves, and is sent as it is made: no `Left-Out` says what it lacks."
    )


class FormatsAnswer(BaseModel):
    formats: list[FormatFacts]


router = APIRouter(prefix="/v1/formats", tags=["filters"])


@router.get("", response_model=FormatsAnswer, summary="What decisions are handed over as")
def formats() -> dict[str, Any]:
    """Of each format what it writes, and what file it takes labels back from. One that `downloads`
    is an answer of a filter's `/export`: a folder as a zip.
    """
    facts = FormatFacts.model_fields
    return {
        "formats": [{name: getattr(format, name) for name in facts} for format in FORMATS.values()]
    }
