"""From an image file's bytes to what the lake keeps of it:
fitted pixels, hashes, size, format, EXIF columns.

Pure functions: no queue, no process, no model, no row. Decoder processes call `read_file` and
`read_image`; embedders call `fit` on pixels that came another way, so both see the same array.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from mmap import mmap

import numpy as np
from PIL import Image

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.exif import Exif
from indexer.images.files import check_size, hash_bytes, read_bytes
from indexer.images.fitting import fit_scaled, scaled_size
from indexer.images.mending import mended
from indexer.images.pillow import check_pixels, opened
from indexer.images.quality import MEASURED_PX, quality_of
from indexer.images.rgb import to_averageable, to_rgb
from indexer.read_image import ReadImage

# A reduced image keeps at least this many pixels, a side, for each one of the scaled image.
# Measured on ten photos, 224 px, one core: 12 MP JPEG 27 ms, at full scale 178 ms; fitted pixels
# off by 0.2 grey levels of 255 in the mean, correlation 0.9998, perceptual hash by 0 to 2 bits. A
# margin of 1: 18 ms, but off by up to 3.1, correlation 0.994.
REDUCED_MARGIN = 2
# For people's eyes. Measured on four photos of 12 MP, to 1024 px: 66 ms, 0.27 grey levels in the
# mean off a Lanczos of the whole; with a margin of 2 162 ms, 0.16 off.
INSIDE_MARGIN = 1

JPEG_FORMATS = ("JPEG", "MPO")  # an MPO is a JPEG with more JPEGs behind it (depth, second eye)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The 8 lowest rows of a DCT-II of 32 samples, not normalised: dividing by a constant would not move
# a median.
DCT = np.cos(np.pi / 32 * np.outer(np.arange(8), np.arange(32) + 0.5))  # (8, 32)


def read_file(
    uri: str, path: bytes | str, shape: InputShape, limits: ReadLimits, exact: bool = False
) -> ReadImage:
    """Read one image from a local path; raises as `read_bytes` and `read_image`, nothing else."""
    return read_image(uri, read_bytes(uri, path, limits), shape, limits, exact)


def read_image(
    uri: str, data: bytes | mmap, shape: InputShape, limits: ReadLimits, exact: bool = False
) -> ReadImage:
    """Decode one image file and say all that a lake keeps of it.

    Its format is what its bytes say. Of an animation or a file of several pages the first picture
    counts, of an icon the largest, of a TIFF the first that is not marked as a smaller copy.
    Truncated files are refused: half a picture would be found as a picture of something else. A
    fault beside the pixels costs only what is beside them. Large images are made smaller before
    anything else is done with them, JPEGs already while they are decoded, to no less than twice the
    size the model needs: REDUCED_MARGIN says what that costs and saves.

    :param uri: how messages name the image.
    :param exact: True decodes at full scale, so that `pixels` equal open_clip's to the last grey
        level.
    :raises UnreadableImage: for anything that is not a whole image under the caps. Nothing else
        escapes.
    """
    check_size(uri, len(data), limits)
    try:
        return _read_image(uri, data, shape, limits, exact)
    except UnreadableImage:
        whole = mended(data, limits)
        if whole is None:
            raise
        with suppress(UnreadableImage):
            image = _read_image(uri, whole, shape, limits, exact)
            return replace(image, sha256=hash_bytes(data))
        raise


def _read_image(
    uri: str, data: bytes | mmap, shape: InputShape, limits: ReadLimits, exact: bool
) -> ReadImage:
    with opened(uri, data, limits) as image:
        jpeg = image.format in JPEG_FORMATS
        size = image.size
        # Of a JPEG needed before decoding; others have tags behind their pixels, too.
        exif = Exif(image) if jpeg else None
        if exif and not exact:
            image.draft(None, _needed(size, exif.orientation, shape))
        image.load()
        if exif is None:
            size = image.size  # turned upright, or found to be another one (icons)
            check_pixels(uri, size[0] * size[1], limits)
            exif = Exif(image)
        picture = to_averageable(image)
        if not exact:
            picture = _reduced(picture, _needed(size, exif.orientation, shape))
        picture = _upright(to_rgb(picture), exif.orientation)
        size = upright_size(size, exif.orientation)
        grey = picture.convert("L")
        return ReadImage(
            pixels=fit_scaled(picture, scaled_size(size, shape), shape, exact=exact),
            sha256=hash_bytes(data),
            phash=perceptual_hash(grey),
            width_px=size[0],
            height_px=size[1],
            format="jpeg" if jpeg else str(image.format).lower(),
            captured_at=exif.captured_at,
            camera=exif.camera,
            place=exif.place,
            quality=quality_of(grey),
        )


def count_pixels(uri: str, data: bytes | mmap, limits: ReadLimits, exact: bool = False) -> int:
    """Width times height as they will be decoded, from the header alone;
    0 for a JPEG that is decoded reduced.

    :raises UnreadableImage: as `read_image`.
    """
    if not exact and data[:2] == b"\xff\xd8":
        return 0
    try:
        with opened(uri, data, limits) as image:
            return image.width * image.height
    except UnreadableImage:
        whole = mended(data, limits)
        if whole is None:
            raise
        with opened(uri, whole, limits) as image:
            return image.width * image.height


def perceptual_hash(image: Image.Image) -> int:
    """64 bits that stay nearly the same when an image is scaled, re-encoded or slightly edited.

    Bit i, from the highest, says whether the i-th of the 8 x 8 lowest frequencies is above their
    median. Copies of one photo differ in a few bits, two motifs in about 32.

    :param image: mode RGB or L, any size.

    Source: C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010,
    in the form of the package imagehash (`phash`): DCT-II of the image as 32 x 32 grey levels, the
    first frequency kept.
    """
    # The gap lets Pillow average whole blocks first: a third of the time, on 60 photos at most 2
    # bits changed.
    grey = image if image.mode == "L" else image.convert("L")
    small = grey.resize((32, 32), Image.Resampling.LANCZOS, reducing_gap=3.0)
    levels = np.asarray(small, np.float64)
    # Rounded, so that one flat colour does not hash the rounding errors of its zeros.
    frequencies = np.round(DCT @ levels @ DCT.T, 6).ravel()  # (64,)
    # What np.median gives, and takes six times as long for.
    low, high = np.sort(frequencies)[31:33]
    return int.from_bytes(np.packbits(frequencies > (low + high) / 2).tobytes(), "big")


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height after EXIF orientation; its own inverse."""
    return (size[1], size[0]) if orientation >= 5 else size


def _needed(size: tuple[int, int], orientation: int, shape: InputShape) -> tuple[int, int]:
    """The smallest size, in the file's own orientation,
    from which the pixels wanted are still made well.
    """
    width, height = scaled_size(upright_size(size, orientation), shape)
    margin = INSIDE_MARGIN if shape.mode == "inside" else REDUCED_MARGIN
    if shape.mode != "inside":
        # Sharpness is to be the same whatever the model.
        margin = max(margin, -(-MEASURED_PX // max(width, height)))
    return upright_size((margin * width, margin * height), orientation)


def _reduced(image: Image.Image, needed: tuple[int, int]) -> Image.Image:
    """Averaged in square blocks of a power of two,
    which divides the size of most cameras' pictures.
    """
    factor = min(image.width // needed[0], image.height // needed[1])
    if factor < 2:
        return image
    reduced = image.reduce(2 ** (factor.bit_length() - 1))
    reduced.info = image.info
    return reduced


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image
