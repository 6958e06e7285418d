"""Makes tests/data/lerobot with LeRobot's own writer, in an environment of its own:

    pip install lerobot==0.4.4 'numpy<2.4' && python tests/data/make_lerobot.py

Three episodes of a red, a green and a blue top camera, 25, 13 and 31 frames at 10 a second; and two
of images in Parquet, 12 red and 5 blue ones. The wrist camera sees yellow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "lerobot"
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
Episode = tuple[int, tuple[int, int, int], str]


def make(root: Path, kind: str, episodes: list[Episode], side_px: int) -> None:
    import numpy as np
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    features: dict[str, Any] = {
        f"observation.images.{camera}": {
            "dtype": kind,
            "shape": (side_px, side_px, 3),
            "names": ["height", "width", "channels"],
        }
        for camera in ("top", "wrist")
    }
    features |= {
        "observation.state": {"dtype": "float32", "shape": (2,), "names": ["pan.pos", "lift.pos"]},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
        "next.done": {"dtype": "bool", "shape": (1,), "names": None},
    }
    dataset = LeRobotDataset.create(
        "lakesift/made",
        fps=10,
        features=features,
        root=root,
        use_videos=kind == "video",
        vcodec="h264",
    )
    for number, (length, colour, task) in enumerate(episodes):
        for frame in range(length):
            dataset.add_frame(
                {
                    "observation.images.top": np.full((side_px, side_px, 3), colour, np.uint8),
                    "observation.images.wrist": np.full((side_px, side_px, 3), YELLOW, np.uint8),
                    "observation.state": np.array([number + frame / 10, -frame / 10], np.float32),
                    "action": np.array([frame, number], np.float32),
                    "next.done": np.array([frame == length - 1]),
                    "task": task,
                }
            )
        dataset.save_episode()
    dataset.finalize()
    (root / "meta/stats.json").unlink()


if __name__ == "__main__":
    cube, drawer = "pick the cube", "open the drawer"
    make(HERE / "videos", "video", [(25, RED, cube), (13, GREEN, cube), (31, BLUE, drawer)], 32)
    make(HERE / "images", "image", [(12, RED, cube), (5, BLUE, drawer)], 8)
