"""Relevance filters: make one, teach it, audit it, apply it. Every handler works in a thread of its own."""

from __future__ import annotations

from typing import Annotated, Any, BinaryIO

import orjson
from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, UploadFile
from starlette.responses import FileResponse, Response

from indexer.errors import BadRequest
from service.api.downloads import download
from service.api.filter_schemas import (
    MAX_NEXT,
    ApplyAnswer,
    ApplyRequest,
    DecideAnswer,
    Decision,
    DeletedAnswer,
    ExamplesSaid,
    FilterAnswer,
    FilterFacts,
    FiltersAnswer,
    Format,
    LabelAnswer,
    LabelRequest,
    NewFilter,
    NextAnswer,
    NextRequest,
    PlanAnswer,
    ProgressAnswer,
    SamplesAnswer,
    TargetSaid,
    UndoAnswer,
    UndoRequest,
)
from service.api.schemas import ErrorAnswer
from service.api.uploaded import decide_uploads
from service.export import export_to
from service.relevance.definition import Target
from service.relevance.filters import Filter, Filters

router = APIRouter(prefix="/v1/lakes/{lake}/filters", tags=["filters"])

PARQUET = "application/vnd.apache.parquet"
ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (404, 410, 422, 429, 503)}
SENT: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (408, 413)}
TAKEN: dict[int | str, dict[str, Any]] = {409: {"model": ErrorAnswer, "description": "The name is taken."}}
UPLOADED: dict[int | str, dict[str, Any]] = {415: {"model": ErrorAnswer}}
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}},
        "description": "The ledger.",
    }
}

MEDIA = {"txt": "text/plain; charset=utf-8", "csv": "text/csv; charset=utf-8", "parquet": PARQUET}
EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("text/plain", "text/csv", PARQUET, "application/json")
        },
        "headers": {
            "Left-Out": {"schema": {"type": "integer"}, "description": "Images that it cannot name."}
        },
        "description": "The file.",
    }
}

LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]
FilterName = Annotated[str, Path(max_length=255, description="A filter's name.")]
Version = Annotated[int | None, Query(ge=1, lt=2**31, description="Left out: the latest.")]


def _json(answer: Any) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


def _filters(request: Request, lake: str) -> Filters:
    filters: Filters = request.app.state.filters.of(lake)
    return filters


def _filter(request: Request, lake: str, name: str) -> Filter:
    found: Filter = request.app.state.filters.get(lake, name)
    return found


@router.get("", response_model=FiltersAnswer, responses=ERRORS, summary="A lake's filters")
def list_filters(request: Request, lake: LakeName) -> Response:
    return _json(_filters(request, lake).to_json())


@router.post(
    "",
    status_code=201,
    response_model=FilterFacts,
    responses={**ERRORS, **SENT, **TAKEN},
    summary="Make a filter",
)
def create(request: Request, lake: LakeName, body: NewFilter) -> Response:
    """A draft, which ranks the lake's images and promises nothing yet. Teach it with `next` and `label`."""
    filters = _filters(request, lake)
    for side, said in (("keep", body.keep), ("drop", body.drop)):
        _check_rows(filters, side, said)
    made = filters.create(
        body.name,
        keep_texts=body.keep.texts,
        keep_rows=body.keep.row_ids,
        drop_texts=body.drop.texts,
        drop_rows=body.drop.row_ids,
        where=body.where or None,
        target=_target(body.target),
    )
    return Response(orjson.dumps(made.summary()), 201, media_type="application/json")


def _check_rows(filters: Filters, side: str, said: ExamplesSaid) -> None:
    for number, row_id in enumerate(said.row_ids):
        if filters.lake.snapshot.find(row_id) is None:
            raise BadRequest(f"{side}.row_ids[{number}]", f"there is no row {row_id} in this lake (any more)")


def _target(said: TargetSaid) -> Target:
    """With the recall that `lakesift filter new` takes where nothing is said."""
    recall = 0.95 if said.recall is None and said.precision is None else said.recall
    return Target(recall, said.precision, said.confidence)


@router.get("/{name}", response_model=FilterAnswer, responses=ERRORS, summary="One filter")
def show(request: Request, lake: LakeName, name: FilterName, version: Version = None) -> Response:
    found = _filter(request, lake, name)
    document = found.at(version).to_document()
    return _json({**document, "versions": found.versions(), "progress": found.progress()})


@router.delete(
    "/{name}", response_model=DeletedAnswer, responses=ERRORS, summary="Take a filter out of service"
)
def delete(request: Request, lake: LakeName, name: FilterName) -> Response:
    """Its files are kept, in `filters/.deleted`."""
    _filter(request, lake, name)
    filters = _filters(request, lake)
    place = filters.delete(name)
    return _json({"deleted": name, "kept_in": place.relative_to(filters.lake.folder).as_posix()})


@router.post(
    "/{name}/next", response_model=NextAnswer, responses={**ERRORS, **SENT}, summary="What to label next"
)
def next_rows(request: Request, lake: LakeName, name: FilterName, body: NextRequest) -> Response:
    """What is pending is asked again until it is answered. A POST, because the first request for audit begins one."""
    found = _filter(request, lake, name)
    return _json(found.next(body.n, body.purpose, again=body.again, budget=body.budget, assume=body.assume))


