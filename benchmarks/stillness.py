"""What a scene in which nothing happens looks like to --skip-still, and what one with something.

Clips are made of the sample photos by ffmpeg: still ones with what a camera and an encoder add
(noise, a lamp that flickers, a mast that sways), and ones through which a patch of one colour
moves. Of each: the share of the range by which the cell that changed most did, from the first
frame on.

    python -m benchmarks stillness
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.photos import sample_photos
from indexer.sources.containers.stillness import CELLS, change_permille

_PX = (640, 360)
_FPS, _SECONDS = 5, 8


class Clip(NamedTuple):
    name: str
    noise: int = 0  # of ffmpeg's filter of this name
    crf: int = 23
    flicker: float = 0.0  # of the range
    sway_px: float = 0.0
    patch: tuple[int, int, str] | None = None  # width, height, colour


STILL = (
    Clip("as it is"),
    Clip("a little noise", noise=10),
    Clip("much noise", noise=25),
    Clip("much noise, encoded badly", noise=25, crf=38),
    Clip("encoded badly", crf=38),
    Clip("a lamp flickers by 1 %", noise=10, flicker=0.01),
    Clip("a lamp flickers by 2 %", noise=10, flicker=0.02),
    Clip("a mast sways by a 640th of the width", noise=10, sway_px=1),
)
MOVING = tuple(
    Clip(f"{colour}, {width} x {height} of 640 x 360 px", noise=10, patch=(width, height, colour))
    for width, height in ((6, 6), (10, 20), (20, 40), (40, 80))
    for colour in ("white", "gray", "saddlebrown")
)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks stillness", description=__doc__)
    parser.add_argument("--photos", type=int, default=4, help="sample photos (default: 4)")
    photos = parser.parse_args(words).photos
    print("least, median and largest change from the first frame on, in % of the range")
    with tempfile.TemporaryDirectory(prefix="lakesift-bench-") as folder:
        for kind, clips in (("still", STILL), ("moving", MOVING)):
            for clip in clips:
                changes = np.concatenate(
                    [_changes(Path(folder), number, clip) for number in range(photos)]
                )
                low, middle, high = np.quantile(changes, (0, 0.5, 1)) / 10
                print(f"{kind:7} {clip.name:40} {low:5.1f} {middle:5.1f} {high:5.1f}", flush=True)
    return 0


def _changes(folder: Path, number: int, clip: Clip) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    photo, video = folder / f"{number}.png", folder / "clip.mp4"
    width, height = _PX
    sample_photos()[number].resize((width + 20, height + 20)).save(photo)
    look = (
        f"crop={width}:{height}:10+{clip.sway_px}*sin(n*1.3):10+{clip.sway_px}*cos(n*1.7)"
        f",eq=brightness={clip.flicker}*sin(n*0.9):eval=frame[a]"
    )
    inputs = ["-loop", "1", "-r", str(_FPS), "-t", str(_SECONDS), "-i", str(photo)]
    end = f"noise=alls={clip.noise}:allf=t[v]"
    if clip.patch is not None:
        size, colour = f"{clip.patch[0]}x{clip.patch[1]}", clip.patch[2]
        inputs += ["-f", "lavfi", "-i", f"color={colour}:s={size}:r={_FPS}:d={_SECONDS}"]
        look += ";[a][1]overlay=x=50+mod(t*67\\,500):y=150[b]"
        graph = f"[0]{look};[b]{end}"
    else:
        graph = f"[0]{look};[a]{end}"
    made = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-crf", str(clip.crf)]
    _ffmpeg([*inputs, "-filter_complex", graph, "-map", "[v]", *made, "-g", "25", str(video)])
    scale = f"fps=1,scale={CELLS}:{CELLS}:flags=area+accurate_rnd+bitexact,format=rgb24"
    cells = np.frombuffer(
        _ffmpeg(["-i", str(video), "-vf", scale, "-f", "rawvideo", "-"]), np.uint8
    ).reshape(-1, CELLS * CELLS * 3)
    return np.array([change_permille(cells[0], each) for each in cells[1:]], np.int64)


def _ffmpeg(words: Sequence[str]) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", "-threads", "1", *words]
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=-1).stdout
