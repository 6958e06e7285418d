"""What a camera wrote beside the pixels: time, camera,
place, orientation. A broken tag costs only itself.

Tag numbers and formats: Exif 3.0 (CIPA DC-008-2023), sections 4.6.4 to 4.6.7.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

# Some cameras pad with blanks where others write 0, and some leave the seconds out.
DATE = re.compile(
    r"\s*(\d{4})[:/.\s-]\s*(\d{1,2})[:/.\s-]\s*(\d{1,2})"
    r"[\sT]\s*(\d{1,2}):\s*(\d{1,2})(?::\s*(\d{1,2})(?!\d)|(?!\d|:\s*\d))"
)
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
MAX_CAMERA_CHARACTERS = 100


class Exif:
    """The tags of one image, read leniently: every question has an answer, which may be None."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image
        self._main = _tags(image, None)

    @property
    def orientation(self) -> int:
        """1 to 8; 1, upright, where the tag is missing or makes no sense."""
        value = self._main.get(Base.Orientation)
        return value if isinstance(value, int) and 1 <= value <= 8 else 1

    @property
    def captured_at(self) -> datetime | None:
        """When the picture was taken, by the camera's clock;
        else when it was digitised or written.
        """
        detail = _tags(self._image, IFD.Exif)
        candidates = (
            detail.get(Base.DateTimeOriginal),
            detail.get(Base.DateTimeDigitized),
            self._main.get(Base.DateTime),
        )
        return next(filter(None, map(_date, candidates)), None)

    @property
    def camera(self) -> str | None:
        """The make is left out where the model starts with it ("NIKON
        CORPORATION", "NIKON D90").
        """
        make, model = _text(self._main.get(Base.Make)), _text(self._main.get(Base.Model))
        if make and model and make.split()[0].casefold() == model.split()[0].casefold():
            make = ""
        return f"{make} {model}".strip()[:MAX_CAMERA_CHARACTERS] or None

    @property
    def place(self) -> tuple[float, float] | None:
        """Latitude, longitude in degrees;
        None also for exactly 0, 0, which cameras without a fix write.
        """
        tags = _tags(self._image, IFD.GPSInfo)
        latitude = _degrees(tags.get(GPS.GPSLatitude), tags.get(GPS.GPSLatitudeRef), "NS", 90)
        longitude = _degrees(tags.get(GPS.GPSLongitude), tags.get(GPS.GPSLongitudeRef), "EW", 180)
        if latitude is None or longitude is None or (latitude, longitude) == (0.0, 0.0):
            return None
        return latitude, longitude


def _tags(image: Image.Image, ifd: IFD | None) -> Mapping[int, Any]:
    try:
        exif = image.getexif()
        return dict(exif if ifd is None else exif.get_ifd(ifd))
    except Exception:  # noqa: BLE001  Pillow parses a stranger's bytes here and may raise anything
        return {}


def _date(value: object) -> datetime | None:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    match = DATE.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    # Hour 24 is what phones with clocks of 1 to 24 call the day's first. A second 60 is the first
    # of the next minute: one that was rounded up, or a leap second.
    if hour > 24 or second > 60:
        return None
    try:
        return datetime(year, month, day, hour % 24, minute) + timedelta(seconds=second)
    except (ValueError, OverflowError):  # "0000:00:00 00:00:00", a 31st of February
        return None


def _text(value: object) -> str:
    if isinstance(value, str):
        # Pillow reads bytes as latin-1; most cameras write UTF-8
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        return ""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return " ".join(CONTROL_CHARACTERS.sub(" ", text).split())


def _degrees(value: object, hemisphere: object, letters: str, limit: int) -> float | None:
    """Degrees, minutes and seconds to signed degrees; None unless all of it makes sense."""
    letter = _text(hemisphere)[:1].upper()
    if (
        not letter
        or letter not in letters
        or not isinstance(value, tuple)
        or not 1 <= len(value) <= 3
    ):
        return None
    try:
        parts = [float(part) for part in value]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    degrees = math.fsum(part / 60.0**place for place, part in enumerate(parts))
    if not math.isfinite(degrees) or min(parts) < 0 or degrees > limit:
        return None
    return -degrees if letter == letters[1] else degrees
