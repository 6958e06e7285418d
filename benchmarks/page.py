"""The page over a million images, in Chromium: what a person waits for, and whether it stutters.

Vectors are drawn, and there is no photo behind them: each thumbnail is the same small picture, sent
by the browser's driver, so that what is measured is the page and the service's answers. Where no
graphics card is there, Chromium draws with the processor that the service works with, too.
"""

from __future__ import annotations

import io
import json
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from benchmarks.measure import Measurement
from benchmarks.processes import cpu_s
from benchmarks.service import served
from indexer.disk.layout import Layout
from indexer.embed.models import load_embedder
from indexer.run.writing.compact import compact

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

BROWSERS = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
WORDS = (
    "a cat",
    "a street at night",
    "a red car",
    "people",
    "the sea",
    "a kitchen",
    "snow",
    "a map",
)
FACET_MS, HITS_MS, FRAME_MS, PAGE_BYTES = 100.0, 300.0, 50.0, 250_000
# Before any script of the page: the gaps between frames.
WATCH = """
window.gaps = [];
let before = null;
const frame = (now) => {
  if (before !== null) window.gaps.push(now - before);
  before = now;
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""
# From Enter until the first images of the new answer stand in the grid, in ms.
SEARCH = """async (words) => {
  const grid = document.getElementById("grid");
  const box = document.getElementById("words");
  box.value = words;
  const start = performance.now();
  const came = new Promise((done) => {
    new MutationObserver((changes, observer) => {
      if (!changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.matches?.(".cell")))) return;
      observer.disconnect();
      done(performance.now());
    }).observe(grid, { childList: true });
  });
  document.getElementById("box").requestSubmit();
  return (await came) - start;
}"""


def measure_page(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """A million rows, or 5,000 where it is quick."""
    from playwright.sync_api import sync_playwright

    model = load_embedder("builtin")
    rows = 5_000 if quick else 1_000_000
    folder, label = workspace / f"{rows}.lake", f"{rows:,} rows"
    drawn = PhotoLike(model.dim)
    made = write_synthetic_lake(
        folder, rows, model.dim, segment_rows=rows // 10, model=model, vectors=drawn.photos
    )
    compact(Layout(folder), made, max_segments=12)
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with served(folder) as (port, pid), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(WATCH)
        page.route("**/thumbnail?*", _picture())
        sent: list[int] = []
        page.on("requestfinished", lambda request: sent.append(_page_bytes(request)))
        start = time.perf_counter()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#grid .cell")
        yield Measurement(f"{label}: the first visit, until images stand", _ms(start), "ms")
        page.wait_for_load_state("networkidle")
        yield Measurement("the page itself, over the wire", sum(sent), "bytes", at_most=PAGE_BYTES)
        yield from _facets(page, label, pid)
        yield from _hits(page, label, pid)
        yield from _scrolling(page, label, pages=4 if quick else 60)
        browser.close()


def _facets(page: Page, label: str, pid: int) -> Iterator[Measurement]:
    start = time.perf_counter()
    page.click("#filter-button")
    page.wait_for_selector("#passing:not(:empty)")
    first = _ms(start)
    columns = page.locator(".facet").count()
    yield Measurement(
        f"{label}: Metadata, from the click until all is counted",
        first,
        "ms",
        note=f"{columns} shown",
    )
    timing = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/v1/facets')).at(-1).duration"
    waited = []
    before = cpu_s(pid)
    for value in page.locator('.facet[aria-label="split"] .value').all()[:3]:
        value.click()
        page.wait_for_selector("#facets[aria-busy=true]", state="attached")
        page.wait_for_selector("#facets:not([aria-busy])", state="attached")
        waited.append(float(page.evaluate(timing)))
    yield Measurement(
        f"{label}: the same with a `where`, of a column",
        statistics.median(waited) / max(columns, 1),
        "ms",
        at_most=FACET_MS,
        note=f"all {columns}: {statistics.median(waited):.0f} ms, {_cpu_ms(pid, before, len(waited))}",
    )
    page.fill("#where", "")
    page.press("#where", "Enter")
    page.click("#filter-button")


def _hits(page: Page, label: str, pid: int) -> Iterator[Measurement]:
    page.evaluate(SEARCH, "to begin with")  # the model is loaded, and rows are read
    before = cpu_s(pid)
    waited = sorted(float(page.evaluate(SEARCH, words)) for words in WORDS)
    yield Measurement(
        f"{label}: first hits of new words, from Enter until they stand",
        statistics.median(waited),
        "ms",
        at_most=HITS_MS,
        note=f"slowest of {len(waited)}: {waited[-1]:.0f} ms; {_cpu_ms(pid, before, len(waited))}",
    )
    page.wait_for_load_state("networkidle")


def _scrolling(page: Page, label: str, pages: int) -> Iterator[Measurement]:
    """By the wheel, as a hand turns it, through so many pages of 60 images."""
    page.mouse.move(640, 500)
    page.evaluate("window.gaps.length = 0")
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    for _ in range(3_000):
        page.mouse.wheel(0, 240)
        page.wait_for_timeout(16)
        if _shown(page) >= 60 * pages:
            break
    gaps = sorted(page.evaluate("window.gaps"))
    tasks = _main_tasks_ms(browser.stop_tracing())
    shown = _shown(page)
    said = f"{label}: scrolling to image {shown:,}"
    yield Measurement(
        f"{said}, the longest task of the page, by processor time",
        tasks[-1],
        "ms",
        at_most=FRAME_MS,
        note=f"of {len(tasks):,}, {sum(1 for task in tasks if task > FRAME_MS)} of over 50 ms",
    )
    late = sum(1 for gap in gaps if gap > FRAME_MS)
    yield Measurement(
        f"{said}, the longest frame",
        gaps[-1],
        "ms",
        note=f"{late} of {len(gaps):,} over 50 ms; 99 of 100 below {gaps[int(0.99 * len(gaps))]:.0f} ms",
    )


def _shown(page: Page) -> int:
    """How many images the grid has; only those near the window stand in the document."""
    return int(page.locator("#grid .cell").last.get_attribute("aria-posinset") or 0)


def _main_tasks_ms(trace: bytes) -> list[float]:
    """How long each task of the page's main thread took, by processor time, which does not depend
    on who else is on the machine; rising.
    """
    events = json.loads(trace)["traceEvents"]
    threads = {
        (each["pid"], each["tid"])
        for each in events
        if each.get("name") == "thread_name" and each["args"].get("name") == "CrRendererMain"
    }
    return sorted(
        each["tdur"] / 1e3
        for each in events
        if each.get("name") in ("RunTask", "ThreadControllerImpl::RunTask")
        and (each["pid"], each["tid"]) in threads
        and "tdur" in each
    )


def _picture() -> Any:
    buffer = io.BytesIO()
    Image.new("RGB", (256, 192), (120, 140, 150)).save(buffer, "JPEG")
    body = buffer.getvalue()

    def answer(route: Route) -> None:
        route.fulfill(body=body, content_type="image/jpeg")

    return answer


def _page_bytes(request: Any) -> int:
    """Of what is the page's own, as it was sent; 0 of images and answers."""
    path = request.url.partition("//")[2].partition("/")[2]
    is_own = path == "" or path.startswith("page/")
    return int(request.sizes()["responseBodySize"]) if is_own else 0


def _cpu_ms(pid: int, before: float, times: int) -> str:
    return f"the service's processor {1e3 * (cpu_s(pid) - before) / max(times, 1):.0f} ms each"


def _ms(start: float) -> float:
    return 1e3 * (time.perf_counter() - start)
