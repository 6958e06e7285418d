"""Whether a lake is well."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api.schemas import ErrorAnswer
from service.api.serving.hub import ServedLake
from service.doctor.examine import examine_served

router = APIRouter(prefix="/v1/lakes/{lake}/doctor", tags=["lakes"])

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 422, 429, 503)
}
LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]


class FindingFacts(BaseModel):
    what: str = Field(description="As `files`, `source` or `model`.")
    ok: bool
    detail: str = Field(description="A sentence; of what is not well it names the way out.")


class DoctorAnswer(BaseModel):
    snapshot: int
    ok: bool = Field(description="All is well.")
    findings: list[FindingFacts]


@router.post(
    "",
    response_model=DoctorAnswer,
    responses=ERRORS,
    summary="Look whether a lake's files, rows, filters, sources and model are well",
)
def doctor(request: Request, lake: LakeName) -> Response:
    """As `lakesift doctor`, which with `--deep` reads every byte, too. Nothing is changed. It
    embeds photos again, looks at every source, and tells paths of this machine: so it takes a key
    of scope `write`. One request is worked out at a time; meanwhile others get 429.
    """
    served: ServedLake = request.app.state.hub.lake(lake)
    config = request.app.state.config
    with request.app.state.examining:
        findings = list(
            examine_served(
                served.lake,
                served.embedder,
                engine=config.engine or None,
                candidates=config.engine_candidates,
            )
        )
    document = {
        "snapshot": served.lake.snapshot.number,
        "ok": all(each.ok for each in findings),
        "findings": [each.to_json() for each in findings],
    }
    return Response(orjson.dumps(document), media_type="application/json")
