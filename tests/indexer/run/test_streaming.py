"""Images are embedded while a bucket is still being listed: one that lists no more until it sees
that, and one that breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem

from indexer import sync as sync_module
from indexer.disk.manifest import Manifest, SourceEntry
from indexer.embed import Embedder
from indexer.errors import SourceError
from indexer.run.plan import plan
from indexer.run.streaming import are_apart
from indexer.sources.opening import open_source
from indexer.sync import sync
from tests.lakes import Desk, png

PAGE = 4  # objects that one answer lists
BUCKET = "paged://bucket/"


class PagedStore(AbstractFileSystem):  # type: ignore[misc]
    """As much of S3 as a listing and a read need."""

    protocol = "paged"
    async_impl = True
    cachable = False
    objects: Mapping[str, bytes] = {}
    before_page: Callable[[int], None] = staticmethod(lambda page: None)

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def info(self, path: str, **_: object) -> dict[str, object]:
        return {"name": path, "size": 0, "type": "directory"}

    def call_s3(self, method: str, **wanted: Any) -> Mapping[str, Any]:
        if wanted["Bucket"] != "bucket":
            type(self).before_page(-1)
            return {"Contents": [], "IsTruncated": False}
        page = int(wanted.get("ContinuationToken", 0))
        type(self).before_page(page)
        keys = sorted(self.objects)
        found = [
            {
                "Key": key,
                "Size": len(self.objects[key]),
                "ETag": f'"{hash(self.objects[key]):x}"',
                "LastModified": datetime(2020, 9, 13, tzinfo=UTC),
            }
            for key in keys[PAGE * page : PAGE * (page + 1)]
        ]
        more = len(keys) > PAGE * (page + 1)
        return {"Contents": found, "IsTruncated": more, "NextContinuationToken": str(page + 1)}

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: object
    ) -> bytes:
        return self.objects[path.partition("/")[2]][start:end]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PagedStore]]:
    """Nine images; batches of the plan and of the model are of one page."""
    fsspec.register_implementation("paged", PagedStore, clobber=True)
    PagedStore.objects = {f"{n}.png": png((250 - 20 * n, 20 * n, 99)) for n in range(1, 10)}
    PagedStore.before_page = staticmethod(lambda page: None)
    monkeypatch.setattr(plan, "FIRST_BATCH", PAGE)
    monkeypatch.setattr(sync_module, "KNOWN_LAKE_AFTER_S", 0.0)
    yield PagedStore
    PagedStore.objects = {}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.model.batch_size = 2
    return desk


def ids(desk: Desk) -> dict[str, int]:
    return {name.removeprefix(BUCKET): row_id for name, row_id in desk.ids().items()}


class Watched:
    """Progress that says when the first images are done, and what total was told."""

    def __init__(self) -> None:
        self.embedded = Event()
        self.stages: list[str] = []
        self.totals: list[tuple[int, bool]] = []
        self.done = 0

    def stage(self, name: str, total: int | None, unit: str | None = None) -> None:
        self.stages.append(name)

    def expect(self, total: int, *, more: bool = False) -> None:
        self.totals.append((total, more))

    def advance(self, done: int, skipped: int = 0) -> None:
        if self.stages[-1] == "indexing":
            self.done += done
            self.embedded.set()


def test_images_are_embedded_before_the_listing_has_ended(
    desk: Desk, bucket: type[PagedStore]
) -> None:
    """The third page is listed once something is embedded, and not before."""
    watched = Watched()

    def wait(page: int) -> None:
        assert page < 2 or watched.embedded.wait(120), "nothing was embedded meanwhile"

    bucket.before_page = staticmethod(wait)
    report = sync(desk.lake, lambda _: desk.model, add=[SourceEntry(BUCKET)], progress=watched)
    assert (report.new, report.unchanged, report.problems) == (9, 0, [])
    assert ids(desk) == {f"{n}.png": n for n in range(1, 10)}
    assert watched.stages == ["listing", "loading the model", "indexing", "merging"]
    assert watched.done == 9
    assert watched.totals[0][1] is True
    assert watched.totals[-1] == (9, False)


def test_a_listing_that_breaks_leaves_what_was_indexed_and_can_be_gone_on_with(
    desk: Desk, bucket: type[PagedStore]
) -> None:
    watched = Watched()

    def fail(page: int) -> None:
        if page == 2:
            assert watched.embedded.wait(120)
            raise OSError("the line is cut")

    bucket.before_page = staticmethod(fail)
    report = sync(desk.lake, lambda _: desk.model, add=[SourceEntry(BUCKET)], progress=watched)
    assert report.problems == [f"{BUCKET}: the line is cut; its images were left as they are"]
    # of 8.png a caption may come on the page that did not
    assert ids(desk) == {f"{n}.png": n for n in range(1, 8)}
    bucket.before_page = staticmethod(lambda page: None)
    assert desk.index(BUCKET).new == 2
    assert ids(desk) == {f"{n}.png": n for n in range(1, 10)}


def test_a_second_source_that_is_empty_ends_the_run_and_keeps_what_the_first_gave(
    desk: Desk, bucket: type[PagedStore]
) -> None:
    watched = Watched()

    def wait(page: int) -> None:
        assert page >= 0 or watched.embedded.wait(120)

    bucket.before_page = staticmethod(wait)
    entries = [SourceEntry(BUCKET), SourceEntry("paged://empty/")]
    with pytest.raises(SourceError) as caught:
        sync(desk.lake, lambda _: desk.model, add=entries, progress=watched)
    rows = len(desk.rows())
    assert 2 <= rows <= 9
    assert str(caught.value) == (
        f"paged://empty/: there are no image files in it; the {rows} images that were indexed before stay, "
        f"the lake's last snapshot is whole, run `lakesift sync {desk.lake}` to go on"
    )
    assert desk.index(BUCKET).new == 9 - rows
    assert ids(desk) == {f"{n}.png": n for n in range(1, 10)}


def test_a_run_that_is_stopped_while_it_lists_goes_on_in_the_same_order(
    desk: Desk, bucket: type[PagedStore]
) -> None:
    """3.png is a copy of 7.png, which is no move: 7 has no row yet, and gets one of its own."""
    bucket.objects = {**bucket.objects, "3.png": bucket.objects["7.png"]}
    watched = Watched()

    def wait(page: int) -> None:
        assert page < 2 or watched.embedded.wait(120)

    bucket.before_page = staticmethod(wait)
    first = sync(
        desk.lake,
        lambda _: desk.model,
        add=[SourceEntry(BUCKET)],
        progress=watched,
        should_stop=watched.embedded.is_set,
    )
    assert first.interrupted and 0 < first.rows < 9
    second = desk.index(BUCKET)
    assert (second.unchanged, second.new) == (first.rows, 9 - first.rows)
    assert ids(desk) == {f"{n}.png": n for n in range(1, 10)}


def test_a_new_name_of_a_known_image_keeps_its_row_while_new_images_stream(
    desk: Desk, bucket: type[PagedStore]
) -> None:
    """`0.png` is `9.png` by another name, which only the end of the listing tells."""
    desk.index(BUCKET)
    large = png((9, 9, 99), (5, 5))  # no row has as many bytes
    moved = {name: data for name, data in bucket.objects.items() if name != "9.png"}
    bucket.objects = {**moved, "!.png": large, "0.png": bucket.objects["9.png"]}
    report = desk.index(BUCKET)
    assert (report.new, report.moved, report.gone, report.unchanged) == (1, 1, 0, 8)
    expected = {f"{n}.png": n for n in range(1, 9)}
    assert ids(desk) == {**expected, "0.png": 9, "!.png": 10}


def test_a_bucket_with_nothing_in_it_leaves_no_lake(desk: Desk, bucket: type[PagedStore]) -> None:
    bucket.objects = {}

    def no_model(manifest: Manifest | None) -> Embedder:
        raise AssertionError

    with pytest.raises(SourceError, match="there are no image files in it"):
        desk.sync(add=[SourceEntry(BUCKET)], load=no_model)
    assert not desk.lake.exists()


def test_sources_that_may_list_the_same_image_are_not_apart(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    listed = tmp_path / "list.txt"
    listed.write_text("x.png\n")

    def apart(*names: str | Path) -> bool:
        return are_apart([open_source(str(name)) for name in names])

    assert apart(tmp_path / "a", tmp_path / "c")
    assert apart(listed)
    assert not apart(tmp_path / "a", tmp_path / "c", tmp_path / "a" / "b")
    assert not apart(tmp_path / "c", listed)
    assert not apart(f"{tmp_path}/*/*.png", tmp_path / "c")
