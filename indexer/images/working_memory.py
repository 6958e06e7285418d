"""What decoding an image takes, judged by its header before anything of that size is allocated.

Two things are refused here. Some decoders hold several copies of the picture: the cap on pixels
caps their memory too. And some formats write a blank picture of any size in a few dozen bytes: it
shows nothing, and takes as much as a photo of that size.
"""

from __future__ import annotations

import struct
from mmap import mmap

from PIL import ImageFile

from indexer.config import ReadLimits
from indexer.errors import UnreadableImage

# Bytes for each pixel of the cap. Measured on pictures of 16 Mpx, all formats and modes: what is
# not named below takes 13 at most (a PNG of grey and alpha at full scale).
MOST_BYTES_PER_PIXEL = 13
# Under a smaller cap memory is no question: 40 Mpx of the costliest, JPEG 2000 with alpha, fit.
LEAST_MAX_PIXELS = 80_000_000
IDLE_BYTES = 300_000_000  # a decoder without an image has 100 MB of writable memory
CORE_BYTES = 16_000_000  # the stack of a thread, and what it works with: AVIF has one a core
FILES_HELD = 2  # times an image's file: some decoders copy it
# Measured likewise: WebP keeps two canvases, what it hands over and the picture; AVIF and HEIF
# their planes besides. With alpha and at full scale up to 5 more, which still is under the cap.
BYTES_PER_PIXEL = {"WEBP": 17, "AVIF": 14, "HEIF": 14}
# JPEG 2000 unpacks a whole tile, which may be the picture.
OF_PICTURE, OF_TILE_SAMPLE = 4.5, 5
CODESTREAM = b"\xff\x4f\xff\x51"

LARGE_PIXELS = 40_000_000
# Of these formats: photos have ten to a hundred in a byte; PNG, GIF and JPEG write a thousand of a
# blank picture at most.
MOST_PIXELS_PER_BYTE = 100_000


def memory_cap(limits: ReadLimits, cores: int) -> int:
    """Bytes of writable memory that a decoder process may have: 3.0 GB by default, and a little for
    each core.
    """
    return IDLE_BYTES + CORE_BYTES * cores + FILES_HELD * limits.max_bytes + _most_bytes(limits)


def check_memory(
    uri: str, image: ImageFile.ImageFile, data: bytes | mmap, limits: ReadLimits
) -> None:
    """:param image: its header read, its pixels not.

    :raises UnreadableImage: if decoding it would take more than a picture of limits.max_pixels may.
    """
    pixels = image.width * image.height
    wanted = _bytes_to_decode(image, pixels, data)
    if wanted and pixels > max(LARGE_PIXELS, MOST_PIXELS_PER_BYTE * len(data)):
        raise UnreadableImage(
            uri, f"{pixels / 1e6:.6g} Mpx in {len(data):,} bytes: too short to show anything"
        )
    most = _most_bytes(limits)
    if wanted > most:
        raise UnreadableImage(
            uri,
            f"{pixels / 1e6:.6g} Mpx of {image.format} take {wanted / 1e9:.3g} GB to decode, "
            f"over the cap of {most / 1e9:.3g} GB, which grows with LAKESIFT_MAX_PIXELS",
        )


def _most_bytes(limits: ReadLimits) -> int:
    return MOST_BYTES_PER_PIXEL * max(limits.max_pixels, LEAST_MAX_PIXELS)


def _bytes_to_decode(image: ImageFile.ImageFile, pixels: int, data: bytes | mmap) -> float:
    """0 for formats that take no more than MOST_BYTES_PER_PIXEL, whatever is in them."""
    if image.format == "JPEG2000":
        return _of_jpeg_2000(pixels, data)
    return BYTES_PER_PIXEL.get(image.format or "", 0) * pixels


def _of_jpeg_2000(pixels: int, data: bytes | mmap) -> float:
    """Source: ISO/IEC 15444-1, A.5.1: the SIZ marker."""
    at = data.find(CODESTREAM)
    if at < 0 or at + 42 > len(data):
        return 0.0  # nothing to decode
    right, below, left, top, tile_width, tile_height = struct.unpack_from(">6L", data, at + 8)
    samples: int = struct.unpack_from(">H", data, at + 40)[0]
    width, height = int(max(0, right - left)), int(max(0, below - top))
    tile: int = min(width, tile_width) * min(height, tile_height)
    return float(OF_PICTURE * max(pixels, width * height) + OF_TILE_SAMPLE * samples * tile)