@router.post(
    "/{name}/label", response_model=LabelAnswer, responses={**ERRORS, **SENT}, summary="Save answers"
)
def label(request: Request, lake: LakeName, name: FilterName, body: LabelRequest) -> Response:
    """They are on the disk when this answers. Labels that are of no use are told, and cost the others nothing."""
    labels = [each.model_dump(exclude_none=True) for each in body.labels]
    return _json(_filter(request, lake, name).label(labels))


@router.post(
    "/{name}/undo", response_model=UndoAnswer, responses={**ERRORS, **SENT}, summary="Take back an answer"
)
def undo(request: Request, lake: LakeName, name: FilterName, body: UndoRequest) -> Response:
    """The last one: of a row, by a labeller, or at all. What that person said of the row before counts again."""
    return _json(_filter(request, lake, name).undo(body.row_id, body.labeller))


@router.get(
    "/{name}/audit", response_model=ProgressAnswer, responses=ERRORS, summary="Where labels and audit stand"
)
def audit(request: Request, lake: LakeName, name: FilterName) -> Response:
    found = _filter(request, lake, name)
    return _json({"filter": name, "version": found.definition.version, "progress": found.progress()})


@router.get(
    "/{name}/plan", response_model=PlanAnswer, responses=ERRORS, summary="What each line would cost in labels"
)
def plan(request: Request, lake: LakeName, name: FilterName) -> Response:
    """The arithmetic before anybody labels: a forecast, no promise."""
    return _json(_filter(request, lake, name).plan())


@router.post(
    "/{name}/apply", response_model=ApplyAnswer, responses={**ERRORS, **SENT}, summary="Decide every image"
)
def apply(request: Request, lake: LakeName, name: FilterName, body: ApplyRequest) -> Response:
    """With the promise; or `"refused": true`, why, what can be promised now, and about how many labels are missing.
    A refusal is an answer like another (200), and changes nothing."""
    found = _filter(request, lake, name)
    return _json(
        found.apply(ask=body.ask, recall=body.recall, confidence=body.confidence, assume=body.assume)
    )


async def only_decide_fields(request: Request) -> None:
    """Forms are read field by field, so a misspelt one would be passed over."""
    unknown = set(await request.form()) - {"files", "ask"}
    if unknown:
        raise BadRequest(sorted(unknown)[0][:100], "there is no such field; send files, and ask if you like")


@router.post(
    "/{name}/decide",
    response_model=DecideAnswer,
    responses={**ERRORS, **SENT, **UPLOADED},
    summary="Decide images that are not in the lake",
    dependencies=[Depends(only_decide_fields)],
)
def decide(
    request: Request,
    lake: LakeName,
    name: FilterName,
    files: Annotated[list[UploadFile], File(description="The images.")],
    ask: Annotated[bool, Form(description="True leaves images near the line to a person.")] = False,
) -> Response:
    """An answer for each file, in their order, by the latest version that was applied; one that cannot be read has an
    error, and costs the others nothing. Nothing is promised of new images; `drift` warns where their scores are not
    like those that were audited. The images are not kept."""
    served = request.app.state.hub.lake(lake)
    gate = _filter(request, lake, name).gate(ask=ask)
    return _json(decide_uploads(request.app.state, gate, files, served.embedder))


@router.get(
    "/{name}/samples",
    response_model=SamplesAnswer,
    responses=ERRORS,
    summary="Images of one decision near the line",
)
def samples(
    request: Request,
    lake: LakeName,
    name: FilterName,
    decision: Decision,
    n: Annotated[int, Query(ge=1, le=MAX_NEXT)] = 24,
) -> Response:
    return _json(_filter(request, lake, name).samples(decision, n))


@router.get(
    "/{name}/export",
    response_class=Response,
    responses={**ERRORS, **EXPORTED},
    summary="Hand over what was decided",
)
def export(
    request: Request,
    lake: LakeName,
    name: FilterName,
    decision: Annotated[list[Decision] | None, Query(description="Which images. Left out: keep.")] = None,
    format: Format = "csv",
    root: Annotated[
        str | None,
        Query(
            max_length=4096,
            description="The annotation tool's top folder, a path or URL; images are named below it.",
        ),
    ] = None,
    version: Version = None,
) -> Response:
    """Paths, a table, or a file for an annotation tool. Folders and tars are made by `lakesift filter export`."""
    found = _filter(request, lake, name)
    items, handover = found.items(*dict.fromkeys(decision or ["keep"]), version=version)

    def make(file: BinaryIO) -> int:
        report = export_to(file, items, handover, format, root=root, schema=items.schema)
        return len(report.skipped) + len(items.missing)

    file_name = f"{name}-{handover.version:06d}-{format}.{format if format in MEDIA else 'json'}"
    return download(make, file_name, MEDIA.get(format, "application/json"))


@router.get(
    "/{name}/ledger", response_class=Response, responses={**ERRORS, **FILE}, summary="Every image's decision"
)
def ledger(request: Request, lake: LakeName, name: FilterName, version: Version = None) -> FileResponse:
    """A Parquet file: row_id, uri, decision, score, probability, label, version."""
    path = _filter(request, lake, name).ledger_path(version)
    return FileResponse(path, media_type=PARQUET, filename=f"{name}-{path.stem}.parquet")
