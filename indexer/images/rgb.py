"""Any mode an image file can have, brought to RGB the way a person sees it.

Alpha is composed on white, as on paper or a web page. Samples of more than 8 bits are scaled by the depth
that the picture uses, so that a 12-bit X-ray in a 16-bit file is no black square. Of colour profiles only
those of CMYK files are followed: ink without its profile looks wrong to anyone, whereas RGB numbers go to the
models as they stand, which is how these models were trained and what open_clip does.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL._imagingcms import CmsProfile

WHITE = (255, 255, 255)
ROWS_AT_ONCE = 256  # float arithmetic on a whole image of 180 Mpx would take gigabytes
SAMPLE_DEPTHS = (8, 10, 12, 14, 16)  # bits; what sensors deliver
AVERAGED_MODES = ("L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


def to_averageable(image: Image.Image) -> Image.Image:
    """The image in a mode whose samples may be averaged: no palette, no single bits, 8 bits a sample."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.mode == "LAB":
        return _convert(image, ImageCms.createProfile("LAB"))
    if image.has_transparency_data and image.mode not in AVERAGED_MODES:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "RGB" and "transparency" in image.info:  # one colour of a PNG is to be seen through
        return image.convert("RGBA")
    if image.mode == "L" and "transparency" in image.info:
        return image.convert("LA")
    return image if image.mode in AVERAGED_MODES else image.convert("RGB")


def to_rgb(image: Image.Image) -> Image.Image:
    """Mode RGB, from any mode that `to_averageable` returns."""
    if image.mode == "RGB":
        return image
    if image.mode in ("La", "RGBa"):
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if image.mode in ("LA", "RGBA"):
        paper = Image.new("RGB", image.size, WHITE)
        paper.paste(image.convert("RGB"), mask=image.getchannel("A"))
        return paper
    if image.mode == "CMYK" and image.info.get("icc_profile"):
        try:
            return _convert(image, ImageCms.getOpenProfile(io.BytesIO(image.info["icc_profile"])))
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            pass  # a broken profile, or one of another colour space: as if there were none
    return image.convert("RGB")


def _convert(image: Image.Image, profile: CmsProfile | ImageCms.ImageCmsProfile) -> Image.Image:
    target = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, profile, target, outputMode="RGB")
    assert converted is not None  # only inPlace returns None
    return converted


def _to_8_bit(samples: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale grey samples of any number type to 0..255.

    Whole numbers that fit 16 bits: by the smallest sensor depth (8, 10, 12, 14, 16 bits) that holds the
    largest one. Floats in 0..1 and in 0..255 are taken at their word. Everything else: its own darkest is
    black, its own brightest white; what is not finite is black.
    """
    low, high = _range_of(samples)
    whole = np.issubdtype(samples.dtype, np.integer)
    if whole and low >= 0 and high < 2**16:
        low, high = 0, next(2**bits - 1 for bits in SAMPLE_DEPTHS if high < 2**bits)
    elif not whole and low >= 0 and high <= 255:
        low, high = 0, 1 if high <= 1 else 255
    scale = 255 / (high - low) if high > low else 0.0
    grey = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), ROWS_AT_ONCE):
        rows = samples[top : top + ROWS_AT_ONCE].astype(np.float64)
        rows = np.nan_to_num((rows - low) * scale, nan=0, posinf=0, neginf=0)
        grey[top : top + ROWS_AT_ONCE] = np.clip(np.rint(rows), 0, 255)
    return grey


def _range_of(samples: NDArray[np.generic]) -> tuple[float, float]:
    """Smallest and largest finite sample; 0, 0 where there is none."""
    lows: list[float] = []
    highs: list[float] = []
    for top in range(0, len(samples), ROWS_AT_ONCE):
        rows = samples[top : top + ROWS_AT_ONCE].astype(np.float64)
        finite = rows[np.isfinite(rows)]
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    return (min(lows), max(highs)) if lows else (0.0, 0.0)
