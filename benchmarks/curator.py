"""A curator's job on the page, from a search to an export, in clicks, keys and seconds.

The photos are parts of nine sample photos, of which one shows a cat. The job: find the 40 best
cats, tag them, make a filter of the search, teach it, check it at random, apply it, look at what
was dropped, restore three images, export what is kept. Who answers knows which photos are cats,
and spends no time on thinking: the seconds are those that the page and the service take.

    python -m benchmarks curator
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.page import BROWSERS
from benchmarks.photos import SAMPLES, make_photos
from benchmarks.service import served
from indexer.config import IndexConfig
from indexer.disk.manifest import SourceEntry
from indexer.embed.models import load_embedder
from indexer.sync import sync

if TYPE_CHECKING:
    from playwright.sync_api import Page

BEST = 40
GRIDS = 3  # of twenty candidates
RESTORED = 3
# Of the check that is asked for: the more, the more answers.
RECALL, CONFIDENCE = "80", "90"
MOST_ANSWERS = 400
READY = '[data-answer="yes"][aria-disabled="false"]'
_NAMES = [name for names in SAMPLES.values() for name in names]
_CAT = next(number for number, name in enumerate(_NAMES) if "chelsea" in name)


def is_cat(name: str) -> bool:
    """:param name: photo-00001.jpg, whose number says which photo it is a part of."""
    found = re.search(r"photo-(\d+)", name)
    assert found is not None, name
    return int(found[1]) % len(_NAMES) == _CAT


class Hand:
    """A person at the page, whose clicks and keys are counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = self.keys = 0
        self.steps: list[tuple[str, int, int, float]] = []
        self._before = (0, 0, time.perf_counter())

    def click(self, selector: str, *, shift: bool = False, number: int = 0) -> None:
        self.clicks += 1
        wanted = self.page.locator(selector).nth(number)
        wanted.click(modifiers=["Shift"] if shift else [])

    def press(self, key: str) -> None:
        self.keys += 1
        self.page.keyboard.press(key)

    def write(self, selector: str, text: str) -> None:
        """A field that has the focus, or is clicked on; each character is a key."""
        if not self.page.locator(selector).evaluate("each => each === document.activeElement"):
            self.click(selector)
        self.page.locator(selector).fill(text)
        self.keys += len(text)

    def done(self, step: str) -> None:
        clicks, keys, since = self._before
        now = time.perf_counter()
        self.steps.append((step, self.clicks - clicks, self.keys - keys, now - since))
        self._before = (self.clicks, self.keys, now)


