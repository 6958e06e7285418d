"""What the page of an applied filter gives away:
its report, its ledger and exports; with keys, and without.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.lake import Lake
from service.relevance import Filters, Target
from tests.fakes import ColourEmbedder
from tests.lakes import Desk
from tests.service.page.conftest import Served, Visit, serving
from tests.service.page.test_label import PHONE, answers

REDS = "/label?lake=my&filter=reds"
MODEL = ColourEmbedder()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A lake with the filter reds, audited and applied with `ask`."""
    desk = Desk(tmp_path_factory.mktemp("reds"), model=MODEL)
    for number in range(30):
        desk.add(f"a{number:03}.png", (255, number * 3, 0), size=(40, 30))
    for number in range(90):
        desk.add(f"b{number:03}.png", (150 - number, 0, 160 + number), size=(30, 40))
    desk.index()
    with Lake.open(desk.lake, MODEL) as opened:
        filter = Filters(opened).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        filter.label(answers(filter.next(10)["rows"]))
        while rows := filter.next(40, "audit")["rows"]:
            filter.label(answers(rows))
        assert not filter.apply(recall=0.8, confidence=0.9)["refused"]
    return desk


@pytest.fixture
def applied(made: Desk, tmp_path: Path) -> Path:
    """The lake, a copy: a test deletes the filter."""
    return Path(shutil.copytree(made.lake, tmp_path / "my.lake"))


@pytest.fixture
def locked(applied: Path, tmp_path: Path) -> Iterator[Callable[[str], tuple[Served, str]]]:
    """A service that asks for keys, and a key of a scope."""
    keys = KeyStore(tmp_path / "state")
    keys.add("owner", "write")
    config = ServeConfig(require_key=True)
    with serving(tmp_path / "state", {"my": applied}, config, embedder=MODEL) as served:
        yield lambda scope: (served, keys.add(scope, scope)[1])


def sign_in(page: Page, address: str, secret: str) -> None:
    page.goto(address)
    page.fill("#key", secret)
    page.press("#key", "Enter")
    expect(page.locator("#hand-over")).to_contain_text("The report")


def saved(page: Page, link: Locator) -> tuple[str, Path]:
    with page.expect_download() as download:
        link.click()
    return download.value.suggested_filename, Path(download.value.path())


def part(page: Page, word: str) -> Locator:
    return page.locator(".parts li", has_text=word)


def test_everything_can_be_taken_away_with_a_key_that_only_labels(
    visit: Visit, locked: Callable[[str], tuple[Served, str]], applied: Path
) -> None:
    served, secret = locked("label")
    page = visit(served).page
    sign_in(page, served.url + REDS, secret)
    with Lake.open(applied, MODEL) as opened:
        decided = Filters(opened).open("reds").decisions.applied()
    links = page.locator("#hand-over a")
    name, report = saved(page, links.filter(has_text="a file of it"))
    assert name == "reds.html"
    assert report.read_text().startswith("<!doctype html>")
    with page.context.expect_page() as opened_page:
        links.filter(has_text="The report").click()
    expect(opened_page.value.locator("h1")).to_be_visible()  # it is shown, not saved
    opened_page.value.close()
    name, ledger = saved(page, links.filter(has_text="The full table"))
    assert name.endswith(".parquet")
    assert pq.read_table(ledger).num_rows == 120
    for word, number in (("Kept", decided.kept), ("Dropped", decided.dropped)):
        expect(part(page, word).locator("b")).to_have_text(str(number))
        _, paths = saved(page, part(page, word).get_by_text("Paths"))
        assert len(paths.read_bytes().splitlines()) == number
    expect(part(page, "Ask")).to_have_count(0)  # there are none
    kept = part(page, "Kept")
    assert len(saved(page, kept.get_by_text("CSV"))[1].read_text().splitlines()) == decided.kept + 1
    assert pq.read_table(saved(page, kept.get_by_text("Parquet"))[1]).num_rows == decided.kept
    assert (
        len(json.loads(saved(page, kept.get_by_text("COCO"))[1].read_text())["images"])
        == decided.kept
    )
    tasks = json.loads(saved(page, kept.get_by_text("Label Studio"))[1].read_text())
    assert len(tasks) == decided.kept
    expect(page.locator("#apply")).to_be_disabled()
    expect(page.locator("#no-apply")).to_have_text(
        "Applying needs a key of scope write; the service's owner makes one with lakesift key add NAME --scope write."
    )


