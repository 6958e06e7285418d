"""Search | Filters | Lake: from place to place within one lake, and the page of a lake."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import RED, Desk, write
from tests.service.page.conftest import Served, Visit, Visitor, serving
from tests.service.page.test_page import ALL, CONTRAST, PHONE

WIDE = {"viewport": {"width": 2560, "height": 1440}}


def marked(page: Page) -> str:
    return page.locator(".places [aria-current]").inner_text()


def test_each_place_is_marked_and_a_search_is_found_again_as_it_was_left(visitor: Visitor) -> None:
    page = visitor.open("/?q=a+cat&not=a+dog&where=width_px+>+1").page
    assert page.locator(".places a").all_inner_texts() == ["Search", "Filters", "Lake"]
    assert marked(page) == "Search"
    page.click("#to-filters")
    expect(page.locator("#list")).to_be_visible()
    assert (visitor.address, marked(page)) == ("/label?lake=photos", "Filters")
    page.click("#to-lake")
    expect(page.locator("#about")).to_be_visible()
    assert (visitor.address, marked(page)) == ("/lake?lake=photos", "Lake")
    page.click("#to-search")
    visitor.settled()
    assert visitor.address == "/?q=a+cat&not=a+dog&where=width_px+%3E+1"
    assert visitor.chips == ["less a dog"]
    page.click("#to-search")  # one is there: nothing is lost
    visitor.settled()
    assert visitor.address == "/?q=a+cat&not=a+dog&where=width_px+%3E+1"
    page.click("#home")
    visitor.settled()
    assert visitor.address == "/"


def test_the_places_are_reached_by_keyboard(visitor: Visitor) -> None:
    page = visitor.open_lake().page
    for wanted in ("lakesift", "Search", "Filters"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == wanted
    page.keyboard.press("Enter")
    expect(page.locator("#list")).to_be_visible()


def test_the_lake_page_says_what_is_indexed_from_where_and_in_which_formats(
    visitor: Visitor, photo_lake: Path
) -> None:
    page = visitor.open_lake().page
    manifest = read_manifest(Layout(photo_lake))[0]
    rows = page.locator("#sources tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == [source.uri for source in manifest.sources]
    assert sum(int(row.split("\t")[-1]) for row in rows) == ALL
    formats = page.locator("#formats tbody tr").all_inner_texts()
    assert sum(int(row.split("\t")[-1]) for row in formats) == ALL
    first = page.locator("#snapshots tbody tr").first.inner_text().split("\t")
    assert (first[0], first[-1]) == (str(manifest.snapshot), str(ALL))
    expect(page.locator("#made")).to_contain_text(manifest.model_id)
    expect(page.locator("#lead")).to_contain_text(f"{ALL} images · ")
    assert visitor.shifted == []


def test_what_was_skipped_is_said_with_the_reason_and_the_files(
    visit: Visit, tmp_path: Path
) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    write(desk.photos / "a.jpg", b"no image")
    write(desk.photos / "b <b>.jpg", b"no image either")
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open_lake().page
        said = page.locator("#skipped > table tbody tr")
        expect(said).to_have_text(["Not an image that Pillow or HEIF can open.2"])
        page.click("text=Which 2 files")
        expect(page.locator("#skipped details .address")).to_have_text(
            [str(desk.photos / "b <b>.jpg"), str(desk.photos / "a.jpg")]
        )
        expect(page.locator("#skipped")).to_contain_text("lakesift sync my.lake --retry-skipped")


def test_the_lake_page_asks_for_a_key_and_names_a_lake_that_is_not_there(
    visit: Visit, tmp_path: Path
) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    _, secret = KeyStore(tmp_path / "state").add("guest", "read")
    config = ServeConfig(require_key=True)
    with serving(tmp_path / "state", {"my": desk.lake}, config, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {404}
        page = visitor.page
        page.goto(f"{served.url}/lake?lake=your")
        page.fill("#key", secret)
        page.press("#key", "Enter")
        expect(page.locator("#message")).to_contain_text("your")
        page.get_by_role("button", name="The first lake").click()
        expect(page.locator("#title")).to_have_text("my")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, WIDE], ids=["phone", "wide"])
def test_the_lake_page_is_readable_and_fits(
    visit: Visit, photos: Served, screen: dict[str, object], scheme: str
) -> None:
    visitor = visit(photos, **screen, color_scheme=scheme).open_lake()
    page = visitor.page
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for place in page.locator(".places a").all():
        box = place.bounding_box()
        assert box is not None
        assert box["height"] >= (44 if screen is PHONE else 36)
