"""Lakes published to a bucket of a real S3 server, and pulled from it."""

from __future__ import annotations

import importlib
import itertools
import json
import shutil
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from indexer.buckets.following import follow
from indexer.buckets.publishing import publish_lake
from indexer.buckets.pulling import PullReport, pull_lake
from indexer.buckets.store import Bucket
from indexer.disk.layout import Layout
from indexer.disk.locks import Reading, writer
from indexer.disk.manifest import check_files, read_manifest
from indexer.errors import BadRequest, BucketError, LakeDamaged, LakeLocked, LakeNotFound
from indexer.run.writing.compact import compact_lake
from service.lake import Lake
from service.relevance import Filters
from service.search.saved import SavedSearches
from tests.indexer.sources.faulty import Faults, faulty
from tests.lakes import Desk


def names(bucket: tuple[str, Any]) -> set[str]:
    name, fs = bucket
    return {each.removeprefix(f"{name}/lakes/my.lake/") for each in fs.find(name)}


def whole(lake: Path) -> None:
    layout = Layout(lake)
    manifest, problems = read_manifest(layout)
    assert (problems, check_files(layout, manifest, deep=True).problems) == ((), ())


def test_a_lake_goes_into_a_bucket_and_comes_back_byte_by_byte(
    desk: Desk, url: str, bucket: tuple[str, Any], tmp_path: Path
) -> None:
    sent = publish_lake(desk.lake, url)
    manifest = desk.manifest
    assert names(bucket) == {
        "manifest.json",
        f"manifests/{manifest.snapshot:06d}.json",
        *manifest.checks,
    }
    assert (sent.rows, sent.sent_files, sent.kept_files) == (6, len(manifest.checks), 0)
    copy = tmp_path / "copy.lake"
    got = pull_lake(url, copy)
    assert (got.rows, got.fetched_files, got.is_ahead) == (6, len(manifest.checks), False)
    for name in ("manifest.json", *manifest.checks):
        assert (copy / name).read_bytes() == (desk.lake / name).read_bytes(), name
    whole(copy)
    # Again: nothing to do, on both sides.
    assert publish_lake(desk.lake, url).sent_files == 0
    again = pull_lake(url, copy)
    assert (again.fetched_files, again.kept_files) == (0, len(manifest.checks))


def test_only_what_is_new_travels(desk: Desk, url: str, tmp_path: Path) -> None:
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    pull_lake(url, copy)
    before = set(desk.manifest.checks)
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    fresh = set(desk.manifest.checks) - before
    sent = publish_lake(desk.lake, url)
    assert (sent.sent_files, sent.rows) == (len(fresh), 7)
    got = pull_lake(url, copy)
    assert (got.fetched_files, got.rows) == (len(fresh), 7)
    whole(copy)


