"""The page: static files that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).resolve().parents[2] / "page"

router = APIRouter(include_in_schema=False)


@router.get("/")
def index() -> FileResponse:
    return FileResponse(FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


@router.get("/label")
def label() -> FileResponse:
    return FileResponse(FOLDER / "label.html", headers={"Cache-Control": "no-cache"})


@router.get("/favicon.ico")
def favicon() -> RedirectResponse:
    return RedirectResponse("/page/icon.svg")


class PageFiles(StaticFiles):
    """Asked anew each time: after an update no browser mixes old modules with new ones."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def files() -> PageFiles:
    return PageFiles(directory=FOLDER)
