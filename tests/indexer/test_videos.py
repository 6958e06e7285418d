"""Videos through the life of a lake: made by ffmpeg, listed, found at their second, changed, cut
short, renamed, and on a machine without ffmpeg.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from indexer.address import Address
from indexer.config import ReadLimits
from indexer.disk.manifest import SourceEntry
from indexer.errors import ImageUnreachable, SourceError, UnreadableImage
from indexer.sources.bytes_of import BytesOf
from indexer.sources.containers.video import ffmpeg
from indexer.sources.containers.video.video import Video
from indexer.sources.guard import Reach
from indexer.sources.store import Stores
from lakesift import Lake
from service.cli.main import main
from service.pictures.originals import IndexedImage, Originals
from service.search.hits import Span
from tests.indexer.videos import film
from tests.lakes import LONG_AGO_S, RED, Desk, live_rows, write

THREE = [("red", 3), ("lime", 3), ("blue", 3)]
FORMATS = {
    "a.mp4": ("-c:v", "libx264", "-bf", "3", "-g", "50", "-movflags", "faststart"),
    "a.mov": ("-c:v", "mpeg4", "-g", "12"),
    "a.mkv": ("-c:v", "libx264", "-g", "30"),
    "a.webm": ("-c:v", "libvpx", "-g", "30", "-b:v", "1M"),
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def seconds(desk: Desk) -> dict[float, tuple[int, list[int]]]:
    """Of the one video's rows: second -> row id and colour, as the model sees it."""
    rows = live_rows(desk.lake).values()
    assert len({row["uri"] for row in rows}) == 1
    return {
        row["time_us"] / 1e6: (row["row_id"], [round(part) for part in row["vector"]])
        for row in rows
    }


def middle(data: bytes) -> tuple[int, ...]:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    found = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    return found


def is_near(found: tuple[int, ...], colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) <= 6 for a, b in zip(found, colour, strict=True))


def given(desk: Desk, frames: str | None) -> SourceEntry:
    return SourceEntry(str(desk.photos), frames=frames)