def main(words: Sequence[str]) -> int:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m benchmarks curator", description=__doc__)
    parser.add_argument("--photos", type=int, default=900, help="photos (default: 900)")
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each step")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="lakesift-bench-") as folder:
        photos, lake = Path(folder) / "photos", Path(folder) / "photos.lake"
        make_photos(photos, arguments.photos)
        model = load_embedder("builtin")
        sync(lake, lambda _: model, add=[SourceEntry(str(photos))], config=IndexConfig())
        browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
        with served(lake) as (port, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(120_000)
            hand = Hand(page)
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector("#grid .cell")
            hand.done("open the page")
            for step in (_find, _tag, _make, _teach, _check, _apply, _restore, _export):
                said = step(hand)
                hand.done(said)
                if arguments.pictures:
                    arguments.pictures.mkdir(parents=True, exist_ok=True)
                    name = f"{len(hand.steps):02}-{step.__name__.strip('_')}.png"
                    page.screenshot(path=arguments.pictures / name)
            browser.close()
    print("| step | clicks | keys | s |\n|---|---|---|---|")
    for said, clicks, keys, seconds in hand.steps:
        print(f"| {said} | {clicks} | {keys} | {seconds:.1f} |")
    total = sum(seconds for *_, seconds in hand.steps)
    print(f"| in all | {hand.clicks} | {hand.keys} | {total:.1f} |")
    return 0


def _find(hand: Hand) -> str:
    hand.write("#words", "a cat")
    hand.press("Enter")
    hand.page.wait_for_selector("#strength-said:not(:empty)")
    hand.click(".cell .tick")
    hand.click(".cell .tick", shift=True, number=BEST - 1)
    hand.page.locator("#selected", has_text=f"{BEST} selected").wait_for()
    shown = hand.page.locator(".cell.selected img").all()
    cats = sum(is_cat(str(image.get_attribute("alt"))) for image in shown)
    return f"find and select the {BEST} best of a search ({cats} show what was looked for)"


def _tag(hand: Hand) -> str:
    hand.click("#select-tag")
    hand.write("#tag-name", "best")
    hand.press("Enter")
    hand.page.locator("#tag-done:not(:empty)").wait_for()
    hand.press("Escape")
    hand.press("Escape")
    return "tag them"


def _make(hand: Hand) -> str:
    hand.click("#make-filter")
    hand.page.wait_for_selector("#new-name")
    hand.write("#new-name", "cats")
    hand.write("#new-recall", RECALL)
    hand.write("#new-confidence", CONFIDENCE)
    hand.press("Enter")
    hand.page.wait_for_selector(READY)
    return f"make a filter of the search (recall {RECALL} %, confidence {CONFIDENCE} %)"


def _teach(hand: Hand) -> str:
    hand.click('#ways label:has(input[value="many"])')
    cells, first = hand.page.locator("#candidates button"), ""
    for number in range(GRIDS):
        # Another grid than before, and whole.
        another = f'li:first-child button:not([title="{first}"])'
        hand.page.locator(f'#candidates[aria-busy="false"] {another}').wait_for()
        cells.nth(19).wait_for()
        first = str(cells.first.get_attribute("title"))
        for at, cell in enumerate(cells.all()):
            if not is_cat(str(cell.get_attribute("title"))):
                hand.click("#candidates button", number=at)
        hand.press("Enter")
        hand.page.locator("#labels", has_text=re.compile(f"^{20 * (number + 1)}$")).wait_for()
    return f"teach it by {GRIDS} grids of 20"


def _check(hand: Hand) -> str:
    hand.click('label:has(input[value="audit"])')
    hand.page.locator(".invite .strong", has_text="answer").wait_for()
    hand.click(".invite .strong")
    answered = 0
    while answered < MOST_ANSWERS:
        hand.page.locator(f"{READY}, #frame .message").first.wait_for()
        if hand.page.locator(READY).count() == 0:
            break
        name = str(hand.page.locator(".asked").get_attribute("alt"))
        hand.press("y" if is_cat(name) else "n")
        answered += 1
    return f"check it at random ({answered} answers)"


def _apply(hand: Hand) -> str:
    hand.click("#apply")
    hand.page.locator("#of-drop:not(:empty)").wait_for()
    kept, dropped = (hand.page.locator(f"#of-{each}").inner_text() for each in ("keep", "drop"))
    return f"apply it ({kept} kept, {dropped} dropped)"


def _restore(hand: Hand) -> str:
    hand.click("label.of-drop")
    hand.page.locator('#sample-grid[aria-busy="false"]').wait_for()
    for number in range(RESTORED):
        judges = hand.page.locator("#sample-grid .judge")
        judges.first.wait_for()
        left = judges.count()
        hand.click("#sample-grid .judge button")
        hand.page.locator("#sample-grid .told").nth(number).wait_for()
        assert judges.count() == left - 1
    return f"look at what was dropped, restore {RESTORED}"


def _export(hand: Hand) -> str:
    link = '#hand-over .parts li:first-child a:has-text("CSV")'
    hand.page.locator(link).first.wait_for()
    with hand.page.expect_download() as saved:
        hand.click(link)
    lines = Path(saved.value.path()).read_text().splitlines()
    return f"export what is kept as CSV ({len(lines) - 1} lines)"
