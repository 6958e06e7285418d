"""The order of the images: a menu, a direction, and the state in the link."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.lakes import Desk, write
from tests.service.page.conftest import Served, Visit, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """a to f, whose `size` is 3, 1, 2, none, 1, 3; `path` is a column, too."""
    desk = Desk(tmp_path)
    for number, size in enumerate([3, 1, 2, None, 1, 3]):
        name = "abcdef"[number]
        desk.add(f"{name}.png", (255, number, 0), size=(8, 8))
        facts = {"path": 9 - number} | ({} if size is None else {"size": size})
        write(desk.photos / f"{name}.json", json.dumps(facts).encode())
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        yield served


def test_images_are_sorted_by_a_column_in_both_directions(visit: Visit, served: Served) -> None:
    visitor = visit(served).open("/")
    page, menu, turn = (
        visitor.page,
        visitor.page.get_by_label("Sort"),
        visitor.page.locator("#sort-turn"),
    )

    def names() -> str:
        return "".join(name.removesuffix(".png") for name in visitor.settled().names)

    assert (names(), menu.input_value()) == ("abcdef", "row_id")
    turn.click()
    assert (names(), visitor.address) == ("fedcba", "/?sort=row_id%3Adown")
    menu.select_option("size")
    assert (names(), visitor.address) == ("becafd", "/?sort=size%3Aup")
    expect(turn).to_have_attribute("aria-label", "Rising, from the smallest: turn it round")
    turn.press("Enter")
    expect(turn).to_be_focused()
    assert names() == "afcbed"
    # A column that is called as an order is written in double quotes.
    menu.select_option("path", force=True)
    assert names() == "abcdef"
    menu.select_option('"path"')
    assert (names(), visitor.address) == ("fedcba", "/?sort=%22path%22%3Aup")
    page.go_back()
    page.go_back()
    assert (names(), menu.input_value()) == ("afcbed", "size")
    page.reload()
    assert (names(), menu.input_value()) == ("afcbed", "size")
    assert visitor.shifted == []


def test_a_shuffle_is_in_the_link_and_a_new_search_begins_with_its_best(
    visit: Visit, served: Served
) -> None:
    visitor = visit(served).open("/?sort=random:7")
    page, menu = visitor.page, visitor.page.get_by_label("Sort")
    first = visitor.names
    assert sorted(first) == [f"{name}.png" for name in "abcdef"]
    page.reload()
    assert visitor.settled().names == first
    page.get_by_role("button", name="Shuffle again").click()
    page.wait_for_url(lambda url: "sort=random%3A" in url)
    assert sorted(visitor.settled().names) == sorted(first)
    visitor.search("red")
    assert (visitor.address, menu.input_value()) == ("/?q=red", "match")
    expect(page.locator("#status")).to_contain_text("most similar first")
    page.locator("#sort-turn").click()
    assert visitor.settled().address == "/?q=red&sort=match%3Aup"
    expect(page.locator("#status")).to_contain_text("whatever their match")
    menu.select_option("size")
    assert [name[0] for name in visitor.settled().names] == list("becafd")
    # what was looked for is gone, and its order with it
    page.locator("#home").click()
    assert (visitor.settled().address, menu.input_value()) == ("/", "row_id")


def test_a_phone_has_it_on_a_line_of_its_own(visit: Visit, served: Served) -> None:
    visitor = visit(served, viewport={"width": 360, "height": 740}).open("/?sort=size:down")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
    box = visitor.page.locator("#sort-turn").bounding_box()
    assert box is not None
    assert (box["width"] >= 44, box["height"] >= 44) == (True, True)
    assert visitor.shifted == []
