"""A real server on a free port, a real Chromium,
and a visitor whom every test leaves without a complaint.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import Desk

# The shell is Chromium without its own toolbar, menus and tabs, which cost four tenths of the
# processor time that a test takes.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Before any script of the page: what moved by itself, and when.
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, sources } of list.getEntries()) {
    const what = sources.map(({ node }) => (node?.parentElement ?? node)?.outerHTML?.slice(0, 80));
    window.shifts.push({ value, what });
  }
}).observe({ type: "layout-shift", buffered: true });
"""
# A photo that failed has said why, so it is there too.
PHOTOS_IN_SIGHT_ARE_THERE = """() => [...document.querySelectorAll(".cell")]
  .filter((cell) => {
    const { top, bottom } = cell.getBoundingClientRect();
    return top < innerHeight && bottom > 0;
  })
  .every((cell) => cell.matches(".loaded, .failed"))
"""
PATIENCE_S = 20
# Tests that fail on a busy machine are found on a quiet one: LAKESIFT_SLOWED=8 .venv/bin/python -m
# pytest tests/service/page gives the page an eighth of the processor.
SLOWED = int(os.environ.get("LAKESIFT_SLOWED", "1"))
expect.set_options(timeout=PATIENCE_S * 1000)  # a busy machine takes more than its five seconds


