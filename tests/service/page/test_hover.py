"""What a hand over something changes does not stay after a finger has left, and what it reveals is
there for fingers and keys too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import expect

from tests.service.page.conftest import Served, Visit
from tests.service.page.test_label import PHONE

SHEETS = sorted((Path(__file__).parents[3] / "service" / "page").rglob("*.css"))
HOVERS = "(hover: hover)"
# What says whether something is seen at all.
REVEALS = {"opacity", "visibility", "display", "clip-path"}


class Rule(NamedTuple):
    selectors: list[str]
    declared: dict[str, str]
    media: str  # the conditions around it, of all levels


def rules(text: str) -> Iterator[Rule]:
    """The rules of a stylesheet, in order."""
    around: list[str] = []
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for before, brace in re.findall(r"([^{}]*)([{}])", text):
        if brace == "{":
            around.append(" ".join(before.split()))
            continue
        head = around.pop()
        if not head.startswith("@"):
            pairs = [each.split(":", 1) for each in before.split(";") if ":" in each]
            declared = {name.strip(): value.strip() for name, value in pairs}
            yield Rule([each.strip() for each in head.split(",")], declared, " ".join(around))


def sticking(text: str) -> list[str]:
    """Selectors with `:hover` that a touch screen takes as well."""
    return [
        selector
        for rule in rules(text)
        if HOVERS not in rule.media
        for selector in rule.selectors
        if ":hover" in selector
    ]


def unreachable(text: str) -> list[str]:
    """Selectors whose `:hover` reveals what keys (`:focus-within`) or fingers, of whom
    `(hover: none)` tells, do not come to.
    """
    all_rules = list(rules(text))

    def says(selector: str, name: str, value: str, media: str) -> bool:
        return any(
            selector in rule.selectors and rule.declared.get(name) == value and rule.media == media
            for rule in all_rules
        )

    return [
        selector
        for rule in all_rules
        for name in REVEALS & rule.declared.keys()
        for selector in rule.selectors
        if ":hover" in selector
        if not says(selector.replace(":hover", ":focus-within"), name, rule.declared[name], "")
        or not says(selector.split()[-1], name, rule.declared[name], "@media (hover: none)")
    ]


def test_the_two_rules_find_what_breaks_them() -> None:
    text = """
    .a:hover, .b > i { color: red; } /* .c:hover { } */
    @media (max-width: 600px) { .d:hover { color: red; } }
    @media (hover: hover) { .e:hover .f { opacity: 1; } .g:hover .h { opacity: 1; } }
    @media (max-width: 600px) { @media (hover: hover) { .i:hover { color: red; } } }
    @media (max-width: 600px) and (hover: hover) { .j:hover { color: red; } }
    .e:focus-within .f { opacity: 1; }
    .g:focus-within .h { opacity: 1; }
    @media (hover: none) { .f { opacity: 1; } .h { opacity: 0.5; } }
    """
    assert sticking(text) == [".a:hover", ".d:hover"]
    assert unreachable(text) == [".g:hover .h"]
    assert unreachable(text.replace(".e:focus-within", ".e")) == [".e:hover .f", ".g:hover .h"]


def test_no_colour_of_a_hand_stays_where_nothing_hovers() -> None:
    found = {path.name: sticking(path.read_text()) for path in SHEETS}
    assert "search.css" in found
    assert {name: selectors for name, selectors in found.items() if selectors} == {}


def test_what_a_hand_reveals_fingers_and_keys_come_to() -> None:
    found = {path.name: unreachable(path.read_text()) for path in SHEETS}
    assert {name: selectors for name, selectors in found.items() if selectors} == {}


def test_the_tick_and_the_buttons_of_an_image_without_a_hand(visit: Visit, reds: Served) -> None:
    parts = (".tick", ".over")
    page = visit(reds).open("/?q=red").page
    first, second = page.locator("#grid .cell").nth(0), page.locator("#grid .cell").nth(1)
    page.locator("#words").focus()
    page.mouse.move(2, 2)
    for part in parts:
        expect(first.locator(part)).to_have_css("opacity", "0")
    first.locator(".photo").focus()
    for part in parts:
        expect(first.locator(part)).to_have_css("opacity", "1")
        expect(second.locator(part)).to_have_css("opacity", "0")
    phone = visit(reds, **PHONE).open("/?q=red").page
    for part in parts:
        expect(phone.locator(f"#grid .cell {part}").first).to_have_css("opacity", "1")
