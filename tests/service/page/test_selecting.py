"""Images are selected by hand and by key, across pages, and something is done with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.lake import Lake
from service.relevance import Filters
from tests.lakes import BLUE, GREEN, RED, Desk
from tests.service.page.conftest import Served, Visit, serving, sync_and_wait

RED_NAMES = [f"red-{number}.png" for number in range(10)]  # "red" finds them in this order


def selected(page: Page) -> list[str]:
    """What is ticked, in the order of the grid."""
    ticked = page.locator(".cell.selected img").all()
    return [str(image.get_attribute("alt")) for image in ticked]


def test_ticks_ranges_and_frames(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red&min_z=3")
    page = visitor.page
    assert visitor.names == RED_NAMES
    expect(page.get_by_role("region", name="Selection")).to_be_hidden()
    cells = page.locator(".cell")
    cells.nth(1).hover()
    page.get_by_role("button", name="Select red-1.png").click()
    expect(page.locator("#selected")).to_have_text("1 selected")
    assert selected(page) == RED_NAMES[1:2]
    cells.nth(4).locator(".photo").click(modifiers=["Shift"])
    assert selected(page) == RED_NAMES[1:5]
    expect(page.get_by_role("button", name="Select red-2.png")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_role("button", name="Select red-2.png").click()
    assert selected(page) == ["red-1.png", "red-3.png", "red-4.png"]
    # A frame from the middle of one to the middle of the next adds both; no image is opened by it.
    first, second = cells.nth(7).bounding_box(), cells.nth(8).bounding_box()
    assert first is not None
    assert second is not None
    page.mouse.move(first["x"] + 40, first["y"] + 40)
    page.mouse.down()
    page.mouse.move(second["x"] + 40, second["y"] + 60, steps=4)
    page.mouse.up()
    assert selected(page) == ["red-1.png", "red-3.png", "red-4.png", "red-7.png", "red-8.png"]
    expect(page.locator("#view")).to_be_hidden()
    # It is no change of the query; another query is another selection.
    assert visitor.address == "/?q=red&min_z=3"
    visitor.search("green")
    expect(page.get_by_role("region", name="Selection")).to_be_hidden()
    assert selected(page) == []


def test_all_that_pass_are_more_than_a_page(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red")
    page = visitor.page
    expect(page.locator("#strength-said")).to_have_text("110 images, the best has 5.3")
    page.locator(".cell .photo").first.focus()
    page.keyboard.press("x")
    page.get_by_role("button", name="Select all 110").click()
    expect(page.locator("#selected")).to_have_text("110 selected")
    expect(page.locator("#select-all")).to_be_hidden()
    # Those that come later are ticked when they come.
    page.locator("#foot").scroll_into_view_if_needed()
    expect(page.locator(".cell.selected")).to_have_count(110)
    # Also without a query, whose number is not counted.
    visitor.open("/?where=row_id+%3C%3D+90")
    page.locator(".cell .photo").first.focus()
    page.keyboard.press("x")
    page.locator("#select-all").click()
    expect(page.locator("#selected")).to_have_text("90 selected")
    # As examples they are too many: the page says which were taken.
    page.get_by_role("button", name="More like these").click()
    expect(page.locator("#chips .wanted")).to_have_count(32)
    expect(page.locator("#notices")).to_have_text(
        "The first 32 of the 90 selected images are examples now: no more are taken at once."
    )


def test_by_key_alone(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red&min_z=3")
    page = visitor.page
    page.locator(".cell .photo").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert selected(page) == RED_NAMES[1:4]
    assert visitor.focused == "red-3.png"
    page.keyboard.press("x")
    assert selected(page) == RED_NAMES[1:3]
    page.keyboard.press("Escape")
    assert selected(page) == []
    assert visitor.address == "/?q=red&min_z=3"
    assert visitor.focused == "red-3.png"
    # An image that is open is closed by it first.
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    expect(page.locator("#view")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#view")).to_be_hidden()
    assert selected(page) == ["red-3.png"]


def test_more_like_these(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red&min_z=3")
    page = visitor.page
    page.locator(".cell .photo").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_role("button", name="Less like these").click()
    visitor.settled()
    assert visitor.address == "/?q=red&unlike=101&unlike=102&min_z=3"
    assert visitor.chips == ["less red-0.png", "less red-1.png"]


def test_what_is_selected_is_saved(visit: Visit, reds: Served) -> None:
    visitor = visit(reds).open("/?q=red&min_z=3")
    page = visitor.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".cell .photo").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_role("button", name="Copy ids").click()
    expect(page.locator("#selection-said")).to_have_text("2 images: row ids copied")
    assert page.evaluate("navigator.clipboard.readText()") == "101\n102"
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert saved.value.suggested_filename == "my-selection.csv"
    header, *lines = Path(saved.value.path()).read_text().splitlines()
    assert header.startswith("row_id,uri,z,score,width_px,height_px,")
    assert [line.split(",")[0] for line in lines] == ["101", "102"]
    assert [line.split(",")[1].rpartition("/")[2] for line in lines] == RED_NAMES[:2]
    with page.expect_download() as saved:
        page.get_by_role("button", name="NDJSON").click()
    rows = [json.loads(line) for line in Path(saved.value.path()).read_text().splitlines()]
    assert [row["row_id"] for row in rows] == [101, 102]


CELLS = """async () => {
  const { asTable } = await import("/page/search/rows_file.js");
  return asTable([
    { row_id: 1, uri: "/a,b.jpg", columns: { note: "=1+1", tags: ["x"], deep: null } },
    { row_id: 2, uri: "/c.tar", score: 0.5, columns: { member: "d.jpg", ok: true } },
  ]);
}"""


def test_a_table_runs_nothing_in_a_spreadsheet(visit: Visit, reds: Served) -> None:
    page = visit(reds).open("/").page
    assert page.evaluate(CELLS).splitlines() == [
        "row_id,uri,score,note,tags,deep,member,ok",
        '1,"/a,b.jpg",,\'=1+1,"[""x""]",,,',
        "2,/c.tar#member=d.jpg,0.5,,,,d.jpg,true",
    ]


def test_yes_and_no_for_a_filter(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        desk.add(f"{name}.png", colour, size=(8, 8))
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open("/?q=red&not=blue")
        visitor.refusals.add(422)
        page = visitor.page
        page.locator(".cell .photo").first.focus()
        page.keyboard.press("x")
        page.get_by_role("button", name="Yes or no").click()
        page.get_by_label("Its name").fill("a-")
        page.get_by_label("Its name").fill("reds")
        page.get_by_role("button", name="Yes, wanted").click()
        expect(page.locator("#label-done")).to_have_text("1 image: yes for reds.")
        expect(page.get_by_label("For the filter")).to_have_value("reds")
        page.get_by_role("button", name="Close", exact=True).last.click()
        page.keyboard.press("Escape")
        page.locator(".cell .photo").nth(1).focus()
        page.keyboard.press("x")
        page.keyboard.press("Shift+ArrowRight")
        page.get_by_role("button", name="Yes or no").click()
        expect(page.locator("#label-title")).to_have_text("Are these 2 images wanted?")
        expect(page.get_by_label("For the filter")).to_have_value("reds")
        page.get_by_role("button", name="No, unwanted").click()
        expect(page.locator("#label-done")).to_have_text("2 images: no for reds.")
    with Lake.open(desk.lake, desk.model) as lake:
        made = Filters(lake).open("reds")
        assert (made.definition.keep.texts, made.definition.drop.texts) == (("red",), ("blue",))
        said = made.labels.said()
        assert said == {1: "yes", 2: "no", 3: "no"}


def test_an_image_that_has_gone_is_not_said_to_be_answered(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        desk.add(f"{name}.png", colour, size=(8, 8))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        Filters(lake).create("reds", keep_texts=["red"])
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open("/")
        page = visitor.page
        page.locator(".cell .photo").first.focus()
        page.keyboard.press("x")
        page.keyboard.press("Shift+ArrowRight")
        page.get_by_role("button", name="Yes or no").click()
        expect(page.get_by_label("For the filter")).to_have_value("reds")
        (desk.photos / "a.png").unlink()
        sync_and_wait(desk, visitor)
        page.get_by_role("button", name="Yes, wanted").click()
        expect(page.locator("#label-done")).to_have_text("1 image: yes for reds.")
        expect(page.locator("#label-problem")).to_contain_text("1 image could not be answered: ")


def test_images_are_tagged_and_found_by_their_tag(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        desk.add(f"{name}.png", colour, size=(8, 8))
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open("/?q=red")
        visitor.refusals.add(422)
        page = visitor.page
        page.get_by_role("button", name="Metadata").click()
        page.locator(".cell .photo").first.focus()
        page.keyboard.press("x")
        page.keyboard.press("Shift+ArrowRight")
        page.get_by_role("button", name="Tag…").click()
        expect(page.locator("#tag-title")).to_have_text("Tag 2 images")
        page.get_by_label("The tag").fill("it's")
        page.keyboard.press("Enter")
        expect(page.locator("#tag-problem")).to_contain_text("letters, digits")
        page.get_by_label("The tag").fill("Night shift")
        page.get_by_role("button", name="Add the tag").click()
        expect(page.locator("#tag-done")).to_have_text("2 images tagged Night shift. Undo")
        known = page.get_by_role("group", name="Tags of this lake").get_by_role("button")
        expect(known).to_have_text(["Night shift 2"])
        # The panel counts it, too.
        expect(
            page.get_by_role("region", name="tag", exact=True, include_hidden=True)
        ).to_contain_text("Night shift")
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#tag-done")).to_have_text("Taken back.")
        expect(known).to_have_count(0)
        page.get_by_label("The tag").fill("night")
        page.keyboard.press("Enter")
        # Somebody tags before it is taken back: nothing is.
        expect(page.locator("#tag-done")).to_contain_text("2 images tagged night")
        with Lake.open(desk.lake, desk.model) as lake:
            act = lake.tag("other", [1], by="bob").seq
            visitor.refusals.add(409)
            page.get_by_role("button", name="Undo").click()
            expect(page.locator("#tag-problem")).to_contain_text("bob gave the tag other since")
            lake.undo_tag(act=act)
        page.locator("#tag-done a").click()
        visitor.settled()
        assert visitor.address == "/?lake=my&where=tag+%3D+%27night%27"
        expect(page.locator("#status")).to_have_text("2 images")
        assert visitor.names == ["a.png", "b.png"]
    with Lake.open(desk.lake, desk.model) as lake:
        assert lake.tags() == {"night": 2}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_selects_by_touch(visit: Visit, reds: Served, scheme: str) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = visit(reds, color_scheme=scheme, **phone).open("/?q=red&min_z=3").page
    tick = page.get_by_role("button", name="Select red-0.png")
    box = tick.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44
    tick.tap()
    expect(page.locator("#selected")).to_have_text("1 selected")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Select none").tap()
    expect(page.get_by_role("region", name="Selection")).to_be_hidden()
