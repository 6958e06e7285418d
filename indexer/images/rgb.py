"""Any mode an image file can have, brought to RGB the way a person sees it.

Alpha is composed on white, as on paper or a web page. Samples of more than 8 bits are scaled as
`samples` says. Of colour profiles only those of CMYK files are followed: ink without its profile
looks wrong to anyone, whereas RGB numbers go to the models as they stand, which is how these models
were trained and what open_clip does.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms
from PIL._imagingcms import CmsProfile

from indexer.images.samples import to_8_bit

WHITE = (255, 255, 255)
AVERAGED_MODES = ("L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


def to_averageable(image: Image.Image) -> Image.Image:
    """The image in a mode whose samples may be averaged:
    no palette, no single bits, 8 bits a sample.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _deep_grey(image)
    if image.mode == "LAB":
        return _convert(image, ImageCms.createProfile("LAB"))
    if image.has_transparency_data and image.mode not in AVERAGED_MODES:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    # one colour of a PNG is to be seen through
    if image.mode == "RGB" and "transparency" in image.info:
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


def _deep_grey(image: Image.Image) -> Image.Image:
    samples = np.asarray(image)
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if image.format == "FITS" and samples.dtype == np.uint16:
        # Signed by its standard, and unsigned ones with 32,768 taken off: Pillow knows neither.
        # What is taken off does not matter, since negative numbers set their own black.
        samples = samples.view(np.int16)
    grey = Image.fromarray(to_8_bit(samples))
    see_through = image.info.get("transparency")
    if isinstance(see_through, int):
        opaque = np.where(samples == see_through, 0, 255).astype(np.uint8)
        return Image.merge("LA", [grey, Image.fromarray(opaque)])
    return grey


def _convert(image: Image.Image, profile: CmsProfile | ImageCms.ImageCmsProfile) -> Image.Image:
    target = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, profile, target, outputMode="RGB")
    assert converted is not None  # only inPlace returns None
    return converted
