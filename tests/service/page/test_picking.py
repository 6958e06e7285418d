"""Images to label, picked on the page of a lake."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.lake import Lake
from service.relevance import Filters
from tests.lakes import Desk
from tests.service.page.conftest import Visit, serving
from tests.service.page.test_axe import DARK_PHONE, faults


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Six greens (rows 1 to 6), two reds (7 and 8), a blue (9)."""
    desk = Desk(tmp_path)
    for number in range(6):
        desk.add(f"a-green-{number}.png", (number, 255, 0), size=(8, 8))
    desk.add("b-red-0.png", (255, 0, 0), size=(8, 8))
    desk.add("b-red-1.png", (255, 1, 0), size=(16, 8))
    desk.add("c-blue.png", (0, 0, 255), size=(16, 8))
    desk.index()
    return desk


def tagged(desk: Desk, name: str) -> list[int]:
    with Lake.open(desk.lake, desk.model) as lake:
        return [row.row_id for row in lake.browse(f"tag = '{name}'")]


def pick(page: Page, number: int) -> None:
    page.fill("#pick-number", str(number))
    page.get_by_role("button", name="Pick and tag").click()
    page.wait_for_selector("#pick-form:not([aria-busy])")


def test_one_of_each_kind_is_picked_tagged_and_given_back(
    desk: Desk, visit: Visit, tmp_path: Path
) -> None:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open_lake().page
        pick(page, 3)
        said = page.locator("#pick-said")
        expect(said).to_contain_text("3 images picked of 9.")
        expect(said).to_contain_text("They stand for the lake ")
        green, red, blue = tagged(desk, "label")
        assert green in range(1, 7) and red in (7, 8) and blue == 9
        # What has the tag counts as labelled: the next pick is no image that it stands for.
        page.select_option("#pick-labelled", "tag = 'label'")
        page.fill("#pick-tag", "later")
        page.fill("#pick-where", "row_id <> 8 and row_id <> 7")
        pick(page, 1)
        expect(said).to_contain_text("1 image picked of 7, beside 3 that are labelled.")
        (later,) = tagged(desk, "later")
        assert later in range(1, 7) and later != green
        said.get_by_role("link", name="Look at what is tagged later").click()
        expect(page.locator("#status")).to_contain_text("1 image")
        page.go_back()
        page.wait_for_selector("#about:not([hidden])")
        page.fill("#pick-tag", "label")
        pick(page, 9)
        assert len(tagged(desk, "label")) == 9
        page.get_by_role("button", name="Take the tag back").click()
        expect(said).to_have_text("Taken back.")
        assert tagged(desk, "label") == [green, red, blue]


def test_what_a_filter_is_unsure_of(tmp_path: Path, visit: Visit) -> None:
    desk = Desk(tmp_path)
    for number in range(64):  # from green to red, which is wanted from the middle on
        desk.add(f"{number:02}.png", (4 * number, 255 - 4 * number, 0), size=(8, 8))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        filters = Filters(lake)
        filters.create("early", keep_texts=["green"])
        filters.create("reds", keep_texts=["red"]).label(
            [{"row_id": row, "label": "yes" if row > 32 else "no"} for row in range(1, 65, 2)]
        )
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {422}
        page = visitor.open_lake().page
        page.select_option("#pick-unsure", "early")
        pick(page, 2)
        expect(page.locator("#pick-said.bad")).to_contain_text("early has learnt too little")
        page.select_option("#pick-unsure", "reds")
        pick(page, 2)
        expect(page.locator("#pick-said")).to_contain_text("They stand for what reds is unsure of ")
        assert {*tagged(desk, "label")} <= {30, 32, 34, 36}


def test_at_most_one_of_each_width(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open_lake().page
        page.select_option("#pick-column", "width_px")
        pick(page, 9)
        expect(page.locator("#pick-said")).to_contain_text("2 images picked of 9.")
        narrow, wide = tagged(desk, "label")
        assert narrow <= 7 and wide in (8, 9)


def test_a_mistake_is_named_and_nothing_is_tagged(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served, **DARK_PHONE)
        visitor.refusals = {422}
        page = visitor.open_lake().page
        page.fill("#pick-where", "widt > 3")
        pick(page, 2)
        expect(page.locator("#pick-said.bad")).to_contain_text("no column widt")
        page.fill("#pick-where", "row_id > 100")
        pick(page, 2)
        expect(page.locator("#pick-said")).to_have_text(
            "0 images picked of 0. Nothing is left to pick from."
        )
        assert tagged(desk, "label") == []
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_two_quick_clicks_pick_once(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open_lake().page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        page.fill("#pick-number", "2")
        page.get_by_role("button", name="Pick and tag").evaluate(
            "each => { each.click(); each.click(); }"
        )
        expect(page.locator("#pick-said")).to_contain_text("2 images picked of 9.")
        assert sum(each.endswith("/pick") for each in asked) == 1


def test_who_only_reads_is_told_which_key_picks(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    key = KeyStore(tmp_path / "state").add("reader", "read")[1]
    config = ServeConfig(require_key=True)
    with serving(tmp_path / "state", {"my": desk.lake}, config, embedder=desk.model) as served:
        page = visit(served).page
        page.goto(served.url + "/lake")
        page.fill("#key", key)
        page.press("#key", "Enter")
        expect(page.locator("#pick-said")).to_have_text(
            "This key may not tag: ask for one of scope label."
        )
        expect(page.get_by_role("button", name="Pick and tag")).to_be_disabled()


def test_an_empty_lake_has_nothing_to_pick(tmp_path: Path, visit: Visit) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", (255, 0, 0))
    desk.index()
    (desk.photos / "red.png").unlink()
    desk.sync(allow_empty=True)
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open_lake().page
        expect(page.locator("#pick-said")).to_have_text("No image yet.")
        expect(page.get_by_role("button", name="Pick and tag")).to_be_disabled()
