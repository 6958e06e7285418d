"""The geometry of a model's input: scale, crop, pad. Knows nothing of files."""

from __future__ import annotations

import numpy as np
from PIL import Image

from indexer.arrays import InputShape, Pixels

# Past this aspect ratio an image is cropped before it is scaled: 1 x 100,000 px would become 224 x
# 22 Mpx.
MAX_SCALED_ASPECT = 64

RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def fit(image: Image.Image | Pixels, shape: InputShape) -> Pixels:
    """Bring an RGB image to the size a model sees, as open_clip does, to the last grey level.

    Past an aspect ratio of 64 the part to keep is cut out before it is scaled, which may cost a
    grey level or two. open_clip scales to a shape that is not square by bicubic, whatever its
    configuration says; here that choice is `shape.interpolation`, so whoever makes the shape from
    such a configuration says bicubic.

    :param image: mode RGB, or uint8 (height, width, 3).
    :returns: uint8, (shape.height_px, shape.width_px, 3), its own memory; smaller where shape.mode
        is "inside".

    Source: open_clip 3.3 `image_transform`; torchvision 0.29 `Resize` and `CenterCrop` with their
    rounding.
    """
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    return fit_scaled(image, scaled_size(image.size, shape), shape)


def fit_scaled(
    image: Image.Image, size: tuple[int, int], shape: InputShape, *, exact: bool = True
) -> Pixels:
    """As `fit`, where `size` is already known: that of the full image this is a reduced copy of.

    :param exact: False scales only the part that is kept, a quarter faster for a 4:3 photo; one
        pixel value in 12,000 is then off by one, since Pillow takes the part's corners in single
        precision.
    """
    kept = size if shape.mode == "inside" else (shape.width_px, shape.height_px)
    resample = RESAMPLING[shape.interpolation]
    if not exact or size[0] * size[1] > MAX_SCALED_ASPECT * max(*kept, shape.resize_to or 0) ** 2:
        image = _scale_middle(image, size, kept, resample)
    elif size != image.size:
        image = image.resize(size, resample)
    if image.size != kept:
        canvas = Image.new("RGB", kept, shape.fill)
        canvas.paste(
            image, (-_crop_offset(image.width, kept[0]), -_crop_offset(image.height, kept[1]))
        )
        image = canvas
    return np.array(image)


def scaled_size(size: tuple[int, int], shape: InputShape) -> tuple[int, int]:
    """Width and height in pixels to which an image of `size` is
    scaled before it is cropped or padded.
    """
    width, height = size
    target_width = shape.resize_to or shape.width_px
    target_height = shape.resize_to or shape.height_px
    if shape.mode == "squash":
        return target_width, target_height
    if shape.mode == "shortest" and target_width == target_height:
        # torchvision's Resize(int) truncates the longer side ...
        long = int(target_width * max(size) / min(size))
        return (target_width, long) if width <= height else (long, target_width)
    # ... where open_clip's ResizeKeepRatio rounds both.
    ratios = (height / target_height, width / target_width)
    ratio = min(ratios) if shape.mode == "shortest" else max(ratios)
    if shape.mode == "inside":
        ratio = max(1.0, ratio)
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def _crop_offset(size: int, kept: int) -> int:
    """Where the kept part starts; negative where the image is
    smaller and is padded, odd pixel at the end.
    """
    return round((size - kept) / 2.0) if size >= kept else -((kept - size) // 2)


def _scale_middle(
    image: Image.Image, size: tuple[int, int], kept: tuple[int, int], resample: Image.Resampling
) -> Image.Image:
    """The part of the scaled image that `fit` keeps,
    without the rest; Pillow filters across its borders.
    """
    left, top = (max(0, _crop_offset(size[axis], kept[axis])) for axis in (0, 1))
    width, height = min(size[0], kept[0]), min(size[1], kept[1])
    scale_x, scale_y = image.width / size[0], image.height / size[1]
    right, bottom = (
        min((left + width) * scale_x, image.width),
        min((top + height) * scale_y, image.height),
    )
    return image.resize(
        (width, height), resample, box=(left * scale_x, top * scale_y, right, bottom)
    )
