"""`kill -9` of a run that makes codes and groups: whatever it leaves is searched with the same
answers as the rows alone give.

By themselves only large lakes have them; here a lake of one row has, in what is written and in what
reads it. LAKESIFT_CRASH_TRIES as in `test_crash`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from service import Lake
from service.search import ranking
from service.search.ranking import Ranking
from service.snapshot.scan import rows
from service.snapshot.snapshot import Snapshot
from tests.fakes import ColourEmbedder
from tests.indexer.killed_writers import TRIES, Story, Writers
from tests.indexer.killed_writers import writers as writers
from tests.indexer.test_crash import change_photos, make_photos

# red, one among many greens, a mixture, and what no photo looks like
QUERIES = np.array([[1, 0, 0], [0.1, 0.7, 0.7], [0.3, 0.9, 0.31], [-0.6, -0.6, 0.52]], np.float32)
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def large_from_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "PARALLEL_FROM_ROWS", 1)
    monkeypatch.setattr(rows, "pay_from_rows", lambda: 1)


class CodedStory(Story):
    """What is searched after a kill had codes in some of all cases, and groups in some."""

    with_codes = with_groups = with_neither = 0

    def check_whole(self, lake: Path) -> None:
        super().check_whole(lake)
        with Lake.open(lake, ColourEmbedder()) as opened:
            snapshot = opened.snapshot
            has_codes = any(part.codes is not None for part in snapshot.parts)
            self.with_codes += has_codes
            self.with_groups += snapshot.groups is not None
            self.with_neither += not has_codes and snapshot.groups is None
            for vector in QUERIES:
                check_answers(snapshot, vector)

    def check_finished(self, lake: Path) -> None:
        super().check_finished(lake)
        manifest = read_manifest(Layout(lake))[0]
        assert all(entry.codes is not None for entry in manifest.segments)
        assert manifest.groups is not None
        assert manifest.grouped_rows == sum(entry.rows for entry in manifest.segments)
        assert manifest.live_rows == len(self.after)
        self.check_whole(lake)


def check_answers(snapshot: Snapshot, vector: NDArray[np.float32]) -> None:
    """By codes, and in all groups, it is what each row's own product with the query says."""
    scores, ids = [], []
    for part in snapshot.parts:
        alive = np.ones(part.rows, bool) if part.alive is None else part.alive
        scores.append(part.vectors.take(np.flatnonzero(alive)) @ vector)
        ids.append(part.row_ids[alive])
    want, row_ids = np.concatenate(scores), np.concatenate(ids)
    exact = Ranking(snapshot, vector, None).top(10)
    assert exact.scores == pytest.approx(np.sort(want)[::-1][: len(exact)], abs=1e-6)
    assert len(exact) == min(10, len(row_ids))
    flat = Ranking(snapshot, vector, None)
    alone = flat.merged(flat.order(10).alone(), 10)
    assert alone.row_ids.tolist() == exact.row_ids.tolist()
    assert alone.scores.tobytes() == exact.scores.tobytes()
    by_row = dict(zip(row_ids.tolist(), want.tolist(), strict=True))
    assert exact.scores == pytest.approx([by_row[row] for row in exact.row_ids], abs=1e-6)
    if snapshot.groups is not None:
        near = Ranking(snapshot, vector, None, None, len(snapshot.groups)).top(10)
        assert near.row_ids.tolist() == exact.row_ids.tolist()
        assert near.scores.tobytes() == exact.scores.tobytes()


@pytest.fixture(scope="module")
def story(writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> CodedStory:
    """A lake with codes and groups, and a run that finds much of it gone, moved and new."""
    folder = tmp_path_factory.mktemp("coded")
    make_photos(folder / "photos")
    start = folder / "start"
    assert writers.run("index", start, folder / "photos") == 0
    assert writers.run("coded sync", start, folder / "photos") == 0
    assert read_manifest(Layout(start))[0].groups is not None
    change_photos(folder / "photos")
    return CodedStory(writers, "coded sync", folder, folder / "photos", start)


def test_a_run_killed_before_any_step_leaves_what_is_searched_as_the_rows_alone(
    story: CodedStory,
) -> None:
    story.kill_before_steps(TRIES)
    assert story.with_codes >= 2 and story.with_groups >= 2


def test_a_run_killed_at_a_random_moment_likewise(story: CodedStory) -> None:
    story.kill_at_moments(TRIES // 2)


def test_a_run_killed_as_it_ends_leaves_old_groups_or_new_ones(story: CodedStory) -> None:
    """Its last steps make groups, and name them: the very last one, and some before."""
    before = read_manifest(Layout(story.start or Path()))[0].groups
    assert before is not None
    seen = []
    for back in range(0, 24, 24 // max(TRIES // 2, 3)):
        lake = story.lake(f"end{back}")
        assert story.writers.run("coded sync", lake, story.photos, kill_at=story.steps - back) < 0
        story.check_whole(lake)
        seen.append(read_manifest(Layout(lake))[0].groups == before)
        story.check_finished(lake)
        shutil.rmtree(lake)
    assert not seen[0], "the new ones were named"
    assert seen[-1], "they were not yet"
