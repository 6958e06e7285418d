"""The metadata panel: counted values and ranges that write the `where`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.lakes import Desk, write
from tests.service.page.conftest import Served, Visit, serving

TERMS = """async ([where]) => {
  const { termsOf } = await import("/page/search/where_terms.js");
  return termsOf(where);
}"""
CHOSEN = """async ([where, facet, values]) => {
  const terms = await import("/page/search/where_terms.js");
  const written = terms.withValues(where, facet, values);
  return [written, terms.chosenValues(written, facet)];
}"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Twelve photos: robots a (6), b (4) and it's (2), distances 0 to 11."""
    desk = Desk(tmp_path_factory.mktemp("metadata"))
    for number in range(12):
        desk.add(f"{number:02}.png", (255, number, 0), size=(8, 8))
        robot = "a" if number < 6 else "b" if number < 10 else "it's"
        facts = {"robot": robot, "distance": number, "seen": number % 3 == 0}
        write(desk.photos / f"{number:02}.json", json.dumps(facts).encode())
    desk.index()
    return desk


@pytest.fixture
def served(desk: Desk, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def test_values_and_ranges_write_the_where(visit: Visit, served: Served) -> None:
    page = visit(served).open("/").page
    page.get_by_role("button", name="Metadata").click()
    robot = page.get_by_role("region", name="robot")
    expect(robot.get_by_role("button")).to_have_text(["a6", "b4", "it's2"])
    robot.get_by_role("button", name="it's").click()
    expect(page.locator("#where")).to_have_value("robot IN ('it''s')")
    expect(page.locator("#passing")).to_have_text("2 images pass")
    expect(page.locator("#status")).to_have_text("2 images")
    # The others are still there, with what choosing them as well would bring.
    robot.get_by_role("button", name="b").click()
    expect(page.locator("#where")).to_have_value("robot IN ('it''s', 'b')")
    expect(page.locator("#passing")).to_have_text("6 images pass")
    expect(robot.get_by_role("button", pressed=True)).to_have_text(["b4", "it's2"])
    # By key: the largest distance, 11, has a bin of its own.
    page.get_by_role("slider", name="distance from").focus()
    page.keyboard.press("End")
    expect(page.locator("#where")).to_have_value("robot IN ('it''s', 'b') AND distance >= 11")
    expect(page.locator("#passing")).to_have_text("1 image passes")
    expect(page.get_by_role("slider", name="distance from")).to_be_focused()
    expect(page.get_by_role("slider", name="distance from")).to_have_value("5")
    page.go_back()
    expect(page.locator("#where")).to_have_value("robot IN ('it''s', 'b')")
    page.get_by_role("region", name="seen").get_by_role("button", name="true").click()
    expect(page.locator("#where")).to_have_value("robot IN ('it''s', 'b') AND seen IN (TRUE)")
    expect(page.locator("#passing")).to_have_text("2 images pass")
    robot.get_by_role("button", name="b").click()
    robot.get_by_role("button", name="it's").click()
    expect(page.locator("#where")).to_have_value("seen IN (TRUE)")


def test_a_range_up_to_the_largest_number_takes_no_nan_along(visit: Visit, served: Served) -> None:
    """A `where` has NaN above all numbers; tables bring none, imported lakes may."""
    page = visit(served).open("/").page

    def two_are_no_number(route: Route) -> None:
        answer = route.fetch().json()
        for facet in answer["facets"]:
            if facet["name"] == "distance":
                facet["values"] = [{"value": "nan", "rows": 2}]
        route.fulfill(json=answer)

    page.route("**/v1/facets", two_are_no_number)
    page.get_by_role("button", name="Metadata").click()
    expect(page.get_by_role("region", name="distance")).to_contain_text("2 no number")
    page.get_by_role("slider", name="distance from").focus()
    page.keyboard.press("End")
    expect(page.locator("#where")).to_have_value("distance >= 11 AND distance <= 11")
    expect(page.locator("#passing")).to_have_text("1 image passes")
    page.get_by_role("slider", name="distance from").focus()
    page.keyboard.press("Home")
    expect(page.locator("#where")).to_have_value("")


def test_quick_clicks_all_count(visit: Visit, served: Served) -> None:
    page = visit(served).open("/").page
    page.get_by_role("button", name="Metadata").click()
    robot = page.get_by_role("region", name="robot")
    expect(robot.get_by_role("button")).to_have_text(["a6", "b4", "it's2"])
    # Three clicks in one turn: nothing was counted, and nothing drawn, between them.
    robot.evaluate("box => [...box.querySelectorAll('button')].forEach((each) => each.click())")
    expect(page.locator("#where")).to_have_value("robot IN ('a', 'b', 'it''s')")
    expect(page.locator("#passing")).to_have_text("12 images pass")
    expect(robot.get_by_role("button", pressed=True)).to_have_count(3)
    # Numbers that arrive while a button of the mouse is down wait for the click that it begins.
    robot.get_by_role("button", name="it's").hover()
    page.mouse.down()
    page.evaluate("history.back()")
    expect(page.locator("#passing")).to_have_text("10 images pass")
    expect(page.locator("#where")).to_have_value("robot IN ('a', 'b')")
    page.mouse.up()
    expect(page.locator("#where")).to_have_value("robot IN ('a', 'b', 'it''s')")
    expect(page.locator("#passing")).to_have_text("12 images pass")


def test_columns_and_their_values_are_completed(visit: Visit, served: Served) -> None:
    page = visit(served).open("/").page
    page.get_by_role("button", name="Metadata").click()
    expect(page.get_by_role("region", name="robot")).to_be_visible()
    offered = page.locator("#columns").get_by_role("button")
    page.locator("#where").press_sequentially("rob")
    expect(offered).to_have_text(["robot"])
    offered.first.click()
    page.locator("#where").press_sequentially("= ")
    expect(offered).to_have_text(["a", "b", "it's"])
    page.locator("#where").press_sequentially("'I")
    expect(offered).to_have_text(["it's"])
    offered.first.click()
    expect(page.locator("#where")).to_have_value("robot = 'it''s' ")
    page.locator("#where").press_sequentially("OR robot IN ('a', ")
    expect(offered).to_have_text(["a", "b", "it's"])
    offered.nth(1).click()
    page.locator("#where").press_sequentially(") OR seen = ")
    expect(offered).to_have_text(["false", "true"])
    offered.nth(1).click()
    expect(page.locator("#where")).to_have_value(
        "robot = 'it''s' OR robot IN ('a', 'b' ) OR seen = TRUE "
    )
    page.locator("#where").press("Enter")
    expect(page.locator("#status")).to_have_text("12 images")


def test_what_was_typed_stays(visit: Visit, served: Served) -> None:
    page = visit(served).open("/?where=distance+%3C+3+OR+robot+%3D+%27b%27").page
    expect(page.locator("#passing")).to_have_text("7 images pass")
    # By an address the line comes alone; the rest of the panel does not push the images down.
    expect(page.locator("#facets")).to_be_hidden()
    page.get_by_role("button", name="Metadata").click()
    page.get_by_role("region", name="robot").get_by_role("button", name="a").click()
    expect(page.locator("#where")).to_have_value("(distance < 3 OR robot = 'b') AND robot IN ('a')")
    expect(page.locator("#status")).to_have_text("3 images")


def test_a_where_that_is_wrong_is_told_and_counts_nothing(visit: Visit, served: Served) -> None:
    visitor = visit(served)
    visitor.refusals.add(422)
    page = visitor.open("/?where=robt+%3D+1").page
    expect(page.locator("#where-problem")).to_contain_text("did you mean robot?")
    expect(page.locator("#facets")).to_be_empty()
    expect(page.locator("#passing")).to_be_empty()


def test_a_phone_shows_it_without_scrolling_sideways(visit: Visit, served: Served) -> None:
    page = visit(served, viewport={"width": 360, "height": 740}).open("/?where=distance+%3E+1").page
    photo = page.locator(".cell").first.bounding_box()
    assert photo is not None
    assert photo["y"] < 600
    page.get_by_role("button", name="Metadata").click()
    expect(page.locator(".facet").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelector('#facets').scrollWidth") <= 360


def test_a_where_is_taken_apart(visit: Visit, served: Served) -> None:
    page = visit(served).open("/").page
    for where, terms in {
        "": [],
        " a = 1 ": ["a = 1"],
        "a = 'x AND y' and (b = 1 AND c = 2) AND NOT d": [
            "a = 'x AND y'",
            "(b = 1 AND c = 2)",
            "NOT d",
        ],
        "a BETWEEN 1 AND 2 AND b": ["a BETWEEN 1 AND 2", "b"],
        "a = 'it''s AND' AND \"or and\" = 1": ["a = 'it''s AND'", '"or and" = 1'],
        "a = 1 AND b = 2 OR c = 3": ["(a = 1 AND b = 2 OR c = 3)"],
        "band = 1 AND orange = 2": ["band = 1", "orange = 2"],
    }.items():
        assert page.evaluate(TERMS, [where]) == terms, where
    for facet, values, written in (
        ({"name": "my col", "kind": "values"}, ["a', 'b", ""], "\"my col\" IN ('a'', ''b', '')"),
        ({"name": "ok", "kind": "values"}, [True], "ok IN (TRUE)"),
        ({"name": "In", "kind": "values"}, ["x"], "\"In\" IN ('x')"),
        ({"name": "a.null", "kind": "values"}, [False], '"a.null" IN (FALSE)'),
        ({"name": "it's", "kind": "values"}, ['"', "'"], "\"it's\" IN ('\"', '''')"),
        ({"name": "a 'TRUE' b", "kind": "values"}, [True], "\"a 'TRUE' b\" IN (TRUE)"),
        ({"name": "labels", "kind": "lists"}, ["cat"], "'cat' IN labels"),
        (
            {"name": "labels", "kind": "lists"},
            ["cat", "it's"],
            "('cat' IN labels OR 'it''s' IN labels)",
        ),
    ):
        assert page.evaluate(CHOSEN, ["a = 1", facet, values]) == [f"a = 1 AND {written}", values]
        # Chosen anew, it is written once.
        again = page.evaluate(CHOSEN, [f"{written} AND a = 1", facet, values])
        assert again == [f"a = 1 AND {written}", values]


def test_a_column_whose_name_draws_nothing_has_one_to_click(visit: Visit, tmp_path: Path) -> None:
    """Two spaces, and a character of no width; its values are a space and nothing."""
    desk = Desk(tmp_path)
    long = "n" * 1_500
    for number in range(4):
        desk.add(f"{number}.png", (255, number, 0), size=(8, 8))
        facts = {"  ": " " if number < 3 else "", "\u200b": number, long: number}
        write(desk.photos / f"{number}.json", json.dumps(facts).encode())
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open("/").page
        page.get_by_role("button", name="Metadata").click()
        blank = page.get_by_role("region", name="(blank name of 2 characters)")
        expect(blank.get_by_role("heading")).to_have_text("(blank name of 2 characters)")
        expect(blank.get_by_role("button")).to_have_text(["(blank)3", "(empty)1"])
        slider = page.get_by_role("slider", name="(blank name of 1 character) from")
        expect(slider).to_be_visible()
        blank.get_by_role("button", name="(empty)").click()
        expect(page.locator("#where")).to_have_value("\"  \" IN ('')")
        expect(page.locator("#passing")).to_have_text("1 image passes")
        orders = page.locator("#sort optgroup option")
        expect(orders.filter(has_text="blank name")).to_have_text(
            ["(blank name of 2 characters)", "(blank name of 1 character)"]
        )
        # The API takes no order of so many characters.
        expect(orders.filter(has_text="nnn")).to_have_count(0)
