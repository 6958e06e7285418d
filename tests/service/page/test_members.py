"""Images that lie in tars, zips and tables, on the page."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import expect

from indexer.address import Address
from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, live_rows, png, write
from tests.service.page.conftest import Served, Visit, serving

SIZE = (60, 40)
PLACES = """async (rows) => {
  const { placeOf } = await import("/page/common/words.js");
  return rows.map(placeOf);
}"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("members"))
    write(desk.photos / "0.tar", tar_of({"x/red 1.png": png(RED, SIZE)}))
    for name, colour, how in (
        ("1.zip", GREEN, zipfile.ZIP_STORED),
        ("2.zip", BLUE, zipfile.ZIP_DEFLATED),
    ):
        with zipfile.ZipFile(desk.photos / name, "w", how) as archive:
            archive.writestr("a.png", png(colour, SIZE))
    pq.write_table(pa.table({"image": [png(YELLOW, SIZE)]}), desk.photos / "3.parquet")
    desk.index()
    return desk


@pytest.fixture
def served(desk: Desk, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "state", {"members": desk.lake}, embedder=desk.model) as served:
        yield served


def test_every_kind_is_shown_named_and_copied_by_its_place(
    visit: Visit, served: Served, desk: Desk
) -> None:
    visitor = visit(served)
    visitor.open("/")
    expect(visitor.page.locator(".cell.loaded")).to_have_count(4)
    names = visitor.page.locator(".cell .photo").evaluate_all("all => all.map((a) => a.title)")
    assert sorted(names) == ["3.parquet, row 0/0", "a.png", "a.png", "red 1.png"]
    for place, row in live_rows(desk.lake).items():
        visitor.open(f"/?row={row['row_id']}")
        large = visitor.page.locator(".large[src*='/image']")
        expect(large).to_be_visible()
        assert large.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [*SIZE]
        heads = visitor.page.locator(".facts th").all_inner_texts()
        table = place.endswith("row=0/0")
        assert heads[1 : 4 if table else 2] == (
            ["member", "row_group", "row_index"] if table else ["member"]
        )
        visitor.page.evaluate(
            "navigator.clipboard.writeText = async (text) => { window.copied = text; }"
        )
        visitor.page.get_by_label("Copy the uri").click()
        expect(visitor.page.locator(".uri-end")).to_contain_text("Copied")
        assert visitor.page.evaluate("window.copied") == place


def test_a_place_is_written_as_commands_write_it(visit: Visit, served: Served) -> None:
    addresses = [
        Address("/a.jpg"),
        Address("s3://b/0.tar", member="x y/ü#1.jpg", offset=512, length=9),
        Address("/0.bin", offset=0, length=9),
        Address("/0.parquet", member="image", row_group=0, row_index=5),
        Address("/0.jsonl", row_index=0),
        Address("/0.mp4", stream="0", time_us=1_500_000),
        Address("/0.zip", member="a.jpg", region=(0, 1, 20, 30)),
    ]
    rows: list[dict[str, Any]] = [
        {
            "uri": each.uri,
            "columns": {name: value for name, value in each.columns().items() if value is not None},
        }
        for each in addresses
    ]
    visitor = visit(served)
    visitor.open("/")
    assert visitor.page.evaluate(PLACES, rows) == [str(each) for each in addresses]
