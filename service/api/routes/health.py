"""Is it alive, can it answer, what has it done."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from indexer.errors import LakeError, ModelUnknown
from service.api.schemas import Ready
from service.api.serving.hub import ServedLake

router = APIRouter(tags=["health"])

EMBED_TIMEOUT_S = 20.0


@router.get("/healthz", summary="The process answers")
async def healthz() -> dict[str, bool]:  # needs no thread: it answers where all of them wait
    return {"alive": True}


@router.get(
    "/readyz",
    response_model=Ready,
    responses={503: {"model": Ready}},
    summary="A search would succeed now",
)
def readyz(request: Request) -> JSONResponse:
    """Ready means that every lake is open and its model has just
    embedded a text; a kept vector does not count. Where searches need an engine, it answers, too.
    """
    lakes = {served.name: _state(served) for served in request.app.state.hub.lakes}
    ready = all(state == "ok" for state in lakes.values())
    answer: dict[str, Any] = {"ready": ready, "lakes": lakes}
    with_engine = [each for each in request.app.state.hub.lakes if each.engine is not None]
    if with_engine:
        answer["engines"] = {served.name: _engine_state(served) for served in with_engine}
    return JSONResponse(answer, 200 if ready else 503)


def _engine_state(served: ServedLake) -> str:
    """As it was found a moment ago: who asks whether we are ready is not to wait for it."""
    assert served.engine is not None
    return "ok" if served.engine.trouble is None else "it cannot be asked; the log says why"


def _state(served: ServedLake) -> str:
    engine = served.engine
    if engine is not None and engine.outage == "503" and engine.trouble is not None:
        return "its engine cannot be asked; the log says why"
    try:
        works = served.embedder().works(EMBED_TIMEOUT_S)
    except ModelUnknown:  # by row and by vector it answers all it ever will
        return "ok"
    except LakeError as error:
        return str(error)
    return (
        "ok" if works else f"its model {served.lake.manifest.model_id} does not embed; see the log"
    )


@router.get("/metrics", summary="Counters in Prometheus's form", response_class=Response)
def metrics(request: Request) -> Response:
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)
