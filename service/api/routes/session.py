"""Signing in: the page trades a key for a cookie,
so that the key itself is not kept in the browser.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from service.api.answers import Refused
from service.api.door.access import IN_SCOPE, Access
from service.api.schemas import ErrorAnswer
from service.api.serving.keys import MAX_SECRET_CHARS, SCOPES

router = APIRouter(prefix="/v1/session", tags=["session"])
NOT_KEPT = {"Cache-Control": "no-store"}


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_SECRET_CHARS,
            description="As `lakesift key add` printed it.",
        ),
    ]


class Session(BaseModel):
    """What the caller may do."""

    key_needed: bool = Field(description="Whether this service asks for a key at all.")
    signed_in: bool = Field(description="Whether this request came with a good key or session.")
    name: str | None = Field(
        description="The key's name, under which its answers to filters are saved; null without one."
    )
    scopes: list[str] = Field(description="Of read, label and write, those that the caller has.")


@router.get("", response_model=Session)
def show(request: Request, response: Response) -> Session | Response:
    """Whether a key is needed, and whether the caller has one."""
    response.headers.update(NOT_KEPT)
    access = _access(request)
    try:
        key = access.key_of(request)
    except Refused as refused:
        if refused.status == 400:
            return refused.answer()
        key = None
    scopes = key.scopes if key is not None else () if access.key_needed else SCOPES
    return Session(
        key_needed=access.key_needed,
        signed_in=key is not None,
        name=None if key is None else key.name,
        scopes=list(scopes),
    )


@router.post(
    "",
    status_code=204,
    response_class=Response,
    responses={
        401: {"model": ErrorAnswer, "description": "key_invalid: no such key, or it was revoked"},
        413: {"model": ErrorAnswer},
        422: {"model": ErrorAnswer},
        429: {"model": ErrorAnswer, "description": "too_many_attempts: wait as Retry-After says"},
    },
)
def sign_in(sent: SignIn, request: Request) -> Response:
    """Trade a key for a cookie, good for 12 hours after its last use."""
    access = _access(request)
    try:
        key = access.check(sent.key.strip(), request)
    except Refused as refused:
        return refused.answer()
    response = Response(status_code=204, headers=NOT_KEPT)
    response.set_cookie(
        access.cookie,
        access.sessions.begin(key),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.delete("", status_code=204, response_class=Response)
def sign_out(request: Request) -> Response:
    """End the session and take its cookie back."""
    access = _access(request)
    token = access.token_of(request)
    if token is not None:
        access.sessions.end(token)
    response = Response(status_code=204, headers=NOT_KEPT)
    response.delete_cookie(access.cookie, path="/", httponly=True, samesite="strict")
    return response


def _access(request: Request) -> Access:
    access: Access = request.scope[IN_SCOPE]
    return access
