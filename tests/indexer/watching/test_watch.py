"""A lake that follows its sources. What happens between two passes is a list of steps, so nothing
here waits, and how long would be waited is looked at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.locks import writer
from indexer.disk.manifest import Manifest, SourceEntry
from indexer.embed import Embedder
from indexer.errors import LakeNotFound, WrongModel
from indexer.report import SyncReport
from indexer.sync import sync as plain
from indexer.watching import watch as watching
from indexer.watching.changes import Changes
from indexer.watching.watch import Pass, watch
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, Desk, png, write

Step = Callable[[], object]


class Steps(Changes):
    """One step in the place of each wait; after the last one the watch is asked to stop."""

    def __init__(self, steps: Sequence[Step], *, hears: bool = False) -> None:
        """:param hears: after each step something has changed on disk."""
        super().__init__()
        self._hears = hears
        self._left = list(steps)
        self.waits: list[tuple[float, float]] = []
        self.are_over = False

    def follow(self, sources: Sequence[SourceEntry]) -> str | None:
        return None

    def wait(
        self,
        least_s: float,
        most_s: float,
        should_stop: Callable[[], bool],
        *,
        still_s: float = 0.0,
    ) -> bool:
        self.waits.append((least_s, most_s))
        if self._left:
            self._left.pop(0)()
        else:
            self.are_over = True
        return self._hears


@dataclass
class Watch:
    """A watch of a desk's lake."""

    desk: Desk
    loads: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list)

    def load(self, manifest: Manifest | None) -> Embedder:
        self.loads += 1
        return self.desk.model

    def passes(
        self, *steps: Step, knobs: dict[str, Any] | None = None, hears: bool = False, **options: Any
    ) -> list[Pass]:
        changes = Steps(steps, hears=hears)
        self.waits = changes.waits
        config = IndexConfig(**{"decoders": 1, **(knobs or {})})
        return list(
            watch(
                self.desk.lake,
                self.load,
                config=config,
                should_stop=lambda: changes.are_over,
                changes=changes,
                **options,
            )
        )

    @property
    def most_s(self) -> list[float]:
        return [most_s for _, most_s in self.waits]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """a.png is red (row 1), and indexed."""
    desk = Desk(tmp_path, ColourEmbedder())
    desk.add("a.png", RED)
    desk.index()
    return desk


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes that took no time, as their report says."""

    def sync(*arguments: Any, **options: Any) -> SyncReport:
        report = plain(*arguments, **options)
        report.seconds = 0.0
        return report

    monkeypatch.setattr(watching, "sync", sync)


def counts(passes: Sequence[Pass]) -> list[tuple[int, int, int, int]]:
    reports = [done.report for done in passes if done.report is not None]
    assert len(reports) == len(passes)
    return [(each.new, each.changed, each.moved, each.gone) for each in reports]


def test_each_pass_takes_up_what_changed_since(desk: Desk) -> None:
    follower = Watch(desk)
    passes = follower.passes(
        lambda: desk.add("b.png", GREEN),
        lambda: (desk.photos / "b.png").rename(desk.photos / "c.png"),
        lambda: desk.add("c.png", BLUE, LONG_AGO_S + 9),
        lambda: (desk.photos / "a.png").unlink(),
        lambda: None,
    )
    assert counts(passes) == [
        (0, 0, 0, 0),
        (1, 0, 0, 0),
        (0, 0, 1, 0),
        (0, 1, 0, 0),
        (0, 0, 0, 1),
        (0, 0, 0, 0),
    ]
    assert [done.is_news for done in passes] == [False, True, True, True, True, False]
    assert follower.loads == 1, "the model is kept from pass to pass"
    assert desk.ids() == {"c.png": 3}


def test_the_lake_is_free_between_two_passes(desk: Desk) -> None:
    """Other verbs get in: `index` of another source, and the watch follows it from then on."""
    more = desk.root / "more"
    write(more / "b.png", png(GREEN))
    passes = Watch(desk).passes(
        lambda: desk.index(more),
        lambda: write(more / "c.png", png(BLUE)),
    )
    assert counts(passes) == [(0, 0, 0, 0), (0, 0, 0, 0), (1, 0, 0, 0)]
    assert desk.manifest.live_rows == 3


def test_another_writer_is_waited_for_and_told_once(desk: Desk, quick: None) -> None:
    lock = writer(Layout(desk.lake))
    follower = Watch(desk)
    passes = follower.passes(
        lambda: (lock.__enter__(), desk.add("b.png", GREEN)),
        lambda: None,
        lambda: lock.__exit__(None, None, None),
    )
    assert [done.report is None for done in passes] == [False, True, False]
    assert "process" in str(passes[1].failure)
    assert passes[2].report is not None
    assert passes[2].report.new == 1
    assert follower.most_s == [30, 5, 5, 30]


def test_a_lake_that_is_written_when_the_watch_begins_is_waited_for(desk: Desk) -> None:
    lock = writer(Layout(desk.lake))
    lock.__enter__()
    desk.add("b.png", GREEN)
    passes = Watch(desk).passes(lambda: lock.__exit__(None, None, None))
    assert [done.report is None for done in passes] == [True, False]
    assert passes[1].report is not None
    assert passes[1].report.new == 1


def test_a_source_that_fails_is_told_once_and_looked_at_ever_more_seldom(
    desk: Desk, quick: None
) -> None:
    away = desk.root / "away"
    follower = Watch(desk)
    nothing: list[Step] = [lambda: None] * 5
    passes = follower.passes(
        lambda: desk.photos.rename(away), *nothing, lambda: away.rename(desk.photos)
    )
    assert [done.is_news for done in passes] == [False, True, *[False] * 5, True]
    assert passes[1].report is not None
    [problem] = passes[1].report.problems
    assert problem.startswith(f"{desk.photos}: ")
    assert "its 1 row was kept" in problem
    assert follower.most_s == [30, 60, 120, 240, 300, 300, 300, 30]
    assert [done.is_mended for done in passes] == [*[False] * 7, True]
    assert desk.ids() == {"a.png": 1}


def test_a_file_that_fails_each_time_is_told_once_and_commits_nothing(
    desk: Desk, quick: None
) -> None:
    """As one that may not be read: it is tried again each time, since nothing says that it is
    broken.
    """
    (desk.photos / "b.png").symlink_to(desk.root / "nowhere.png")
    snapshots: list[int] = []
    see: Step = lambda: snapshots.append(desk.manifest.snapshot)  # noqa: E731
    passes = Watch(desk).passes(
        see, see, see, lambda: (desk.photos / "c.png").symlink_to(desk.root / "neither.png"), see
    )
    told = [
        [Path(uri).name for uri, _ in done.report.newly_skipped] for done in passes if done.report
    ]
    assert told == [["b.png"], [], [], [], ["c.png"], []]
    assert snapshots[0] == snapshots[1] == snapshots[2]
    assert snapshots[3] > snapshots[2]
    assert set(desk.skipped()) == {"b.png", "c.png"}
    write(desk.root / "nowhere.png", png(GREEN))
    assert desk.sync().new == 1
    assert set(desk.skipped()) == {"c.png"}


def test_places_are_told_apart_by_their_numbers(desk: Desk) -> None:
    """Of one place the numbers may change without news; another place is news."""
    (desk.photos / "1.png").symlink_to(desk.root / "nowhere.png")
    passes = Watch(desk).passes(
        lambda: (desk.photos / "2.png").symlink_to(desk.root / "nowhere.png")
    )
    told = [
        [Path(uri).name for uri, _ in done.report.newly_skipped] for done in passes if done.report
    ]
    assert told == [["1.png"], ["2.png"]]


def test_a_lake_that_goes_away_and_comes_back(desk: Desk, quick: None) -> None:
    away = desk.root / "away.lake"
    follower = Watch(desk)
    passes = follower.passes(
        lambda: desk.lake.rename(away),
        lambda: None,
        lambda: away.rename(desk.lake),
    )
    assert [done.report is None for done in passes] == [False, True, False]
    assert str(desk.lake) in str(passes[1].failure)
    assert passes[2].is_mended
    assert not away.exists()


def test_what_is_wrong_from_the_start_is_raised(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(LakeNotFound):
        next(watch(tmp_path / "no.lake", lambda _: desk.model, changes=Steps([])))
    assert not (tmp_path / "no.lake").exists()
    desk.add("b.png", GREEN)
    with pytest.raises(WrongModel):
        next(watch(desk.lake, lambda _: ColourEmbedder(weights="1"), changes=Steps([])))


def test_a_file_in_motion_is_looked_at_again_soon(desk: Desk, quick: None) -> None:
    young = desk.add("b.png", GREEN, desk.lake.stat().st_mtime)
    follower = Watch(desk)
    passes = follower.passes(
        lambda: os.utime(young, (LONG_AGO_S, LONG_AGO_S)),
        knobs={"still_s": 3600.0},
        interval_s=9000,
    )
    assert counts(passes) == [(0, 0, 0, 0), (1, 0, 0, 0)]
    assert follower.waits == [(3600, 3600), (3600, 9000)]


def test_what_is_written_without_end_holds_deletions_up_for_a_while_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add("b.png", GREEN)
    desk.sync()
    desk.add("camera.png", BLUE, desk.lake.stat().st_mtime)
    (desk.photos / "b.png").unlink()

    def lose_patience() -> None:
        monkeypatch.setattr(watching, "PATIENCE_S", 0.0)

    passes = Watch(desk).passes(lambda: None, lose_patience, knobs={"still_s": 3600.0})
    assert counts(passes) == [(0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 1)]


def test_looking_takes_at_most_a_tenth_of_the_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: Any, **options: Any) -> SyncReport:
        report = plain(*arguments, **options)
        report.seconds = 20.0
        return report

    monkeypatch.setattr(watching, "sync", slow)
    follower = Watch(desk)
    follower.passes()
    assert follower.waits == [(20, 180)], "after news as long as it took, else nine times"


def test_what_is_asked_for_once_is_done_once(desk: Desk) -> None:
    """A disk that is pulled out later must not empty the lake."""
    moved = desk.root / "moved"
    desk.photos.rename(moved)
    passes = Watch(desk).passes(
        lambda: shutil.rmtree(moved),
        roots={f"{desk.photos}/": f"{moved}/"},
        recompute=["phash"],
        knobs={"allow_empty": True},
    )
    [first, second] = [done.report for done in passes]
    assert first is not None
    assert second is not None
    assert (first.moved, first.recomputed + len(first.not_recomputed)) == (1, 0)
    assert (second.moved, second.gone, second.rows) == (0, 0, 1)
    assert len(second.problems) == 1


def test_changes_that_come_to_nothing_are_waited_for_ever_longer(desk: Desk, quick: None) -> None:
    """As where a log is written among the photos."""
    nothing: list[Step] = [lambda: None] * 6
    follower = Watch(desk)
    follower.passes(*nothing, lambda: desk.add("b.png", GREEN), lambda: None, hears=True)
    assert [least_s for least_s, _ in follower.waits] == [2, 4, 8, 16, 30, 30, 30, 2, 4]
    assert set(follower.most_s) == {30}


def test_a_recording_that_goes_on_is_looked_at_ever_more_seldom(desk: Desk, quick: None) -> None:
    desk.add("b.png", GREEN, desk.lake.stat().st_mtime)
    nothing: list[Step] = [lambda: None] * 3
    follower = Watch(desk)
    follower.passes(*nothing, knobs={"still_s": 3600.0}, interval_s=10_000)
    assert follower.waits == [(3600, 3600), (7200, 7200), (10_000, 10_000), (10_000, 10_000)]


def files(lake: Path) -> int:
    return sum(path.is_file() for path in lake.rglob("*"))


def one_more(desk: Desk, number: int) -> None:
    desk.add(f"{number}.png", (number + 1, 200 - number, 7))


def test_many_small_passes_leave_few_segments_and_no_old_files(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "VACUUM_EVERY_S", 0.0)
    sizes: list[int] = []

    def add(number: int) -> None:
        sizes.append(files(desk.lake))
        one_more(desk, number)

    steps: list[Step] = [partial(add, number) for number in range(6)]
    passes = Watch(desk).passes(*steps, knobs={"max_segments": 2}, keep_s=0)
    assert [new for new, *_ in counts(passes)] == [0, 1, 1, 1, 1, 1, 1]
    assert desk.manifest.live_rows == 7
    assert len(desk.manifest.segments) <= 2
    assert len(Layout(desk.lake).snapshots()) == 1
    # a segment more or less
    assert max(sizes[2:]) - min(sizes[2:]) <= 2
    assert files(desk.lake) <= max(sizes[2:])


def test_old_snapshots_are_kept_for_a_day_and_for_ever_if_so_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "VACUUM_EVERY_S", 0.0)
    first = desk.manifest.snapshot
    old = Layout(desk.lake).snapshot(first)
    Watch(desk).passes(lambda: one_more(desk, 1))
    assert old.exists()
    two_days_ago = desk.lake.stat().st_mtime - 2 * 86_400
    for path in Layout(desk.lake).snapshots():
        os.utime(path, (two_days_ago, two_days_ago))
    Watch(desk).passes(lambda: one_more(desk, 2), keep_s=None)
    assert old.exists()
    Watch(desk).passes(lambda: one_more(desk, 3))
    assert not old.exists()


def test_a_watch_that_is_stopped_in_the_middle_has_committed(desk: Desk) -> None:
    for number in range(20):
        one_more(desk, number)
    before = len(desk.model.calls)
    passes = list(
        watch(
            desk.lake,
            lambda _: desk.model,
            config=IndexConfig(decoders=1, batch_size=2),
            should_stop=lambda: len(desk.model.calls) > before,
            changes=Steps([]),
        )
    )
    assert [done.report.interrupted for done in passes if done.report] == [True]
    assert passes[0].is_news
    assert desk.sync().rows == 21
