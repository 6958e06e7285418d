"""The map and the groups of near-identical images on the page, in Chromium with its own WebGL 2."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from service.lake import Lake
from service.map.making import keep_in_step
from tests.lakes import Desk
from tests.service.page.conftest import ARGUMENTS, BROWSERS, Served, Visit, serving, sync_and_wait
from tests.service.page.test_axe import DARK_PHONE, faults
from tests.service.page.test_page import PHONE

# What Chromium draws WebGL with where there is no graphics card.
DRAWN_BY_SOFTWARE = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, "the page's tests need Chromium on the PATH"
    arguments = [each for each in ARGUMENTS if each != "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*arguments, *DRAWN_BY_SOFTWARE]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Thirty greens (rows 1 to 30) and ten reds (31 to 40), which lie far from them; on the map."""
    desk = Desk(tmp_path_factory.mktemp("mapped"))
    for number in range(30):
        desk.add(f"green-{number:02}.png", (2 * number, 255, 0), size=(8, 8))
    for number in range(10):
        desk.add(f"red-{number}.png", (255, 2 * number, 0), size=(8, 8))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        lake.make_map()
        lake.make_groups(threshold=0.9995)
    with serving(
        tmp_path_factory.mktemp("state"), {"my": desk.lake}, embedder=desk.model
    ) as served:
        yield served


def shown(page: Page) -> None:
    page.wait_for_selector("#map:not([aria-busy])")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def reds_on_screen(page: Page) -> dict[str, float]:
    """Where the corner of the map lies that has the reds: they differ most from the middle."""
    places: dict[str, float] = page.evaluate(
        """async () => {
          const { points } = await import("/page/map/points.js");
          const { Camera } = await import("/page/map/camera.js");
          const found = await points("my");
          const { left, top, width, height } = document.querySelector("#map-canvas").getBoundingClientRect();
          const camera = new Camera();
          camera.resize(width, height);
          const at = [...Array(10).keys()].map((n) => [...found.places.slice(60 + 2 * n, 62 + 2 * n)]);
          const places = at.map(([x, y]) => camera.toScreen(x, y));
          const [xs, ys] = [places.map(([x]) => left + x), places.map(([, y]) => top + y)];
          return {
            left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys),
            x: xs[0], y: ys[0],
          };
        }"""
    )
    return places


