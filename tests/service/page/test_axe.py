"""What people who see little, or use keys alone, would stumble over: axe finds none of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from service.lake import Lake
from service.relevance import Filters
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk
from tests.service.page.conftest import Served, Visit, serving
from tests.service.page.test_page import PHONE

DARK_PHONE = {**PHONE, "color_scheme": "dark"}


def faults(page: Page) -> list[tuple[str, list[Any]]]:
    """Each rule that is broken, however little it matters, and where."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"]]) for each in found]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Four colours and a filter of them, taught and applied."""
    root = tmp_path_factory.mktemp("axe")
    desk = Desk(root)
    for name, colour in (("a", BLUE), ("b", GREEN), ("c", RED), ("d", YELLOW)):
        desk.add(f"{name}.png", colour)
    (desk.photos / "e.png").write_bytes(b"no image")
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        lake.tag("warm", [3, 4])
        found = Filters(lake).create("reds", keep_texts=["red"])
        labels = {1: "no", 2: "no", 3: "yes", 4: "yes"}
        drawn = [row["row_id"] for row in found.next(9, "audit")["rows"]]
        found.label([{"row_id": row, "label": labels[row], "purpose": "audit"} for row in drawn])
        found.apply()
        Filters(lake).create("blues", keep_texts=["blue"])
    with serving(Path(root / "state"), {"my": desk.lake}, embedder=desk.model) as served:
        yield served


@pytest.mark.parametrize("screen", [{}, DARK_PHONE], ids=["desk", "dark phone"])
def test_the_search_page(visit: Visit, served: Served, screen: dict[str, Any]) -> None:
    visitor = visit(served, **screen)
    visitor.refusals = {422}
    page = visitor.open("/?q=red&not=blue&like=3&where=widht").page
    page.wait_for_selector("#where-problem:not(:empty)")
    assert faults(page) == []
    visitor.open("/?q=red")
    page.locator(".cell .photo").first.focus()
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Selection")).to_be_visible()
    assert faults(page) == []
    page.get_by_text("View", exact=True).click()
    page.click("#select-tag")
    expect(page.get_by_role("button", name="warm 2")).to_be_visible()
    assert faults(page) == []
    page.click("#tag-close")
    visitor.open("/?q=red&row=3")
    page.wait_for_selector(".facts")
    assert faults(page) == []
    page.evaluate("document.querySelector('.facts').append(document.createElement('button'))")
    assert [rule for rule, _ in faults(page)] == ["button-name"]


@pytest.mark.parametrize("screen", [{}, DARK_PHONE], ids=["desk", "dark phone"])
def test_the_page_of_filters(visit: Visit, served: Served, screen: dict[str, Any]) -> None:
    page = visit(served, **screen).page
    page.goto(f"{served.url}/label?lake=my")
    expect(page.locator("#list")).to_be_visible()
    assert faults(page) == []
    page.goto(f"{served.url}/label?lake=my&filter=blues")
    page.wait_for_selector('[data-answer="yes"][aria-disabled="false"]')
    assert faults(page) == []
    page.goto(f"{served.url}/label?lake=my&filter=reds")
    expect(page.locator("body")).to_contain_text("Kept")
    page.wait_for_load_state("networkidle")
    assert faults(page) == []


@pytest.mark.parametrize("screen", [{}, DARK_PHONE], ids=["desk", "dark phone"])
def test_the_page_of_a_lake(visit: Visit, served: Served, screen: dict[str, Any]) -> None:
    page = visit(served, **screen).open_lake("/lake?lake=my").page
    assert page.locator("#sources tbody tr").count() == 1
    assert faults(page) == []