@pytest.mark.parametrize("name", FORMATS)
def test_each_second_of_a_video_is_a_row_with_the_colour_it_shows_then(
    desk: Desk, name: str
) -> None:
    video = film(desk.photos / name, THREE, *FORMATS[name])
    report = desk.index()
    assert (report.new, report.skipped, report.problems, report.notes) == (9, 0, [], [])
    shown = seconds(desk)
    assert sorted(shown) == list(range(9))
    assert [shown[second][1] for second in range(9)] == (
        [[1, 0, 0]] * 3 + [[0, 1, 0]] * 3 + [[0, 0, 1]] * 3
    )
    [first] = [row for row in live_rows(desk.lake).values() if row["time_us"] == 0]
    assert (first["uri"], first["stream_id"], first["format"]) == (str(video), "video", "png")
    assert (first["width_px"], first["height_px"]) == (32, 24)
    originals = Originals()
    for row in live_rows(desk.lake).values():
        data = originals.read(IndexedImage.of(row, Reach([str(desk.photos)])))
        assert len(data) == row["size_bytes"]
        assert is_near(
            middle(data), ((255, 0, 0), (0, 255, 0), (0, 0, 255))[row["time_us"] // 3_000_000]
        )
    assert desk.idle_sync().unchanged == 9


def test_what_shows_for_three_seconds_of_five_minutes_is_found_at_its_second(desk: Desk) -> None:
    # One key frame alone, so that what is found depends on no luck.
    film(desk.photos / "long.mp4", [("red", 222), ("lime", 3), ("red", 75)], fps=5)
    assert desk.index().new == 300
    shown = seconds(desk)
    assert [second for second, (_, colour) in sorted(shown.items()) if colour == [0, 1, 0]] == [
        222,
        223,
        224,
    ]
    with Lake.open(desk.lake, embedder=desk.model) as lake:
        hits = lake.search("green", k=3)
    assert sorted(str(hit.columns["time_us"]) for hit in hits) == [
        "222000000",
        "223000000",
        "224000000",
    ]


def test_other_frames_may_be_asked_for_and_a_sync_asks_for_the_same(desk: Desk) -> None:
    film(desk.photos / "a.mp4", THREE, "-c:v", "libx264", "-g", "75", "-sc_threshold", "0")
    desk.index()
    ids = {second: row_id for second, (row_id, _) in seconds(desk).items()}
    report = desk.sync(add=[given(desk, "2s")])
    assert (report.new, report.gone, sorted(seconds(desk))) == (0, 4, [0, 2, 4, 6, 8])
    assert {second: row_id for second, (row_id, _) in seconds(desk).items()}.items() <= ids.items()
    assert desk.manifest.sources == (given(desk, "2s"),)
    assert desk.idle_sync().unchanged == 5
    assert desk.index().unchanged == 5  # given again without a word on frames
    assert desk.sync(add=[given(desk, "key")]).rows == 3
    assert sorted(seconds(desk)) == [0, 3, 6]
    assert desk.idle_sync().unchanged == 3
    desk.add("photo.png", RED)
    assert desk.sync(add=[given(desk, "none")]).rows == 1
    with pytest.raises(SourceError, match="'often' is no duration"):
        desk.sync(add=[given(desk, "often")])


def runs(desk: Desk) -> dict[float, tuple[int, float]]:
    """Second -> for how many frames and how many seconds its row stands."""
    return {
        row["time_us"] / 1e6: (row["still_frames"], row["still_s"])
        for row in live_rows(desk.lake).values()
    }


def test_frames_in_which_nothing_happens_are_one_row_with_its_length(desk: Desk) -> None:
    video = film(desk.photos / "a.mp4", THREE)
    desk.index()
    ids = {second: row_id for second, (row_id, _) in seconds(desk).items()}
    report = desk.sync(add=[given(desk, "1s/still")])
    assert (report.new, report.gone, report.rows, report.problems) == (0, 6, 3, [])
    assert runs(desk) == {0: (3, 2.0), 3: (3, 2.0), 6: (3, 2.0)}
    assert {second: row_id for second, (row_id, _) in seconds(desk).items()}.items() <= ids.items()
    assert desk.idle_sync().unchanged == 3
    os.utime(video, (LONG_AGO_S + 60, LONG_AGO_S + 60))
    before = seconds(desk)
    assert (desk.idle_sync().rows, seconds(desk)) == (3, before)
    with Lake.open(desk.lake, embedder=desk.model) as lake:
        [hit] = lake.search("green", k=1, moments=1)
    assert hit.span == Span(3_000_000, 5_000_000, 1)
    desk.sync(add=[given(desk, "500ms/still=100%")])
    assert runs(desk) == {0: (18, 8.52)}  # the first frame of 25 a second at or after 8.5


def test_a_small_thing_that_moves_is_seen(desk: Desk) -> None:
    desk.photos.mkdir()
    patch = "overlay=x=100:y=60:enable='between(t,4,6.9)'"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=gray:s=320x240:d=10:r=10"]
    command += ["-f", "lavfi", "-i", "color=white:s=6x6:d=10:r=10", "-filter_complex", patch]
    subprocess.run([*command, str(desk.photos / "a.mp4")], check=True, stdin=subprocess.DEVNULL)
    desk.sync(add=[given(desk, "1s/still")])
    assert runs(desk) == {0: (4, 3.0), 4: (3, 2.0), 7: (3, 2.0)}


def test_the_first_frame_of_each_shot(desk: Desk) -> None:
    film(desk.photos / "a.mp4", [("red", 2.6), ("lime", 3), ("blue", 0.2), ("red", 1.2)])
    assert desk.sync(add=[given(desk, "scenes")]).rows == 4
    shown = {second: colour for second, (_, colour) in seconds(desk).items()}
    assert shown == {0: [1, 0, 0], 2.6: [0, 1, 0], 5.6: [0, 0, 1], 5.8: [1, 0, 0]}
    assert desk.idle_sync().unchanged == 4
    desk.sync(add=[given(desk, "scenes/1s")])
    assert sorted(seconds(desk)) == [0, 1, 2, 2.6, 3.6, 4.6, 5.6, 5.8, 6.8]
    desk.sync(add=[given(desk, "scenes/1s/still")])
    assert runs(desk) == {0: (3, 2.0), 2.6: (3, 2.0), 5.6: (1, 0.0), 5.8: (2, 1.0)}
    desk.sync(add=[given(desk, "key/still")])
    assert runs(desk) == {0: (1, 0.0)}


def test_a_video_that_cannot_be_looked_through_loses_no_frame(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the middle: what comes after is listed as ever, and looked at again next time."""
    video = film(desk.photos / "a.mp4", [("red", 6)], fps=5)
    whole = ffmpeg.watch

    def stopped(*arguments: Any) -> Iterator[Any]:
        for number, frame in enumerate(whole(*arguments)):
            if number == 5:  # two of each second are looked at
                raise ffmpeg.TookTooLong("decoding it took longer than 1 s and was stopped")
            yield frame

    monkeypatch.setattr(ffmpeg, "watch", stopped)
    report = desk.sync(add=[given(desk, "1s/still")])
    kept = "the images that it had are kept"
    told = f"{video}: decoding it took longer than 1 s and was stopped; {kept}"
    assert report.problems == [told]
    assert runs(desk) == {0: (3, 2.0), 3: (1, 0.0), 4: (1, 0.0), 5: (1, 0.0)}
    monkeypatch.undo()
    assert desk.idle_sync().problems == []
    assert runs(desk) == {0: (6, 5.0)}


def test_a_run_that_is_to_stop_waits_for_no_video_that_is_looked_through(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(desk.photos / "a.mp4", [("red", 2)])
    asked = threading.Event()
    whole = ffmpeg.watch

    def endless(*arguments: Any) -> Iterator[Any]:
        frames = list(whole(*arguments))
        asked.set()
        while True:
            time.sleep(0.01)
            yield frames[0]

    with monkeypatch.context() as patch:
        patch.setattr(ffmpeg, "watch", endless)
        report = desk.sync(add=[given(desk, "1s/still")], should_stop=asked.is_set)
    assert (report.interrupted, report.rows, report.problems) == (True, 0, [])
    assert desk.sync(add=[given(desk, "1s/still")]).rows == 1
    assert runs(desk) == {0: (2, 1.0)}


def test_an_unchanged_video_is_not_opened(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    film(desk.photos / "a.mp4", [("red", 2)])
    desk.index()
    monkeypatch.setattr(ffmpeg, "_running", None)
    assert desk.idle_sync().unchanged == 2


def test_a_renamed_or_touched_video_keeps_rows_and_vectors(desk: Desk) -> None:
    video = film(desk.photos / "a.mp4", THREE)
    desk.index()
    before = seconds(desk)
    video.rename(desk.photos / "b.mp4")
    report = desk.idle_sync()
    assert (report.moved, report.new, report.gone) == (9, 0, 0)
    assert seconds(desk) == before
    os.utime(desk.photos / "b.mp4", (LONG_AGO_S + 60, LONG_AGO_S + 60))
    assert desk.idle_sync().rows == 9
    assert seconds(desk) == before


def test_a_video_that_is_cut_short_keeps_what_it_had_until_it_is_whole(desk: Desk) -> None:
    video = film(desk.photos / "a.mkv", THREE, "-c:v", "libx264", "-g", "25")
    desk.index()
    before, whole = seconds(desk), video.read_bytes()
    write(video, whole[: len(whole) // 2], LONG_AGO_S + 60)
    report = desk.sync()
    assert report.problems == [f"{video}: it is cut short; the images that it had are kept"]
    assert seconds(desk) == before
    write(video, whole, LONG_AGO_S + 120)
    assert (desk.idle_sync().problems, seconds(desk)) == ([], before)


def test_what_is_no_video_is_told_and_loses_nothing_else(desk: Desk) -> None:
    film(desk.photos / "good.mp4", [("red", 1)])
    # A playlist names other files: it is not followed.
    write(desk.photos / "list.mkv", f"#EXTM3U\n#EXTINF:1,\n{desk.photos}/good.mp4\n".encode())
    write(desk.photos / "empty.mov", b"")
    write(desk.photos / "no_moov.mp4", (desk.photos / "good.mp4").read_bytes()[:600])
    report = desk.index()
    assert report.new == 1
    kept = "the images that it had are kept"
    assert sorted(report.problems) == [
        f"{desk.photos}/empty.mov: ffmpeg cannot read it (Invalid data found when processing input); {kept}",
        f"{desk.photos}/list.mkv: ffmpeg cannot read it (Invalid data found when processing input); {kept}",
        f"{desk.photos}/no_moov.mp4: ffmpeg cannot read it (moov atom not found); {kept}",
    ]


def test_frames_that_cannot_be_decoded_are_skips_and_the_others_rows(desk: Desk) -> None:
    video = film(
        desk.photos / "a.mp4", THREE, "-c:v", "libx264", "-g", "25", "-movflags", "faststart"
    )
    data = bytearray(video.read_bytes())
    begin = data.index(b"mdat") + 4
    # the first three seconds, as far as their first frame tells
    for place in range(begin, begin + (len(data) - begin) // 3):
        data[place] = 0
    write(video, bytes(data))
    report = desk.index()
    assert report.new + report.skipped == 9
    assert report.skipped >= 1
    assert all(
        "has no frame at this time that can be decoded" in why for _, why in report.newly_skipped
    )
    assert seconds(desk)[8.0][1] == [0, 0, 1]


def test_without_ffmpeg_one_note_tells_of_it_and_rows_stay(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b.mp4"):
        film(desk.photos / name, [("red", 1), ("lime", 1)])
    desk.add("photo.png", RED)
    desk.index()
    row = live_rows(desk.lake)[f"{desk.photos}/a.mp4#stream=video&t=1.000000"]
    monkeypatch.setattr(shutil, "which", lambda _: None)
    os.utime(desk.photos / "b.mp4", (LONG_AGO_S + 60, LONG_AGO_S + 60))
    film_of_later = shutil.copy(desk.photos / "a.mp4", desk.photos / "c.mp4")
    report = desk.idle_sync()
    assert (report.rows, report.unchanged, report.gone, report.problems) == (5, 5, 0, [])
    assert report.notes == [
        f"{desk.photos}: 2 files of it are left out: {ffmpeg.MISSING}; the rows that they had are kept"
    ]
    with pytest.raises(ImageUnreachable, match="ffmpeg is not installed"):
        Originals().read(IndexedImage.of(row, Reach([str(desk.photos)])))
    with pytest.raises(
        SourceError, match=r"there are no image files in it .*ffmpeg is not installed"
    ):
        desk.index(film_of_later)


def test_frames_of_many_moments_asked_for_at_once_are_those_of_their_moments(
    tmp_path: Path,
) -> None:
    video = film(tmp_path / "a.mp4", [("red", 20), ("lime", 20), ("blue", 20)], fps=5)
    bytes_of = BytesOf()
    times = [n * 1_400_000 for n in range(42)]
    with ThreadPoolExecutor(16) as pool:
        read = pool.map(
            lambda time: bytes_of.read(Address(str(video), stream="video", time_us=time), 10_000),
            times,
        )
        found = [middle(data) for data in read]
    expected = [((255, 0, 0), (0, 255, 0), (0, 0, 255))[time // 20_000_000] for time in times]
    assert all(map(is_near, found, expected))


def test_frames_that_follow_each_other_are_decoded_many_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run for the first frame, whose size tells how many may be asked for at once; then for
    eight, as many as are read at once, twice where they are no key frames.
    """
    film(desk.photos / "a.mp4", [("red", 41)], *FORMATS["a.mp4"], fps=5)
    runs: list[list[str]] = []
    decode = ffmpeg.decode

    def seen(video: int, arguments: Sequence[str], *rest: Any) -> ffmpeg.Decoded:
        runs.append(list(arguments))
        return decode(video, arguments, *rest)

    monkeypatch.setattr(ffmpeg, "decode", seen)
    monkeypatch.setattr("indexer.sources.containers.video.video._LINGER_S", 1.0)
    assert desk.index().new == 41
    # one by one it was 41 at least
    assert len(runs) <= 14


def test_the_bytes_of_a_frame_are_a_png_of_its_pixels_alone(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4", [("red", 1)], size="300x200")
    data = BytesOf().read(Address(str(video), stream="video", time_us=40_000), 1_000_000)
    image = Image.open(io.BytesIO(data))
    image.load()
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (300, 200))
    # Signature, IHDR, chunk of data: 200 lines of 901 bytes in 3 stored blocks, IEND.
    assert len(data) == 8 + 25 + 12 + 2 + 200 * 901 + 3 * 5 + 4 + 12
    with pytest.raises(UnreadableImage, match="no frame at this time that can be decoded"):
        BytesOf().read(Address(str(video), stream="video", time_us=2_000_000), 1_000_000)
    with pytest.raises(UnreadableImage, match="a video has frames alone"):
        BytesOf().read(Address(str(video), stream="audio", time_us=0), 1_000_000)


def test_a_phone_video_is_upright(desk: Desk) -> None:
    flat = film(desk.root / "flat.mp4", [("red", 1), ("lime", 1)])
    command = ["ffmpeg", "-v", "error", "-i", str(flat), "-c", "copy", "-metadata:s:v", "rotate=90"]
    desk.photos.mkdir()
    subprocess.run(
        [*command, str(desk.photos / "turned.mp4")], check=True, stdin=subprocess.DEVNULL
    )
    assert desk.index().new == 2
    for row in live_rows(desk.lake).values():
        assert (row["width_px"], row["height_px"]) == (24, 32)
        data = Originals().read(IndexedImage.of(row, Reach([str(desk.photos)])))
        assert (Image.open(io.BytesIO(data)).size, len(data)) == ((24, 32), row["size_bytes"])


def test_a_frame_of_more_pixels_than_allowed_is_not_decoded(tmp_path: Path) -> None:
    video = film(tmp_path / "a.mp4", [("red", 1)])
    place = Address(str(video), stream="video", time_us=0)
    limits = ReadLimits(max_pixels=100)
    with pytest.raises(UnreadableImage, match="that can be decoded"):
        Video(Stores()).read(place, limits)


def test_a_video_in_a_bucket_is_read_too(desk: Desk, bucket: tuple[str, Any]) -> None:
    name, fs = bucket
    fs.pipe(f"{name}/a.mp4", film(desk.root / "a.mp4", THREE[:2]).read_bytes())
    report = desk.index(f"s3://{name}")
    assert (report.new, report.problems) == (6, [])
    assert [seconds(desk)[second][1] for second in range(6)] == [[1, 0, 0]] * 3 + [[0, 1, 0]] * 3
    assert desk.idle_sync().unchanged == 6


@pytest.mark.parametrize(
    ("words", "frames"),
    [
        ([], None),
        (["--every", "0.5s"], "500ms"),
        (["--key-frames"], "key"),
        (["--key-frames", "--every", "90s"], "key/90s"),
        (["--no-video"], "none"),
        (["--scenes"], "scenes"),
        (["--scenes", "--every", "5s", "--skip-still"], "scenes/5s/still=7%"),
        (["--skip-still", "--still-below", "2.5%"], "1s/still=2.5%"),
    ],
)
def test_the_command_remembers_which_frames(
    desk: Desk, words: list[str], frames: str | None
) -> None:
    film(desk.photos / "a.mp4", [("red", 1)])
    desk.add("photo.png", RED)
    command = ["index", str(desk.photos), "--into", str(desk.lake), "--model", "builtin"]
    assert main([*command, *words]) == 0
    assert [source.frames for source in desk.manifest.sources] == [frames]


def test_an_every_that_is_no_time_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["index", str(desk.photos), "--into", str(desk.lake), "--every", "often"])
    assert ended.value.code == 2
    told = "--every: 'often' is no time of whole milliseconds; write 0.5s, 500ms or 2m"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--every", "2000m"], "--every: '120000000ms' is no duration of whole milliseconds up to"),
        (
            ["--no-video", "--key-frames"],
            "--no-video: it leaves videos out; say it without --every",
        ),
        (["--scenes", "--key-frames"], "--scenes: shots begin at any frame; say it without --key"),
        (["--still-below", "2%"], "--still-below: it says what --skip-still skips; say that, too"),
    ],
)
def test_frames_that_make_no_sense_are_told(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    desk.add("photo.png", RED)
    assert main(["index", str(desk.photos), "--into", str(desk.lake), *words]) != 0
    assert told in capsys.readouterr().err
    assert not desk.lake.exists()


def test_odd_names_of_videos_are_read(desk: Desk) -> None:
    made = film(desk.root / "a.mp4", [("red", 1)]).read_bytes()
    for name in (b"-i x.mp4", b"a\nb.mkv.mp4", b"%d|concat:.mov", b"\xff.mp4", b"UPPER.MP4"):
        write(Path(os.fsdecode(os.fsencode(desk.photos) + b"/" + name)), made)
    report = desk.index()
    assert (report.new, report.skipped, report.problems) == (5, 0, [])
    write(desk.photos / ".hidden.mp4", made)
    assert desk.idle_sync().unchanged == 5
