"""Rows that name what their lake has no business with: nothing is opened, by whatever door."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.errors import ImageRefused, ImageUnreachable
from indexer.images import hash_bytes
from service import Lake, contact_sheet
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.formats.image_bytes import reader_of
from service.formats.item import Item
from service.pictures.originals import Originals
from service.relevance.reporting.pictures import own_thumbnails, pictures
from tests.crafted import change_manifest, set_values
from tests.lakes import BLUE, GREEN, RED, Desk, png, write

OUTSIDE = "it lies in no source of its lake; `lakesift info` lists those"
HOST = "http://127.0.0.1:8377"


pytestmark = pytest.mark.usefixtures("nothing_named")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Row 1 of a.png, row 2 of b.png; and somebody's own picture beside the photos."""
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    desk.add("b.png", GREEN)
    desk.index()
    write(tmp_path / "private" / "own.png", png(BLUE))
    return desk


def craft(
    desk: Desk, uri: str, path_bytes: bytes | None = None, sha256: str = hash_bytes(png(BLUE))
) -> None:
    """Row 1 names another place, and whoever made the lake knows the hash of what is there."""
    second = desk.rows()["b.png"]
    set_values(
        desk.lake,
        uri=[uri, second["uri"]],
        path_bytes=[path_bytes, None],
        sha256=[sha256, second["sha256"]],
    )


def answered(desk: Desk, path: str) -> Any:
    app = create_app(
        {"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=KeyStore(desk.root / "state")
    )
    with TestClient(app, base_url=HOST) as client:
        return client.get(path)


@pytest.mark.parametrize("kind", ["image", "thumbnail"])
@pytest.mark.parametrize("by_bytes", [True, False])
def test_the_service_opens_nothing_outside_the_sources(
    desk: Desk, kind: str, by_bytes: bool
) -> None:
    private = desk.root / "private" / "own.png"
    if by_bytes:
        craft(desk, f"{desk.photos}/a.png", os.fsencode(private))
    else:
        craft(desk, str(private))
    answer = answered(desk, f"/v1/lakes/my/rows/1/{kind}")
    shown = f"{desk.photos}/a.png" if by_bytes else str(private)
    assert answer.status_code == 403
    assert answer.json()["error"] == {
        "code": "image_refused",
        "message": f"{shown} is not opened: {OUTSIDE}",
        "field": None,
    }


def test_no_small_copy_that_another_lake_left_is_handed_out(desk: Desk) -> None:
    url = "/v1/lakes/my/rows/1/thumbnail"
    assert answered(desk, url).status_code == 200
    craft(desk, str(desk.root / "private" / "own.png"), sha256=hash_bytes(png(RED)))
    assert answered(desk, url).status_code == 403


def test_a_server_inside_this_network_is_not_asked_though_the_lake_calls_it_a_source(
    desk: Desk,
) -> None:
    url = "http://127.0.0.1:1/a.png"
    craft(desk, url)
    change_manifest(desk.lake, lambda body: body["sources"].append({"uri": url, "columns": None}))
    answer = answered(desk, "/v1/lakes/my/rows/1/image")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "image_refused")
    assert answer.json()["error"]["message"].startswith(
        f"{url} is not opened: its server lies inside this network, "
    )


def test_contact_sheets_reports_and_exports_say_why(desk: Desk) -> None:
    craft(desk, str(desk.root / "private" / "own.png"))
    with Lake.open(desk.lake, desk.model) as lake:
        hits = lake.search("red", k=2)
        with own_thumbnails() as thumbnail:
            assert pictures(lake.snapshot, [1], thumbnail) == {1: OUTSIDE}
        item = Item.of(hits[0].columns, "keep", 0.5)
        with pytest.raises(ImageUnreachable) as caught:
            reader_of(Originals(), lake.snapshot.reach)(item)
        assert isinstance(caught.value, ImageRefused)
        assert caught.value.reason == OUTSIDE
        assert hits[0].row_id == 1
        refused, empty = contact_sheet([hits[0]]), contact_sheet([])
        assert refused.getpixel((20, 20)) == empty.getpixel((20, 20)) == (208, 208, 208)


def test_a_lake_whose_photos_moved_house_shows_them_again(desk: Desk) -> None:
    moved = desk.root / "elsewhere"
    desk.photos.rename(moved)
    assert desk.sync(roots={str(desk.photos): str(moved)}).problems == []
    assert answered(desk, "/v1/lakes/my/rows/2/image").content == png(GREEN)
