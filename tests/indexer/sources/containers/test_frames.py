"""Which frames are chosen, worked out by hand."""

from __future__ import annotations

import pytest

from indexer.sources.containers.frames import DEFAULT_PERMILLE, Frames

MS = 1_000


def chosen(text: str | None, *frames: str) -> list[int]:
    """Milliseconds of the frames that are chosen of those as "0k" (a key frame) and "40"."""
    parsed = [(int(frame.rstrip("k")) * MS, frame.endswith("k")) for frame in frames]
    return [time_us // MS for time_us in Frames.parse(text).of(parsed)]


def test_one_frame_for_each_second_from_the_first_frame_on() -> None:
    ten_a_second = [str(ms) for ms in range(0, 3_100, 100)]
    assert chosen(None, *ten_a_second) == [0, 1_000, 2_000, 3_000]
    assert chosen("500ms", *ten_a_second[:12]) == [0, 500, 1_000]
    # The first frame at or after each second, whenever the one before it came.
    assert chosen("1s", "300", "900", "1400", "2200", "2300", "3300") == [300, 1_400, 2_300, 3_300]


def test_after_a_hole_the_seconds_are_counted_as_before() -> None:
    assert chosen("1s", "0", "4700", "4900", "5000", "5900", "6000") == [0, 4_700, 5_000, 6_000]


def test_key_frames_alone_each_or_so_far_apart() -> None:
    frames = ["0k", "400", "800k", "1000", "1100k", "2200k", "2300"]
    assert chosen("key", *frames) == [0, 800, 1_100, 2_200]
    assert chosen("key/1s", *frames) == [0, 1_100, 2_200]


def test_the_first_of_each_shot_and_others_as_long_as_it_goes_on() -> None:
    """Here "k" marks the first frame of a shot."""
    frames = ["0k", "400", "800", "1200k", "1300k", "2100", "2200", "2300", "4000"]
    assert chosen("scenes", *frames) == [0, 1_200, 1_300]
    assert chosen("scenes/1s", *frames) == [0, 1_200, 1_300, 2_300, 4_000]
    # A video that was cut short has no first frame to begin with.
    assert chosen("scenes", "300", "400") == [300]


def test_what_it_is_written_as_reads_back() -> None:
    written = {"1s": "1s", "0.5s": "500ms", "90": "90s", "60s": "1m", "2m": "2m", "1000ms": "1s"}
    written |= {"key": "key", "key/1.5": "key/1500ms", "none": "none"}
    written |= {"scenes": "scenes", "scenes/5": "scenes/5s", "2s/still=2.5": "2s/still=2.5%"}
    written |= {"key/still=10%": "key/still=10%", "scenes/1m/still=1%": "scenes/1m/still=1%"}
    assert {text: str(Frames.parse(text)) for text in written} == written
    for text in written.values():
        assert str(Frames.parse(text)) == text
    assert Frames.parse(None) == Frames.parse("1s")
    assert Frames.parse("1s/still") == Frames(still_permille=DEFAULT_PERMILLE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0s",
        "-1s",
        "1h",
        "1.2345s",
        "0.5ms",
        "25m1",
        "2000m",
        "nan",
        "key/",
        "x/1s",
        "scenes/",
        "still",
        "key/0s",
    ],
)
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration of whole milliseconds up to a day"):
        Frames.parse(text)
