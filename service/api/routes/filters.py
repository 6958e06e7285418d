"""Relevance filters: make one, teach it, audit it, apply it.
Every handler works in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from starlette.responses import Response

from indexer.disk.filter_folders import check_name
from indexer.errors import BadRequest
from service.api.door.access import IN_SCOPE, Access
from service.api.filter_schemas import (
    ApplyAnswer,
    ApplyRequest,
    DeletedAnswer,
    FilterAnswer,
    LabelRequest,
    NewFilter,
    NextRequest,
    ProgressAnswer,
    TargetSaid,
    UndoRequest,
)
from service.api.forms import checked, json_of, only_fields
from service.api.routes.one_filter import (
    ERRORS,
    Currency,
    FilterName,
    LakeName,
    Price,
    Version,
    filter_of,
    in_json,
)
from service.api.schemas import ErrorAnswer
from service.api.uploaded import decide_uploads, examples_of
from service.relevance import Filters
from service.relevance.answers import (
    FilterFacts,
    FiltersAnswer,
    LabelAnswer,
    NextAnswer,
    TeamAnswer,
    UndoAnswer,
)
from service.relevance.definition import ExampleImage, Target
from service.relevance.gate.answers import DecideAnswer
from service.relevance.labels.book import UNNAMED
from service.relevance.promise.prices import Prices
from service.relevance.promise.progress import PlanAnswer
from service.relevance.scoring.depth import Ranking
from service.where.where import Where

router = APIRouter(prefix="/v1/lakes/{lake}/filters", tags=["filters"])

NEW_FIELDS = {*NewFilter.model_fields, "keep_images", "drop_images"}
SENT: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (408, 413)}
TAKEN: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": "The name is taken."}
}
NAMED: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorAnswer, "description": "labeller_not_yours: answers are the key's own."}
}
UPLOADED: dict[int | str, dict[str, Any]] = {415: {"model": ErrorAnswer}}


def _filters(request: Request, lake: str) -> Filters:
    filters: Filters = request.app.state.filters.of(lake)
    return filters


def _labeller(request: Request, said: set[str | None]) -> str | None:
    access: Access = request.scope[IN_SCOPE]
    return access.labeller(request, said)


@router.get("", response_model=FiltersAnswer, responses=ERRORS, summary="A lake's filters")
def list_filters(request: Request, lake: LakeName) -> Response:
    return in_json(_filters(request, lake).listing())


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
    return in_json(made.summary(), 201)


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
    found = filter_of(request, lake, name)
    document = found.versions.at(version).to_document()
    applied = found.decisions.in_force()
    told = {
        "versions": found.versions.numbers(),
        "progress": found.progress().to_json(),
        "applied": None if applied is None else applied.to_json(),
    }
    return in_json({**document, **told})


@router.delete(
    "/{name}",
    response_model=DeletedAnswer,
    responses=ERRORS,
    summary="Take a filter out of service",
)
def delete(request: Request, lake: LakeName, name: FilterName) -> Response:
    """Its files are kept, in `filters/.deleted`."""
    filter_of(request, lake, name)
    filters = _filters(request, lake)
    place = filters.delete(name)
    return in_json({"deleted": name, "kept_in": place.relative_to(filters.lake.folder).as_posix()})


@router.post(
    "/{name}/next",
    response_model=NextAnswer,
    responses={**ERRORS, **SENT, **NAMED},
    summary="What to label next",
)
def next_rows(request: Request, lake: LakeName, name: FilterName, body: NextRequest) -> Response:
    """What is pending is asked again until it is answered.
    A POST, because the first request for audit begins one. Two labellers at once are not asked the
    same: 403 where keys are asked for and another's name is said.
    """
    labeller = body.labeller
    if labeller is not None:
        labeller = _labeller(request, {labeller}) or labeller
    found = filter_of(request, lake, name)
    return in_json(
        found.next(
            body.n,
            body.purpose,
            again=body.again,
            follow=body.follow,
            budget=body.budget,
            assume=body.assume,
            labeller=labeller,
            double=body.double,
            prices=Prices.said(body.price, body.miss_price, body.label_price),
            every=body.every,
            scene=body.scene,
        )
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
    found = filter_of(request, lake, name)
    return in_json(found.label(labels, only_open=body.only_open, settle=body.settle))


@router.post(
    "/{name}/undo",
    response_model=UndoAnswer,
    responses={
        **ERRORS,
        **SENT,
        **NAMED,
        409: {
            "model": ErrorAnswer,
            "description": "cannot_undo: an answer of these seqs is not the last of its row.",
        },
    },
    summary="Take back an answer",
)
def undo(request: Request, lake: LakeName, name: FilterName, body: UndoRequest) -> Response:
    """Those of these seqs; or the last one: of a row, by a labeller, or at all.
    What that person said of the row before counts again.
    Where keys are asked for, only one's own are taken back: 403 if another labeller is said.
    """
    own = _labeller(request, {body.labeller})
    labels, labeller = filter_of(request, lake, name).labels, own or body.labeller
    has_rows = body.row_id is not None or body.row_ids is not None
    if body.seqs is not None:
        if has_rows or body.act:
            raise BadRequest("seqs", "they name the answers; leave row_id, row_ids and act out")
        return in_json(labels.undo_answers(body.seqs, labeller))
    if body.act and has_rows:
        raise BadRequest("act", "an act has rows of its own; leave row_id and row_ids out")
    if body.act:
        return in_json(labels.undo_act(labeller))
    if body.row_ids is None:
        return in_json(labels.undo(body.row_id, labeller))
    if body.row_id is not None:
        raise BadRequest("row_ids", "say row_id or row_ids, and not both")
    return in_json(labels.undo_all(body.row_ids, labeller or UNNAMED))


@router.get(
    "/{name}/audit",
    response_model=ProgressAnswer,
    responses=ERRORS,
    summary="Where labels and audit stand",
)
def audit(request: Request, lake: LakeName, name: FilterName) -> Response:
    found = filter_of(request, lake, name)
    version, progress = found.definition.version, found.progress().to_json()
    return in_json({"filter": name, "version": version, "progress": progress})


@router.get(
    "/{name}/plan",
    response_model=PlanAnswer,
    responses=ERRORS,
    summary="What each line would cost in labels",
)
def plan(
    request: Request,
    lake: LakeName,
    name: FilterName,
    price: Price = None,
    label_price: Price = None,
    miss_price: Price = None,
    currency: Currency = None,
    every: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=1_000,
            description="A column: in every group of its values recall is to hold.",
        ),
    ] = None,
    scene: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=1_000,
            description="A column, or group: what a promise of the scenes of its values takes, too.",
        ),
    ] = None,
) -> Response:
    """The arithmetic before anybody labels: a forecast, no promise. With a price each line has a
    cost, beside labelling and annotating everything, and the cheapest is told.
    """
    prices = Prices.said(price, miss_price, label_price, currency)
    return in_json(filter_of(request, lake, name).plan(prices, every, scene))


@router.get(
    "/{name}/ranking",
    response_model=Ranking,
    responses=ERRORS,
    summary="How good the ranking is by now",
)
def ranking(request: Request, lake: LakeName, name: FilterName) -> Response:
    """How many of the top hold nine of ten images that belong, estimated from the answers, and
    whether that is good enough to check. An answered image stands where a scorer puts it that has
    not seen its answer. No promise rests on this.
    """
    return in_json(filter_of(request, lake, name).ranking())


@router.get(
    "/{name}/team",
    response_model=TeamAnswer,
    responses=ERRORS,
    summary="Who did how much, and who agrees with whom",
)
def team(request: Request, lake: LakeName, name: FilterName) -> Response:
    """And the images on which people disagree, settled (`label` with settle) or not."""
    return in_json(filter_of(request, lake, name).labels.team())


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
    found = filter_of(request, lake, name)
    return in_json(
        found.apply(
            ask=body.ask,
            recall=body.recall,
            confidence=body.confidence,
            assume=body.assume,
            prices=Prices.said(body.price, None, body.label_price),
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
    gate = filter_of(request, lake, name).gate(ask=ask)
    return in_json(decide_uploads(request.app.state, gate, files, served.embedder))