def test_the_map_shows_hovers_opens_and_selects(visit: Visit, mapped: Served) -> None:
    visitor = visit(mapped).open("/?q=red")
    page = visitor.page
    page.get_by_role("button", name="Map").click()
    shown(page)
    assert visitor.address == "/?q=red&view=map"
    expect(page.locator("#grid")).to_be_hidden()
    expect(page.locator("#map-said")).to_have_text("40 images")
    expect(page.locator("#map-colour")).to_have_value("match")
    reds = reds_on_screen(page)
    page.mouse.move(reds["left"], reds["top"])
    page.mouse.move(reds["x"], reds["y"])
    expect(page.locator("#map-card img")).to_be_visible()
    expect(page.locator("#map-canvas")).to_have_css("opacity", "1")
    # up to here nobody clicked on this page: what moved did so by itself
    assert visitor.shifted == []
    # a lasso around the reds selects them, and nothing else
    left, right, top, bottom = (
        reds["left"] - 20, reds["right"] + 20, reds["top"] - 20, reds["bottom"] + 20,
    )  # fmt: skip
    page.get_by_role("button", name="Lasso").click()
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 2)):
        page.mouse.move(x, y, steps=3)
    page.mouse.up()
    expect(page.locator("#selected")).to_have_text("10 selected")
    page.get_by_role("button", name="Tag…").click()
    page.fill("#tag-name", "warm")
    page.get_by_role("button", name="Add the tag").click()
    expect(page.locator("#tag-done")).to_contain_text("10")
    page.get_by_role("button", name="Close").click()
    # keys zoom and open; Back leads to the map
    page.locator("#map-canvas").focus()
    for key in ("+", "ArrowLeft", "-", "0", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#view")).to_be_visible()
    page.go_back()
    expect(page.locator("#map")).to_be_visible()
    # a where makes what does not pass faint, and cannot be selected
    drawn = page.locator("#map-canvas").screenshot()
    page.evaluate("history.replaceState({}, '', '/?q=red&view=map&where=row_id+>+5')")
    page.reload()
    shown(page)
    expect(page.locator("#map-said")).to_have_text("35 of 40 images")
    assert page.locator("#map-canvas").screenshot() != drawn
    page.select_option("#map-colour", "column:width_px")
    expect(page.locator("#map-legend")).to_have_text("88")
    assert visitor.shifted == []
    page.get_by_role("button", name="Grid").click()
    expect(page.locator("#map")).to_be_hidden()
    visitor.settled()
    assert len(visitor.names) == 35


def test_colours_of_a_lake_that_moved_on_bring_its_points_along(
    visit: Visit, tmp_path: Path
) -> None:
    """As many images as before are others: by their number alone nobody would see it."""
    desk = Desk(tmp_path)
    for number in range(12):
        desk.add(f"{number:02}.png", (20 * number, 255, 0), size=(8, 8))
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        lake.make_map()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open("/?view=map")
        page = visitor.page
        shown(page)
        expect(page.locator("#map-said")).to_have_text("12 images")
        (desk.photos / "03.png").unlink()
        desk.add("12.png", (255, 250, 0), size=(16, 8))
        sync_and_wait(desk, visitor)
        with Lake.open(desk.lake, desk.model) as lake:
            keep_in_step(lake.snapshot)
        with page.expect_response(lambda asked: asked.url.endswith("/map")) as points:
            page.select_option("#map-colour", "column:width_px")
        runs = points.value.body().partition(b"\n")[0]
        assert json.loads(runs)["points"] == 12 and json.loads(runs)["runs"] == 2
        expect(page.locator("#map-legend")).to_have_text("816")
        expect(page.locator("#map-said")).to_have_text("12 images")


def test_without_a_map_or_webgl_a_sentence_says_what_to_do(visit: Visit, reds: Served) -> None:
    visitor = visit(reds)
    visitor.refusals = {404}
    page = visitor.page
    visitor.page.goto(f"{reds.url}/?view=map")
    expect(page.locator("#map-message")).to_have_text(
        "This lake has no map yet. To make one: lakesift map LAKE"
    )
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.reload()
    expect(page.locator("#map-message")).to_contain_text("no WebGL 2")
    page.goto(f"{reds.url}/?view=alike")
    expect(page.locator("#groups-said")).to_contain_text("lakesift curate groups LAKE")


def test_groups_are_gone_through_and_the_others_tagged(visit: Visit, mapped: Served) -> None:
    visitor = visit(mapped, viewport={"width": 360, "height": 740})
    page = visitor.page
    page.goto(f"{mapped.url}/?view=alike")
    groups = page.locator(".group-of-images")
    expect(groups.first).to_be_visible()
    expect(groups.first.locator(".is-best")).to_have_count(1)
    size = int(groups.first.locator("b").inner_text().split()[0])
    shown = [
        int(re.sub(r"\D", "", link.get_attribute("title") or ""))
        for link in groups.first.locator("a").all()
    ]
    with page.expect_request(lambda asked: asked.url.endswith("/tags")) as tagged:
        groups.first.get_by_role("button", name="Tag the").click()
    # What is seen is tagged, whatever the group is by now.
    said: Any = tagged.value.post_data_json
    assert (said["name"], len(said["row_ids"])) == ("copy", size - 1)
    assert said["row_ids"][: len(shown) - 1] == shown[1:]
    expect(groups.first.get_by_role("status")).to_contain_text(f"Tagged {size - 1} images.")
    groups.first.get_by_role("button", name="Undo").click()
    expect(groups.first.get_by_role("status")).to_have_text("Taken back.")
    page.locator("#groups-said").get_by_role("button", name="Tag all").click()
    expect(page.locator("#groups-said")).to_contain_text("Tagged")
    width: Any = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360
    groups.first.locator("a").first.click()
    expect(page.locator("#view")).to_be_visible()
    page.keyboard.press("Escape")
    expect(groups.first).to_be_visible()


@pytest.mark.parametrize("screen", [{}, DARK_PHONE], ids=["desk", "dark phone"])
def test_axe_finds_nothing_on_the_map_and_among_the_groups(
    visit: Visit, mapped: Served, screen: dict[str, Any]
) -> None:
    page = visit(mapped, **screen).page
    page.goto(mapped.url + "/?view=map")
    shown(page)
    page.select_option("#map-colour", "column:format")
    expect(page.locator("#map-legend")).to_be_visible()
    assert faults(page) == []
    page.goto(mapped.url + "/?view=alike")
    expect(page.locator(".group-of-images").first).to_be_visible()
    assert faults(page) == []


def test_the_tools_of_the_map_are_one_line_on_a_phone(visit: Visit, mapped: Served) -> None:
    page = visit(mapped, **PHONE).page
    page.goto(mapped.url + "/?view=map")
    shown(page)
    tools = page.locator(".map-tools :is(select, button)").all()
    boxes = [box for each in tools if (box := each.bounding_box())]
    middles = {round(box["y"] + box["height"] / 2) for box in boxes}
    assert (len(boxes), len(middles)) == (5, 1)
    assert max(box["x"] + box["width"] for box in boxes) <= 360
