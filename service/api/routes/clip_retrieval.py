"""The routes that clip-retrieval's client and front end ask, answered by lakes.

The names of fields are theirs, so that a program that speaks to clip-retrieval needs another
address and nothing else. What they can ask and a lake cannot answer gets a sentence, and no URL is
fetched for a caller.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from indexer.disk.rows import ROW_SCHEMA
from indexer.errors import BadRequest, LakeError
from service.api.errors import answer_to
from service.api.forms import checked
from service.api.plans import MAX_COLLAPSED, Uploads, make_plan
from service.api.routes.any_type import AnyTypeRoute
from service.api.schemas import MAX_DIM, MAX_TEXT_CHARS, ErrorAnswer, Finite, RowId, SearchRequest
from service.api.serving.hub import ServedLake
from service.api.uploaded import in_text
from service.pictures.originals import IndexedImage
from service.pictures.thumbnails import Thumbnails
from service.search.browse import row as row_of
from service.search.hits import place_of, row_json
from service.search.search import search_page
from service.snapshot.snapshot import Snapshot

PICTURE_PX = 256  # of what stands for an image that no browser can load from elsewhere
MAX_PICTURES = 100  # in one answer
PICTURES_AT_ONCE = 4
# What is said of an image is called so; a column of one of these names is left out.
TAKEN = frozenset({"id", "similarity", "url", "image", "image_path"})
# What they call a field, where a search calls it otherwise: errors name what was sent.
NAMES = {"lake": "indice_name", "k": "num_result_ids", "vector": "embedding_input"}

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorAnswer} for code in (404, 413, 422, 429, 503)
}

router = APIRouter(tags=["clip-retrieval"], route_class=AnyTypeRoute)


class KnnRequest(BaseModel):
    """What clip-retrieval's `/knn-service` takes. Its scores of beauty and safety are not known
    here, and their fields are passed over, as clip-retrieval does where it has no such models.
    """

    text: str | None = Field(None, max_length=MAX_TEXT_CHARS)
    image: str | None = Field(None, description="An image file in base64, or as a data URL.")
    image_url: str | None = Field(None, description="Not fetched: send the image itself.")
    embedding_input: list[Finite] | None = Field(None, max_length=MAX_DIM, fail_fast=True)
    modality: str = Field("image", description="Only image: a lake has no index of texts.")
    num_images: int = Field(40, ge=1, description="Hits of which more than the id is said.")
    num_result_ids: int | None = Field(
        None, ge=1, description="All hits; null: num_images. Those further down are an id alone."
    )
    indice_name: str | None = Field(
        None, max_length=255, description="A lake. May be left out where one lake is served."
    )
    use_mclip: bool | None = Field(None, description="Only false: a lake has one model.")
    deduplicate: bool | None = Field(None, description="Near-identical images are one hit.")


class MetadataRequest(BaseModel):
    """What clip-retrieval's `/metadata` takes."""

    ids: list[RowId] = Field(max_length=1_000, fail_fast=True)
    indice_name: str | None = Field(None, max_length=255)


class Metadata(BaseModel):
    id: int
    metadata: dict[str, Any]


@router.get("/indices-list", response_model=list[str], summary="The lakes, as clip-retrieval asks")
def indices_list(request: Request) -> list[str]:
    return [served.name for served in request.app.state.hub.lakes]


@router.post(
    "/knn-service",
    response_model=list[dict[str, Any]],
    responses=ERRORS,
    summary="Search, as clip-retrieval's client asks",
)
def knn_service(request: Request, body: KnnRequest) -> Response:
    """A list of `{"id", "similarity", ...}`, best first: `id` is the row, `similarity` the cosine.
    The first `num_images` of them have `caption` and the lake's own columns, `url` where the
    image has one that browsers load, else `image_path` and `image`, a small JPEG in base64 (of the
    first 100). No two hits have one `id`.
    """
    most = body.num_result_ids or body.num_images
    if most > MAX_COLLAPSED:
        raise BadRequest("num_result_ids", f"{most} is more than {MAX_COLLAPSED:,}; ask for fewer")
    state = request.app.state
    by_image = body.image if not body.text else None
    try:
        uploads = Uploads([in_text("image", by_image)], names=["image"]) if by_image else Uploads()
        plan = make_plan(state, _search(body, most), uploads, max_k=MAX_COLLAPSED)
        hits = search_page(plan.asked).hits
    except LakeError as error:
        return answer_to(error, NAMES)
    snapshot = plan.asked.snapshot
    told = [hit.columns for hit in hits[: body.num_images]]
    found = [{"id": hit.row_id, "similarity": hit.score} for hit in hits]
    for each, said in zip(found, _metadata(state.thumbnails, snapshot, told), strict=False):
        each |= said
    return Response(orjson.dumps(found), media_type="application/json")


