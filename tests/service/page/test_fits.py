"""What stands on the pages keeps its place and fits, whichever step or view is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect

from service.relevance import Target
from tests.service.page.conftest import Served, Visit
from tests.service.page.test_axe import faults
from tests.service.page.test_label import ANIMALS, PHONE, READY, lake, make_filter, served

__all__ = ["lake", "served"]  # fixtures

WIDER = """() => [...document.querySelectorAll("#frame, #frame *")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline")
  .map((each) => each.outerHTML.slice(0, 80))"""
HEIGHTS = """() => [...document.querySelectorAll(".steps label")]
  .map((each) => each.getBoundingClientRect().height)"""
# Where the names of the steps lie, and how wide they are drawn, bold or not.
NAMES = """() => [...document.querySelectorAll(".steps b")].map((each) => {
  const drawn = document.createRange();
  drawn.selectNodeContents(each);
  return drawn.getBoundingClientRect().toJSON();
})"""
# By how many pixels each name runs over its column.
RUNS_OVER_PX = """() => [...document.querySelectorAll(".steps b")]
  .map((each) => each.scrollWidth - each.clientWidth)"""


def test_the_invitation_to_a_random_check_fits_a_phone_as_a_whole(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    page = visit(served, **PHONE).page
    page.goto(served.url + ANIMALS)
    page.locator(".steps label", has_text="Random check").click()
    begin = page.locator("#frame").get_by_role("button", name="Begin the random check")
    expect(begin).to_be_visible()
    expect(page.locator(".plan")).not_to_contain_text("Working out")
    page.fill("#budget", "1234567")
    assert page.evaluate(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # It scrolls with the page, and its button is not cut off.
    assert begin.evaluate(
        "(each) => each.getBoundingClientRect().bottom <= each.closest('#frame').getBoundingClientRect().bottom"
    )


@pytest.mark.parametrize("window", [PHONE, {}])
def test_what_one_taps_in_the_invitation_stays_where_it_is(
    visit: Visit, served: Served, lake: Path, window: dict[str, Any]
) -> None:
    make_filter(lake)
    # A forecast of a large lake, as long as one gets: five lines are shown of it.
    options = [
        {"dropped": 900_000 + 10_000 * n, "kept": 100_000 - 10_000 * n, "labels": 1000 * (n + 1)}
        for n in range(7)
    ]
    known = {"at_least": 12, "at_most": None, "confidence": None, "options": options}
    visitor = visit(served, **window)
    page = visitor.page
    asked: list[Route] = []
    page.route("**/plan*", lambda route: asked.append(route))
    page.goto(served.url + ANIMALS)
    page.locator(".steps label", has_text="Random check").click()
    begin = page.locator("#frame").get_by_role("button", name="Begin the random check")
    tapped = [page.locator("#budget"), begin]
    expect(page.locator(".plan")).to_contain_text("Working out")
    expect(begin).to_have_text("Begin the random check")
    before = [each.bounding_box() for each in tapped]
    page.evaluate("window.shifts = []")  # a step was chosen, which moved what is below
    (plan,) = asked
    plan.fulfill(json={"rows": 1_000_100, "costs": None, "groups": None, **known})
    # Its table and the number on the button come: below, and within the room that was kept.
    expect(page.locator(".plan tbody tr")).to_have_count(5)
    # The least work in all: half of 7,000 labels and 40,000 kept.
    expect(begin).to_have_text("Begin the random check: about 7,000 answers")
    assert [each.bounding_box() for each in tapped] == before
    page.fill("#budget", "1234567")
    expect(begin).to_have_text("Begin the random check: at most 1,234,567 answers")
    assert [each.bounding_box() for each in tapped] == before
    assert visitor.shifted == []


def priced(route: Route) -> None:
    """A plan of 1,000 images; with prices as an annotation costs 2 and an answer what is said."""
    asked = parse_qs(urlsplit(route.request.url).query)
    lines = [(400, 60), (600, 200), (700, 650)]  # dropped, answers
    price, label = (float(asked.get(name, ["0"])[0]) for name in ("price", "label_price"))
    options: list[dict[str, Any]] = [
        {
            "dropped": dropped,
            "kept": 1000 - dropped,
            "labels": labels,
            "recall": 0.9,
            "cost": price * (1000 - dropped) + label * labels if asked else None,
        }
        for dropped, labels in lines
    ]
    line = min(options, key=lambda each: each["cost"] or 0)
    costs = {
        "prices": {"annotation": price, "label": label, "miss": None, "currency": ""},
        "annotate_everything": 2000.0,
        "label_everything": 2100.5,
        "line": line | {"looks": 25},
        "cheapest": "line",
    }
    known = {"at_least": 0, "at_most": None, "confidence": None, "groups": None, "scenes": None}
    answer = {"rows": 1000, "options": options, "costs": costs if asked else None, **known}
    route.fulfill(json=answer)


@pytest.mark.parametrize("window", [PHONE, {}])
def test_prices_choose_the_line_and_a_line_can_be_chosen(
    visit: Visit, served: Served, lake: Path, window: dict[str, Any]
) -> None:
    make_filter(lake)
    visitor = visit(served, **window)
    page = visitor.page
    page.route("**/plan*", priced)
    page.goto(served.url + ANIMALS)
    page.locator(".steps label", has_text="Random check").click()
    begin = page.locator("#frame").get_by_role("button", name="Begin the random check")
    # Half an annotation an answer: 30 + 600, 100 + 400, 325 + 300.
    expect(begin).to_have_text("Begin the random check: about 200 answers")
    expect(page.locator(".invite")).to_contain_text("Guarantee: Keep at least 95")
    least = page.locator(".plan .least td")
    expect(least).to_have_text(["600", "400", "200"])
    page.evaluate("window.shifts = []")  # a step was chosen, which moved what is below
    # 1,200 + 60, 800 + 200, 600 + 650; then 1,200 + 0.6, 800 + 2, 600 + 6.5.
    page.fill("#price", "2")
    page.fill("#label-price", "1")
    expect(least).to_have_text(["600", "400", "200", "1,000"])
    page.fill("#label-price", "0.01")
    expect(least).to_have_text(["700", "300", "650", "607"])
    expect(begin).to_have_text("Begin the random check: about 650 answers")
    expect(page.locator(".plan")).to_contain_text(
        "Cheapest: this check and dropping 700 with a look at 25 of the kept (leave unsure images to "
        "a person), 607. Beside it: annotating everything 2,000, looking at every image 2,101."
    )
    assert page.evaluate(WIDER) == []
    # A line that is chosen is a budget; the same again takes it back.
    choice = page.get_by_role("button", name="Spend at most 60 answers: drop 400, keep 600")
    choice.focus()
    page.keyboard.press("Enter")
    expect(begin).to_have_text("Begin the random check: at most 60 answers")
    expect(choice).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#budget")).to_have_value("60")
    page.keyboard.press("Enter")
    expect(begin).to_have_text("Begin the random check: about 650 answers")
    expect(choice).to_have_attribute("aria-pressed", "false")
    # What is no price is not asked about, and marked.
    page.fill("#price", "-1")
    expect(page.locator("#price:invalid")).to_have_count(1)
    expect(least).to_have_text(["700", "300", "650", "607"])
    assert visitor.shifted == []
    assert faults(page) == []
    # Nor is a check begun that leaves it out, or labels that are none: the field is turned to.
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    for field, wrong, right in (("#price", "0", "2"), ("#budget", "-5", "")):
        page.fill(field, wrong)
        begin.click()
        expect(page.locator(f"{field}:invalid")).to_be_focused()
        page.fill(field, right)
    assert [url for url in sent if url.endswith("/next")] == []
    expect(begin).to_be_visible()
    # They are remembered, and what a check begins with.
    page.reload()
    page.locator(".steps label", has_text="Random check").click()
    expect(page.locator("#price")).to_have_value("2")
    expect(page.locator("#label-price")).to_have_value("0.01")
    expect(least).to_have_text(["700", "300", "650", "607"])
    with page.expect_request("**/next") as asked:
        begin.click()
    body: dict[str, Any] = asked.value.post_data_json or {}
    assert (body["purpose"], body["price"], body["label_price"]) == ("audit", 2, 0.01)
    assert "budget" not in body
    page.wait_for_selector(READY)
    progress = page.request.get(f"{served.url}/v1/lakes/photos/filters/animals/audit").json()
    assert progress["progress"]["audit"]["label_price"] == 0.005  # in annotations


def test_no_prices_are_asked_for_where_they_decide_nothing(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake, target=Target(0.9, 0.5, 0.9))
    page = visit(served).page
    page.goto(served.url + ANIMALS)
    page.locator(".steps label", has_text="Random check").click()
    expect(page.locator(".invite")).to_contain_text("Guarantee: Keep at least 90")
    expect(page.locator("#budget")).to_be_visible()
    expect(page.locator("#price")).to_have_count(0)


def test_steps_keep_their_height_whichever_is_chosen(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    page = visit(served).page
    page.goto(served.url + ANIMALS)
    expect(page.locator("#brought-describe")).not_to_be_empty()
    before = page.evaluate(HEIGHTS)
    assert len(set(before)) == 1
    for step in ("Describe", "Random check", "Teach"):
        page.locator(".steps label", has_text=step).click()
        assert page.evaluate(HEIGHTS) == before, step


@pytest.mark.parametrize("window", [PHONE, {}])
def test_the_step_one_is_at_is_marked_and_no_name_of_a_step_moves(
    visit: Visit, served: Served, lake: Path, window: dict[str, Any]
) -> None:
    make_filter(lake)
    page = visit(served, **window).page
    page.goto(served.url + ANIMALS)
    expect(page.locator("#brought-describe")).not_to_be_empty()
    lines = "each => getComputedStyle(each).textDecorationLine"
    left_and_width = None
    for step in ("Teach", "Describe", "Random check", "Teach"):
        page.locator(".steps label", has_text=step).click()
        names = [(name["left"], name["width"]) for name in page.evaluate(NAMES)]
        assert left_and_width in (None, names), step
        left_and_width = names
        assert page.evaluate(RUNS_OVER_PX) == [0, 0, 0, 0], step
        for name in page.locator(".steps b").all():
            marked = "underline" if name.inner_text() == step else "none"
            assert name.evaluate(lines) == marked, (step, name.inner_text())


def test_on_a_phone_buttons_stay_where_they_are_in_another_view(visit: Visit, reds: Served) -> None:
    page = visit(reds, **PHONE).open("/").page
    buttons = [page.locator("#filter-button"), page.locator("#saved > summary")]
    before = [each.bounding_box() for each in buttons]
    page.click("[data-view=alike]")
    expect(page.locator("body")).to_have_class("not-grid of-groups")
    assert [each.bounding_box() for each in buttons] == before
