"""Lakes as they seldom are: each page says in words what there is, and what there is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from service.lake import Lake
from service.relevance import Filters, Target
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, write
from tests.service.page.conftest import Served, Visit, Visitor, serving
from tests.service.page.test_label import PHONE
from tests.service.page.test_map import browser
from tests.service.page.test_narrow import STICKS_OUT, fits

__all__ = ["browser"]  # a fixture: with WebGL, for the map

QUOTED = ['say "when"', "it's", "two\nlines", "`tick`", "<b>bold</b>", "100 %"]
WIDE = 300


def emptied(desk: Desk) -> None:
    """Of the images it had none is left."""
    path = desk.add("red.png", RED)
    desk.index()
    path.unlink()
    desk.sync(allow_empty=True)


def one(desk: Desk) -> None:
    desk.add("red.png", RED, size=(64, 48))
    desk.index()


def twins(desk: Desk) -> None:
    desk.add("red.png", RED, size=(64, 48))
    desk.add("red-copy.png", RED, size=(64, 48))
    desk.index()


def wide(desk: Desk) -> None:
    """With 300 columns of its own: numbers, texts, and some that are empty."""
    for number, colour in enumerate((RED, GREEN, BLUE, YELLOW)):
        desk.add(f"{number}.png", colour, size=(64, 48))
        facts = {
            f"column_{each:03}": (number, f"v{number % 2}", None)[each % 3] for each in range(WIDE)
        }
        write(desk.photos / f"{number}.json", json.dumps(facts).encode())
    desk.index()


def quoted(desk: Desk) -> None:
    for number, colour in enumerate((RED, GREEN, BLUE, YELLOW)):
        desk.add(f"{number}.png", colour, size=(64, 48))
        facts = {name: f'{name} "{number % 2}"' for name in QUOTED}
        write(desk.photos / f"{number}.json", json.dumps(facts).encode())
    desk.index()


def gone(desk: Desk) -> None:
    """The files of its rows are not there any more; like no other, so no cache has a thumbnail."""
    paths = [desk.add(f"{number}.png", (203, number, 9), size=(64, 48)) for number in range(4)]
    desk.index()
    for path in paths:
        path.unlink()


def broken(desk: Desk) -> None:
    """What lies in the place of its files is no image."""
    paths = [desk.add(f"{number}.png", (205, number, 7), size=(64, 48)) for number in range(4)]
    desk.index()
    for path in paths:
        path.write_bytes(b"no image" * 4)


LAKES: dict[str, Callable[[Desk], None]] = {
    each.__name__: each for each in (emptied, one, twins, wide, quoted, gone, broken)
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Each of them, with a filter that was applied where there is an image."""
    root = tmp_path_factory.mktemp("odd")
    lakes = {}
    for name, fill in LAKES.items():
        desk = Desk(root / name)
        fill(desk)
        lakes[name] = desk.lake
        with Lake.open(desk.lake, desk.model) as lake:
            lake.make_map()
            lake.make_groups()
            if fill is emptied:
                continue
            Filters(lake).create("untaught", keep_texts=["red"])
            found = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.5, None, 0.5))
            while rows := found.next(9, "audit")["rows"]:
                labels = [
                    {
                        "row_id": row["row_id"],
                        "label": "yes" if row["row_id"] < 2 else "no",
                        "purpose": "audit",
                    }
                    for row in rows
                ]
                found.label(labels)
            found.apply()
    with serving(root / "state", lakes, embedder=desk.model) as served:
        yield served


# What is written where a value is missing that nobody thought of.
SLIPS = re.compile(r"undefined|\bNaN\b|\bnull\b|\[object")
WRITTEN = """() => [document.body.innerText, ...[...document.querySelectorAll("[title], [alt], [aria-label]")]
  .flatMap((each) => [each.title, each.alt ?? "", each.getAttribute("aria-label") ?? ""])].join("\\n")"""