@router.post(
    "/metadata",
    response_model=list[Metadata],
    responses=ERRORS,
    summary="What is known of rows, as clip-retrieval asks",
)
def metadata(request: Request, body: MetadataRequest) -> Response:
    """One entry for each id that is a row of the lake; others are left out."""
    try:
        served: ServedLake = request.app.state.hub.lake(body.indice_name)
    except LakeError as error:
        return answer_to(error, NAMES)
    snapshot = served.lake.snapshot
    rows = [row for row_id in body.ids if (row := row_of(snapshot, row_id)) is not None]
    told = _metadata(request.app.state.thumbnails, snapshot, [row.columns for row in rows])
    answer = [{"id": row.row_id, "metadata": said} for row, said in zip(rows, told, strict=True)]
    return Response(orjson.dumps(answer), media_type="application/json")


def _search(body: KnnRequest, k: int) -> SearchRequest:
    """The search that is meant: by the text, else by the image, else by the vector, as theirs.

    :raises BadRequest: for what a lake cannot answer.
    """
    if body.modality != "image":
        raise BadRequest(
            "modality", "a lake has an index of images alone: leave modality out, or say image"
        )
    if body.use_mclip:
        raise BadRequest("use_mclip", "a lake is asked with its own model: say false")
    said: dict[str, Any] = {"lake": body.indice_name, "k": k, "collapse": bool(body.deduplicate)}
    if body.text and not body.text.strip():
        raise BadRequest("text", "it is empty; say what you look for")
    if body.text:
        return checked(SearchRequest, said | {"texts": [body.text]})
    if body.image:
        return checked(SearchRequest, said)
    if body.image_url:
        raise BadRequest(
            "image_url",
            "no address is fetched for a caller; send the image itself as image, in base64",
        )
    if body.embedding_input:
        return checked(SearchRequest, said | {"vector": body.embedding_input})
    raise BadRequest("text", "nothing is asked for; send text, image or embedding_input")


def _metadata(
    thumbnails: Thumbnails, snapshot: Snapshot, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What is said of each row beside its id."""
    said = [_said(columns) for columns in rows]
    without = [number for number, each in enumerate(said) if "url" not in each][:MAX_PICTURES]
    with ThreadPoolExecutor(PICTURES_AT_ONCE, "pictures") as pool:
        pictures = pool.map(lambda number: _picture(thumbnails, snapshot, rows[number]), without)
        for number, picture in zip(without, pictures, strict=True):
            if picture is not None:
                said[number]["image"] = base64.b64encode(picture).decode()
    return said


def _said(columns: Mapping[str, Any]) -> dict[str, Any]:
    shown = row_json(columns)["columns"]
    said = {
        name: value
        for name, value in shown.items()
        if name == "caption" or not (name in TAKEN or name in ROW_SCHEMA.names)
    }
    place = place_of(columns)
    is_loaded = place == columns["uri"] and place.startswith(("http://", "https://"))
    return said | ({"url": place} if is_loaded else {"image_path": place})


def _picture(
    thumbnails: Thumbnails, snapshot: Snapshot, columns: Mapping[str, Any]
) -> bytes | None:
    """None where there is none to show: the hit is still one."""
    try:
        return thumbnails.of(IndexedImage.of(columns, snapshot.reach), PICTURE_PX)
    except LakeError:
        return None
