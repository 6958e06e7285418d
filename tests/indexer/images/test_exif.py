from __future__ import annotations

from datetime import datetime

import pytest
from PIL import ExifTags, Image

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.images import read_image
from indexer.images.exif import Exif
from tests.bad_images import encoded, photo


def captured_at(text: str) -> datetime | None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = text
    data = encoded(photo(16, 16), "JPEG", exif=exif)
    return read_image("x", data, InputShape(8, 8), ReadLimits()).captured_at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021:07:03 14:05:59", datetime(2021, 7, 3, 14, 5, 59)),
        # blanks where others write 0
        ("2021: 7: 3  4: 5: 9", datetime(2021, 7, 3, 4, 5, 9)),
        ("2021:7:3 4:5:9", datetime(2021, 7, 3, 4, 5, 9)),
        (" 2021:07:03  14:05:59 ", datetime(2021, 7, 3, 14, 5, 59)),
        ("2021 07 03 14:05:59", datetime(2021, 7, 3, 14, 5, 59)),
        # no seconds, or blank ones
        ("2021:07:03 14:05", datetime(2021, 7, 3, 14, 5)),
        ("2021:07:03 14:05:  ", datetime(2021, 7, 3, 14, 5)),
        # a second 60, rounded up or a leap second
        ("2021:07:03 14:05:60", datetime(2021, 7, 3, 14, 6)),
        ("2016:12:31 23:59:60", datetime(2017, 1, 1)),
        # hour 24, from clocks that count from 1
        ("2019:01:01 24:04:20", datetime(2019, 1, 1, 0, 4, 20)),
        # other programs' dates
        ("2021-07-03T14:05:59+02:00", datetime(2021, 7, 3, 14, 5, 59)),
        ("2021/07/03 14:05:59.250", datetime(2021, 7, 3, 14, 5, 59)),
    ],
)
def test_times_as_cameras_write_them(text: str, expected: datetime) -> None:
    assert captured_at(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2021:02:31 10:00:00",
        "2021:13:01 10:00:00",
        "2021:07:03 14:05:61",
        "2021:07:03 14:60:00",
        "2021:07:03 25:00:00",
        "9999:12:31 23:59:60",
        "2021:07:03",
        "2021:07:03 14",
        "2021:07:03 14:05:590",
        "yesterday",
    ],
)
def test_what_is_no_time_costs_only_itself(text: str) -> None:
    assert captured_at(text) is None


@pytest.mark.parametrize("orientation", [0, 9, 65535, "6", (6, 6), b"\6"])
def test_an_orientation_that_makes_no_sense_leaves_the_picture_as_it_is(
    orientation: object,
) -> None:
    image = photo(16, 8)
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    assert Exif(image).orientation == 1
    file = encoded(image, "PNG", exif=_with(orientation)) if isinstance(orientation, int) else b""
    if file:
        found = read_image("x", file, InputShape(16, 8, "squash"), ReadLimits())
        assert (found.width_px, found.height_px) == (16, 8)


def _with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif
