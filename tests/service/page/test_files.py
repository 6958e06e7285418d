"""The pages' files, as they lie in their folders:
what names what. Needs no browser.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from service.api.routes.page import FOLDER
from service.api.routes.page import files as page_files

PAGES = ("search", "label", "lake")


def files(*endings: str) -> set[str]:
    return {
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in endings
    }


def imported_by(module: str) -> set[str]:
    """:param module: its path from the folder of the pages, as `search/grid.js`"""
    path = FOLDER / module
    # A line that begins with `/** @import` names types alone, which no browser loads.
    named = re.findall(r'^(?:import|export|\}).* from "(\.[^"]+)"', path.read_text(), re.M)
    return {(path.parent / name).resolve().relative_to(FOLDER).as_posix() for name in named}


def needed_by(module: str) -> set[str]:
    """All that a module imports, and they import; itself only if it stands in a circle."""
    found: set[str] = set()
    left = [module]
    while left:
        for name in imported_by(left.pop()) - found:
            found.add(name)
            left.append(name)
    return found


def named_by(page: str) -> set[str]:
    text = (FOLDER / page / f"{page}.html").read_text()
    return set(re.findall(r'(?:href|src)="/page/([^"]+)"', text))


def test_no_file_is_left_over() -> None:
    assert set().union(*map(named_by, PAGES)) == files(".js", ".css", ".svg")
    assert files(".html") == {f"{page}/{page}.html" for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_every_module_is_named_at_the_top_and_nothing_is_inline(page: str) -> None:
    """Modules are asked for at once and not one after the other;
    the page's own policy forbids inline code.
    """
    module = f"{page}/{page}.js"
    assert {name for name in named_by(page) if name.endswith(".js")} == needed_by(module) | {module}
    text = (FOLDER / page / f"{page}.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_needs_only_its_own_files_and_the_common_ones(page: str) -> None:
    # the map is one of the ways in which Search shows images
    own = {"common", "map", page} if page == "search" else {"common", page}
    assert {name.partition("/")[0] for name in named_by(page)} == own


def test_common_is_what_several_pages_need() -> None:
    named = Counter(name for page in PAGES for name in named_by(page))
    several = {name for name, pages in named.items() if pages > 1}
    assert {name for name in files(".js", ".css", ".svg") if name.startswith("common/")} == several


def test_no_module_needs_itself() -> None:
    assert {name for name in files(".js") if name in needed_by(name)} == set()


@pytest.mark.parametrize("module", sorted(files(".js")))
def test_no_text_is_parsed_as_markup(module: str) -> None:
    """Texts of a lake's owner stay text."""
    written = r"\.(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\("
    assert not re.search(written, (FOLDER / module).read_text())


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_small_as_it_is_sent(page: str) -> None:
    """The budget of the contract, of all that a first visit loads but images and answers."""
    app = Starlette(routes=[Mount("/page", page_files())])
    sent = 0
    with TestClient(app) as client:
        for name in [*named_by(page), f"{page}/{page}.html"]:
            with client.stream(
                "GET", f"/page/{name}", headers={"Accept-Encoding": "gzip"}
            ) as answer:
                sent += sum(map(len, answer.iter_raw()))
                assert (
                    answer.headers.get("Content-Encoding") == "gzip"
                    or int(answer.headers["Content-Length"]) < 500
                )
    assert sent < 250_000


def test_who_takes_no_gzip_gets_the_file_as_it_is() -> None:
    with TestClient(Starlette(routes=[Mount("/page", page_files())])) as client:
        name = "search/search.js"
        for encoding, said in {"identity": None, "gzip": "gzip"}.items():
            answer = client.get(f"/page/{name}", headers={"Accept-Encoding": encoding})
            assert answer.headers.get("Content-Encoding") == said
            assert answer.content == (FOLDER / name).read_bytes()
            assert answer.headers["Vary"] == "Accept-Encoding"
