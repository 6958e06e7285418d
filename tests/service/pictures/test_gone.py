"""What was deleted goes from the thumbnails, too: which images those are, and their files."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer.embed.model_cache import cache_folder
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.main import main
from service.lake import Lake
from service.pictures.gone import hashes_gone
from service.pictures.thumbnails import RECIPE
from tests.lakes import BLACK, BLUE, GREEN, RED, YELLOW, Desk, png, write
from tests.service.lakes import Maker

HOST = "http://127.0.0.1:8377"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    for name, colour in (("a.png", RED), ("b.png", GREEN), ("c.png", BLUE)):
        desk.add(name, colour)
    desk.index()
    return desk


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, its thumbnails."""
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    return tmp_path / "cache" / "thumbnails"


def sha(data: bytes) -> str:
    return sha256(data).hexdigest()


def kept(cache: Path) -> set[str]:
    """The first 64 characters of the files' names: whose they are."""
    return {path.name[:64] for path in cache.rglob("*") if path.is_file()}


def test_deleted_and_changed_images_are_gone_and_moved_ones_are_not(desk: Desk) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        before = lake.snapshot
        assert hashes_gone(before, before) == []
        (desk.photos / "a.png").unlink()
        (desk.photos / "b.png").rename(desk.photos / "moved.png")
        write(desk.photos / "c.png", png(YELLOW), modified_s=1_700_000_000)
        desk.add("d.png", BLACK)  # new, and no model embeds it
        desk.sync()
        assert lake.reload()
        assert sorted(hashes_gone(before, lake.snapshot)) == sorted([sha(png(RED)), sha(png(BLUE))])
        assert hashes_gone(lake.snapshot, lake.snapshot) == []


def test_rows_that_were_merged_live_on(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "my.lake")
    for number in range(3):
        maker.add((1, number, 0))
        maker.segment()
    with maker.open() as lake:
        before = lake.snapshot
        assert len(before.parts) == 3
        assert main(["compact", str(maker.layout.root)]) == 0
        lake.reload()
        assert len(lake.snapshot.parts) == 1
        assert hashes_gone(before, lake.snapshot) == []


def test_a_service_forgets_them_when_it_moves_on(desk: Desk, cache: Path, tmp_path: Path) -> None:
    app = create_app(
        {"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=KeyStore(tmp_path / "state")
    )
    ids = desk.ids()
    with TestClient(app, base_url=HOST) as client:
        for name in ("a.png", "b.png"):
            for size in (128, 1_024):
                url = f"/v1/lakes/my/rows/{ids[name]}/thumbnail?size={size}"
                assert client.get(url).status_code == 200
        assert kept(cache) == {sha(png(RED)), sha(png(GREEN))}
        (desk.photos / "a.png").unlink()
        desk.sync()
        end = time.monotonic() + 10
        while sha(png(RED)) in kept(cache) and time.monotonic() < end:
            time.sleep(0.02)
        assert kept(cache) == {sha(png(GREEN))}
        assert client.get(f"/v1/lakes/my/rows/{ids['a.png']}/thumbnail").status_code == 404


def test_a_sync_forgets_them_where_no_service_runs(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "my.lake"
    for name, colour in (("a.png", RED), ("b.png", GREEN)):
        write(photos / name, png(colour, (64, 64)))
    assert main(["index", str(photos), "--into", str(lake)]) == 0
    for colour in (RED, GREEN):
        name = sha(png(colour, (64, 64)))
        write(cache / name[:2] / f"{name}-256-{RECIPE}", b"a picture")
        # what an earlier version of lakesift made
        write(cache / name[:2] / f"{name}-512-1", b"a darker picture")
    assert main(["sync", str(lake)]) == 0
    assert len(kept(cache)) == 2
    (photos / "a.png").unlink()
    assert main(["sync", str(lake)]) == 0
    assert kept(cache) == {sha(png(GREEN, (64, 64)))}
    assert "1 gone" in capsys.readouterr().err
