"""What came of a filter: images of each decision, one image, scores, the report, exports.
Every handler works in a thread of its own.
"""

from __future__ import annotations

from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import FileResponse, Response

from indexer.errors import UnknownRow
from service.api.downloads import download, stream
from service.api.filter_schemas import MAX_NEXT, Format
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
from service.api.schemas import Decision
from service.formats.exporting import export_pieces, export_to
from service.formats.format_list import FORMATS, downloads, what_each_writes
from service.formats.image_bytes import reader_of
from service.relevance.decisions.answers import Order, SamplesAnswer
from service.relevance.decisions.one_row import RowDecided
from service.relevance.decisions.score_counts import BINS, ScoreCounts
from service.relevance.promise.estimate import Estimate
from service.relevance.promise.offers import OffersAnswer
from service.relevance.promise.prices import Prices
from service.search.score_bins import FEWEST_BINS, MOST_BINS

router = APIRouter(prefix="/v1/lakes/{lake}/filters", tags=["filters"])

PARQUET = "application/vnd.apache.parquet"
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
            for kind in {form.download_type.partition(";")[0]: None for form in downloads()}
        },
        "headers": {
            "Left-Out": {
                "schema": {"type": "integer"},
                "description": "Images that it cannot name.",
            },
            "Left-Out-Because": {
                "schema": {"type": "string"},
                "description": "Where there are any, why: percent-encoded UTF-8, ASCII as it is.",
            },
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
# A report holds names and prompts of anybody's: whatever they hold, nothing of it runs here.
SHOWN = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-popups"
}


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
    return in_json(
        filter_of(request, lake, name).samples(decision, n, order=order, seed=seed, offset=offset)
    )


@router.get(
    "/{name}/rows/{row_id}",
    response_model=RowDecided,
    responses=ERRORS,
    summary="What was decided of one image",
)
def row(
    request: Request,
    lake: LakeName,
    name: FilterName,
    row_id: Annotated[int, Path(ge=1, lt=2**53)],
    version: Version = None,
) -> Response:
    """By the version applied last, or by this one; and what people say of the image now."""
    try:
        return in_json(filter_of(request, lake, name).decisions.row(row_id, version))
    except UnknownRow:  # by the lake's name here: callers need not know our folders
        raise UnknownRow(lake, row_id) from None


@router.get(
    "/{name}/scores",
    response_model=ScoreCounts,
    responses=ERRORS,
    summary="How the scores of all images lie, by decision",
)
def scores(
    request: Request,
    lake: LakeName,
    name: FilterName,
    bins: Annotated[int, Query(ge=FEWEST_BINS, le=MOST_BINS, description="At most.")] = BINS,
) -> Response:
    """Of the version applied last: counted in bins of one width, with the line between them."""
    return in_json(filter_of(request, lake, name).decisions.scores(bins))


@router.get(
    "/{name}/offers",
    response_model=OffersAnswer,
    responses=ERRORS,
    summary="Other promises that the audit supports",
)
def offers(request: Request, lake: LakeName, name: FilterName) -> Response:
    """Those that hold now, so that `apply` with their recall and confidence goes through; and about
    how many more labels a tighter one would cost.
    """
    return in_json(filter_of(request, lake, name).offers())


@router.get(
    "/{name}/estimate",
    response_model=Estimate,
    responses=ERRORS,
    summary="How many images are relevant",
)
def estimate(
    request: Request,
    lake: LakeName,
    name: FilterName,
    confidence: Annotated[
        float | None,
        Query(gt=0, lt=1, description="Of both bounds together. Left out: the filter's."),
    ] = None,
) -> Response:
    """Between two bounds, from the labels of the audit in force."""
    return in_json(filter_of(request, lake, name).estimate(confidence))


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
    """Paths, a table, a file for an annotation tool, or a folder for one as a zip; webdataset is a
    tar of the images themselves, sent as they are read, without those that cannot be.
    What `lakesift filter export` makes in chunks is whole here.
    """
    found = filter_of(request, lake, name)
    items, handover = found.decisions.items(*dict.fromkeys(decision or ["keep"]), version=version)
    form = FORMATS[format]
    file_name = f"{name}-{handover.version:06d}-{format}{form.download_suffix}"
    if form.copies:
        read = reader_of(request.app.state.thumbnails.originals, items.reach)
        pieces = export_pieces(items, handover, format, read, schema=items.schema)
        return stream(pieces, file_name, form.download_type)

    def make(file: BinaryIO) -> list[str]:
        report = export_to(
            file, items, handover, format, root=root, schema=items.schema, raw_cells=raw_cells
        )
        return [reason for _, reason in (*report.skipped, *items.missing)]

    return download(make, file_name, form.download_type)


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
    inline: Annotated[
        bool, Query(description="html: to look at in the browser, not a file to keep.")
    ] = False,
    price: Price = None,
    label_price: Price = None,
    miss_price: Price = None,
    currency: Currency = None,
) -> Response:
    """Images, promise or refusal, labels, money saved with what it is at least and at
    most, agreement, conflicts and examples. Without a price all is counted in
    annotations; a label costs half of one unless its price is said.
    """
    found, prices = (
        filter_of(request, lake, name),
        Prices.of(price, miss_price, label_price, currency),
    )
    if format == "json":
        return in_json(found.report(prices))
    page = found.report_page(prices, request.app.state.thumbnails.of)
    kind = "inline" if inline else "attachment"
    headers = {**SHOWN, "Content-Disposition": f'{kind}; filename="{name}.html"'}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)


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
    path = filter_of(request, lake, name).decisions.ledger_path(version)
    return FileResponse(path, media_type=PARQUET, filename=f"{name}-{path.stem}.parquet")
