"""What a lake is made of: its sources, what was skipped and why, its formats, its snapshots."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.about import REASONS, SKIPPED_SHOWN, SNAPSHOTS, about
from service.api.routes.lakes import ERRORS, LakeName
from service.api.serving.hub import ServedLake

router = APIRouter(prefix="/v1/lakes", tags=["lakes"])


class SourceFacts(BaseModel):
    uri: str
    kind: str | None = Field(
        description="imported: rows and vectors that another tool made; null: listed at each sync."
    )
    layout: str | None = Field(description="How it is read, where somebody said so, as `classes`.")
    columns: str | None = Field(description="The table that is joined to its images.")
    frames: str | None = Field(description="Of videos: which frames are rows, as `1s` or `key`.")
    rows: int = Field(description="Live images of it.")


class FormatFacts(BaseModel):
    format: str | None = Field(description="Null: imported, and the image was not read yet.")
    rows: int


class SkippedReason(BaseModel):
    reason: str
    files: int


class SkippedFile(BaseModel):
    uri: str
    reason: str
    when: str


class SkippedFacts(BaseModel):
    """What could not be read; each file is tried again when it changes."""

    files: int
    reasons: list[SkippedReason] = Field(
        description=f"Those of most files first, at most {REASONS}."
    )
    more_reasons: int = Field(description="Different ones beyond these.")
    shown: list[SkippedFile] = Field(description=f"The latest first, at most {SKIPPED_SHOWN}.")


class SnapshotFacts(BaseModel):
    snapshot: int
    committed_at: str
    rows: int


class AboutAnswer(BaseModel):
    lake: str
    snapshot: int
    committed_at: str = Field(
        description="When this snapshot was written. A sync that finds nothing new writes none."
    )
    rows: int
    format: int = Field(description="Of the lake's folder.")
    made_by: str
    model: str
    dim: int
    fingerprint: dict[str, str | int] = Field(description="What a query's model must be.")
    size_bytes: int = Field(description="Of the snapshot's files; older snapshots come on top.")
    segments: int
    sources: list[SourceFacts]
    other_rows: int = Field(description="Live images of sources that the lake no longer names.")
    formats: list[FormatFacts] = Field(description="Those of most images first.")
    skipped: SkippedFacts
    snapshots: list[SnapshotFacts] = Field(
        description=f"Those that `vacuum` left, the latest first, at most {SNAPSHOTS}."
    )
    problems: list[str] = Field(description="What is damaged or out of reach, a sentence each.")


@router.get(
    "/{lake}/about",
    response_model=AboutAnswer,
    responses=ERRORS,
    summary="What a lake is made of",
)
def about_lake(request: Request, lake: LakeName) -> Response:
    """Its sources with their images, what was skipped and why, formats, model, size, snapshots."""
    served: ServedLake = request.app.state.hub.lake(lake)
    told = about(served.lake.snapshot).to_json()
    answer = {"lake": served.name, **told, "problems": list(served.problems)}
    return Response(orjson.dumps(answer), media_type="application/json")
