"""Is it alive, can it answer, what has it done."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from indexer.errors import LakeError, ModelUnknown
from service.api.door.access import IN_SCOPE
from service.api.schemas import Ready
from service.api.serving.hub import ServedLake

router = APIRouter(tags=["health"])

EMBED_TIMEOUT_S = 20.0
TOLD_S = 1.0
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
    Where searches need an engine, it answers, too.
    Where keys are asked for, who has none is told of the whole alone, and no lake is named.
    """
    state, access = request.app.state, request.scope[IN_SCOPE]
    if access.key_needed and access.key_of(request) is None:
        # What watches the service has no key; strangers, who have none either, cost an embed a
        # second at most, and learn no names.
        before = state.ready_told
        if before is None or time.monotonic() - before.at_s > TOLD_S:
            before = state.ready_told = _Told(time.monotonic(), _is_ready(_lakes(request)))
        return _answer({}, is_ready=before.is_ready and not state.is_leaving)
    lakes = _lakes(request)
    with_engine = [each for each in state.hub.lakes if each.engine is not None]
    engines = {served.name: _engine_state(served) for served in with_engine}
    return _answer(lakes, engines, is_ready=_is_ready(lakes))


class _Told(NamedTuple):
    at_s: float
    is_ready: bool


def _lakes(request: Request) -> dict[str, str]:
    """Name -> ok, or why it is not ready."""
    state = request.app.state
    return {
        served.name: LEAVING if state.is_leaving else _state(served) for served in state.hub.lakes
    }


def _is_ready(lakes: dict[str, str]) -> bool:
    return all(state == "ok" for state in lakes.values())


def _answer(
    lakes: dict[str, str], engines: dict[str, str] | None = None, *, is_ready: bool
) -> JSONResponse:
    answer: dict[str, Any] = {"ready": is_ready, "lakes": lakes}
    if engines:
        answer["engines"] = engines
    return JSONResponse(answer, 200 if is_ready else 503)


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
