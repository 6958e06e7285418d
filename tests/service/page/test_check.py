"""Whether a lake is well, looked at from its page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.lakes import Desk
from tests.service.page.conftest import Visit, serving
from tests.service.page.test_axe import DARK_PHONE, faults


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Two photos, and a model that knows all texts."""
    desk = Desk(tmp_path)
    desk.add("red.png", (255, 0, 0))
    desk.add("blue.png", (0, 0, 255))
    desk.index()
    red = desk.model.embed_texts(["red"])
    monkeypatch.setattr(type(desk.model), "embed_texts", lambda _, texts: red[[0] * len(texts)])
    return desk


def test_all_is_well_and_what_was_looked_at_is_said(
    desk: Desk, visit: Visit, tmp_path: Path
) -> None:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open_lake().page
        said = page.locator("#check-said")
        expect(said).to_contain_text("Nothing is changed.")
        page.locator("#check-begin").focus()
        page.keyboard.press("Enter")
        expect(said).to_contain_text(" things that were looked at are well.")
        expect(page.locator("#check-begin")).to_be_focused()
        said.get_by_text("What was looked at").click()
        expect(said.locator("li", has_text="Rows")).to_contain_text("2 live rows")
        expect(said.locator("li", has_text="Source")).to_contain_text("photos is there")


def test_what_is_wrong_comes_first_with_its_way_out(
    desk: Desk, visit: Visit, tmp_path: Path
) -> None:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served, **DARK_PHONE).open_lake().page
        desk.photos.rename(tmp_path / "elsewhere")
        page.click("#check-begin")
        said = page.locator("#check-said")
        expect(said.locator("p")).to_contain_text("1 of ")
        expect(said.locator("p")).to_contain_text(" is not well:")
        expect(said.locator("li").first).to_contain_text(str(desk.photos))
        assert faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_two_quick_clicks_look_once_and_a_refusal_is_said(
    desk: Desk, visit: Visit, tmp_path: Path
) -> None:
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {429}
        page = visitor.open_lake().page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        page.dblclick("#check-begin")
        expect(page.locator("#check-said")).to_contain_text("are well.")
        assert sum(each.endswith("/doctor") for each in asked) == 1
        busy = (
            '{"error": {"code": "too_busy", "message": "a lake is being looked at", "field": null}}'
        )
        page.route("**/doctor", lambda route: route.fulfill(status=429, body=busy))
        page.click("#check-begin")
        expect(page.locator("#check-said .bad")).to_have_text("A lake is being looked at.")


def test_who_may_only_label_is_not_offered_it(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    key = KeyStore(tmp_path / "state").add("ann", "label")[1]
    config = ServeConfig(require_key=True)
    with serving(tmp_path / "state", {"my": desk.lake}, config, embedder=desk.model) as served:
        page = visit(served).page
        page.goto(served.url + "/lake")
        page.fill("#key", key)
        page.press("#key", "Enter")
        page.wait_for_selector("#about:not([hidden])")
        expect(page.locator("#check")).to_be_hidden()
