"""Videos of plain colours, made by ffmpeg itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lakes import LONG_AGO_S


def film(
    path: Path,
    colours: Sequence[tuple[str, float]],
    *options: str,
    fps: int = 25,
    size: str = "32x24",
) -> Path:
    """A video that shows each colour for so many seconds.

    :param options: of ffmpeg, for the file it writes; without any, H.264 with a key frame first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    given = [
        word
        for colour, seconds in colours
        for word in ("-f", "lavfi", "-i", f"color={colour}:s={size}:d={seconds}:r={fps}")
    ]
    joined = f"{''.join(f'[{n}]' for n in range(len(colours)))}concat=n={len(colours)}[v]"
    made = options or ("-c:v", "libx264", "-g", "10000", "-sc_threshold", "0")
    command = ["ffmpeg", "-v", "error", "-y", *given, "-filter_complex", joined, "-map", "[v]"]
    subprocess.run(
        [*command, "-pix_fmt", "yuv420p", *made, str(path)], check=True, stdin=subprocess.DEVNULL
    )
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return path
