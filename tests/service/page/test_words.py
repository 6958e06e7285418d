"""What is typed into the pages,
and what is said where words find nothing or are not understood.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.lakes import GREEN, Desk
from tests.service.page.conftest import Served, Visit, Visitor, serving
from tests.service.page.test_label import PHONE, READY, lake, make_filter, served
from tests.service.page.test_new_filter import form
from tests.service.page.test_page import ALL, CONTRAST

__all__ = ["lake", "served"]  # fixtures

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "typed_queries.json").read_text()
)
UNDERSTAND = """async (all) => {
  const { understand } = await import("/page/search/typed.js");
  return all.map(understand);
}"""
WRITE_AND_UNDERSTAND = """async (all) => {
  const { understand, written } = await import("/page/search/typed.js");
  return all.map((text) => understand(written(text)));
}"""
CURATORS = """async (all) => {
  const { curators } = await import("/page/common/words.js");
  return all.map(curators);
}"""
SLUGS = """async (all) => {
  const { slug } = await import("/page/label/slug.js");
  return all.map(slug);
}"""


# what is typed


def test_typed_words_are_understood_as_the_command_understands_them(visitor: Visitor) -> None:
    visitor.open()
    got = visitor.page.evaluate(UNDERSTAND, [case["typed"] for case in CASES])
    wanted = [{"wanted": case["wanted"], "unwanted": case["unwanted"]} for case in CASES]
    assert len(got) > 40
    named = [(case["case"], each) for case, each in zip(CASES, got, strict=True)]
    assert named == [(case["case"], each) for case, each in zip(CASES, wanted, strict=True)]


def test_every_text_that_the_box_shows_is_understood_as_itself(visitor: Visitor) -> None:
    visitor.open()
    texts = [text for case in CASES for text in (*case["wanted"], *case["unwanted"])]
    texts += ['"', "\\", "-", "-a", 'a "b" -c', "\\-a", 'ends in \\"', "“a”", "-5", '-"', "a\\\\b"]
    got = visitor.page.evaluate(WRITE_AND_UNDERSTAND, texts)
    assert got == [{"wanted": [text], "unwanted": []} for text in texts]


def test_unwanted_words_and_quoted_parts_become_chips(visitor: Visitor) -> None:
    visitor.open().search('a cat "a cup" -dog -"a red car"')
    assert visitor.page.input_value("#words") == "a cat"
    assert visitor.chips == ["more a cup", "less dog", "less a red car"]
    assert visitor.address == "/?q=a+cat&also=a+cup&not=dog&not=a+red+car"
    visitor.search("a cat -dog")  # said again
    assert visitor.chips == ["more a cup", "less dog", "less a red car"]
    visitor.search("-dog")
    assert visitor.address == "/?q=a+cat&also=a+cup&not=dog&not=a+red+car"
    assert visitor.page.input_value("#words") == "a cat"


def test_a_text_in_quotes_stays_in_the_box_as_it_was_meant(visitor: Visitor) -> None:
    visitor.open().search('"a cat -asleep"')
    assert visitor.page.input_value("#words") == '"a cat -asleep"'
    assert (visitor.address, visitor.chips) == ("/?q=a+cat+-asleep", [])
    visitor.page.press("#words", "Enter")
    visitor.settled()
    assert (visitor.address, visitor.chips) == ("/?q=a+cat+-asleep", [])
    visitor.page.click("#less-of")
    visitor.settled()
    assert (visitor.address, visitor.chips) == ("/?not=a+cat+-asleep", ["less a cat -asleep"])


def test_less_of_what_is_typed_is_less_of_each_part(visitor: Visitor) -> None:
    visitor.open().search("a cat")
    visitor.page.fill("#words", 'a cat "a red car" -dog')
    visitor.page.click("#less-of")
    visitor.settled()
    assert visitor.address == "/?not=a+cat&not=a+red+car&not=dog"
    assert visitor.page.input_value("#words") == ""


def test_escape_clears_nothing_that_was_typed(visitor: Visitor) -> None:
    visitor.open().search("a cat")
    visitor.page.fill("#words", "a cat on a chair")
    visitor.page.press("#words", "Escape")
    assert visitor.page.input_value("#words") == "a cat on a chair"
    assert (visitor.address, visitor.focused) == ("/?q=a+cat", "words")


# what is said


def test_where_that_excludes_all_is_named_with_the_best_there_is(visitor: Visitor) -> None:
    visitor.open("/?q=a+cat&where=width_px+>+100000")
    expect(visitor.page.locator("#message h2")).to_have_text("No image passes")
    assert visitor.page.locator("#message section > p").first.inner_text() == (
        f"width_px > 100000 excludes all {ALL} images."
    )
    assert visitor.page.locator("#live").inner_text() == (
        f"No image passes. width_px > 100000 excludes all {ALL} images."
    )
    best = visitor.page.locator("#message .best")
    expect(best).to_have_text(re.compile(r"^The best there is · 0\.3\d · chelsea\.png$"))
    visitor.page.wait_for_function("() => document.querySelector('.best img').naturalWidth > 0")
    best.click()
    expect(visitor.page.locator("#view")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    visitor.page.click("text=Remove the condition")
    visitor.settled()
    assert (visitor.address, visitor.names[0]) == ("/?q=a+cat", "chelsea.png")


def test_words_that_cannot_be_read_are_named(visitor: Visitor) -> None:
    visitor.open().search("собака")
    said = "The model cannot read “собака”; it reads English."
    expect(visitor.page.locator("#notices .notice")).to_have_text(said)
    assert visitor.page.locator("#live").inner_text().startswith(said)
    assert len(visitor.names) == ALL
    visitor.search("a dog")
    expect(visitor.page.locator("#notices .notice")).to_have_count(0)
    visitor.page.go_back()  # remembered, and said again
    expect(visitor.page.locator("#notices .notice")).to_have_text(said)


def test_a_z_too_high_names_the_best(visit: Visit, tmp_path: Path) -> None:
    """101 greens, each a little redder: the last is the best there is."""
    desk = Desk(tmp_path)
    for number in range(101):
        desk.add(f"{number:03}.png", (number * 2, 255, 0))
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open("/?q=red&min_z=50&where=width_px+>+1")
        expect(visitor.page.locator("#message h2")).to_have_text("No image passes")
        said = visitor.page.locator("#message section > p").first
        expect(said).to_contain_text(
            "Of 101 images that pass none has a match strength of at least 50; the best has match strength "
        )
        expect(visitor.page.locator("#message .best")).to_contain_text("100.png")
        visitor.page.get_by_role("button", name="Any match strength").click()
        visitor.settled()
        assert visitor.names[0] == "100.png"


def test_a_lake_without_images_offers_no_best(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    only = desk.add("green.png", GREEN)
    desk.index()
    with serving(tmp_path / "one", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open("/?q=green&where=width_px+>+9")
        assert visitor.page.locator("#message section > p").first.inner_text() == (
            "width_px > 9 excludes the only image."
        )
        visitor.open("/?where=width_px+>+9")
        assert visitor.page.locator("#message section > p").first.inner_text() == (
            "width_px > 9 excludes the only image."
        )
        expect(visitor.page.locator(".best")).to_have_count(0)
    only.unlink()
    desk.sync(allow_empty=True)
    with serving(tmp_path / "none", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open("/?q=green&where=width_px+>+9")
        expect(visitor.page.locator("#message h2")).to_have_text("my has no images yet")
        expect(visitor.page.locator(".best")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_said_is_readable_and_fits_a_phone(
    visit: Visit, photos: Served, scheme: str
) -> None:
    visitor = visit(photos, **PHONE, color_scheme=scheme)
    visitor.open(f"/?q=собака&where=width_px+>+100000+and+camera+%3D+'{'long' * 30}'")
    expect(visitor.page.locator(".best")).to_be_visible()
    expect(visitor.page.locator("#notices .notice")).to_be_visible()
    assert visitor.page.evaluate(CONTRAST) == []
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == 360


# filters


def test_a_name_becomes_one_that_the_service_takes(visit: Visit, served: Served) -> None:
    _, page = form(visit, served)
    slug = page.locator("#new-name-slug")
    page.fill("#new-name", "reds")
    expect(slug).to_have_text("")
    page.fill("#new-name", " Hospital Rooms (Göteborg) ")
    expect(slug).to_have_text("It will be called hospital-rooms-goteborg.")
    page.fill("#new-keep", "a hospital room")
    page.click("#new-submit")
    page.wait_for_selector(READY)
    assert page.url.endswith("filter=hospital-rooms-goteborg")


def test_slugs(visit: Visit, served: Served) -> None:
    _, page = form(visit, served)
    names = {
        "reds": "reds",
        "a.b_c-d": "a.b_c-d",
        "Red Cars": "red-cars",
        "  -Red--": "red",
        "_x": "x",
        "Straße": "strasse",
        "ﬁlter № 5": "filter-no-5",
        "a/../b": "a-..-b",
        "больница": "больница",  # the service refuses it, with its sentence
        "больница 2": "2",
        "": "",
        "A" * 64: "a" * 64,
    }
    assert page.evaluate(SLUGS, list(names)) == list(names.values())


def test_a_name_of_no_letter_is_refused_with_the_service_s_sentence(
    visit: Visit, served: Served
) -> None:
    visitor, page = form(visit, served)
    visitor.refusals = {422}
    page.fill("#new-name", "больница")
    page.fill("#new-keep", "a hospital room")
    page.click("#new-submit")
    expect(page.locator("#new-name-problem")).to_contain_text("больница")
    assert visitor.focused == "new-name"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_keys_of_labelling_are_shown(
    visit: Visit, served: Served, lake: Path, scheme: str
) -> None:
    make_filter(lake)
    page = visit(served, color_scheme=scheme).page
    page.goto(f"{served.url}/label?lake=photos&filter=animals")
    page.wait_for_selector(READY)
    shown = page.locator("#frame img").first.get_attribute("alt")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    assert page.locator("#help th").all_inner_texts() == ["y", "n", "s", "u", "Enter", "← →", "?"]
    assert page.evaluate(CONTRAST) == []
    page.keyboard.press("y")  # the image is behind the help
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    assert page.locator("#frame img").first.get_attribute("alt") == shown
    assert page.locator("#labels").inner_text() == "0"
    page.locator('input[name="purpose"]').first.focus()  # no text is typed there
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.click("#help-close")
    page.focus("#labeller")
    page.keyboard.type("who?")
    expect(page.locator("#help")).to_be_hidden()
    assert page.input_value("#labeller") == "who?"


# the words for curators, and those of the command


def test_words_for_curators_are_tied_to_those_of_the_command(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor, page = form(visit, served)
    term = page.locator('#new [data-term="guarantee"]')
    expect(term).to_have_text("The guarantee")
    expect(term).to_have_attribute("title", re.compile("call it the promise"))
    expect(term).to_have_accessible_description(re.compile("call it the promise"))
    page.goto(f"{served.url}/label?lake=photos&filter=animals")
    expect(page.locator('[data-term="check"]')).to_have_attribute(
        "title", re.compile("call it the audit")
    )
    visitor.refusals = {422}  # 31 images have no z
    visitor.open("/?q=a+cat&min_z=-9")
    assert visitor.chips == ["match strength at least -9"]
    least = page.locator("#filter [data-term=strength]")
    expect(least).to_have_attribute("title", re.compile("call it z"))


def test_sentences_of_the_server_are_in_the_words_of_the_page(visitor: Visitor) -> None:
    visitor.open()
    said = [
        "the audit's labels do not show the promise; begin an audit",
        "filter 'audit' is promised",
        "2 audit labels are missing",
        "none has a z of at least 3; the best has z -0.5",
    ]
    got = visitor.page.evaluate(CURATORS, said)
    assert got == [
        "the random check's labels do not show the guarantee; begin a random check",
        "filter 'audit' is guaranteed",
        "2 answers of the random check are missing",
        "none has a match strength of at least 3; the best has match strength -0.5",
    ]
