"""Is it alive, can it answer, what has it done."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from indexer.errors import LakeError, ModelUnknown
from service.api.schemas import Ready
from service.api.serving.hub import ServedLake

router = APIRouter(tags=["health"])

EMBED_TIMEOUT_S = 20.0
LEAVING = "the service is stopping; ask another one"


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
    embedded a text; a kept vector does not count. A service that is stopping is not ready.
    """
    if request.app.state.is_leaving:
        stopping = {served.name: LEAVING for served in request.app.state.hub.lakes}
        return JSONResponse({"ready": False, "lakes": stopping}, 503)
    lakes = {served.name: _state(served) for served in request.app.state.hub.lakes}
    ready = all(state == "ok" for state in lakes.values())
    return JSONResponse({"ready": ready, "lakes": lakes}, 200 if ready else 503)


def _state(served: ServedLake) -> str:
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
