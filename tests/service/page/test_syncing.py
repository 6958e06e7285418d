"""The page of a lake while it is written: from here, and by others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.main import main
from tests.lakes import RED, Desk
from tests.service.page.conftest import Visit, serving
from tests.service.page.test_page import PHONE

LOOK = "Look for new images"


def test_new_images_are_looked_for_and_what_came_is_shown(
    desk: Desk, visit: Visit, tmp_path: Path
) -> None:
    """A photo that goes is seen without a model."""
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open_lake().page
        expect(page.locator("#lead")).to_contain_text("3 images")
        (desk.photos / "red.png").unlink()
        page.get_by_role("button", name=LOOK).press("Enter")
        expect(page.locator("#sync")).to_contain_text("1 gone, ")
        expect(page.locator("#live")).to_contain_text("1 gone, ")
        expect(page.locator("#lead")).to_contain_text("3 images")
        page.get_by_role("button", name="Show what is in the lake now").click()
        expect(page.locator("#lead")).to_contain_text("2 images")
        expect(page.locator("#changed")).to_be_hidden()


def test_two_quick_clicks_begin_one_sync(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open_lake().page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.method))
        look = page.get_by_role("button", name=LOOK)
        look.evaluate("each => { each.click(); each.click(); }")
        expect(page.locator("#sync")).to_contain_text("Nothing new among 3 images")
        assert asked.count("POST") == 1


def test_stop_is_pressed_whatever_is_told_meanwhile(
    desk: Desk, visit: Visit, tmp_path: Path
) -> None:
    """The line is drawn anew at each answer, though not under a pointer that is down."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.method)
        stage = {"name": "indexing", "done": len(asked), "total": 100, "more": False, "skipped": 0}
        stage |= {"unit": None, "rate": None, "left_s": None}
        told = {"lake": "my", "state": "writing", "by": "`lakesift sync` on m", "ours": True}
        told |= {"since": "2026-01-01T00:00:00+00:00", "stage": stage, "ended": None}
        route.fulfill(json=told)

    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.page.route("**/v1/lakes/my/sync", answer)
        page = visitor.open_lake().page
        page.get_by_role("button", name="Stop").hover()
        page.mouse.down()
        for _ in range(2):
            with page.expect_response("**/v1/lakes/my/sync"):
                pass
        assert "DELETE" not in asked
        with page.expect_request(lambda asked: asked.method == "DELETE"):
            page.mouse.up()


def test_why_a_sync_failed_is_said(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    desk.add("new.png", (1, 2, 3))
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals.add(503)
        page = visitor.open_lake().page
        page.get_by_role("button", name=LOOK).click()
        expect(page.locator("#sync .bad")).to_contain_text("colour")


def test_how_far_another_is_can_be_seen_and_not_stopped(
    desk: Desk, visit: Visit, tmp_path: Path
) -> None:
    layout = Layout(desk.lake)
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served, **PHONE).open_lake().page
        expect(page.get_by_role("button", name=LOOK)).to_be_visible()
        with writer(layout):
            note = json.loads(layout.writer_note.read_text())
            stage = {"name": "indexing", "done": 3_200, "total": 10_000, "more": False}
            stage |= {"skipped": 2, "unit": None, "began_at": 1_000.0, "noted_at": 1_100.0}
            note |= {"stage": stage, "command": "lakesift index /secret --into my.lake"}
            layout.writer_note.write_text(json.dumps(note))
            said = "Indexing 3,200 of 10,000 · 32 a second · 4 min left · 2 skipped · by lakesift index on "
            expect(page.locator("#sync")).to_contain_text(said)
            assert "/secret" not in page.content()
            assert page.locator("#sync progress").get_attribute("value") == "3200"
            assert page.locator("#sync button").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect(page.get_by_role("button", name=LOOK)).to_be_visible()
        expect(page.locator("#changed")).to_be_visible()


def test_what_could_not_be_read_is_tried_again(visit: Visit, tmp_path: Path) -> None:
    """A file that can be read now looks the same as before: its size and times are as they were."""
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    photos.mkdir()
    Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).save(photos / "whole.png")
    broken = photos / "broken.png"
    good = (photos / "whole.png").read_bytes()
    broken.write_bytes(good[:200] + bytes(len(good) - 200))
    times = broken.stat()
    assert main(["index", str(photos), "--into", str(lake)]) == 0
    with serving(tmp_path / "state", {"my": lake}) as served:
        page = visit(served).open_lake().page
        expect(page.locator("#lead")).to_contain_text("1 image")
        broken.write_bytes(good)
        os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
        page.get_by_role("button", name=LOOK).click()
        expect(page.locator("#sync")).to_contain_text("Nothing new among 1 image")
        page.get_by_role("button", name="Try these again").click()
        expect(page.locator("#sync")).to_contain_text("1 new")
        page.get_by_role("button", name="Show what is in the lake now").click()
        expect(page.locator("#lead")).to_contain_text("2 images")
        expect(page.locator("#skipped")).to_contain_text("Nothing: every file")
        expect(page.locator("#skipped-retry")).to_be_hidden()


def test_who_only_reads_has_no_button(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    key = KeyStore(tmp_path / "state").add("reader", "read")[1]
    config = ServeConfig(require_key=True)
    with serving(tmp_path / "state", {"my": desk.lake}, config, embedder=desk.model) as served:
        page = visit(served).page
        page.goto(served.url + "/lake")
        page.fill("#key", key)
        page.press("#key", "Enter")
        expect(page.locator("#sync")).to_contain_text("Nobody writes the lake just now.")
        assert page.locator("#sync button").count() == 0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    for name, colour in {"red.png": RED, "green.png": (0, 255, 0), "blue.png": (0, 0, 255)}.items():
        desk.add(name, colour)
    desk.index()
    return desk
