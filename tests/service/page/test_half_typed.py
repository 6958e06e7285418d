"""What is half typed stays under the hand when an answer comes and draws anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from service import Lake
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.relevance import Filters
from tests.lakes import Desk, write
from tests.service.page.conftest import Served, Visit, serving
from tests.service.page.test_label import READY

ROBOTS = ["a", "a", "a", "b"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Four photos at (0, 0), (1, 1), (2, 2) and (3, 3) degrees: three of robot a, one of b."""
    desk = Desk(tmp_path_factory.mktemp("half-typed"))
    for number, robot in enumerate(ROBOTS):
        desk.add(f"{number}.png", (255, number, 0), size=(8, 8))
        facts = {"robot": robot, "lat": float(number), "lon": float(number)}
        write(desk.photos / f"{number}.json", json.dumps(facts).encode())
    desk.index()
    return desk


@pytest.fixture
def served(desk: Desk, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


class Held:
    """Questions that wait until the test lets them go."""

    def __init__(self, page: Page, address: str) -> None:
        self._waiting: list[Route] = []
        self._is_open = False
        page.route(address, lambda route: self._came(route))

    def _came(self, route: Route) -> None:
        if self._is_open:
            route.continue_()
        else:
            self._waiting.append(route)

    def let_go(self) -> None:
        assert self._waiting
        self._is_open = True
        for route in self._waiting:
            route.continue_()


def test_a_number_half_typed_outlives_the_counting(visit: Visit, served: Served) -> None:
    page = visit(served).open("/").page
    page.click("#filter-button")
    north = page.get_by_label("place: north, in degrees")
    robots = page.get_by_role("region", name="robot")
    expect(north).to_be_visible()
    held = Held(page, "**/v1/facets")
    robots.get_by_role("button", name="a").click()
    expect(page.locator("#where")).to_have_value("robot IN ('a')")
    north.focus()
    page.keyboard.type("1.")
    held.let_go()
    expect(page.locator("#passing")).to_have_text("3 images pass")  # the answer is here
    expect(north).to_be_focused()
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    expect(page.locator("#where")).to_have_value(
        "robot IN ('a') AND lat >= 0 AND lat <= 1.5 AND lon >= 0 AND lon <= 3"
    )
    # What waited is drawn, and what the new box leaves: one after the other.
    expect(page.locator("#passing")).to_have_text("2 images pass")
    expect(robots.get_by_role("button")).to_have_text(["a2"])
    # The focus is there still, and what is typed next is the whole new number.
    expect(north).to_be_focused()
    page.keyboard.type("0.5")
    page.keyboard.press("Enter")
    expect(page.locator("#where")).to_have_value(re.compile(r"lat <= 0\.5 AND"))
    expect(page.locator("#passing")).to_have_text("1 image passes")


def test_what_is_no_number_yet_chooses_nothing_and_an_emptied_side_is_open(
    visit: Visit, served: Served
) -> None:
    page = visit(served).open("/?where=lat+%3E%3D+0+AND+lat+%3C%3D+1.5").page
    expect(page.locator("#passing")).to_have_text("2 images pass")
    page.click("#filter-button")
    north = page.get_by_label("place: north, in degrees")
    north.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("2e")
    page.keyboard.press("Tab")
    expect(page.get_by_label("place: east, in degrees")).to_be_focused()
    expect(page.locator("#where")).to_have_value("lat >= 0 AND lat <= 1.5")


def test_words_and_a_where_half_typed_outlive_a_look_at_an_image(
    visit: Visit, served: Served
) -> None:
    visitor = visit(served).open("/?q=red")
    page = visitor.page
    page.click("#filter-button")
    page.fill("#where", "robot = ")
    page.fill("#words", "a red ball")
    page.locator("#grid .cell a").first.click()
    page.wait_for_selector("#view[open]")
    page.keyboard.press("Escape")
    expect(page.locator("#view")).not_to_be_visible()
    expect(page.locator("#words")).to_have_value("a red ball")
    expect(page.locator("#where")).to_have_value("robot = ")
    # What becomes a chip leaves the box, and another state shows its own words.
    page.fill("#words", "red -snow")
    page.press("#words", "Enter")
    expect(page.locator("#words")).to_have_value("red")
    page.fill("#words", "half")
    page.go_back()
    expect(page.locator("#chips")).to_be_hidden()
    page.click("#home")
    expect(page.locator("#words")).to_have_value("")


def test_a_new_name_half_typed_outlives_what_is_saved_meanwhile(
    visit: Visit, served: Served, desk: Desk
) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        lake.searches.save("mine", {"texts": [{"text": "red"}]})
    page = visit(served).open("/?q=green").page
    page.locator("#saved summary").click()
    page.get_by_role("button", name="Rename mine").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("yours tru")
    page.fill("#saved-name", "greens")
    held = Held(page, "**/searches")
    page.press("#saved-name", "Enter")
    page.wait_for_timeout(50)
    new = page.get_by_label("New name of mine")
    new.focus()
    page.keyboard.press("End")
    page.keyboard.type("l")
    held.let_go()
    expect(page.locator("#saved-said")).to_have_text("Saved as greens.")
    expect(new).to_be_focused()
    page.keyboard.type("y")
    page.keyboard.press("Enter")
    expect(page.locator("#saved-said")).to_have_text("mine is called yours truly now.")
    expect(page.locator(".saved-title")).to_have_text(["greens", "yours truly"])


def test_a_key_half_typed_outlives_another_refusal(
    visit: Visit, desk: Desk, tmp_path: Path
) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        Filters(lake).create("reds", keep_texts=["red"])
    _, secret = KeyStore(tmp_path / "state").add("guest", "label")
    config = ServeConfig(require_key=True)
    with serving(tmp_path / "state", {"my": desk.lake}, config, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {401}
        page = visitor.page
        page.goto(served.url + "/label?lake=my&filter=reds")
        page.fill("#key", secret)
        page.press("#key", "Enter")
        page.wait_for_selector(READY)
        page.context.clear_cookies()
        held = Held(page, "**/team")
        page.click("#team-open")
        page.keyboard.press("u")
        page.locator("#key").focus()
        page.keyboard.type(secret[:4])
        with page.expect_response("**/team"):
            held.let_go()
        page.wait_for_timeout(100)
        expect(page.locator("#key")).to_be_focused()
        page.keyboard.type(secret[4:])
        page.keyboard.press("Enter")
        page.wait_for_selector(READY)
