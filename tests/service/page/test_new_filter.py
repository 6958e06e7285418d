"""The form that makes a filter: photos of one's own as examples,
the promise, and what is wrong with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from service.lake import Lake
from service.relevance import Filters, Target
from tests.lakes import BLUE, RED, png
from tests.service.page.conftest import Served, Visit, Visitor
from tests.service.page.test_label import PHONE, READY, lake, make_filter, served
from tests.service.page.test_page import CONTRAST, TRANSFER, as_jpeg, carry

__all__ = ["lake", "served"]  # fixtures


def photo(name: str, data: bytes) -> Any:
    return {"name": name, "mimeType": "image/png", "buffer": data}


def form(visit: Visit, served: Served, **screen: Any) -> tuple[Visitor, Page]:
    visitor = visit(served, **screen)
    visitor.page.goto(f"{served.url}/label?lake=photos")
    expect(visitor.page.locator("#new")).to_be_visible()
    return visitor, visitor.page


def names(page: Page, side: str) -> list[str | None]:
    return [chip.get_attribute("title") for chip in page.locator(f"#{side}-photos .chip").all()]


def test_photos_wanted_and_unwanted_become_examples(
    visit: Visit, served: Served, lake: Path
) -> None:
    _, page = form(visit, served)
    with page.expect_file_chooser() as chooser:
        page.click("#keep-choose")
    chooser.value.set_files(
        [photo("cat.jpg", as_jpeg("chelsea.png")), photo("cup.jpg", as_jpeg("coffee.png"))]
    )
    page.set_input_files("#drop-files", [photo("rocket.jpg", as_jpeg("rocket.jpg"))])
    assert names(page, "keep") == ["cat.jpg", "cup.jpg"]
    shown = page.locator("#keep-photos img").first
    expect(shown).to_have_js_property("complete", True)
    assert shown.evaluate("(image) => image.naturalWidth") > 0
    page.get_by_role("button", name="Remove cup.jpg").click()
    assert names(page, "keep") == ["cat.jpg"]
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove cat.jpg"

    page.fill("#new-name", "cats")
    page.fill("#new-precision", "80")
    page.fill("#new-recall", "90")
    page.fill("#new-where", "width_px >= 1")
    page.click("#new-submit")
    page.wait_for_selector(READY)
    expect(page.locator("#question")).to_have_text("Is this like the example of cats?")
    expect(page.locator("#wanted")).to_have_text(
        "Keep at least 90\u00a0% of what belongs here and let at least 80\u00a0% of what is kept belong here, "
        "with 95\u00a0% confidence."
    )
    with Lake.open(lake) as opened:
        definition = Filters(opened).open("cats").definition
    assert [image.name for image in definition.keep.images] == ["cat.jpg"]
    assert [image.name for image in definition.drop.images] == ["rocket.jpg"]
    assert definition.target == Target(0.9, 0.8, 0.95)
    assert definition.where == "width_px >= 1"


def test_dropped_and_pasted_photos_go_where_they_are_put(visit: Visit, served: Served) -> None:
    visitor, page = form(visit, served)
    page.focus("#new-drop")
    carry(visitor, "dragenter", "coffee.png")
    expect(page.locator("#keep-side")).to_have_class("field side carried")
    expect(page.locator("#drop-side")).to_have_class("field side carried over")
    carry(visitor, "drop", "coffee.png", "notes.txt")
    expect(page.locator("#drop-side")).to_have_class("field side")
    assert (names(page, "keep"), names(page, "drop")) == ([], ["coffee.png"])
    expect(page.locator("#notices")).to_have_text("notes.txt is not an image and was left out.")
    carry(visitor, "paste", "rocket.jpg")
    assert names(page, "drop") == ["coffee.png", "rocket.jpg"]
    page.focus("#new-name")
    carry(visitor, "paste", "chelsea.png")
    assert names(page, "keep") == ["chelsea.png"]
    carry(visitor, "drop", "chelsea.png")
    expect(page.locator("#notices")).to_have_text(
        "Drop photos on what to keep, or on what to drop."
    )
    page.focus("#new-submit")
    # it stays on the page
    assert page.evaluate(TRANSFER, ["drop", [], "", "http://127.0.0.1:1/cat.jpg"])
    expect(page.locator("#notices")).to_contain_text("That was a link.")


def test_more_photos_than_a_filter_takes_are_told(visit: Visit, served: Served) -> None:
    _, page = form(visit, served)
    many = [photo(f"{number:02}.png", png((255, number, 0))) for number in range(20)]
    page.set_input_files("#keep-files", many[:10])
    page.set_input_files("#drop-files", many[10:])
    assert len(names(page, "keep")) == 10
    assert names(page, "drop") == [f"{number}.png" for number in range(10, 16)]
    expect(page.locator("#notices")).to_have_text(
        "A filter takes at most 16 photos as examples; the first 6 were taken."
    )


def test_a_broken_photo_is_named_and_the_others_stay(visit: Visit, served: Served) -> None:
    visitor, page = form(visit, served)
    visitor.refusals = {422}
    page.set_input_files(
        "#keep-files", [photo("good.png", png(RED)), photo("broken.png", b"no image")]
    )
    page.set_input_files("#drop-files", [photo("blue.png", png(BLUE))])
    page.fill("#new-name", "reds")
    page.click("#new-submit")
    expect(page.locator("#new-keep-problem")).to_have_text(
        "broken.png: not an image that Pillow or HEIF can open."
    )
    expect(page.locator("#keep-photos .amiss")).to_have_attribute("title", "broken.png")
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove broken.png"
    page.keyboard.press("Enter")
    assert names(page, "keep") == ["good.png"]
    page.click("#new-submit")
    page.wait_for_selector(READY)
    expect(page.locator("#question")).to_have_text("Is this like the example of reds?")


def test_a_mistake_in_words_keeps_the_photos(visit: Visit, served: Served, lake: Path) -> None:
    make_filter(lake)
    visitor, page = form(visit, served)
    visitor.refusals = {409, 422}
    page.set_input_files("#keep-files", [photo("cat.jpg", as_jpeg("chelsea.png"))])
    page.fill("#new-name", "animals")
    page.click("#new-submit")
    expect(page.locator("#new-name-problem")).to_contain_text("There is a filter 'animals' already")
    page.fill("#new-name", "cats")
    page.fill("#new-where", "nope = 1")
    page.click("#new-submit")
    expect(page.locator("#new-where-problem")).to_contain_text("nope")
    assert visitor.focused == "new-where"
    assert names(page, "keep") == ["cat.jpg"]
    expect(page.locator("#new-submit")).to_be_enabled()


@pytest.mark.parametrize(
    ("field", "typed"), [("recall", "100"), ("precision", "0.9"), ("confidence", "-1")]
)
def test_a_share_that_cannot_be_promised_is_told_in_percent(
    visit: Visit, served: Served, field: str, typed: str
) -> None:
    visitor, page = form(visit, served)
    page.fill("#new-name", "cats")
    page.fill("#new-keep", "a cat")
    page.fill(f"#new-{field}", typed)
    page.click("#new-submit")
    expect(page.locator(f"#new-{field}-problem")).to_have_text(
        f"{typed} % cannot be guaranteed; say 1 or more and less than 100, as 95 for 95 %."
    )
    assert visitor.focused == f"new-{field}"
    expect(page.locator(f"#new-{field}")).to_have_attribute("aria-invalid", "true")


def test_only_a_precision_may_be_wanted(visit: Visit, served: Served) -> None:
    _, page = form(visit, served)
    page.fill("#new-name", "cats")
    page.fill("#new-keep", "a cat")
    page.fill("#new-recall", "")
    expect(page.locator("#new-recall")).to_have_attribute("placeholder", "95")
    page.fill("#new-precision", "80")
    expect(page.locator("#new-recall")).to_have_attribute("placeholder", "none")
    page.click("#new-submit")
    page.wait_for_selector(READY)
    with urlopen(f"{served.url}/v1/lakes/photos/filters/cats") as answer:
        assert json.load(answer)["target"] == {"recall": None, "precision": 0.8, "confidence": 0.95}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_is_readable_and_fits_a_phone(visit: Visit, served: Served, scheme: str) -> None:
    _, page = form(visit, served, **PHONE, color_scheme=scheme)
    page.set_input_files("#keep-files", [photo("cat.jpg", as_jpeg("chelsea.png"))])
    page.set_input_files("#drop-files", [photo(f"{'long' * 30}.heic", b"a browser cannot show it")])
    expect(page.locator("#drop-photos .text")).to_be_visible()
    page.fill("#new-recall", "100")
    page.click("#new-submit")
    # The problem that is told moves the button away; after a tap it may stay under the finger.
    for pointer in (page.locator("#new-submit"), page.locator("#new-recall")):
        pointer.hover()
        assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    for part in page.locator("#new button, #new .chip").all():
        box = part.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 360
        assert box["height"] >= 44