# Pictures in the window that a browser shows by its own sign of a broken one. Far below the window
# it puts off those that are tried again, at a distance that depends on how fast it takes the
# network to be, and calls them complete.
BROKEN = """() => [...document.images]
  .filter((each) => each.complete && each.src && !each.naturalWidth && each.alt && each.checkVisibility())
  .filter((each) => each.getBoundingClientRect().top < innerHeight && each.getBoundingClientRect().bottom > 0)
  .map((each) => each.outerHTML.slice(0, 100))"""
PLACES = {
    "the first screen": ("/?lake={}", "#grid[aria-busy=false]"),
    "a query": ("/?lake={}&q=red", "#grid[aria-busy=false]"),
    "two searches": ("/?lake={}&q=red&against=q%3Dblue", "#grid[aria-busy=false]"),
    "one image": ("/?lake={}&q=red&row=1", ".view-problem, .large"),
    "two images": ("/?lake={}&beside=1&beside=2", "#beside .large, #beside .view-problem"),
    "the map": ("/?lake={}&view=map", "#map:not([aria-busy])"),
    "groups": ("/?lake={}&view=alike", "#groups-said:not(:empty)"),
    "the lake": ("/lake?lake={}", "#about:not([hidden])"),
    "the filters": ("/label?lake={}", "#list:not([hidden])"),
}
STEPS = {
    "Describe": "#frame .described",
    "Teach": "#frame .message",
    "Random check": "#frame .message",
    "Result": "#sample-grid img, #sample-grid .no-picture",
}


def is_soon_none(page: Page, find: str) -> list[str]:
    """What is still found after ten seconds."""
    for _ in range(500):
        if not page.evaluate(find):
            break
        page.wait_for_timeout(20)
    found: list[str] = page.evaluate(find)
    return found


def is_whole(visitor: Visitor, what: str) -> None:
    """Nothing sticks out on a wide screen or a narrow one, and no slip is written."""
    page = visitor.page
    for width_px in (2560, 360, 320):
        page.set_viewport_size({"width": width_px, "height": 740})
        is_soon_none(page, STICKS_OUT)  # what is laid out by hand follows the window
        fits(page, f"{what}, {width_px} px")
    assert SLIPS.findall(page.evaluate(WRITTEN)) == [], what
    # A name comes in the place of a picture that does not.
    assert is_soon_none(page, BROKEN) == [], what


@pytest.mark.parametrize("name", LAKES)
def test_each_page_of_an_odd_lake_is_whole(visit: Visit, served: Served, name: str) -> None:
    visitor = visit(served, color_scheme="dark")
    # Rows that are not there, and images: the browser itself writes down that they were refused.
    visitor.refusals = {404, 410}
    page = visitor.page
    for what, (address, there) in PLACES.items():
        page.goto(served.url + address.format(name))
        page.wait_for_selector(there, state="attached")
        is_whole(visitor, what)
        if what == "a query":
            page.get_by_role("button", name="Metadata").click()
            expect(page.locator("#facets > *").first).to_be_visible()
            is_whole(visitor, "metadata")
    if name == "emptied":
        return
    page.goto(f"{served.url}/label?lake={name}&filter=reds")
    for step, there in STEPS.items():
        page.locator(".steps label", has_text=step).click()
        page.wait_for_selector(there)
        is_whole(visitor, step)
    page.locator("#again").click()
    expect(page.locator(".plan")).not_to_contain_text("Working out")
    is_whole(visitor, "a new random check")


def said_of_groups(page: Page, served: Served, name: str) -> str:
    page.goto(f"{served.url}/?lake={name}&view=alike")
    expect(page.locator("#groups-said")).to_contain_text(re.compile("nearly|no images"))
    return page.locator("#groups-said").inner_text()


def test_a_lake_without_an_image_says_so_wherever_one_looks(visit: Visit, served: Served) -> None:
    page = visit(served).open("/?lake=emptied").page
    expect(page.locator("#message")).to_contain_text("emptied has no images yet")
    page.get_by_role("button", name="Metadata").click()
    expect(page.locator("#facets")).to_have_text(
        "No image passes, so no column has a value to count."
    )
    assert said_of_groups(page, served, "emptied") == "This lake has no images."


