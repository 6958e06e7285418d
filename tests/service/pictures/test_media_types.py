"""What a browser shows, told by the bytes."""

from __future__ import annotations

import pytest
from PIL import Image

from service.pictures.media_types import FORMATS, SHOWN, shown_as
from tests.bad_images import encoded

PICTURE = Image.new("RGB", (16, 16), (200, 30, 30))


@pytest.mark.parametrize(
    ("format", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("AVIF", "image/avif"),
        ("BMP", "image/bmp"),
        ("HEIF", None),
        ("TIFF", None),
        ("JPEG2000", None),
        ("ICO", None),
        ("PPM", None),
    ],
)
def test_formats(format: str, media_type: str | None) -> None:
    assert shown_as(encoded(PICTURE, format)) == media_type
    assert media_type is None or media_type in SHOWN
    assert (format.lower() in FORMATS) == (media_type is not None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x10ftypmp42\0\0\0\0avif",  # behind the list of brands
        b"\xff\xff\xff\xffftyp",
    ],
)
def test_nothing_else_is_shown(data: bytes) -> None:
    assert shown_as(data) is None


def test_avif_may_be_named_among_the_compatible_brands() -> None:
    assert shown_as(b"\0\0\0\x1cftypmif1\0\0\0\0miafavif") == "image/avif"
