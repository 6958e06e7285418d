"""The pages: to search, to label by filters, what a lake is made of. Static files that ship
with the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

FOLDER = Path(__file__).resolve().parents[2] / "page"
# Asked for anew each time: after an update no browser mixes old modules with new ones.
FRESH = {"Cache-Control": "no-cache"}

router = APIRouter(include_in_schema=False)


@router.get("/")
def search() -> FileResponse:
    return FileResponse(FOLDER / "search" / "search.html", headers=FRESH)


@router.get("/label")
def label() -> FileResponse:
    return FileResponse(FOLDER / "label" / "label.html", headers=FRESH)


@router.get("/lake")
def lake() -> FileResponse:
    return FileResponse(FOLDER / "lake" / "lake.html", headers=FRESH)


@router.get("/favicon.ico")
def favicon() -> RedirectResponse:
    return RedirectResponse("/page/common/icon.svg")


class PageFiles(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(FRESH)
        return response


def files() -> ASGIApp:
    """A third of the bytes where a browser takes them so, as all do: comments are for readers."""
    return GZipMiddleware(PageFiles(directory=FOLDER), minimum_size=500)