@pytest.mark.parametrize("window", [PHONE, {}])
def test_why_no_filter_is_made_of_no_image_is_said_where_one_pressed(
    visit: Visit, served: Served, window: dict[str, Any]
) -> None:
    visitor = visit(served, **window)
    visitor.refusals = {400, 422}
    page = visitor.page
    page.goto(f"{served.url}/label?lake=emptied")
    page.fill("#new-name", "reds")
    page.fill("#new-keep", "red")
    page.click("#new-submit")
    problem = page.locator("#new-problem")
    expect(problem).to_have_text("It holds no image yet; index some first.")
    expect(problem).to_be_in_viewport()
    # It is no longer said once something else is wrong.
    page.fill("#new-recall", "100")
    page.click("#new-submit")
    expect(page.locator("#new-recall-problem")).not_to_be_empty()
    expect(problem).to_be_empty()


def test_twenty_at_once_of_images_that_are_gone_fit_a_phone(visit: Visit, served: Served) -> None:
    visitor = visit(served, **PHONE)
    visitor.refusals = {410}
    page = visitor.page
    page.goto(f"{served.url}/label?lake=gone&filter=untaught")
    page.locator("#ways label", has_text="20 at once").click()
    expect(page.locator("#candidates .no-picture")).to_have_count(4)
    expect(page.locator("#answer-all")).to_have_text(re.compile("Save: 0 yes, 0 no, 4 skipped$"))
    fits(page, "twenty at once")


def test_one_image_is_one(visit: Visit, served: Served) -> None:
    page = visit(served).page
    page.goto(f"{served.url}/label?lake=one&filter=untaught")
    page.locator(".steps label", has_text="Random check").click()
    expect(page.locator(".plan")).to_contain_text("0 of 1 image is known to belong;")
    alone = "This lake has one image alone: none is nearly another one."
    assert said_of_groups(page, served, "one") == alone
    page.goto(f"{served.url}/label?lake=one&filter=reds")
    expect(page.locator("#brought-audit")).to_have_text("1 answer, holds")
    page.locator(".steps label", has_text="Random check").click()
    page.locator("#again").click()
    expect(page.locator(".plan")).to_contain_text("1 of 1 image belongs, 50 % sure.")


def test_a_pair_of_copies(visit: Visit, served: Served) -> None:
    page = visit(served).page
    said = said_of_groups(page, served, "twins")
    assert said.startswith("1 of 2 images is nearly another one: 1 group. ")
    assert said.endswith("Tag the other “copy”")
    expect(page.locator(".group-line")).to_have_text("2 imagesTag the other “copy”")


def test_images_that_are_gone_have_their_names_and_the_large_view_says_why(
    visit: Visit, served: Served
) -> None:
    visitor = visit(served)
    visitor.refusals = {410}
    # By its address: the search comes later than the image, or earlier.
    page = visitor.open("/?lake=gone&q=red&row=1").page
    why = page.locator(".view-problem")
    expect(why).to_contain_text("0.png: it is not there any more; run `lakesift sync`")
    expect(page.locator("[data-strip=time] .no-picture")).to_have_text(
        ["0.png", "1.png", "2.png", "3.png"]
    )
    # As wide and high as the pictures were to be.
    size = page.locator("[data-strip=time] .no-picture").first.bounding_box()
    assert size is not None and (size["width"], size["height"]) == (56, 56)
    visitor.open("/?lake=broken&q=red&row=1")
    expect(why).to_contain_text("0.png: it has changed since it was indexed; run `lakesift sync`")


def test_columns_whatever_they_are_called(visit: Visit, served: Served) -> None:
    page = visit(served).open("/?lake=quoted").page
    page.get_by_role("button", name="Metadata").click()
    titles = page.locator("#facets h3")
    expect(titles.filter(has_text=re.compile("^two\\s+lines$"))).to_have_count(1)
    for name in set(QUOTED) - {"two\nlines"}:
        expect(titles.filter(has_text=re.compile(f"^{re.escape(name)}$"))).to_have_count(1)
        value = page.locator(".value", has_text=f'{name} "1"')
        value.click()
        expect(page.locator("#passing")).to_contain_text("2 images")
        value.click()
        expect(page.locator("#passing")).to_have_text("4 images")
