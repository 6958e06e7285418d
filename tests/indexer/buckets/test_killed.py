"""Who is killed at any step of `publish` or `pull`, whatever the bucket has by then, goes on."""

from __future__ import annotations

import importlib
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from indexer.buckets.publishing import publish_lake
from indexer.buckets.pulling import pull_lake
from indexer.buckets.store import Bucket
from indexer.errors import CopiesDiverged
from indexer.run.writing.compact import vacuum_lake
from tests.indexer.buckets.test_buckets import rows_count, whole
from tests.lakes import Desk


def dies_at(patch: pytest.MonkeyPatch, places: list[str], at: int) -> None:
    """The call so many of these, and all that follow, raise `Died`.

    :param places: functions, as "module.name".
    """
    calls = itertools.count(1)
    for place in places:
        module, _, name = place.rpartition(".")
        real = getattr(importlib.import_module(module), name)

        def call(*given: Any, _real: Any = real, **more: Any) -> Any:
            if next(calls) >= at:
                raise Died
            return _real(*given, **more)

        patch.setattr(place, call)


class Died(BaseException):
    pass


_PULLED = [
    *(
        f"indexer.buckets.pulling.{name}"
        for name in ("fsync_file", "fsync_folder", "write_file", "replace_file")
    ),
    "indexer.buckets.origins.replace_file",
]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_pull_that_died_goes_on_when_the_bucket_has_moved_on_twice(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    """Nothing that the bucket had before is there any more, as after `--prune`."""
    copy = tmp_path / "copy.lake"
    sent = [f"{url}-{turn}" for turn in range(4)]  # what one bucket has, one after the other
    for turn, each in enumerate(sent):
        desk.add(f"new-{turn}.png", (0, turn * 50, 255))
        desk.sync()
        publish_lake(desk.lake, each)
    there = Bucket.open(url)

    def becomes(turn: int) -> None:
        there.remove(sorted(there.names()))
        for name in Bucket.open(sent[turn]).names():
            found = Bucket.open(sent[turn]).read(name)
            assert found is not None
            there.put(name, found[0])

    steps = []
    for at in itertools.count(1):
        broken = tmp_path / f"broken-{at}.lake"
        if not is_first:
            becomes(0)
            if not copy.exists():
                pull_lake(url, copy)
            shutil.copytree(copy, broken)
        ends = 0
        for turn in (1, 2):
            becomes(turn)
            with monkeypatch.context() as patch:
                dies_at(patch, _PULLED, at)
                try:
                    pull_lake(url, broken)
                    ends += 1
                except Died:
                    pass
        becomes(3)
        assert pull_lake(url, broken).rows == rows_count(broken) == 10
        whole(broken)
        steps.append(ends)
        if ends == 2:
            break
    assert len(steps) > 5


def test_a_publish_that_died_goes_on_after_its_snapshots_were_vacuumed(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_lake(desk.lake, url)
    for at in itertools.count(1):
        desk.add(f"new-{at}.png", (0, at * 9, 255))
        desk.sync()
        with monkeypatch.context() as patch:
            dies_at(
                patch, ["obstore.put", "obstore.delete", "indexer.buckets.origins.replace_file"], at
            )
            try:
                publish_lake(desk.lake, url)
                is_done = True
            except Died:
                is_done = False
        desk.add(f"newer-{at}.png", (0, at * 9, 200))
        desk.sync()
        vacuum_lake(desk.lake, keep_s=0.0)
        assert pull_lake(url, desk.lake).is_ahead
        publish_lake(desk.lake, url)
        vacuum_lake(desk.lake, keep_s=0.0)
        if is_done:
            break
    assert at > 6
    assert pull_lake(url, tmp_path / "copy.lake").rows == len(desk.rows()) == 6 + 2 * at


def test_who_published_and_died_follows_those_who_went_on_from_that(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_lake(desk.lake, url)
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    with monkeypatch.context() as patch:
        dies_at(patch, ["indexer.buckets.origins.replace_file"], 2)
        with pytest.raises(Died):
            publish_lake(desk.lake, url)
    theirs = Desk(tmp_path / "theirs", desk.model)
    theirs.root.mkdir()
    pull_lake(url, theirs.lake)
    theirs.add("theirs.png", (0, 255, 0))
    theirs.index()
    publish_lake(theirs.lake, url)
    with pytest.raises(CopiesDiverged, match="goes on from all that") as caught:
        publish_lake(desk.lake, url)
    assert f"`lakesift pull {url} {desk.lake}` brings it here" in str(caught.value)
    assert pull_lake(url, desk.lake).rows == rows_count(desk.lake) == 8
    whole(desk.lake)
    # And so is one whose publish ended well, and that is behind again.
    theirs.add("more.png", (200, 255, 0))
    theirs.sync()
    publish_lake(theirs.lake, url)
    with pytest.raises(CopiesDiverged, match="goes on from all that"):
        publish_lake(desk.lake, url)
    assert pull_lake(url, desk.lake).rows == 9


def copied(desk: Desk, url: str, root: Path) -> Desk:
    """Another machine's copy, with one image more."""
    other = Desk(root, desk.model)
    other.root.mkdir()
    pull_lake(url, other.lake)
    other.add("new.png", (0, 255, 0))
    other.index()
    return other


@pytest.mark.parametrize("is_pruned", [False, True])
def test_two_who_died_at_any_step_of_a_publish_follow_the_third(
    desk: Desk, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_pruned: bool
) -> None:
    """Whose snapshot got there follows; whose did not is told that both have something of their
    own. A day later what no snapshot needs is removed.
    """
    got_there = []
    for at in itertools.count(1):
        there, died = f"{url}-{at}", []
        publish_lake(desk.lake, there)
        # The second has a step more, to put what the first did not.
        for turn, step in (("first", at), ("second", at + 1)):
            writer = copied(desk, there, tmp_path / f"{turn}-{at}")
            is_done = True
            with monkeypatch.context() as patch:
                steps = ["obstore.put", "obstore.delete", "indexer.buckets.origins.replace_file"]
                dies_at(patch, steps, step)
                try:
                    publish_lake(writer.lake, there)
                except Died:
                    is_done = False
            found = Bucket.open(there).read("manifest.json")
            assert found is not None
            died.append((writer.lake, found[0] == (writer.lake / "manifest.json").read_bytes()))
        third = copied(desk, there, tmp_path / f"third-{at}")
        publish_lake(third.lake, there)
        with monkeypatch.context() as patch:
            if is_pruned:
                patch.setattr("indexer.buckets.publishing.PRUNE_AFTER_S", -3600.0)
                publish_lake(third.lake, there, prune=True)
        got_there.append([is_there for _, is_there in died])
        rows = 6 + sum(got_there[-1]) + 1
        for lake, is_there in died:
            if is_there:
                assert pull_lake(there, lake).rows == rows_count(lake) == rows, at
                whole(lake)
            else:
                with pytest.raises(CopiesDiverged):
                    pull_lake(there, lake)
        assert rows_count(third.lake) == rows
        if is_done:
            break
    # The last steps: before the swap; at it; before the snapshot is among the older ones; before
    # the first one notes that it got there.
    assert got_there[-4:] == [[False, False], [False, True], [True, True], [True, True]]
