"""An event of three seconds in a video of an hour: is it found, and at its second?

The video is made of the sample photos, each for a while: every second one stands still, but for
noise, the camera goes over the others. For three seconds it shows another photo, of a cat.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Measurement
from benchmarks.photos import sample_photos
from indexer.disk.manifest import Manifest, SourceEntry
from indexer.embed.models import load_embedder
from indexer.sync import sync
from service.lake import Lake

EVENT_S, EVENT_AT = 3, 0.617  # of the video
PX, FPS = (320, 180), 5
CAT = 1  # of the sample photos
OTHERS = (0, 2, 4, 6, 7, 8)
SHOWN_S = 100  # each photo


def measure_moments(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    length_s = 300 if quick else 3_600
    begin_s = int(length_s * EVENT_AT)
    video = _film(workspace, length_s, begin_s)
    model = load_embedder("builtin")

    def load(manifest: Manifest | None) -> object:
        return model

    for frames in ("1s/still", "1s", "scenes"):
        lake = workspace / f"{frames.replace('/', '-')}.lake"
        started = time.perf_counter()
        report = sync(lake, load, add=[SourceEntry(str(video), frames=frames)])  # type: ignore[arg-type]
        seconds = time.perf_counter() - started
        name = f"{length_s:,} s of video, {frames}"
        yield Measurement(f"{name}: rows", report.rows, "rows", note=f"indexed in {seconds:.0f} s")
        with Lake.open(lake, embedder=model) as opened:
            [hit] = opened.search("a cat", k=1, moments=5)
        assert hit.span is not None
        off_s = max(
            abs(hit.span.from_us / 1e6 - begin_s),
            # its last frame begins a second before its end
            abs(hit.span.to_us / 1e6 - (begin_s + EVENT_S - 1)) if frames != "scenes" else 0,
        )
        said = f"{hit.moment}; the event begins at {begin_s // 60}:{begin_s % 60:02}"
        yield Measurement(f"{name}: the span is off by", off_s, "s", at_most=1, note=said)


def _film(workspace: Path, length_s: int, begin_s: int) -> Path:
    pieces = []
    for number, at_s in enumerate(range(0, length_s, SHOWN_S)):
        pieces.append(
            (OTHERS[number % len(OTHERS)], at_s, min(at_s + SHOWN_S, length_s), number % 2)
        )
    cut = next(n for n, (_, begin, end, _) in enumerate(pieces) if begin <= begin_s < end)
    photo, begin, end, moves = pieces[cut]
    event_end = begin_s + EVENT_S
    pieces[cut : cut + 1] = [
        (photo, begin, begin_s, moves),
        (CAT, begin_s, event_end, 0),
        (photo, event_end, end, moves),
    ]
    parts = []
    for number, (photo, begin, end, moves) in enumerate(pieces):
        picture, part = workspace / f"{photo}.png", workspace / f"{number:03}.mp4"
        if not picture.exists():
            sample_photos()[photo].resize((PX[0] * 3 // 2, PX[1] * 3 // 2)).save(picture)
        way = "abs(mod(t/10,2)-1)" if moves else "0.5"
        look = f"crop={PX[0]}:{PX[1]}:(iw-ow)*{way}:(ih-oh)/2,noise=alls=8:allf=t,format=yuv420p"
        look = look.replace("mod(t/10,2)", "mod(t/10\\,2)")
        source = ["-loop", "1", "-r", str(FPS), "-t", str(end - begin), "-i", str(picture)]
        _ffmpeg([*source, "-vf", look, "-preset", "ultrafast", "-g", "50", str(part)])
        parts.append(part)
    listed = workspace / "parts.txt"
    listed.write_text("".join(f"file '{part}'\n" for part in parts))
    video = workspace / "hour.mp4"
    _ffmpeg(["-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(video)])
    return video


def _ffmpeg(words: list[str]) -> None:
    command = ["ffmpeg", "-v", "error", "-y", *words]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
