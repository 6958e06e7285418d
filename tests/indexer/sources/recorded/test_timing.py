"""Which frame of a video is which of an episode: counted, or told by its time."""

from __future__ import annotations

from indexer.sources.recorded.lerobot.timing import Frame, Shown, frames_of


def at(*times_us: int) -> list[tuple[int, bool]]:
    return [(time_us, time_us == 0) for time_us in times_us]


def placed(
    times: list[tuple[int, bool]], episodes: list[Shown], fps: float = 10
) -> dict[int, list[tuple[int, int]]]:
    """Episode -> (frame, time) of each of its frames."""
    return {
        shown.episode: [(frame.frame_index, frame.time_us) for frame in frames]
        for shown, frames in frames_of(times, episodes, fps)
    }


def test_episodes_follow_each_other_in_a_video() -> None:
    times = at(0, 100_000, 200_000, 300_000, 400_000)
    found = list(frames_of(times, [Shown(8, 2, 300_000), Shown(7, 3, 0)], 10))
    assert found == [
        (
            Shown(7, 3, 0),
            [Frame(0, True, 0), Frame(100_000, False, 1), Frame(200_000, False, 2)],
        ),
        (Shown(8, 2, 300_000), [Frame(300_000, False, 0), Frame(400_000, False, 1)]),
    ]


def test_beginnings_that_were_added_up_wrongly_do_not_shift_frames() -> None:
    # LeRobot adds up lengths of files; here it is a frame and a half late by the second episode.
    times = at(0, 100_000, 200_000, 300_000)
    assert placed(times, [Shown(0, 2, 0), Shown(1, 2, 350_000)]) == {
        0: [(0, 0), (1, 100_000)],
        1: [(0, 200_000), (1, 300_000)],
    }


def test_frames_of_episodes_that_were_taken_out_are_of_none() -> None:
    # Episode 1 lay between the two, and the video still has its frames.
    times = at(0, 100_000, 200_000, 300_000, 400_000, 500_000)
    assert placed(times, [Shown(0, 2, 0), Shown(2, 2, 400_000)]) == {
        0: [(0, 0), (1, 100_000)],
        2: [(0, 400_000), (1, 500_000)],
    }


def test_a_time_counts_to_half_a_frame() -> None:
    # 0.14 s is nearest to frame 1, 0.27 s to frame 3; of frame 2 there is none.
    assert placed(at(0, 140_000, 270_000), [Shown(0, 4, 0)]) == {
        0: [(0, 0), (1, 140_000), (3, 270_000)]
    }


def test_of_two_times_for_one_frame_the_nearer_counts() -> None:
    assert placed(at(0, 70_000, 110_000), [Shown(0, 2, 0)]) == {0: [(0, 0), (1, 110_000)]}


def test_a_frame_is_of_one_episode_alone() -> None:
    times = at(0, 100_000, 200_000)
    assert placed(times, [Shown(0, 2, 0), Shown(1, 2, 100_000)]) == {
        0: [(0, 0), (1, 100_000)],
        1: [(1, 200_000)],
    }


def test_as_many_frames_at_other_places_are_not_counted_through() -> None:
    # Three frames and three wanted, but the second episode begins two seconds later.
    times = at(0, 100_000, 200_000)
    assert placed(times, [Shown(0, 2, 0), Shown(1, 1, 2_200_000)]) == {
        0: [(0, 0), (1, 100_000)],
        1: [],
    }


def test_a_video_that_ends_early_has_the_frames_it_has() -> None:
    assert placed(at(0, 100_000), [Shown(0, 2, 0), Shown(1, 2, 200_000)]) == {
        0: [(0, 0), (1, 100_000)],
        1: [],
    }
