"""A nuScenes set after its documentation: one drive with two cameras, of numbers that one can work
out by hand.

The car stands at (100, 200, 0) of the map and looks along its y. Its front camera sits a metre
ahead of the car's middle and 1.5 m above it; the other one at the same place looks back. A picture
is 1600 x 900 px, its middle (800, 450), and a metre at a distance of d metres is 1000 / d px.

Source: https://github.com/nutonomy/nuscenes-devkit/blob/master/docs/schema_nuscenes.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lakes import Colour, png, write

HALF = 0.5**0.5
FRONT, BACK = "CAM_FRONT", "CAM_BACK"
# Quaternions w, x, y, z: of a camera's right, down, ahead in the car's ahead, left, up.
TURNS = {FRONT: [0.5, -0.5, 0.5, -0.5], BACK: [0.5, -0.5, -0.5, 0.5]}
BEGIN_US = 1_532_402_927_612_460  # 2018-07-24 03:28:47.612460
VERSION = "v1.0-mini"


@dataclass
class Drive:
    """A set below a folder; `write` it after each change."""

    root: Path
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tables = {
            "sensor": [
                *({"token": name, "channel": name, "modality": "camera"} for name in TURNS),
                {"token": "LIDAR_TOP", "channel": "LIDAR_TOP", "modality": "lidar"},
            ],
            "calibrated_sensor": [
                {
                    "token": f"calibrated {name}",
                    "sensor_token": name,
                    "translation": [1.0, 0.0, 1.5],
                    "rotation": turn,
                    "camera_intrinsic": [[1000.0, 0, 800.0], [0, 1000.0, 450.0], [0, 0, 1]],
                }
                for name, turn in TURNS.items()
            ]
            + [
                {
                    "token": "calibrated LIDAR_TOP",
                    "sensor_token": "LIDAR_TOP",
                    "translation": [0.0, 0.0, 1.8],
                    "rotation": [1.0, 0.0, 0.0, 0.0],
                    "camera_intrinsic": [],
                }
            ],
            "ego_pose": [
                {
                    "token": "pose",
                    "timestamp": BEGIN_US,
                    "translation": [100.0, 200.0, 0.0],
                    "rotation": [HALF, 0.0, 0.0, HALF],
                }
            ],
            "log": [
                {
                    "token": "log",
                    "logfile": "n015-2018-07-24-11-22-45+0800",
                    "vehicle": "n015",
                    "date_captured": "2018-07-24",
                    "location": "singapore-onenorth",
                }
            ],
            "scene": [
                {
                    "token": "scene",
                    "name": "scene-0061",
                    "description": "Parked truck, construction",
                    "log_token": "log",
                    "nbr_samples": 1,
                    "first_sample_token": "sample",
                    "last_sample_token": "sample",
                }
            ],
            "sample": [_sample()],
            "sample_data": [],
            "category": [],
            "instance": [],
            "sample_annotation": [],
            "attribute": [],
            "visibility": [],
            "map": [],
        }

    def picture(self, name: str, camera: str, colour: Colour, *, is_key: bool = True) -> Path:
        """A picture of the one sample, below `samples/` or `sweeps/`, and its row."""
        place = f"{'samples' if is_key else 'sweeps'}/{camera}/{name}"
        self.data(place, camera, is_key=is_key)
        return write(self.root / place, png(colour, (16, 9)))

    def data(self, place: str, sensor: str, *, is_key: bool = True) -> None:
        self.tables["sample_data"].append(
            {
                "token": f"data {place}",
                "sample_token": "sample",
                "ego_pose_token": "pose",
                "calibrated_sensor_token": f"calibrated {sensor}",
                "timestamp": BEGIN_US,
                "fileformat": "jpg",
                "is_key_frame": is_key,
                "height": 900 if sensor.startswith("CAM") else 0,
                "width": 1600 if sensor.startswith("CAM") else 0,
                "filename": place,
                "prev": "",
                "next": "",
            }
        )

    def box(
        self,
        category: str,
        centre: Sequence[float],
        size: Sequence[float] = (2.0, 2.0, 2.0),
        rotation: Sequence[float] = (HALF, 0.0, 0.0, HALF),
    ) -> None:
        """A thing at a place of the map, in metres; turned as the car, if nothing else is said."""
        if not any(row["token"] == category for row in self.tables["category"]):
            self.tables["category"].append({"token": category, "name": category, "description": ""})
        number = len(self.tables["instance"])
        annotation = f"annotation {number}"
        self.tables["instance"].append(
            {
                "token": f"instance {number}",
                "category_token": category,
                "nbr_annotations": 1,
                "first_annotation_token": annotation,
                "last_annotation_token": annotation,
            }
        )
        self.tables["sample_annotation"].append(
            {
                "token": annotation,
                "sample_token": "sample",
                "instance_token": f"instance {number}",
                "visibility_token": "4",
                "attribute_tokens": [],
                "translation": list(centre),
                "size": list(size),
                "rotation": list(rotation),
                "prev": "",
                "next": "",
                "num_lidar_pts": 5,
                "num_radar_pts": 0,
            }
        )

    def write(self) -> Path:
        for name, rows in self.tables.items():
            self.write_table(name, json.dumps(rows, indent=0))
        return self.root

    def write_table(self, name: str, text: str) -> Path:
        return write(self.root / VERSION / f"{name}.json", text.encode())

    def remove_table(self, name: str) -> None:
        (self.root / VERSION / f"{name}.json").unlink()


def _sample() -> dict[str, Any]:
    return {
        "token": "sample",
        "timestamp": BEGIN_US,
        "scene_token": "scene",
        "prev": "",
        "next": "",
    }
