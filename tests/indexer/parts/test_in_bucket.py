"""Parts by machines that share nothing but a bucket: each has a folder of its own, and what is
committed is the lake that one run makes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from indexer.buckets.publishing import publish_lake
from indexer.buckets.store import Bucket
from indexer.buckets.working import bring_working_copy, default_working_copy
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.errors import BadRequest, BucketError, LakeLocked
from indexer.parts.in_bucket import BucketPart, PlansDiffer, fetch_parts, parts_done, remove_parts
from indexer.parts.places import PartFiles
from indexer.parts.share import Share
from indexer.report import SyncReport
from tests.indexer.lakes import current, index
from tests.indexer.parts.lakes import SETTLED, commit, part, skips, whole_rows
from tests.indexer.sources.faulty import faulty
from tests.indexer.test_crash import change_photos, make_photos


@pytest.fixture
def url(bucket: tuple[str, Any]) -> str:
    return f"s3://{bucket[0]}/lakes/my.lake"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """66 images, and two files that are none."""
    make_photos(tmp_path / "photos")
    return tmp_path / "photos"


def objects(bucket: tuple[str, Any]) -> set[str]:
    name, fs = bucket
    return {each.removeprefix(f"{name}/lakes/my.lake/") for each in fs.find(name)}


def machine(url: str, folder: Path, share: str, photos: Path, **options: Any) -> SyncReport:
    """What `index --part` does with a lake in a bucket, in a folder that others do not see."""
    bring_working_copy(url, folder)
    there = BucketPart(url, folder, Share.parse(share))
    there.fetch()
    report = part(folder, share, photos, **options)
    there.send()
    return report


def machines(url: str, work: Path, of: int, photos: Path, only: Iterable[int] = ()) -> list[int]:
    numbers = only or range(1, of + 1)
    return [machine(url, work / str(k), f"{k}/{of}", photos).new for k in numbers]


def commit_there(url: str, folder: Path) -> int:
    """:returns: how many rows came in."""
    bring_working_copy(url, folder)
    fetched = fetch_parts(url, folder)
    report = commit(folder)
    publish_lake(folder, url)
    remove_parts(url, fetched)
    return report.taken


def test_four_machines_make_what_one_run_makes(
    url: str, bucket: tuple[str, Any], photos: Path, tmp_path: Path
) -> None:
    index(tmp_path / "plain.lake", photos, SETTLED)
    assert sum(machines(url, tmp_path / "work", 4, photos)) == 66
    assert parts_done(url, Share(1, 4)) == 4
    assert "manifest.json" not in objects(bucket)
    assert commit_there(url, tmp_path / "last") == 66
    copy = tmp_path / "copy"
    bring_working_copy(url, copy)
    assert whole_rows(copy) == whole_rows(tmp_path / "plain.lake")
    assert skips(copy) == skips(tmp_path / "plain.lake")
    assert {name for name in objects(bucket) if name.startswith("parts/")} == set()
    with pytest.raises(BadRequest, match=f"{url} has no parts to commit"):
        fetch_parts(url, copy)


def test_parts_over_a_lake_that_is_there(url: str, photos: Path, tmp_path: Path) -> None:
    index(tmp_path / "plain.lake", photos, SETTLED)
    publish_lake(tmp_path / "plain.lake", url)
    change_photos(photos)
    machines(url, tmp_path / "work", 3, photos)
    commit_there(url, tmp_path / "last")
    index(tmp_path / "plain.lake", photos, SETTLED)
    # Whichever files moved beside new ones of as many bytes may be embedded anew (docs/parts.md).
    ours, plain = (
        {row["uri"]: row["vector"] for row in whole_rows(lake).values()}
        for lake in (tmp_path / "last", tmp_path / "plain.lake")
    )
    assert ours == plain


def test_a_part_goes_on_on_another_machine(url: str, photos: Path, tmp_path: Path) -> None:
    """The first one went away half way; what it had sent is not embedded again."""
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 15

    first = machine(url, tmp_path / "first", "1/2", photos, should_stop=should_stop)
    whole = index(tmp_path / "plain.lake", photos, SETTLED).new
    assert first.interrupted and first.rows > 0
    assert parts_done(url, Share(1, 2)) == 0
    shutil.rmtree(tmp_path / "first")
    again = machine(url, tmp_path / "second", "1/2", photos)
    assert again.unchanged == first.rows
    machine(url, tmp_path / "other", "2/2", photos)
    assert parts_done(url, Share(1, 2)) == 2
    assert commit_there(url, tmp_path / "last") == whole


def test_what_a_part_has_is_sent_while_it_embeds(
    url: str, bucket: tuple[str, Any], photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    there = BucketPart(url, folder, Share(1, 1))
    there.fetch()
    seen: set[str] = set()

    def should_stop() -> bool:
        """Slow enough, once there is something: until it is in the bucket."""
        deadline = time.monotonic() + 20
        while (folder / "parts/1-of-1/manifest.json").exists() and time.monotonic() < deadline:
            seen.update(objects(bucket))
            if "parts/1-of-1/manifest.json" in seen:
                return True
            time.sleep(0.05)
        return False

    with there.sent_meanwhile(0.1):
        report = part(folder, "1/1", photos, should_stop=should_stop)
    assert report.interrupted
    assert {"parts/plan.json", "parts/1-of-1/manifest.json"} <= seen
    assert "parts/1-of-1.json" not in objects(bucket)


def test_parts_of_another_plan_are_refused(url: str, photos: Path, tmp_path: Path) -> None:
    machine(url, tmp_path / "a", "1/2", photos)
    with pytest.raises(BadRequest, match="were begun as 2"):
        machine(url, tmp_path / "b", "1/3", photos)
    # Two that begin at once: neither saw the other's plan at its start.
    late = tmp_path / "late"
    there = BucketPart(url, late, Share(1, 3))
    part(late, "1/3", photos)
    before = Bucket.open(url).read("parts/plan.json")
    with pytest.raises(PlansDiffer, match=r"delete .*late/parts, and run part 1/3 again"):
        there.send()
    with there.sent_meanwhile(0.01):
        deadline = time.monotonic() + 20
        while there.refused is None and time.monotonic() < deadline:
            time.sleep(0.01)
    assert isinstance(there.refused, PlansDiffer)
    assert Bucket.open(url).read("parts/plan.json") == before
    # What was not sent is not thrown away by itself.
    with pytest.raises(BucketError, match="of another plan than those in"):
        there.fetch()
    shutil.rmtree(late / "parts")
    assert machine(url, late, "2/2", photos).new > 0


def test_one_part_on_two_machines_counts_once(url: str, photos: Path, tmp_path: Path) -> None:
    for name in "ab":
        BucketPart(url, tmp_path / name, Share(1, 1)).fetch()
        part(tmp_path / name, "1/1", photos)
    BucketPart(url, tmp_path / "a", Share(1, 1)).send()
    with pytest.raises(BucketError, match="another machine embedded part 1/1, too"):
        BucketPart(url, tmp_path / "b", Share(1, 1)).send()
    assert commit_there(url, tmp_path / "last") == 66
    # The first one's folder is of no use any more, and knows it.
    assert machine(url, tmp_path / "a", "1/2", photos).unchanged > 0


def test_a_commit_that_died_before_it_published_is_run_again(
    url: str, bucket: tuple[str, Any], photos: Path, tmp_path: Path
) -> None:
    machines(url, tmp_path / "work", 2, photos)
    last = tmp_path / "last"
    fetch_parts(url, last)
    commit(last)  # and dies
    assert "manifest.json" not in objects(bucket)
    assert commit_there(url, last) == 0
    copy = tmp_path / "copy"
    bring_working_copy(url, copy)
    assert len(whole_rows(copy)) == 66
    assert not {name for name in objects(bucket) if name.startswith("parts/")}


def test_a_part_that_is_not_done_is_named(url: str, photos: Path, tmp_path: Path) -> None:
    machines(url, tmp_path / "work", 3, photos, only=[1, 3])
    with pytest.raises(BadRequest, match=r"1 part of the 3 .* is not done: 2/3"):
        commit_there(url, tmp_path / "last")
    machine(url, tmp_path / "2", "2/3", photos)
    assert commit_there(url, tmp_path / "last") == 66


def test_a_part_that_was_sent_anew_since_it_was_fetched_stays(
    url: str, bucket: tuple[str, Any], photos: Path, tmp_path: Path
) -> None:
    machines(url, tmp_path / "work", 2, photos)
    fetched = fetch_parts(url, tmp_path / "last")
    done = Bucket.open(url).read("parts/1-of-2.json")
    assert done is not None
    Bucket.open(url).put("parts/1-of-2.json", done[0] + b" ")
    bucket[1].pipe_file(f"{bucket[0]}/lakes/my.lake/parts/notes.txt", b"not ours")
    remove_parts(url, fetched)
    left = {name for name in objects(bucket) if name.startswith("parts/")}
    assert left == {"parts/1-of-2.json", "parts/plan.json", "parts/notes.txt"}
    assert remove_parts(url) > 0
    assert objects(bucket) == {"parts/notes.txt"}


@pytest.mark.parametrize("kind", ["busy", "reset", "cut"])
def test_every_request_fails_once(
    kind: str,
    url: str,
    photos: Path,
    tmp_path: Path,
    s3_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with faulty(s3_server) as faults, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", faults.url)
        faults.each_once(kind)
        machines(url, tmp_path / "work", 1, photos)
        assert commit_there(url, tmp_path / "last") == 66
        assert faults.met
    copy = tmp_path / "copy"
    bring_working_copy(url, copy)
    assert len(whole_rows(copy)) == 66


def test_a_lake_that_was_taken_away_does_not_come_back_by_itself(
    url: str, bucket: tuple[str, Any], photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    assert bring_working_copy(url, folder) is None
    index(folder, photos, SETTLED)
    # Not published yet: nothing was taken away.
    assert bring_working_copy(url, folder) is None
    publish_lake(folder, url)
    found = bring_working_copy(url, folder)
    assert found is not None and found.fetched_files == 0
    bucket[1].rm(f"{bucket[0]}/lakes", recursive=True)
    with pytest.raises(BucketError, match="the lake is no longer there, and its working copy"):
        bring_working_copy(url, folder)
    assert current(folder).live_rows == 66


def test_a_working_copy_is_the_same_for_the_same_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path))
    a, b = (default_working_copy(f"s3://{name}/my.lake") for name in ("a", "b"))
    assert a == default_working_copy("s3://a/my.lake/") and a != b
    assert a.name == "my.lake" and a.parents[2] == tmp_path
    with pytest.raises(BadRequest):
        default_working_copy("http://a/my.lake")


def test_a_part_that_runs_is_not_thrown_away(url: str, photos: Path, tmp_path: Path) -> None:
    """Its machine fetches for another part while this one is at work."""
    machine(url, tmp_path / "a", "1/2", photos)
    remove_parts(url)
    files = PartFiles(Layout(tmp_path / "a"), Share(1, 2))
    with writer(files.layout), pytest.raises(LakeLocked, match="1-of-2"):
        BucketPart(url, tmp_path / "a", Share(2, 2)).fetch()
    assert files.layout.manifest.exists()


def test_a_folder_of_other_things_is_refused_before_anything_is_embedded(
    url: str, bucket: tuple[str, Any], photos: Path, tmp_path: Path
) -> None:
    bucket[1].pipe_file(f"{bucket[0]}/lakes/my.lake/holiday.jpg", b"not ours")
    with pytest.raises(BucketError, match=r"not empty and not a lake \(it has holiday.jpg\)"):
        machine(url, tmp_path / "a", "1/2", photos)
    assert objects(bucket) == {"holiday.jpg"} and not (tmp_path / "a").exists()
