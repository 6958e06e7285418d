"""A filter's people on the page: disputes are settled by key, and it is told who did how much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from service.lake import Lake
from service.relevance import Filters, Target
from tests.lakes import Desk
from tests.service.page.conftest import Served, Visit, serving
from tests.service.page.test_axe import DARK_PHONE, faults

PAGE = "/label?lake=my&filter=reds"
SETTLE_READY = '[data-settle="yes"][aria-disabled="false"]'


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Rows 1 to 6. Of 1 to 3 ann and bob say the same of the last alone."""
    desk = Desk(tmp_path)
    for number in range(6):
        desk.add(f"a{number}.png", (255, number * 40, 0), size=(80, 60))
    desk.index()
    with Lake.open(desk.lake, desk.model) as opened:
        reds = Filters(opened).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        for who, labels in (("ann", ("yes", "yes", "no")), ("<b>bob</b>", ("no", "no", "no"))):
            said = [
                {"row_id": row_id, "label": label, "labeller": who}
                for row_id, label in enumerate(labels, 1)
            ]
            reds.label(said)
    return desk


@pytest.fixture
def served(desk: Desk) -> Iterator[Served]:
    with serving(desk.root / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def said(desk: Desk) -> dict[int, tuple[str, str | None]]:
    """row_id -> what counts, and who settled it."""
    with Lake.open(desk.lake, desk.model) as opened:
        answers = Filters(opened).open("reds").answers()
    return {row_id: (answer.label, answer.settled) for row_id, answer in answers.items()}


def test_disputes_are_settled_by_key_and_taken_back(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served)
    page = visitor.page
    page.goto(visitor.url + PAGE)
    page.fill("#labeller", "cem")
    page.press("#labeller", "Enter")
    expect(page.locator("#team-open")).to_have_text("Settle 2 disputes")
    page.click("#team-open")
    page.wait_for_selector(SETTLE_READY)
    expect(page.locator("#dispute-count")).to_have_text("2 images in dispute")
    expect(page.locator("#dispute-name")).to_have_text("a0.png")
    expect(page.locator("#dispute-question")).to_have_text("Is this: red?")
    # A name is text.
    expect(page.locator("#dispute-said li")).to_have_text(["<b>bob</b>: no", "ann: yes"])
    expect(page.locator("#team-people tr")).to_have_text(["<b>bob</b>30300", "ann32100"])
    # 6 paired labels, 2 yes and 4 no: 1 - 5 * 4 / (36 - 4 - 16) = -0.25.
    expect(page.locator("#team-agreement")).to_contain_text(
        "Two people or more answered 3 images, and agree on 1 of them (33 %). "
        "Krippendorff's alpha is \N{MINUS SIGN}0.25"
    )

    assert faults(page) == []
    page.keyboard.press("s")  # later: the other one first
    expect(page.locator("#dispute-name")).to_have_text("a1.png")
    page.wait_for_selector(SETTLE_READY)
    page.keyboard.press("y")
    expect(page.locator("#dispute-told")).to_have_text("Settled: yes.")
    expect(page.locator("#dispute-count")).to_have_text("1 image in dispute")
    expect(page.locator("#dispute-name")).to_have_text("a0.png")
    assert said(desk) == {1: ("conflict", None), 2: ("yes", "cem"), 3: ("no", None)}
    page.wait_for_selector(SETTLE_READY)
    page.keyboard.press("u")
    expect(page.locator("#dispute-name")).to_have_text("a1.png")
    assert said(desk)[2] == ("conflict", None)
    page.wait_for_selector(SETTLE_READY)
    page.keyboard.press("n")
    expect(page.locator("#dispute-name")).to_have_text("a0.png")
    page.wait_for_selector(SETTLE_READY)
    page.keyboard.press("y")
    expect(page.locator("#dispute-count")).to_have_text("No image is in dispute")
    assert said(desk) == {1: ("yes", "cem"), 2: ("no", "cem"), 3: ("no", None)}
    expect(page.locator("#team-settled")).to_have_text("2 disputes were settled.")
    # Three, for one was taken back: each took a look.
    expect(page.locator("#team-people tr").nth(2)).to_have_text("cem32103")
    page.keyboard.press("Escape")
    expect(page.locator("#team")).to_be_hidden()
    expect(page.locator("#team-open")).to_have_text("Team")
    expect(page.locator("#counts")).to_have_text("1 yes, 2 no")


def test_two_people_at_once_are_asked_about_different_images(
    visit: Visit, served: Served, desk: Desk
) -> None:
    with Lake.open(desk.lake, desk.model) as opened:
        handed = [row.row_id for row in Filters(opened).open("reds").next(2, labeller="ann").rows]
    assert set(handed) == {4, 5}
    visitor = visit(served)
    page = visitor.page
    page.add_init_script("localStorage.setItem('lakesift-labeller', 'cem')")
    page.goto(visitor.url + PAGE)
    page.wait_for_selector('[data-answer="yes"][aria-disabled="false"]')
    expect(page.locator("#frame .asked")).to_have_attribute(
        "alt", "a5.png"
    )  # row 6: all that is left
    page.keyboard.press("n")
    expect(page.locator("#frame")).to_contain_text("2 images are with others.")
    # Of row 3 ann and bob have spoken; of 4, once ann has, cem is asked, too.
    page.click("#team-open")
    page.select_option("#team-double", "1")
    page.click("#team-close")
    with Lake.open(desk.lake, desk.model) as opened:
        said = {"row_id": 4, "label": "yes", "labeller": "ann"}
        Filters(opened).open("reds").label([said])
    page.get_by_role("button", name="Look again").click()
    expect(page.locator("#frame .asked")).to_have_attribute("alt", "a3.png")
    page.wait_for_selector('[data-answer="yes"][aria-disabled="false"]')
    page.keyboard.press("n")
    expect(page.locator("#frame")).to_contain_text("1 image is with others.")
    expect(page.locator("#team-open")).to_have_text("Settle 3 disputes")
    assert page.evaluate("localStorage.getItem('lakesift-double')") == "1"


def test_answers_without_a_name_that_differ_are_told(
    visit: Visit, served: Served, desk: Desk
) -> None:
    with Lake.open(desk.lake, desk.model) as opened:
        for label in ("yes", "no"):
            Filters(opened).open("reds").label([{"row_id": 5, "label": label}])
    page = visit(served).page
    page.goto(served.url + PAGE)
    page.click("#team-open")
    expect(page.locator("#team-agreement")).to_contain_text(
        "Answers without a name say yes and no of 1 image: the last one counts, as if one person had thought anew."
    )


def test_axe_finds_nothing_on_a_dark_phone(visit: Visit, served: Served) -> None:
    page = visit(served, **DARK_PHONE).page
    page.goto(served.url + PAGE)
    expect(page.locator("#team-open")).to_have_text("Settle 2 disputes")
    page.click("#team-open")
    page.wait_for_selector(SETTLE_READY)
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360
