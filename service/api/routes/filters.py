"""Relevance filters: make one, teach it, audit it, apply it.
Every handler works in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, BinaryIO, Literal

import orjson
from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, UploadFile
from starlette.responses import FileResponse, Response

from indexer.disk.filter_folders import check_name
from indexer.errors import BadRequest
from service.api.door.access import IN_SCOPE, Access
from service.api.downloads import download
from service.api.filter_schemas import (
    MAX_NEXT,
    ApplyAnswer,
    ApplyRequest,
    DeletedAnswer,
    FilterAnswer,
    Format,
    LabelRequest,
    NewFilter,
    NextRequest,
    ProgressAnswer,
    TargetSaid,
    UndoRequest,
)
from service.api.forms import checked, json_of, only_fields
from service.api.schemas import Decision, ErrorAnswer
from service.api.uploaded import decide_uploads, examples_of
from service.formats.exporting import export_to
from service.formats.format_list import FORMATS, downloads, what_each_writes
from service.relevance import Filter, Filters
from service.relevance.answers import (
    FilterFacts,
    FiltersAnswer,
    LabelAnswer,
    NextAnswer,
    UndoAnswer,
)
from service.relevance.as_json import AsJson
from service.relevance.decisions.answers import Order, SamplesAnswer
from service.relevance.definition import ExampleImage, Target
from service.relevance.gate.answers import DecideAnswer
from service.relevance.promise.progress import PlanAnswer
from service.relevance.reporting.costs import HIGHEST_PRICE, MAX_CURRENCY_CHARS, Prices
from service.where.where import Where

router = APIRouter(prefix="/v1/lakes/{lake}/filters", tags=["filters"])

PARQUET = "application/vnd.apache.parquet"
NEW_FIELDS = {*NewFilter.model_fields, "keep_images", "drop_images"}
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 410, 422, 429, 503)
}
SENT: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (408, 413)}
TAKEN: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": "The name is taken."}
}
NAMED: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorAnswer, "description": "labeller_not_yours: answers are the key's own."}
}
UPLOADED: dict[int | str, dict[str, Any]] = {415: {"model": ErrorAnswer}}
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}},
        "description": "The ledger.",
    }
}

EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in {format.media_type.partition(";")[0]: None for format in downloads()}
        },
        "headers": {
            "Left-Out": {
                "schema": {"type": "integer"},
                "description": "Images that it cannot name.",
            }
        },
        "description": "The file.",
    }
}

REPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/html": {"schema": {"type": "string"}},
        },
        "description": "The report.",
    }
}
Price = Annotated[
    float | None, Query(ge=0, le=HIGHEST_PRICE, allow_inf_nan=False, description="In one currency.")
]

LakeName = Annotated[str, Path(description="A lake's name, as GET /v1/lakes lists it.")]
FilterName = Annotated[str, Path(max_length=255, description="A filter's name.")]
Version = Annotated[int | None, Query(ge=1, lt=2**31, description="Left out: the latest.")]


def _json(answer: AsJson | dict[str, Any], status: int = 200) -> Response:
    document = answer.to_json() if isinstance(answer, AsJson) else answer
    return Response(orjson.dumps(document), status, media_type="application/json")


def _filters(request: Request, lake: str) -> Filters:
    filters: Filters = request.app.state.filters.of(lake)
    return filters


def _filter(request: Request, lake: str, name: str) -> Filter:
    found: Filter = request.app.state.filters.get(lake, name)
    return found


def _labeller(request: Request, said: set[str | None]) -> str | None:
    access: Access = request.scope[IN_SCOPE]
    return access.labeller(request, said)


@router.get("", response_model=FiltersAnswer, responses=ERRORS, summary="A lake's filters")
def list_filters(request: Request, lake: LakeName) -> Response:
    return _json(_filters(request, lake).listing())


@router.post(
    "",
    status_code=201,
    response_model=FilterFacts,
    responses={**ERRORS, **SENT, **TAKEN},
    summary="Make a filter",
)
def create(request: Request, lake: LakeName, body: NewFilter) -> Response:
    """A draft, which ranks the lake's images and promises nothing yet.
    Teach it with `next` and `label`.
    """
    filters = _filters(request, lake)
    _check_rows(filters, body)
    return _create(filters, body)


@router.post(
    "/upload",
    status_code=201,
    response_model=FilterFacts,
    responses={**ERRORS, **SENT, **TAKEN, **UPLOADED},
    summary="Make a filter with example images of one's own",
    dependencies=[Depends(only_fields(NEW_FIELDS, "/docs lists those there are"))],
)
def create_with_images(
    request: Request,
    lake: LakeName,
    name: Annotated[str, Form()],
    keep: Annotated[
        str | None, Form(description='JSON, as in making one: {"texts": ["a ward"]}')
    ] = None,
    drop: Annotated[str | None, Form(description='JSON, likewise: {"row_ids": [1]}')] = None,
    where: Annotated[str | None, Form()] = None,
    target: Annotated[str | None, Form(description='JSON, likewise: {"recall": 0.95}')] = None,
    keep_images: Annotated[list[UploadFile], File(description="Images like those wanted.")] = [],  # noqa: B006
    drop_images: Annotated[list[UploadFile], File(description="Images like those unwanted.")] = [],  # noqa: B006
) -> Response:
    """As making a filter, with images from outside the lake as further examples: of
    both sides together as many as a search by upload takes. Of each the filter
    keeps the name, the sha256 and the vector; not the image.
    """
    said: dict[str, Any] = {"name": name, "where": where}
    for field, text in (("keep", keep), ("drop", drop), ("target", target)):
        if text is not None:
            said[field] = json_of(field, text)
    body = checked(NewFilter, said)
    filters = _filters(request, lake)
    check_name(body.name)
    _check_rows(filters, body)
    snapshot = filters.lake.snapshot
    if body.where:
        Where.parse(body.where, snapshot.schema)  # before any image is decoded
    served = request.app.state.hub.lake(lake)
    shown = examples_of(request.app.state, snapshot, served.embedder, keep_images, drop_images)
    return _create(filters, body, *shown)


def _create(
    filters: Filters,
    body: NewFilter,
    keep_images: Sequence[ExampleImage] = (),
    drop_images: Sequence[ExampleImage] = (),
) -> Response:
    made = filters.create(
        body.name,
        keep_texts=body.keep.texts,
        keep_images=keep_images,
        keep_rows=body.keep.row_ids,
        drop_texts=body.drop.texts,
        drop_images=drop_images,
        drop_rows=body.drop.row_ids,
        where=body.where or None,
        target=_target(body.target),
    )
    return _json(made.summary(), 201)


def _check_rows(filters: Filters, body: NewFilter) -> None:
    for side, said in (("keep", body.keep), ("drop", body.drop)):
        for number, row_id in enumerate(said.row_ids):
            if filters.lake.snapshot.find(row_id) is None:
                raise BadRequest(
                    f"{side}.row_ids[{number}]", f"there is no row {row_id} in this lake (any more)"
                )


def _target(said: TargetSaid) -> Target:
    """With the recall that `lakesift filter new` takes where nothing is said."""
    recall = 0.95 if said.recall is None and said.precision is None else said.recall
    return Target(recall, said.precision, said.confidence)


@router.get("/{name}", response_model=FilterAnswer, responses=ERRORS, summary="One filter")
def show(request: Request, lake: LakeName, name: FilterName, version: Version = None) -> Response:
    found = _filter(request, lake, name)
    document = found.versions.at(version).to_document()
    applied = found.decisions.in_force()
    told = {
        "versions": found.versions.numbers(),
        "progress": found.progress().to_json(),
        "applied": None if applied is None else applied.to_json(),
    }
    return _json({**document, **told})


@router.delete(
    "/{name}",
    response_model=DeletedAnswer,
    responses=ERRORS,
    summary="Take a filter out of service",
)
def delete(request: Request, lake: LakeName, name: FilterName) -> Response:
    """Its files are kept, in `filters/.deleted`."""
    _filter(request, lake, name)
    filters = _filters(request, lake)
    place = filters.delete(name)
    return _json({"deleted": name, "kept_in": place.relative_to(filters.lake.folder).as_posix()})


@router.post(
    "/{name}/next",
    response_model=NextAnswer,
    responses={**ERRORS, **SENT},
    summary="What to label next",
)
def next_rows(request: Request, lake: LakeName, name: FilterName, body: NextRequest) -> Response:
    """What is pending is asked again until it is answered.
    A POST, because the first request for audit begins one.
    """
    found = _filter(request, lake, name)
    return _json(
        found.next(body.n, body.purpose, again=body.again, budget=body.budget, assume=body.assume)
    )


@router.post(
    "/{name}/label",
    response_model=LabelAnswer,
    responses={**ERRORS, **SENT, **NAMED},
    summary="Save answers",
)
def label(request: Request, lake: LakeName, name: FilterName, body: LabelRequest) -> Response:
    """They are on the disk when this answers.
    Labels that are of no use are told, and cost the others nothing.
    Where keys are asked for, the labeller is the key's name: 403 if another is said.
    """
    own = _labeller(request, {each.labeller for each in body.labels})
    labels = [each.model_dump(exclude_none=True) for each in body.labels]
    if own is not None:
        labels = [{**each, "labeller": own} for each in labels]
    return _json(_filter(request, lake, name).label(labels))


@router.post(
    "/{name}/undo",
    response_model=UndoAnswer,
    responses={**ERRORS, **SENT, **NAMED},
    summary="Take back an answer",
)
def undo(request: Request, lake: LakeName, name: FilterName, body: UndoRequest) -> Response:
    """The last one: of a row, by a labeller, or at all.
    What that person said of the row before counts again.
    Where keys are asked for, only one's own are taken back: 403 if another labeller is said.
    """
    own = _labeller(request, {body.labeller})
    return _json(_filter(request, lake, name).labels.undo(body.row_id, own or body.labeller))


@router.get(
    "/{name}/audit",
    response_model=ProgressAnswer,
    responses=ERRORS,
    summary="Where labels and audit stand",
)
def audit(request: Request, lake: LakeName, name: FilterName) -> Response:
    found = _filter(request, lake, name)
    version, progress = found.definition.version, found.progress().to_json()
    return _json({"filter": name, "version": version, "progress": progress})


@router.get(
    "/{name}/plan",
    response_model=PlanAnswer,
    responses=ERRORS,
    summary="What each line would cost in labels",
)
def plan(request: Request, lake: LakeName, name: FilterName) -> Response:
    """The arithmetic before anybody labels: a forecast, no promise."""
    return _json(_filter(request, lake, name).plan())


@router.post(
    "/{name}/apply",
    response_model=ApplyAnswer,
    responses={**ERRORS, **SENT},
    summary="Decide every image",
)
def apply(request: Request, lake: LakeName, name: FilterName, body: ApplyRequest) -> Response:
    """With the promise; or `"refused": true`, why, what can be promised now, and about how many
    labels are missing. A refusal is an answer like another (200), and changes nothing.
    """
    found = _filter(request, lake, name)
    return _json(
        found.apply(
            ask=body.ask, recall=body.recall, confidence=body.confidence, assume=body.assume
        )
    )


@router.post(
    "/{name}/decide",
    response_model=DecideAnswer,
    responses={**ERRORS, **SENT, **UPLOADED},
    summary="Decide images that are not in the lake",
    dependencies=[Depends(only_fields({"files", "ask"}, "send files, and ask if you like"))],
)
def decide(
    request: Request,
    lake: LakeName,
    name: FilterName,
    files: Annotated[list[UploadFile], File(description="The images.")],
    ask: Annotated[bool, Form(description="True leaves images near the line to a person.")] = False,
) -> Response:
    """An answer for each file, in their order, by the latest version that was
    applied; one that cannot be read has an error, and costs the others nothing.
    Nothing is promised of new images; `drift` warns where their scores are not
    like those that were audited. The images are not kept.
    """
    served = request.app.state.hub.lake(lake)
    gate = _filter(request, lake, name).gate(ask=ask)
    return _json(decide_uploads(request.app.state, gate, files, served.embedder))


@router.get(
    "/{name}/samples",
    response_model=SamplesAnswer,
    responses=ERRORS,
    summary="Some images of one decision",
)
def samples(
    request: Request,
    lake: LakeName,
    name: FilterName,
    decision: Decision,
    n: Annotated[int, Query(ge=1, le=MAX_NEXT)] = 24,
    order: Annotated[
        Order,
        Query(
            description="line: of those that their score decided, kept or dropped narrowly; random: "
            "of all, drawn anew, each with the same chance; people: of those that people's own answers "
            "decided, the ones that their score speaks against most."
        ),
    ] = "line",
    seed: Annotated[
        int | None, Query(ge=0, lt=2**53, description="Draws the same images again.")
    ] = None,
    offset: Annotated[
        int, Query(ge=0, lt=2**53, description="Images of that order to pass over: the next ones.")
    ] = 0,
) -> Response:
    """Each with the image most like it that is known to be wanted, and the one known not to be."""
    return _json(
        _filter(request, lake, name).samples(decision, n, order=order, seed=seed, offset=offset)
    )


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
    decision: Annotated[
        list[Decision] | None, Query(description="Which images. Left out: keep.")
    ] = None,
    format: Annotated[Format, Query(description=f"{what_each_writes(downloads())}.")] = "csv",
    root: Annotated[
        str | None,
        Query(
            max_length=4096,
            description="The annotation tool's top folder, a path or URL; images are named below it.",
        ),
    ] = None,
    raw_cells: Annotated[
        bool,
        Query(
            description="In csv, for programs: texts that a spreadsheet would run as formulas (= + - @) stand as they "
            "are. Left out: such a text has a ' before it, which our readers take off.",
        ),
    ] = False,
    version: Version = None,
) -> Response:
    """Paths, a table, or a file for an annotation tool.
    Folders and tars are made by `lakesift filter export`.
    """
    found = _filter(request, lake, name)
    items, handover = found.decisions.items(*dict.fromkeys(decision or ["keep"]), version=version)

    def make(file: BinaryIO) -> int:
        report = export_to(
            file, items, handover, format, root=root, schema=items.schema, raw_cells=raw_cells
        )
        return len(report.skipped) + len(items.missing)

    form = FORMATS[format]
    file_name = f"{name}-{handover.version:06d}-{format}{form.suffix}"
    return download(make, file_name, form.media_type)


@router.get(
    "/{name}/report",
    response_class=Response,
    responses={**ERRORS, **REPORTED},
    summary="What came of it",
)
def report(
    request: Request,
    lake: LakeName,
    name: FilterName,
    format: Annotated[
        Literal["json", "html"], Query(description="html: one file to mail, with pictures.")
    ] = "json",
    price: Price = None,
    label_price: Price = None,
    miss_price: Price = None,
    currency: Annotated[
        str | None, Query(max_length=MAX_CURRENCY_CHARS, description="As EUR.")
    ] = None,
) -> Response:
    """Images, promise or refusal, labels, money saved with what it is at least and at
    most, agreement, conflicts and examples. Without a price all is counted in
    annotations; a label costs half of one unless its price is said.
    """
    found, prices = (
        _filter(request, lake, name),
        Prices.of(price, miss_price, label_price, currency),
    )
    if format == "json":
        return _json(found.report(prices))
    page = found.report_page(prices, request.app.state.thumbnails.of)
    named = {"Content-Disposition": f'attachment; filename="{name}.html"'}
    return Response(page, media_type="text/html; charset=utf-8", headers=named)


@router.get(
    "/{name}/ledger",
    response_class=Response,
    responses={**ERRORS, **FILE},
    summary="Every image's decision",
)
def ledger(
    request: Request, lake: LakeName, name: FilterName, version: Version = None
) -> FileResponse:
    """A Parquet file: row_id, uri, decision, score, probability, label, version; and of
    what is known to be wanted and unwanted, the image most like each one: nearest_yes
    and nearest_no (row ids), with _image (names) and _cosine.
    """
    path = _filter(request, lake, name).decisions.ledger_path(version)
    return FileResponse(path, media_type=PARQUET, filename=f"{name}-{path.stem}.parquet")