def test_a_session_that_ended_asks_for_a_key_and_saves_nothing(
    visit: Visit, locked: Callable[[str], tuple[Served, str]]
) -> None:
    served, secret = locked("read")
    visitor = visit(served)
    visitor.refusals = {401}
    page = visitor.page
    sign_in(page, served.url + REDS, secret)
    page.context.clear_cookies()
    downloads: list[object] = []
    page.on("download", lambda download: downloads.append(download))
    part(page, "Kept").get_by_text("CSV").click()
    expect(page.locator("#key-problem")).to_contain_text("Sign in again.")
    assert page.url == served.url + REDS
    assert downloads == []


def test_what_is_gone_is_said_in_words(visit: Visit, applied: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "state", {"my": applied}, embedder=MODEL) as served:
        visitor = visit(served)
        visitor.refusals = {404}
        page = visitor.page
        page.goto(served.url + REDS)
        expect(page.locator("#sample-grid img").first).to_be_visible()
        with Lake.open(applied, MODEL) as opened:
            Filters(opened).delete("reds")
        page.get_by_text("The report").click()
        expect(page.locator("#notices")).to_contain_text("My has no filter 'reds'")
        expect(page.locator("#frame")).to_contain_text("The filter is applied")


def test_the_promise_shown_is_the_one_that_was_made(
    visit: Visit, applied: Path, tmp_path: Path
) -> None:
    """It was applied with a recall of 0.8; the filter's own is 0.9."""
    with serving(tmp_path / "state", {"my": applied}, embedder=MODEL) as served:
        page = visit(served, **PHONE).page
        page.goto(served.url + REDS)
        expect(page.locator("#outcome")).to_contain_text(
            "Guaranteed: recall at least 80\u00a0%, with 90\u00a0% confidence."
        )
        expect(page.locator("#audit-text")).to_contain_text("The guarantee holds, and is applied.")
        expect(part(page, "Kept").get_by_text("Label Studio")).to_be_visible()
        for link in page.locator("#hand-over a").all():
            box = link.bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["x"] + box["width"] <= 360
        expect(page.locator("#sample-grid img").first).to_be_visible()


# -- the report on paper


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_prints_on_white_within_the_page(
    browser: Browser, applied: Path, tmp_path: Path, scheme: str
) -> None:
    with Lake.open(applied, MODEL) as opened:
        (tmp_path / "report.html").write_bytes(Filters(opened).open("reds").report_page())
    width_px = round((210 - 2 * 14) / 25.4 * 96)  # A4 less its margins
    page = browser.new_context(viewport={"width": width_px, "height": 1000}).new_page()
    page.emulate_media(media="print", color_scheme=scheme)  # type: ignore[arg-type]
    page.goto((tmp_path / "report.html").as_uri())
    ground, text = page.evaluate(
        "[getComputedStyle(document.body)].flatMap((s) => [s.backgroundColor, s.color])"
    )
    assert (ground, text) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    cut = """(width) => [...document.querySelectorAll("main *")]
      .filter((each) => each.getBoundingClientRect().right > width + 0.5)
      .map((each) => each.outerHTML.slice(0, 80))"""
    assert page.evaluate(cut, width_px) == []
    parted = """() => [...document.querySelectorAll(".chart, .pictures, .figures, .card, footer, tr")]
      .filter((each) => getComputedStyle(each).breakInside !== "avoid").map((each) => each.className)"""
    assert page.locator(".chart").count() >= 1
    assert page.locator(".pictures").count() >= 2
    assert page.evaluate(parted) == []
    page.context.close()
