"""Bring a lake up to date with its sources from here, and see how far any writer of it is."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from indexer.disk.writer_note import Stage, Writer
from service.api.answers import Refused
from service.api.routes.lakes import ERRORS, LakeName
from service.api.schemas import ErrorAnswer
from service.api.serving.hub import ServedLake
from service.api.serving.syncs import Syncing, Syncs

router = APIRouter(prefix="/v1/lakes", tags=["lakes"])

BEGINNING: dict[int | str, dict[str, Any]] = {**ERRORS, 503: {"model": ErrorAnswer}}
STOPPING: dict[int | str, dict[str, Any]] = {**ERRORS, 409: {"model": ErrorAnswer}}
# What of a sync's report is told: numbers, and sentences.
REPORTED = ("new", "changed", "moved", "gone", "unchanged", "skipped", "in_motion", "rows")
SAID = ("interrupted", "problems", "notes")


class StageFacts(BaseModel):
    name: str = Field(description="As `listing` or `indexing`.")
    done: int
    total: int | None = Field(description="Null while it is not known.")
    more: bool = Field(description="The total still grows, since the listing goes on.")
    skipped: int
    unit: str | None = Field(description="What is counted; null: images.")
    rate: float | None = Field(description="A second, since the stage began.")
    left_s: float | None = Field(description="Seconds until the stage ends at this rate.")


class EndedFacts(BaseModel):
    began_at: str
    ended_at: str
    failure: str | None = Field(description="Why it did not come to an end, as a sentence.")
    new: int | None
    changed: int | None
    moved: int | None
    gone: int | None
    unchanged: int | None
    skipped: int | None
    in_motion: int | None = Field(
        description="Files that were still being written, left to the next."
    )
    rows: int | None = Field(description="Live images afterwards.")
    interrupted: bool | None
    problems: list[str] | None
    notes: list[str] | None


class SyncAnswer(BaseModel):
    lake: str
    state: str = Field(description="`idle`, `beginning` or `writing`.")
    by: str | None = Field(description="Who writes, as `lakesift index` on a machine.")
    since: str | None
    ours: bool = Field(description="A sync that was begun here; only such a one can be stopped.")
    stage: StageFacts | None
    ended: EndedFacts | None = Field(
        description="How the last sync that was begun here ended; null while one is under way."
    )


@router.get(
    "/{lake}/sync",
    response_model=SyncAnswer,
    responses=ERRORS,
    summary="Whether a lake is being written, and how far that is",
)
def see_sync(request: Request, lake: LakeName) -> Response:
    """Whoever writes it, from here or from a terminal; and how the last sync from here ended."""
    served, syncs = _of(request, lake)
    return _answer(served, syncs.told(served.lake.folder))


@router.post(
    "/{lake}/sync",
    response_model=SyncAnswer,
    responses=BEGINNING,
    status_code=202,
    summary="Bring a lake up to date with its sources",
)
def begin_sync(
    request: Request,
    lake: LakeName,
    retry_skipped: Annotated[
        bool, Query(description="Try files again that could not be read, changed or not.")
    ] = False,
) -> Response:
    """Begins what `lakesift sync` does, in a process of its own. `GET` tells how far it is; new
    images are found as they are committed.
    """
    served, syncs = _of(request, lake)
    return _answer(served, syncs.begin(served.lake.folder, retry_skipped=retry_skipped), 202)


@router.delete(
    "/{lake}/sync",
    response_model=SyncAnswer,
    responses=STOPPING,
    status_code=202,
    summary="Stop a sync that was begun here",
)
def stop_sync(request: Request, lake: LakeName) -> Response:
    """It ends after a last commit; the next one goes on from there."""
    served, syncs = _of(request, lake)
    if not syncs.stop(served.lake.folder):
        raise Refused(409, "no_sync", "no sync that was begun here is under way")
    return _answer(served, syncs.told(served.lake.folder), 202)


def _of(request: Request, lake: str) -> tuple[ServedLake, Syncs]:
    syncs: Syncs = request.app.state.syncs
    return request.app.state.hub.lake(lake), syncs


def _answer(served: ServedLake, told: Syncing, status: int = 200) -> Response:
    writer = told.writer
    stage = writer.stage if writer is not None else None
    answer = {
        "lake": served.name,
        "state": "writing" if writer is not None else "beginning" if told.is_ours else "idle",
        "by": _who(writer) if writer is not None else None,
        "since": writer.since if writer is not None else None,
        "ours": told.is_ours,
        "stage": _stage(stage) if stage is not None else None,
        "ended": _ended(told),
    }
    return Response(orjson.dumps(answer), status, media_type="application/json")


def _who(writer: Writer) -> str:
    """Without what the command was given: who may read need not know its folders."""
    return f"`{' '.join(writer.command.split()[:2])}` on {writer.host}"


def _stage(stage: Stage) -> dict[str, Any]:
    own = ("name", "done", "total", "more", "skipped", "unit", "rate", "left_s")
    return {name: getattr(stage, name) for name in own}


def _ended(told: Syncing) -> dict[str, Any] | None:
    ended = told.ended
    if ended is None:
        return None
    report = ended.report or {}
    return {
        "began_at": ended.began_at,
        "ended_at": ended.ended_at,
        "failure": ended.failure,
        **{name: report.get(name) for name in (*REPORTED, *SAID)},
    }