def test_of_two_who_go_on_from_one_copy_the_second_is_refused_and_loses_nothing(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    publish_lake(desk.lake, url)
    theirs = Desk(tmp_path / "theirs", desk.model)
    theirs.root.mkdir()
    pull_lake(url, theirs.lake)
    theirs.add("theirs.png", (0, 255, 0))
    theirs.index()
    desk.add("ours.png", (0, 0, 255))
    desk.sync()
    publish_lake(theirs.lake, url)
    there = Bucket.open(url).read("manifest.json")
    with pytest.raises(BucketError, match="does not go on from; nothing was sent"):
        publish_lake(desk.lake, url)
    assert Bucket.open(url).read("manifest.json") == there
    with pytest.raises(BucketError, match="neither its snapshot"):
        pull_lake(url, desk.lake)
    assert len(desk.rows()) == 7
    whole(desk.lake)
    # Both are kept: one beside the other.
    publish_lake(desk.lake, f"{url}.ours")
    assert pull_lake(f"{url}.ours", tmp_path / "ours.lake").rows == 7


def test_two_at_once_are_kept_apart(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both compared the bucket before either had put its snapshot there."""
    publish_lake(desk.lake, url)
    twin = Desk(tmp_path / "twin", desk.model)
    twin.root.mkdir()
    pull_lake(url, twin.lake)
    for each, colour in ((desk, (0, 0, 255)), (twin, (0, 255, 0))):
        each.add("new.png", colour)
        each.index()
    both = threading.Barrier(2, timeout=30)
    swap = Bucket.swap

    def together(self: Bucket, name: str, data: bytes, old: Any) -> None:
        if name == "manifest.json":
            both.wait()
        swap(self, name, data, old)

    monkeypatch.setattr(Bucket, "swap", together)
    said: list[str] = []

    def publishing(lake: Path) -> None:
        try:
            publish_lake(lake, url)
            said.append("done")
        except BucketError as error:
            said.append(str(error))

    threads = [threading.Thread(target=publishing, args=(each.lake,)) for each in (desk, twin)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(text == "done" for text in said) == [False, True]
    refused = next(text for text in said if text != "done")
    assert "was changed by another while this was sent" in refused
    won = pull_lake(url, tmp_path / "won.lake")
    whole(tmp_path / "won.lake")
    assert won.snapshot in (desk.manifest.snapshot, twin.manifest.snapshot)


def test_a_lake_with_more_than_the_copy_says_so_and_keeps_it(desk: Desk, url: str) -> None:
    publish_lake(desk.lake, url)
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    got = pull_lake(url, desk.lake)
    assert (got.is_ahead, got.fetched_files) == (True, 0)
    assert len(desk.rows()) == 7


@pytest.mark.parametrize("kind", ["busy", "reset", "cut"])
def test_each_request_that_fails_once_is_made_again(
    desk: Desk, url: str, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """503s, cut connections, answers of which half is lost: of a put, too, which then was made."""
    with faulty(s3_server) as faults:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faults.url)
        faults.each_once(kind)
        publish_lake(desk.lake, url)
        pull_lake(url, tmp_path / "copy.lake")
        assert faults.met
    whole(tmp_path / "copy.lake")
    assert rows_count(tmp_path / "copy.lake") == 6


def rows_count(lake: Path) -> int:
    return read_manifest(Layout(lake))[0].live_rows


def test_what_was_fetched_is_not_fetched_again(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped as the second of its files comes: it asks before a file, and as that comes."""
    monkeypatch.setattr("indexer.buckets.pulling.AT_ONCE", 1)
    publish_lake(desk.lake, url)
    copy, asked = tmp_path / "copy.lake", iter([False, False, False, True])
    first = pull_lake(url, copy, should_stop=lambda: next(asked, True))
    assert first.interrupted
    with pytest.raises(LakeNotFound, match="was cut short"):
        read_manifest(Layout(copy))
    rest = pull_lake(url, copy)
    assert (rest.kept_files, rest.rows) == (1, 6)
    old = set(desk.manifest.checks)
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    publish_lake(desk.lake, url)
    asked = iter([False, False, False, True])
    assert pull_lake(url, copy, should_stop=lambda: next(asked, True)).interrupted
    whole(copy)
    there = set(desk.manifest.checks)
    rest = pull_lake(url, copy)
    assert (rest.interrupted, rest.rows) == (False, 7)
    assert rest.kept_files == len(there & old) + 1
    assert rest.fetched_files == len(there - old) - 1


def test_who_dies_at_any_step_leaves_the_old_lake_or_the_new_one(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that makes something durable is the last one in its turn, of both commands."""
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    pull_lake(url, copy)
    desk.add("new.png", (0, 0, 255))
    desk.sync()

    class Died(BaseException):
        pass

    def dying(patch: pytest.MonkeyPatch, module: str, names: list[str], at: int) -> None:
        calls = itertools.count(1)
        for name in names:
            real = getattr(importlib.import_module(module), name)

            def call(*given: Any, _real: Any = real, **more: Any) -> Any:
                if next(calls) >= at:
                    raise Died
                return _real(*given, **more)

            patch.setattr(f"{module}.{name}", call)

    steps = 0
    for at in itertools.count(1):
        with monkeypatch.context() as patch:
            dying(patch, "obstore", ["put", "delete"], at)
            try:
                publish_lake(desk.lake, url)
                steps = at
            except Died:
                pass
        with_new = pull_lake(url, tmp_path / f"after-{at}.lake").rows == 7
        whole(tmp_path / f"after-{at}.lake")
        if steps:
            break
    assert with_new and steps > 6
    durable = ["fsync_file", "fsync_folder", "write_file", "replace_file"]
    for at in itertools.count(1):
        broken = tmp_path / f"broken-{at}.lake"
        shutil.copytree(copy, broken)
        with monkeypatch.context() as patch:
            dying(patch, "indexer.buckets.pulling", durable, at)
            try:
                pull_lake(url, broken)
                is_done = True
            except Died:
                is_done = False
        whole(broken)
        assert rows_count(broken) in (6, 7)
        assert pull_lake(url, broken).rows == rows_count(broken) == 7
        if is_done:
            break
    assert at > 5


def test_a_lake_follows_its_copy_until_it_is_told_to_stop(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(0, 10_000)
    monkeypatch.setattr(
        "indexer.buckets.following.time",
        SimpleNamespace(sleep=lambda _: None, monotonic=hours.__next__),
    )
    copy = tmp_path / "copy.lake"
    with pytest.raises(LakeNotFound):  # a mistyped name is not waited for
        next(follow(url, copy))
    publish_lake(desk.lake, url)
    is_over = False
    passes = follow(url, copy, should_stop=lambda: is_over, keep_s=0.0)
    first = next(passes)
    assert isinstance(first, PullReport) and first.rows == 6
    before = set(desk.manifest.checks)
    (desk.photos / "0.png").unlink()
    desk.sync()
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    publish_lake(desk.lake, url)
    second = next(passes)
    assert isinstance(second, PullReport) and second.rows == 6
    manifest = Bucket.open(url).read("manifest.json")
    assert manifest is not None
    Bucket.open(url).put("manifest.json", b"{}")
    failed = next(passes)
    assert isinstance(failed, LakeDamaged)
    Bucket.open(url).put("manifest.json", manifest[0])
    back = next(passes)
    assert isinstance(back, PullReport) and back.fetched_files == 0
    # Files that only the snapshot before needed are gone from this disk, those in use are here.
    gone = before - set(desk.manifest.checks)
    assert not any((copy / name).exists() for name in gone)
    assert not Layout(copy).snapshot(first.snapshot).exists()
    whole(copy)
    is_over = True
    assert list(passes) == []
    with pytest.raises(BadRequest, match="at least one second"):
        next(follow(url, copy, interval_s=0.5))


def folder_bytes(lake: Path) -> int:
    return sum(path.stat().st_size for path in lake.rglob("*") if path.is_file())


def test_a_folder_that_may_take_so_much_lets_old_snapshots_go_for_a_new_one(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    first = desk.manifest
    first_bytes = sum(check.length for check in first.checks.values())
    with pytest.raises(BucketError, match=rf"snapshot {first.snapshot} takes .*--disk-gb"):
        pull_lake(url, copy, at_most=first_bytes)  # its manifest takes some, too
    assert not copy.exists()
    pull_lake(url, copy)
    note_bytes = 1_000  # who writes the lake, while it is written
    # Each photo goes and another one comes: two snapshots that share no segment.
    for turn in range(1, 3):
        for photo in list(desk.photos.iterdir()):
            photo.unlink()
        for number in range(6):
            desk.add(f"{turn}-{number}.png", (number * 20, turn * 100, 255))
        desk.sync()
        compact_lake(desk.lake)
        publish_lake(desk.lake, url)
        second = desk.manifest
        assert not set(first.checks) & {n for n in second.checks if n.startswith("segments/")}
        most = folder_bytes(copy) + sum(
            check.length for name, check in second.checks.items() if not (copy / name).exists()
        )
        most += 2 * (desk.lake / "manifest.json").stat().st_size
        if turn == 1:
            with pytest.raises(BucketError, match=f"where {most - 1:,} are allowed"):
                pull_lake(url, copy, at_most=most - 1)
            assert rows_count(copy) == 6 and read_manifest(Layout(copy))[0] == first
            pull_lake(url, copy, at_most=most + note_bytes)
            assert Layout(copy).snapshot(first.snapshot).exists()  # it fits, so it stays
        else:
            pull_lake(url, copy, at_most=most - 1)
            assert not Layout(copy).snapshot(first.snapshot).exists()
            assert not any((copy / n).exists() for n in first.checks if n.startswith("segments/"))
        assert folder_bytes(copy) <= most + note_bytes
        whole(copy)
    with pytest.raises(BadRequest, match="a lake takes more"):
        pull_lake(url, copy, at_most=0)


def test_a_snapshot_that_somebody_has_open_does_not_go_for_a_new_one(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    pull_lake(url, copy)
    first = desk.manifest
    with Lake.open(copy):
        desk.add("new.png", (0, 0, 255))
        desk.sync()
        publish_lake(desk.lake, url)
        pull_lake(url, copy)
        with pytest.raises(BucketError, match=r"what is in use in .* nothing of it can go"):
            pull_lake(url, copy, at_most=folder_bytes(copy) - 1)
        assert all((copy / name).exists() for name in first.checks)
    assert pull_lake(url, copy, at_most=folder_bytes(copy) + 1).rows == 7
    whole(copy)


def test_a_copy_that_was_taken_back_takes_back_those_that_follow_it(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    """As versions of objects let it be, after a mistake."""
    publish_lake(desk.lake, url)
    before = Bucket.open(url).read("manifest.json")
    assert before is not None
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    assert pull_lake(url, copy).rows == 7
    Bucket.open(url).put("manifest.json", before[0])
    assert pull_lake(url, copy).rows == rows_count(copy) == 6
    whole(copy)
    publish_lake(desk.lake, url)  # and on again
    assert pull_lake(url, copy).rows == rows_count(copy) == 7


def test_while_nothing_new_is_there_a_follower_only_lists(
    desk: Desk, url: str, tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And yet finds, a little later, what was lost here."""
    now = 0.0
    turns = 0

    def sleep(_: float) -> None:
        nonlocal now, turns
        now, turns = now + 40.0, turns + 1

    clock = SimpleNamespace(sleep=sleep, monotonic=lambda: now)
    monkeypatch.setattr("indexer.buckets.following.time", clock)
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    passes = follow(url, copy, should_stop=lambda: turns > 10)
    next(passes)
    name = next(iter(desk.manifest.checks))
    (copy / name).unlink()
    faults.asked.clear()
    assert list(passes) == []
    assert turns == 11
    assert [method for method, _ in faults.asked] == ["GET"] * 10  # a listing each
    assert not any("manifest.json" in path for _, path in faults.asked)
    turns, now = 0, 1_000_000.0
    passes = follow(url, copy, should_stop=lambda: turns > 20)
    next(passes)
    (copy / name).unlink()
    mended = next(passes)
    assert isinstance(mended, PullReport) and mended.fetched_files == 1
    assert 14 <= turns <= 16  # ten minutes later
    whole(copy)


def test_labels_travel_both_ways_and_are_never_merged_by_guess(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    with Lake.open(desk.lake, desk.model) as opened:
        Filters(opened).create("reds", keep_texts=["red"])
        Filters(opened).open("reds").label([{"row_id": 1, "label": "yes", "labeller": "ann"}])
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    pull_lake(url, copy)

    def say(lake: Path, row_id: int, label: str) -> None:
        with Lake.open(lake, desk.model) as opened:
            Filters(opened).open("reds").label(
                [{"row_id": row_id, "label": label, "labeller": "bob"}]
            )

    def said(lake: Path) -> dict[int, str]:
        with Lake.open(lake, desk.model) as opened:
            return {row: each.label for row, each in Filters(opened).open("reds").answers().items()}

    say(copy, 2, "no")
    assert pull_lake(url, copy).own == 1  # it has more than the bucket, and keeps it
    assert publish_lake(copy, url).sent_files == 1
    assert pull_lake(url, desk.lake).fetched_files == 1
    assert said(desk.lake) == said(copy) == {1: "yes", 2: "no"}
    # Two people answered apart from each other: neither copy goes on from the other.
    say(copy, 3, "no")
    say(desk.lake, 4, "yes")
    publish_lake(copy, url)
    with pytest.raises(
        BucketError, match=r"labels\.jsonl there has what this lake has not; nothing was sent"
    ):
        publish_lake(desk.lake, url)
    with pytest.raises(BucketError, match=r"were both changed, and neither goes on"):
        pull_lake(url, desk.lake)
    assert said(desk.lake) == {1: "yes", 2: "no", 4: "yes"}


def test_labels_that_were_mended_and_those_in_the_copy_are_both_kept(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    """As the docs say: another folder of the bucket for the one, of the disk for the other."""
    with Lake.open(desk.lake, desk.model) as opened:
        reds = Filters(opened)
        reds.create("reds", keep_texts=["red"])
        for row_id, label in ((1, "yes"), (2, "no"), (3, "no")):
            reds.open("reds").label([{"row_id": row_id, "label": label, "labeller": "ann"}])
    publish_lake(desk.lake, url)
    labels = desk.lake / "filters" / "reds" / "labels.jsonl"
    first, *rest = labels.read_bytes().splitlines(keepends=True)
    labels.write_bytes(b"".join([first.replace(b"yes", b"no "), *rest]))
    with Lake.open(desk.lake, desk.model) as opened:
        assert Filters(opened).mend("reds").lost == (1,)
    for act in (lambda: publish_lake(desk.lake, url), lambda: pull_lake(url, desk.lake)):
        with pytest.raises(BucketError, match=r"labels\.jsonl"):
            act()

    def said(lake: Path) -> dict[int, str]:
        with Lake.open(lake, desk.model) as opened:
            return {row: each.label for row, each in Filters(opened).open("reds").answers().items()}

    publish_lake(desk.lake, f"{url}-mended")
    pull_lake(f"{url}-mended", tmp_path / "mended.lake")
    pull_lake(url, tmp_path / "whole.lake")
    assert said(tmp_path / "mended.lake") == {2: "no", 3: "no"}
    assert said(tmp_path / "whole.lake") == {1: "yes", 2: "no", 3: "no"}


def test_saved_searches_and_tags_travel(desk: Desk, url: str, tmp_path: Path) -> None:
    with Lake.open(desk.lake, desk.model) as opened:
        opened.tag("night", [1, 2])
    SavedSearches(desk.lake / "searches").save("warm", {"texts": ["red"]}, by="ann")
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    pull_lake(url, copy)
    assert (copy / "searches" / "searches.json").read_bytes() == (
        desk.lake / "searches" / "searches.json"
    ).read_bytes()
    with Lake.open(copy, desk.model) as opened:
        assert {hit.row_id for hit in opened.search("red", where="tag = 'night'", k=None)} == {1, 2}
    SavedSearches(copy / "searches").save("cold", {"texts": ["blue"]}, by="bob")
    publish_lake(copy, url)
    pull_lake(url, desk.lake)
    assert set(json.loads((desk.lake / "searches" / "searches.json").read_text())["searches"]) == {
        "warm",
        "cold",
    }
    SavedSearches(copy / "searches").save("one", {"texts": ["blue"]}, by="bob")
    SavedSearches(desk.lake / "searches").save("other", {"texts": ["blue"]}, by="ann")
    publish_lake(copy, url)
    with pytest.raises(BucketError, match=r"searches\.json"):
        publish_lake(desk.lake, url)


def test_a_filter_that_was_deleted_here_still_counts_there(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    """Random checks of deleted filters count on in what later ones promise."""
    with Lake.open(desk.lake, desk.model) as opened:
        Filters(opened).create("reds", keep_texts=["red"])
        Filters(opened).delete("reds")
        Filters(opened).create("blues", keep_texts=["blue"])
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    pull_lake(url, copy)
    folders = [path.name for path in (copy / "filters" / ".deleted").iterdir()]
    assert folders == [path.name for path in (desk.lake / "filters" / ".deleted").iterdir()]
    assert folders[0].startswith("reds-")
    with Lake.open(copy, desk.model) as opened:
        assert Filters(opened).names() == ["blues"]


def test_files_that_no_snapshot_needs_go_when_they_are_a_day_old(
    desk: Desk, url: str, bucket: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_lake(desk.lake, url)
    for photo in list(desk.photos.iterdir()):
        photo.unlink()
    desk.add("other.png", (0, 100, 255))
    desk.sync()
    assert publish_lake(desk.lake, url, prune=True).removed_files == 0  # of today
    before = names(bucket)
    monkeypatch.setattr("indexer.buckets.publishing.PRUNE_AFTER_S", -60.0)
    removed = publish_lake(desk.lake, url, prune=True).removed_files
    was = {name for name in before if name.startswith("manifests/")}
    now = {"manifest.json", *was, *desk.manifest.checks}
    assert len(was) == 2
    assert names(bucket) == now
    assert removed == len(before - now) > 0


def test_what_is_not_ours_is_neither_joined_nor_removed(
    desk: Desk, url: str, bucket: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, fs = bucket
    theirs = "segments/holiday/film.mp4"
    fs.pipe_file(f"{name}/lakes/my.lake/{theirs}", b"a film")
    with pytest.raises(
        BucketError, match=r"not empty and not a lake \(it has segments/holiday/film"
    ):
        publish_lake(desk.lake, url)
    assert names(bucket) == {theirs}
    fs.rm_file(f"{name}/lakes/my.lake/{theirs}")
    publish_lake(desk.lake, url)
    fs.pipe_file(f"{name}/lakes/my.lake/{theirs}", b"a film")
    monkeypatch.setattr("indexer.buckets.publishing.PRUNE_AFTER_S", -60.0)
    assert publish_lake(desk.lake, url, prune=True).removed_files == 0
    assert theirs in names(bucket)


def test_a_damaged_file_is_neither_sent_nor_believed(
    desk: Desk, url: str, bucket: tuple[str, Any], tmp_path: Path
) -> None:
    publish_lake(desk.lake, url)
    name = next(name for name in desk.manifest.checks if name.endswith("vectors.faiss"))
    place = f"{bucket[0]}/lakes/my.lake/{name}"
    data = bytearray(bucket[1].cat_file(place))
    data[len(data) // 2] ^= 1
    bucket[1].pipe_file(place, bytes(data))
    with pytest.raises(BucketError, match="is damaged there"):
        pull_lake(url, tmp_path / "copy.lake")
    with pytest.raises(LakeNotFound):
        read_manifest(Layout(tmp_path / "copy.lake"))
    path = desk.lake / name
    path.write_bytes(bytes(data))
    with pytest.raises(LakeDamaged, match="mends what it can"):
        publish_lake(desk.lake, f"{url}.other")
    assert Bucket.open(f"{url}.other").read("manifest.json") is None


def test_a_store_that_passes_over_conditions_is_refused(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    put = obstore.put
    monkeypatch.setattr(obstore, "put", lambda *a, mode=None, **k: put(*a, **k))
    with pytest.raises(BucketError, match="passes over conditions"):
        publish_lake(desk.lake, url)
    assert set(Bucket.open(url).names()) == set()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("my.lake", "is no folder in a bucket"),
        ("http://x/y", "is no folder in a bucket"),
        ("s3://", "is no folder in a bucket"),
        ("s3://bucket", "names a whole bucket"),
        ("s3://bucket/", "names a whole bucket"),
    ],
)
def test_what_is_no_folder_in_a_bucket(desk: Desk, wrong: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        publish_lake(desk.lake, wrong)


def test_a_store_that_does_not_answer_is_said(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("", "localhost:9000"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", wrong)
        with pytest.raises(BucketError, match=r"AWS_ENDPOINT_URL is .* and no address"):
            publish_lake(desk.lake, url)
    import obstore

    class PanicException(BaseException):
        """As what is raised where the library's own code gives up."""

    def panics(*_: object, **__: object) -> None:
        raise PanicException("called unwrap on an Err")

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(obstore, "list", panics)
    with pytest.raises(BucketError, match="called unwrap on an Err"):
        publish_lake(desk.lake, url)


def test_what_is_not_there_is_said(desk: Desk, url: str, tmp_path: Path, s3_server: str) -> None:
    with pytest.raises(LakeNotFound, match="nothing was published there"):
        pull_lake(url, tmp_path / "copy.lake")
    assert not (tmp_path / "copy.lake").exists()
    with pytest.raises(BucketError, match="there is no such bucket"):
        publish_lake(desk.lake, "s3://no-such-bucket-at-all/my.lake")
    with pytest.raises(LakeNotFound):
        publish_lake(tmp_path / "none.lake", url)
    publish_lake(desk.lake, url)
    (tmp_path / "copy.lake").mkdir()
    with writer(Layout(tmp_path / "copy.lake")), pytest.raises(LakeLocked):
        pull_lake(url, tmp_path / "copy.lake")


def test_a_snapshot_that_a_filter_names_whose_files_were_removed_there_is_left_out(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By somebody who had it no more; its manifest stays there."""
    with Lake.open(desk.lake, desk.model) as opened:
        Filters(opened).create("reds", keep_texts=["red"])
    publish_lake(desk.lake, url)
    first = Layout(desk.lake).snapshot(desk.manifest.snapshot)
    for photo in list(desk.photos.iterdir()):
        photo.unlink()
    desk.add("other.png", (0, 100, 255))
    desk.sync()
    first.unlink()
    monkeypatch.setattr("indexer.buckets.publishing.PRUNE_AFTER_S", -3600.0)
    assert publish_lake(desk.lake, url, prune=True).removed_files > 0
    assert f"manifests/{first.name}" in Bucket.open(url).names()
    copy = tmp_path / "copy.lake"
    assert pull_lake(url, copy).rows == 1
    assert not (copy / "manifests" / first.name).exists()
    whole(copy)


def test_a_snapshot_that_a_filter_names_and_that_does_not_fit_is_left_out_and_told(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    """The newest one is answered from all the same, and a later one still takes its place."""
    with Lake.open(desk.lake, desk.model) as opened:
        Filters(opened).create("reds", keep_texts=["red"])
    first = desk.manifest
    for photo in list(desk.photos.iterdir()):
        photo.unlink()
    for number in range(6):
        desk.add(f"other-{number}.png", (number * 20, 100, 255))
    desk.sync()
    publish_lake(desk.lake, url)
    roomy = tmp_path / "roomy.lake"
    assert pull_lake(url, roomy).notes == []
    assert Layout(roomy).snapshot(first.snapshot).exists()
    copy, most = tmp_path / "copy.lake", folder_bytes(roomy) - 1
    for rows in (6, 7):
        report = pull_lake(url, copy, at_most=most)
        assert (report.rows, rows_count(copy)) == (rows, rows)
        (note,) = report.notes
        assert note.startswith(
            f"a filter names an older snapshot: {url}: snapshot {first.snapshot}"
        )
        assert not Layout(copy).snapshot(first.snapshot).exists()
        whole(copy)
        if rows == 6:
            desk.add("new.png", (0, 0, 255))
            desk.sync()
            publish_lake(desk.lake, url)
            fresh = [n for n in desk.manifest.checks if not (copy / n).exists()]
            most = folder_bytes(copy) + sum(desk.manifest.checks[n].length for n in fresh)
            most += 2 * (desk.lake / "manifest.json").stat().st_size + 1_000
    assert pull_lake(url, copy, at_most=most).fetched_files == 0


def test_what_a_first_pull_left_that_was_cut_short_makes_room_for_a_later_snapshot(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the bucket's segments were merged before it was run again."""
    monkeypatch.setattr("indexer.buckets.pulling.AT_ONCE", 1)
    publish_lake(desk.lake, url)
    copy, left = tmp_path / "copy.lake", set(desk.manifest.checks)
    asked = iter([False, False, False, True])
    assert pull_lake(url, copy, should_stop=lambda: next(asked, True)).interrupted
    left = {name for name in left if (copy / name).exists()}
    assert len(left) == 1
    for number in range(6):
        (desk.photos / f"{number}.png").unlink()
        desk.add(f"new-{number}.png", (0, number * 20, 255))
    desk.sync()
    compact_lake(desk.lake)
    assert not left & set(desk.manifest.checks)
    publish_lake(desk.lake, url, prune=True)
    coming = sum(check.length for check in desk.manifest.checks.values())
    most = coming + 2 * (desk.lake / "manifest.json").stat().st_size + 1_000
    assert pull_lake(url, copy, at_most=most).rows == 6
    assert not any((copy / name).exists() for name in left)
    assert folder_bytes(copy) <= most
    whole(copy)


def test_room_that_cannot_be_made_just_now_is_told_so(desk: Desk, url: str, tmp_path: Path) -> None:
    """Somebody just opens the lake, and has not said yet what of it."""
    publish_lake(desk.lake, url)
    copy = tmp_path / "copy.lake"
    pull_lake(url, copy)
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    publish_lake(desk.lake, url)
    with (
        closing(Reading(Layout(copy))),
        pytest.raises(
            BucketError, match=r"since somebody just opens the lake, .* run the same command again"
        ),
    ):
        pull_lake(url, copy, at_most=folder_bytes(copy))
    assert rows_count(copy) == 6
    whole(copy)
