"""The groups of near-identical images of a lake, a page at a time."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.alike.live import GroupOfRows, LiveGroups
from service.alike.names import where_others
from service.api.schemas import ErrorAnswer
from service.api.serving.hub import ServedLake

MOST_GROUPS = 200  # of a page
MOST_ROWS = 200  # told of one group

router = APIRouter(prefix="/v1/lakes/{lake}/groups", tags=["groups"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 422, 429, 503)
}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]


class GroupFacts(BaseModel):
    group: int = Field(description="As a `where` asks for it: the row_id of the one in the middle.")
    size: int = Field(description="Images of it.")
    row_ids: list[int] = Field(description="The best first; 200 at most.")
    others: str = Field(description="A `where` that all but its best pass.")


class GroupsMadeFacts(BaseModel):
    """When the groups were made, and what came of it."""

    snapshot: int
    made_at: str = Field(description="ISO 8601.")
    bits: int = Field(description="Of 64, those that two perceptual hashes may differ in.")
    threshold: float = Field(description="Least cosine of two vectors.")
    rows: int = Field(description="Images that were compared and are still there.")
    groups: int = Field(description="Of two images and more.")
    copies: int = Field(description="Images that are not the best of their group.")
    since: int = Field(description="Images that were not compared; most came later.")
    others: str = Field(description="A `where` that all but the best of each group pass.")


class GroupsAnswer(BaseModel):
    snapshot: int
    made: GroupsMadeFacts | None = Field(
        description="Null: nobody grouped the images yet; `lakesift curate groups` does."
    )
    groups: list[GroupFacts] = Field(description="The largest first.")
    next_offset: int | None = Field(description="Null: nothing follows.")


@router.get("", response_model=GroupsAnswer, responses=ERRORS, summary="Near-identical images")
def list_groups(
    request: Request,
    lake: LakeName,
    k: Annotated[int, Query(ge=1, le=MOST_GROUPS)] = 20,
    offset: Annotated[int, Query(ge=0, lt=2**53, description="Groups to pass over.")] = 0,
) -> Response:
    """Groups of two images and more, as `lakesift curate groups` made them last; rows that are gone
    since count no more.
    """
    served: ServedLake = request.app.state.hub.lake(lake)
    snapshot = served.lake.snapshot
    groups, names = snapshot.alike(), snapshot.schema.names
    page = [] if groups is None else groups.page(offset, k)
    follows = groups is not None and offset + k < groups.count
    answer = {
        "snapshot": snapshot.number,
        "made": None if groups is None else _made(groups, where_others(names)),
        "groups": [_facts(each, where_others(names, each.group)) for each in page],
        "next_offset": offset + k if follows else None,
    }
    return Response(orjson.dumps(answer), media_type="application/json")


def _made(groups: LiveGroups, others: str) -> dict[str, Any]:
    about = groups.about
    return {
        "snapshot": about.snapshot,
        "made_at": about.made_at,
        "bits": about.bits,
        "threshold": about.threshold,
        "rows": len(groups.row_ids),
        "groups": groups.count,
        "copies": groups.copies,
        "since": groups.since,
        "others": others,
    }


def _facts(group: GroupOfRows, others: str) -> dict[str, Any]:
    row_ids = list(group.row_ids[:MOST_ROWS])
    size = len(group.row_ids)
    return {"group": group.group, "size": size, "row_ids": row_ids, "others": others}