class Served:
    """An app on a port of its own; it can be stopped, and started again on the same port."""

    def __init__(self, make_app: Callable[[], FastAPI]) -> None:
        self._make_app = make_app
        self._port = 0
        # Who is here; they leave before the server does, so that none calls at a closed door.
        self.guests: list[Visitor] = []
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self._port))
        sock.listen()
        self._port = sock.getsockname()[1]
        config = uvicorn.Config(self._make_app(), log_level="warning", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([sock],), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()


@contextmanager
def serving(
    state: Path, lakes: dict[str, Path], config: ServeConfig | None = None, **facts: Any
) -> Iterator[Served]:
    """:param state: the folder of the service's keys."""
    served = Served(
        lambda: create_app(lakes, config or ServeConfig(), keys=KeyStore(state), **facts)
    )
    try:
        yield served
    finally:
        for guest in served.guests:
            guest.leave()
        served.stop()


@pytest.fixture(scope="session")
def photos(photo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The sample photos, served as `photos`."""
    with serving(tmp_path_factory.mktemp("state"), {"photos": photo_lake}) as served:
        yield served


@pytest.fixture(scope="session")
def reds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A hundred greens (rows 1 to 100), whose scores for red are 0 to 0.36, and ten reds (101 to
    110), which have nearly 1: for "red" their z are below 2, and above 4. Read, not changed.
    """
    desk = Desk(tmp_path_factory.mktemp("reds"))
    for number in range(100):
        desk.add(f"green-{number:02}.png", (number, 255, 0), size=(8, 8))
    for number in range(10):
        desk.add(f"red-{number}.png", (255, number, 0), size=(8, 8))
    desk.index()
    state = tmp_path_factory.mktemp("reds-state")
    with serving(state, {"my": desk.lake}, embedder=desk.model) as served:
        yield served


@pytest.fixture(
    scope="module"
)  # Playwright's event loop must not outlive these tests: others run one of their own
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, (
        f"the page's tests need Chromium, and none of {', '.join(BROWSERS)} is on the PATH: install one"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass(eq=False)
class Visitor:
    """A person at a browser; remembers all that went wrong there."""

    page: Page
    url: str
    refusals: set[int] = field(default_factory=set)  # statuses that this test causes on purpose
    may_be_gone: bool = False  # the test stops the server
    has_left: bool = False
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self) -> Visitor:
        self.page.add_init_script(WATCH_SHIFTS)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self._complain(f"script: {error}"))
        self.page.on("request", self._asked)
        return self

    def leave(self) -> None:
        """What the page says from here on is not heard: once its routes are taken away, it asks the
        real server, which does not know what the test has told. The routes have to go: one that is
        still being answered would raise in whichever test comes next.
        """
        self.has_left = True
        if not self.page.is_closed():
            self.page.unroute_all(behavior="ignoreErrors")
        self.page.context.close()

    def _complain(self, text: str) -> None:
        if not self.has_left:
            self.complaints.append(text)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        status = re.search(r"status of (\d+)", message.text)
        if status and int(status[1]) in self.refusals:
            return
        if self.may_be_gone and "net::ERR_" in message.text:
            return
        self._complain(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).scheme not in ("blob", "data"):
            self.hosts.add(urlsplit(request.url).netloc)

    def open(self, address: str = "/") -> Visitor:
        self.page.goto(self.url + address)
        return self.settled()

    def open_lake(self, address: str = "/lake") -> Visitor:
        """The page that says what a lake is made of."""
        self.page.goto(self.url + address)
        self.page.wait_for_selector("#about:not([hidden])")
        return self

    def settled(self) -> Visitor:
        """Wait until the answer is there, and every photo in sight with it."""
        self.page.wait_for_selector("#grid[aria-busy=false]", state="attached")
        deadline = time.monotonic() + PATIENCE_S
        while not self.page.evaluate(
            PHOTOS_IN_SIGHT_ARE_THERE
        ):  # wait_for_function needs eval, which the page forbids
            assert time.monotonic() < deadline, "a photo does not come"
            self.page.wait_for_timeout(20)
        return self

    def search(self, words: str) -> Visitor:
        self.page.fill("#words", words)
        self.page.press("#words", "Enter")
        return self.settled()

    @property
    def names(self) -> list[str]:
        """What the images of the grid are called, in order."""
        images = self.page.locator("#grid .cell img").all()
        return [str(image.get_attribute("alt")) for image in images]

    @property
    def chips(self) -> list[str]:
        """The examples as they read: `more snow`; pictures by what they are called."""
        return [
            " ".join(
                [
                    *chip.inner_text().split(),
                    *(str(i.get_attribute("alt")) for i in chip.locator("img").all()),
                ]
            )
            for chip in self.page.locator("#chips li").all()
        ]

    @property
    def address(self) -> str:
        return self.page.url.removeprefix(self.url)

    @property
    def message(self) -> str:
        return self.page.locator("#message").inner_text()

    @property
    def focused(self) -> str:
        return str(
            self.page.evaluate(
                "document.activeElement.querySelector('img')?.alt ?? document.activeElement.id"
            )
        )

    @property
    def shifted(self) -> list[Any]:
        """What moved by itself since the page was opened, as the browser measures it."""
        shifts: list[Any] = self.page.evaluate("window.shifts")
        return shifts


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Visit a served app; when the test ends the browser must have
    had nothing to complain of, and no other host.
    """
    visitors: list[tuple[Visitor, Served]] = []

    def visiting(served: Served, **context: Any) -> Visitor:
        options = {"viewport": {"width": 1280, "height": 800}, **context}
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        if SLOWED > 1:
            slow = page.context.new_cdp_session(page)
            slow.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
        visitor = Visitor(page, served.url).watch()
        visitors.append((visitor, served))
        served.guests.append(visitor)
        return visitor

    yield visiting
    for visitor, served in visitors:
        visitor.leave()
        served.guests.remove(visitor)
        assert visitor.complaints == []
        assert visitor.hosts <= {urlsplit(visitor.url).netloc}


@pytest.fixture
def visitor(visit: Visit, photos: Served) -> Visitor:
    """A visitor of the sample photos, at a desk."""
    return visit(photos)


def sync_and_wait(desk: Desk, visitor: Visitor) -> None:
    """Sync, and wait until the server has seen all of it: it looks every half second, and a sync
    may be several snapshots.
    """
    desk.sync()
    for _ in range(400):
        (lake,) = visitor.page.request.get(f"{visitor.url}/v1/lakes").json()["lakes"]
        if lake["snapshot"] == desk.manifest.snapshot:
            return
        time.sleep(0.05)
    raise AssertionError("the server stays with its old snapshot")
