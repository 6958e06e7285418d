"""The guided way on the page: steps, twenty candidates at once, how good the ranking is, the random
check's bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from service.lake import Lake
from service.relevance import Filters, Target
from service.relevance.labels.book import Answer
from tests.lakes import Desk
from tests.service.page.conftest import Served, Visit, Visitor, serving

REDS, OTHERS = 30, 90
PAGE = "/label?lake=my&filter=reds"
YES_READY = '[data-answer="yes"][aria-disabled="false"]'


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Rows 1 to 30 are reddish (a000 to a029), the others go from violet to blue."""
    desk = Desk(tmp_path)
    for number in range(REDS):
        desk.add(f"a{number:03}.png", (255, number * 3, 0), size=(8, 6))
    for number in range(OTHERS):
        desk.add(f"b{number:03}.png", (150 - number, 0, 160 + number), size=(6, 8))
    desk.index()
    with Lake.open(desk.lake, desk.model) as opened:
        Filters(opened).create(
            "reds", keep_texts=["red"], drop_texts=["blue"], target=Target(0.9, None, 0.95)
        )
    return desk


@pytest.fixture
def served(desk: Desk) -> Iterator[Served]:
    import sklearn.linear_model  # noqa: F401 - what a first fit waits for

    with serving(desk.root / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def answers(desk: Desk) -> dict[int, Answer]:
    with Lake.open(desk.lake, desk.model) as opened:
        return Filters(opened).open("reds").answers()


def say(desk: Desk, row_id: int, label: str, labeller: str) -> None:
    with Lake.open(desk.lake, desk.model) as opened:
        said = {"row_id": row_id, "label": label, "labeller": labeller}
        Filters(opened).open("reds").label([said])


def at_grid(visitor: Visitor) -> None:
    visitor.page.goto(visitor.url + PAGE)
    visitor.page.wait_for_selector(YES_READY)
    visitor.page.locator('input[value="many"]').check(force=True)
    expect(visitor.page.locator("#candidates button")).to_have_count(20)


def names(visitor: Visitor) -> list[str]:
    cells = visitor.page.locator("#candidates button").all()
    return [str(cell.get_attribute("title")) for cell in cells]


def row_id(name: str) -> int:
    return int(name[1:4]) + (1 if name.startswith("a") else 1 + REDS)


def test_twenty_are_answered_at_once_but_a_colleague_s_and_taken_back_at_once(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served)
    at_grid(visitor)
    page = visitor.page
    shown = names(visitor)
    cells = page.locator("#candidates button")
    # By click the first, by key the third; the second twice, which is not at all.
    cells.nth(0).click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    page.keyboard.press("y")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    pressed = [cell.get_attribute("aria-pressed") for cell in cells.all()]
    assert pressed == ["true", "false", "true", *["false"] * 17]
    expect(page.locator("#answer-all")).to_contain_text("Save: 18 yes, 2 no")

    say(desk, row_id(shown[5]), "no", "bob")
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text(
        "1 image was answered by somebody else meanwhile and keeps that answer."
    )
    expect(page.locator("#counts")).to_have_text("17 yes, 3 no")
    said = answers(desk)
    assert {name: said[row_id(name)].label for name in shown} == {
        name: "no" if at in (0, 2, 5) else "yes" for at, name in enumerate(shown)
    }
    assert [len(each.labellers) for each in said.values()] == [1] * 20
    expect(cells.first).not_to_have_attribute("title", shown[0])
    assert not set(names(visitor)) & set(shown)
    # The next twenty do not take away what was said of the last.
    expect(page.locator("#notices")).to_contain_text("answered by somebody else meanwhile")

    page.keyboard.press("u")
    expect(page.locator("#notices")).to_be_empty()
    expect(page.locator("#counts")).to_have_text("0 yes, 1 no")  # bob's
    assert list(answers(desk)) == [row_id(shown[5])]
    assert names(visitor) == [name for at, name in enumerate(shown) if at != 5]
    assert page.locator('#candidates [aria-pressed="true"]').count() == 2  # as it was marked


def test_what_cannot_be_seen_is_skipped_unless_it_is_marked(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served)
    visitor.refusals = {410}
    page = visitor.page

    def gone(route: Route) -> None:
        found = re.search(r"/rows/(\d+)/thumbnail", route.request.url)
        if found and int(found[1]) % 4 == 0:
            route.fulfill(status=410, json={"error": {"code": "gone", "message": "it is gone"}})
        else:
            route.continue_()

    page.route("**/thumbnail?*", gone)
    at_grid(visitor)
    shown = names(visitor)
    lacking = [name for name in shown if row_id(name) % 4 == 0]
    assert len(lacking) >= 2
    there = page.locator("#candidates .no-picture")
    expect(there).to_have_text([f"{name}Does not come: skipped" for name in lacking])
    page.locator(f'#candidates button[title="{lacking[0]}"]').click()
    expect(there.first.locator("small")).not_to_be_visible()
    left = len(lacking) - 1
    said = f"{20 - len(lacking)} yes, 1 no, {left} skipped"
    expect(page.locator("#answer-all")).to_contain_text(f"Save: {said}")
    page.locator("#answer-all").click()
    expect(page.locator("#counts")).to_have_text(said)
    labels = {row: each.label for row, each in answers(desk).items()}
    assert labels[row_id(lacking[0])] == "no"
    assert {labels[row_id(name)] for name in lacking[1:]} == {"skip"}
    assert list(labels.values()).count("yes") == 20 - len(lacking)
    expect(page.locator("#candidates button").first).not_to_have_attribute("title", shown[0])
    expect(page.locator("#candidates")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("u")
    expect(page.locator("#counts")).to_have_text("0 yes, 0 no")
    expect(page.locator("#answer-all")).to_contain_text(f"Save: {said}")


def test_of_two_who_say_no_name_neither_takes_back_what_the_other_said(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served)
    at_grid(visitor)
    shown = names(visitor)
    say(desk, row_id(shown[5]), "no", "unnamed")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#counts")).to_have_text("19 yes, 1 no")
    expect(visitor.page.locator("#candidates button").first).not_to_have_attribute(
        "title", shown[0]
    )
    visitor.page.keyboard.press("u")
    expect(visitor.page.locator("#counts")).to_have_text("0 yes, 1 no")
    assert {row: each.label for row, each in answers(desk).items()} == {row_id(shown[5]): "no"}


def test_after_a_reload_undo_takes_back_the_whole_grid(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served)
    at_grid(visitor)
    page = visitor.page
    first = names(visitor)[0]
    page.keyboard.press("Enter")
    expect(page.locator("#counts")).to_have_text("20 yes, 0 no")
    expect(page.locator("#candidates button").first).not_to_have_attribute("title", first)
    expect(page.locator("#candidates")).to_have_attribute("aria-busy", "false")
    page.keyboard.press("Enter")
    expect(page.locator("#counts")).to_have_text("40 yes, 0 no")
    at_grid(visitor)
    page.click("#undo-all")
    expect(page.locator("#counts")).to_have_text("20 yes, 0 no")
    assert len(answers(desk)) == 20
    # One at a time it is the same act.
    page.reload()
    page.wait_for_selector(YES_READY)
    page.locator('input[value="one"]').check(force=True)
    page.click('[data-answer="undo"]')
    expect(page.locator("#counts")).to_have_text("0 yes, 0 no")
    assert answers(desk) == {}


def test_a_grid_that_is_not_saved_stays_and_is_saved_by_another_enter(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served)
    visitor.refusals = {503}
    at_grid(visitor)
    page = visitor.page
    body = '{"error": {"code": "lake_error", "message": "the disk is full", "field": null}}'

    def refuse(route: Route) -> None:
        route.fulfill(status=503, content_type="application/json", body=body)

    page.route("**/reds/label", refuse, times=1)
    shown = names(visitor)
    page.click("#answer-all")
    expect(page.locator("#notices")).to_contain_text("The disk is full.")
    assert names(visitor) == shown
    assert answers(desk) == {}
    page.locator("#candidates button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#counts")).to_have_text("20 yes, 0 no")
    page.locator('input[value="one"]').check(force=True)
    page.wait_for_selector(YES_READY)
    assert page.locator(".asked").get_attribute("alt") not in shown


def test_the_steps_say_what_they_brought_and_the_ranking_what_the_service_says(
    visit: Visit, served: Served, desk: Desk
) -> None:
    with Lake.open(desk.lake, desk.model) as opened:
        filter = Filters(opened).open("reds")
        for _ in range(4):
            rows = filter.next(10).rows
            filter.label(
                [
                    {"row_id": row.row_id, "label": "yes" if row.row_id <= REDS else "no"}
                    for row in rows
                ]
            )
        ranking = filter.ranking()
    assert ranking.now is not None
    visitor = visit(served)
    page = visitor.page
    page.goto(served.url + PAGE)
    page.wait_for_selector(YES_READY)
    brought = [
        page.locator(f"#brought-{step}") for step in ("describe", "teach", "audit", "result")
    ]
    for place, text in zip(
        brought, ("1 wanted, 1 unwanted", "40 answers", "not begun", "not yet"), strict=True
    ):
        expect(place).to_have_text(text)
    expect(page.locator("#ranking-text")).to_contain_text(
        f"Finds 9 of 10 among the top {ranking.now.top} of 120"
    )
    expect(page.locator("#ranking-to")).to_have_text(f"{ranking.now.top} now")
    points = str(page.locator("#ranking-path").get_attribute("d")).split("L")
    assert len(points) == 1 + len(ranking.history)
    what = "Good enough to check:" if ranking.advice == "check" else "Teach it more:"
    expect(page.locator("#ranking-what")).to_have_text(what)
    expect(page.locator("#ranking-because")).to_contain_text(ranking.because)
    expect(page.locator("#next-step")).to_contain_text(
        "Next: the random check." if ranking.advice == "check" else "Next: teach it more"
    )
    page.locator('input[value="describe"]').check(force=True)
    described = page.locator(".described dd")
    expect(described.nth(0)).to_have_text("red")
    expect(described.nth(1)).to_have_text("blue")
    another = page.get_by_role("link", name="Make another filter like this one")
    assert another.get_attribute("href") == "/label?lake=my&new=1&keep_texts=red&drop_texts=blue"
    page.keyboard.press("y")  # nothing is asked here
    assert len(answers(desk)) == 40
    expect(page.locator('input[value="result"]')).to_be_disabled()


def test_the_random_check_shows_no_score_and_its_bounds_tighten(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served)
    page = visitor.page
    page.goto(served.url + PAGE)
    page.wait_for_selector(YES_READY)
    page.locator('input[value="audit"]').check(force=True)
    with page.expect_response("**/next") as asked:
        page.get_by_role("button", name="Begin the random check").click()
    rows = asked.value.json()["rows"]
    assert {(row["score"], row["probability"]) for row in rows} == {(None, None)}
    page.wait_for_selector(YES_READY)
    looks = "(e) => { const s = getComputedStyle(e); return [s.color, s.backgroundColor, s.borderColor]; }"
    yes, no = (page.locator(f'[data-answer="{each}"]').evaluate(looks) for each in ("yes", "no"))
    assert yes == no
    sure = []
    for number in range(7):
        page.wait_for_selector(YES_READY)
        name = str(page.locator(".asked").get_attribute("alt"))
        page.keyboard.press("y" if name.startswith("a") else "n")
        expect(page.locator("#audit-text")).to_contain_text(f"{number + 1} answered")
        told = re.search(r"is (\d+)\u00a0% sure by now", page.locator("#audit-bounds").inner_text())
        if told:
            sure.append(int(told[1]))
    assert sure == sorted(sure)
    assert sure[-1] > sure[0]
    assert "95\u00a0% wanted" in page.locator("#audit-bounds").inner_text()
    expect(page.locator("#audit-pace")).to_contain_text("left at this pace")
