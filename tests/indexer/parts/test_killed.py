"""`kill -9` of parts and of their commit at any moment: the lake stays a whole snapshot, and the
same commands again end where undisturbed ones would have, with nothing lost and nothing twice.

LAKESIFT_CRASH_TRIES sets how many moments are tried, as in `test_crash`.
"""

from __future__ import annotations

import pytest

from tests.indexer.killed_writers import TRIES, Story, Writers
from tests.indexer.killed_writers import writers as writers
from tests.indexer.lakes import contents
from tests.indexer.test_crash import change_photos, make_photos

# at a load of 15 a try takes a minute: it is six runs of three writers
pytestmark = pytest.mark.timeout(300 + 120 * TRIES)
FEW = 1 if TRIES <= 5 else TRIES


@pytest.fixture(scope="module")
def new_story(writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("new")
    make_photos(folder / "photos")
    return Story(writers, "parts", folder, folder / "photos")


@pytest.fixture(scope="module")
def later_story(writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("later")
    make_photos(folder / "photos")
    assert writers.run("index", folder / "start", folder / "photos") == 0
    change_photos(folder / "photos")
    return Story(writers, "parts", folder, folder / "photos", folder / "start")


@pytest.fixture(params=["new", "later"])
def story(request: pytest.FixtureRequest) -> Story:
    found: Story = request.getfixturevalue(f"{request.param}_story")
    return found


def test_undisturbed_parts_end_where_index_would(story: Story) -> None:
    plain = story.lake("plain")
    assert story.writers.run("index", plain, story.photos) == 0
    assert contents(plain) == story.after


def test_parts_and_commits_killed_before_any_step_can_be_continued(story: Story) -> None:
    story.kill_before_steps(2 * FEW)


def test_parts_and_commits_killed_at_a_random_moment_can_be_continued(later_story: Story) -> None:
    later_story.kill_at_moments(FEW)
