"""What one image file says, and the columns that a lake keeps of it.

A new column that follows from the pixels is a change of this file alone: its type in
IMAGE_COLUMNS, its value in `ReadImage.columns`. `lakesift sync --recompute NAME` fills old rows.
One whose
name a user's column may have had before goes into `indexer.disk.rows.LATER_COLUMNS`, too. No
pyarrow here: every decoder process would load it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from indexer.arrays import Pixels

# How sharp, light and flat a picture is, and its width by its height, which `where` cannot divide.
# The names are long because a user's table often has a `sharpness` or a `brightness` of its own.
QUALITY = "quality"
QUALITY_COLUMNS = {
    f"{QUALITY}_sharpness": "double",
    f"{QUALITY}_brightness": "double",
    f"{QUALITY}_contrast": "double",
    f"{QUALITY}_entropy": "double",
    f"{QUALITY}_aspect": "double",
}
# The columns of rows.parquet that are computed from an image's bytes, and their Arrow types.
IMAGE_COLUMNS = {
    "sha256": "string",
    "phash": "uint64",
    "width_px": "int32",
    "height_px": "int32",
    "format": "string",
    "captured_at": "timestamp[us]",
    "camera": "string",
    "place": "struct<latitude: double, longitude: double>",
    **QUALITY_COLUMNS,
}
# Those that a source may say in the image's place, as of a frame, which has no EXIF.
SAYABLE = frozenset({"captured_at", "camera"})
# Not `sha256`: it says which bytes a row is about, so that other bytes are another row.
RECOMPUTABLE = tuple(name for name in IMAGE_COLUMNS if name != "sha256")


class Quality(NamedTuple):
    """What a picture's grey levels say of it, of the picture as it is seen in 256 px.

    Numbers, no judgement: a foggy morning is as flat as a bad photo.
    """

    sharpness: float | None  # variance of the Laplacian, levels 0 to 255; None: under 3 px a side
    brightness: float  # mean level, 0 is black and 1 is white
    contrast: float  # standard deviation of the levels, 0 to 0.5
    entropy: float  # bits of the levels' histogram, 0 to 8


@dataclass(frozen=True, slots=True)
class ReadImage:
    """What one image file said, all from one decode."""

    # (shape.height_px, shape.width_px, 3), upright, fitted to the model's InputShape by `fit`
    pixels: Pixels
    sha256: str  # of the file's bytes, 64 hex digits
    phash: int  # unsigned, 64 bit; near-identical images differ in a few bits
    width_px: int  # upright: as a person sees it, after EXIF orientation
    height_px: int
    format: str  # Pillow's name, lower-case: "jpeg", "png", "heif"
    captured_at: datetime | None = None  # the camera's clock, so without a zone
    camera: str | None = None  # "Make Model"
    place: tuple[float, float] | None = None  # latitude, longitude in degrees, WGS84
    quality: Quality | None = None  # None: nobody measured it

    def columns(self) -> dict[str, Any]:
        """The values of IMAGE_COLUMNS."""
        return {
            "sha256": self.sha256,
            "phash": self.phash,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "format": self.format,
            "captured_at": self.captured_at,
            "camera": self.camera,
            "place": self.place and {"latitude": self.place[0], "longitude": self.place[1]},
            **self._quality_columns(),
        }

    def _quality_columns(self) -> dict[str, float | None]:
        measured = self.quality._asdict() if self.quality else dict.fromkeys(Quality._fields)
        measured["aspect"] = self.width_px / self.height_px
        return {f"{QUALITY}_{name}": _rounded(value) for name, value in measured.items()}


def _rounded(value: float | None) -> float | None:
    """To four digits, which is more than the measures are good for."""
    return value if value is None else float(f"{value:.4g}")
