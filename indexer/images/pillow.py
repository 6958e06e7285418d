"""Pillow, opened on bytes from strangers:
which formats, which bounds, and what went wrong in words.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from mmap import mmap

import pillow_heif
from PIL import Image, ImageFile, UnidentifiedImageError

from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.deep_png import DeepPng, is_deep_colour
from indexer.images.tiff import HEADERS, RAW, Refused, open_tiff
from indexer.images.working_memory import check_memory

NOT_OPENED = {
    "EPS",  # starts Ghostscript
    "WMF",  # starts the system's renderer
    "IPTC",  # opens what it contains by Pillow's full list, so an EPS too
    "BUFR",  # this and the next three: Pillow knows the header and cannot decode
    "GRIB",
    "HDF5",
    "MPEG",
}

DRAWINGS = {
    b"%!PS": "a PostScript drawing",
    b"\xc5\xd0\xd3\xc6": "an EPS drawing",
    b"%PDF": "a PDF",
    b"\xd7\xcd\xc6\x9a": "a WMF drawing",
    b"\x01\x00\x00\x00": "an EMF drawing",
    b"<svg": "an SVG drawing",
}

RAW_FILES = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
RAW_BOX = b"ftypcrx "  # behind a length of four bytes: Canon's CR3

# Their first bytes are proof enough to say "a broken PNG" where Pillow only says that it knows no
# such file.
KNOWN_BY_MAGIC = (
    "PNG",
    "JPEG",
    "GIF",
    "WEBP",
    "TIFF",
    "BMP",
    "AVIF",
    "HEIF",
    "JPEG2000",
    "PSD",
    "DDS",
    "ICNS",
)

MAX_REASON_CHARACTERS = 200

_lock = threading.Lock()
_inside = 0
_restore = ExitStack()


@contextmanager
def opened(uri: str, data: bytes | mmap, limits: ReadLimits) -> Iterator[ImageFile.ImageFile]:
    """The image in `data`, header read, pixels not; under the caps, Pillow's warnings silenced.

    A stated containment edge: whatever goes wrong inside the `with` leaves as UnreadableImage,
    since decoders raise anything on hostile bytes. Pillow has its pixel limit and its leniency with
    truncated files in module variables; they are ours until the last `with` of all threads ends,
    then as before. So are the warning filters.

    :raises UnreadableImage: with a reason for people.
    """
    try:
        with _bounded(limits.max_pixels), _opened(data) as image:
            check_pixels(uri, image.width * image.height, limits)
            check_memory(uri, image, data, limits)
            yield image
    except UnreadableImage:
        raise
    except Refused as error:
        raise UnreadableImage(uri, str(error)) from error
    except MemoryError as error:
        raise UnreadableImage(uri, "takes more memory than there is for one image") from error
    except Exception as error:
        raise UnreadableImage(uri, _reason(error, data, limits)) from error


def _opened(data: bytes | mmap) -> ImageFile.ImageFile:
    if data[:4] in HEADERS:
        return open_tiff(data)
    if is_deep_colour(data):
        return DeepPng(data)
    return Image.open(io.BytesIO(data), formats=formats())


def check_pixels(uri: str, pixels: int, limits: ReadLimits) -> None:
    """:raises UnreadableImage: over limits.max_pixels."""
    if pixels > limits.max_pixels:
        raise UnreadableImage(uri, _over_cap(pixels, limits))


@cache
def formats() -> tuple[str, ...]:
    """Every raster format that the installed Pillow decodes by itself, its order kept, and HEIF.

    Formats that other packages have registered in this process are left out: nobody has looked at
    them.
    """
    pillow_heif.register_heif_opener()
    Image.init()
    own = [
        name
        for name in Image.ID
        if Image.OPEN[name][0].__module__.startswith(("PIL.", "pillow_heif."))
    ]
    return tuple(name for name in own if name not in NOT_OPENED)


@contextmanager
def _bounded(max_pixels: int) -> Iterator[None]:
    global _inside
    with _lock:
        if _inside == 0:
            _restore.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            _restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            _restore.callback(
                setattr, ImageFile, "LOAD_TRUNCATED_IMAGES", ImageFile.LOAD_TRUNCATED_IMAGES
            )
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _inside += 1
        # Pillow raises above twice this, for images inside images (icons) and for tiles and frames
        # as well.
        Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _reason(error: Exception, data: bytes | mmap, limits: ReadLimits) -> str:
    if isinstance(error, UnidentifiedImageError):
        return _unidentified(bytes(data[:16]).ljust(16, b"\0"))
    text = " ".join(str(error).split())[:MAX_REASON_CHARACTERS]
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", text)
        return _over_cap(int(pixels[1]), limits) if pixels else text
    if isinstance(error, EOFError) or "truncated" in text.casefold():
        return f"truncated: {text or 'it ends too soon'}"
    return f"cannot be decoded: {text or type(error).__name__}"


def _unidentified(start: bytes) -> str:
    if start.startswith(RAW_FILES) or start[4:12] == RAW_BOX:
        return RAW
    for magic, kind in DRAWINGS.items():
        if start.startswith(magic):
            return f"{kind}, not an image made of pixels; export it as PNG"
    for name in KNOWN_BY_MAGIC:
        accept = Image.OPEN[name][1] if name in formats() else None
        if accept and accept(start) is True:
            return f"a truncated or broken {name}, or of a kind that Pillow does not know: its header cannot be read"
    return "not an image that Pillow or HEIF can open"


def _over_cap(pixels: int, limits: ReadLimits) -> str:
    mpx, cap = (f"{value / 1e6:.6g} Mpx" for value in (pixels, limits.max_pixels))
    return f"{mpx}, over the cap of {cap} (LAKESIFT_MAX_PIXELS)"
