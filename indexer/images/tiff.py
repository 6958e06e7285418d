"""TIFFs: which of a file's pictures is the photo, who reads it, and what is refused in words.

Pillow reads what screens show: up to 8 bits, unsigned, and JPEG and fax inside. Everything else it
takes for something near it (16 bits of colour lose half, WhiteIsZero becomes a negative, unsigned
32 and signed 8 wrap, packed big-endian floats are noise), so those samples are read here, by
BitsPerSample, SampleFormat, PhotometricInterpretation, PlanarConfiguration and GDAL_NODATA. Nothing
is guessed: what no tag explains is refused.

tifffile with imagecodecs would read more. It was left out: 82 MB installed, with about sixty native
decoders that strangers' bytes would reach, for compressions that libtiff, which is here already,
knows as well.

Tag numbers: TIFF 6.0 (Adobe, 1992); TIFF Technical Notes 1 to 3; GDAL's 42113; DNG 1.7.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImagePalette
from PIL.ExifTags import IFD, Base

from indexer.images.samples import alpha_to_8_bit, to_8_bit
from indexer.images.strips import (
    GIANT_TILE,
    MAX_TILE_PIXELS,
    OF_BYTES,
    PREDICTED,
    UNCOMPRESSED,
    Layout,
    read_samples,
)

HEADERS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_DIRECTORIES = 64  # looked through for the photo
MAX_SAMPLES = 512  # a pixel; hyperspectral cameras have about 200

NEW_SUBFILE_TYPE, OLD_SUBFILE_TYPE = 254, 255
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 273, 277, 278, 279, 284
COLOUR_MAP = 320
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 317, 322, 323, 324, 325
SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING = 330, 338, 339, 530
NO_DATA = 42113
# pixel scale, transformation, keys: the picture lies on a map
GEOREFERENCED = (33550, 34264, 34735)

REDUCED, MASK = 1, 4  # bits of NewSubfileType
# of PhotometricInterpretation
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, CMYK: 4}
ASSOCIATED_ALPHA, ALPHA = 1, 2  # of ExtraSamples

# Sensor samples behind a colour filter, or not developed otherwise; and the compressions of makers.
RAW_PHOTOMETRIC = (32803, 34892)
RAW_COMPRESSION = (32767, 32769, 32770, 34713, 65000, 65535)
# fax, JPEG of two generations, two old ones
OF_PILLOW = (2, 3, 4, 6, 7, 32771, 32809)
RAW = "a camera's raw file: what its sensor measured, not developed; export it as JPEG or TIFF"

NUMBERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 11: "f4", 12: "f8", 13: "u4"}
NUMBERS |= {16: "u8", 17: "i8", 18: "u8"}
TEXT = 2


class Refused(Exception):
    """A whole file that is not read; says why, for people."""


@dataclass(frozen=True)
class Directory:
    """The tags of one of a file's pictures; of numbers and texts, other types are left out."""

    order: Literal["<", ">"]
    big: bool  # BigTIFF
    offset: int
    tags: dict[int, tuple[Any, ...]]
    next: int  # 0: none

    def first(self, tag: int, default: int) -> int:
        """The tag's only or first number."""
        values = self.tags.get(tag)
        return int(values[0]) if values else default

    @property
    def is_photo(self) -> bool:
        """Not marked as a smaller copy or a mask of another picture."""
        marks = self.first(NEW_SUBFILE_TYPE, 0)
        return not marks & (REDUCED | MASK) and self.first(OLD_SUBFILE_TYPE, 1) != 2

    @property
    def is_raw(self) -> bool:
        return (
            self.first(PHOTOMETRIC, 0) in RAW_PHOTOMETRIC
            or self.first(COMPRESSION, 1) in RAW_COMPRESSION
        )

    @cached_property
    def bits(self) -> tuple[int, ...]:
        """Of each sample of a pixel."""
        bits, samples = self.tags.get(BITS, (1,)), min(self.first(SAMPLES, 1), MAX_SAMPLES + 1)
        return bits[:samples] if len(bits) > 1 else bits * samples

    @cached_property
    def formats(self) -> set[int]:
        """1 unsigned, 2 signed, 3 float; 4, undefined, counts as unsigned, as TIFF 6.0 advises."""
        return {1 if value == 4 else int(value) for value in self.tags.get(SAMPLE_FORMAT, (1,))}

    @property
    def is_for_pillow(self) -> bool:
        """At most 8 bits, unsigned, pixel by pixel: Pillow reads it, and right."""
        if self.first(COMPRESSION, UNCOMPRESSED) in OF_PILLOW:
            return True
        if (
            any(bits not in (1, 2, 4, 8) for bits in self.bits)
            or self.formats != {1}
            or (self.big and self.order == ">")
        ):
            return False
        if self.first(PLANAR, 1) == 2 and len(self.bits) > 1:
            return False
        photometric = self.first(PHOTOMETRIC, 0)
        if photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
            return len(self.bits) == 1
        if photometric in (RGB, CMYK):
            plain = COLOURS[photometric]
            return self.bits[0] == 8 and len(self.bits) in (plain, plain + (photometric == RGB))
        return photometric in (PALETTE, YCBCR, LAB)

    def layout(self) -> Layout:
        """:raises Refused: where the tags do not say how samples are written."""
        if len(self.bits) != self.first(SAMPLES, 1):
            raise Refused(
                f"it has {self.first(SAMPLES, 1)} samples a pixel and the bits of {len(self.bits)}"
            )
        if len(set(self.bits)) != 1 or len(self.formats) != 1:
            raise Refused(f"its samples are of unlike kinds ({_list(self.bits)} bits)")
        kind = {1: "u", 2: "i", 3: "f"}.get(next(iter(self.formats)))
        if kind is None:
            raise Refused("its samples are complex numbers, not a picture")
        width, height = self.first(WIDTH, 0), self.first(HEIGHT, 0)
        tiled, compression = TILE_OFFSETS in self.tags, self.first(COMPRESSION, UNCOMPRESSED)
        block_width = self.first(TILE_WIDTH, 0) if tiled else width
        block_height = self.first(TILE_HEIGHT if tiled else ROWS_PER_STRIP, 0 if tiled else height)
        if min(width, height, block_width, block_height) < 1 or len(self.bits) > MAX_SAMPLES:
            raise Refused("its size, or that of its strips or tiles, makes no sense")
        return Layout(
            width=width,
            height=height,
            samples=len(self.bits),
            bits=self.bits[0],
            kind=kind,  # type: ignore[arg-type]
            order=self.order,
            separate=self.first(PLANAR, 1) == 2,
            block_width=block_width,
            block_height=block_height if tiled else min(block_height, height),
            tiled=tiled,
            offsets=self.tags.get(TILE_OFFSETS if tiled else STRIP_OFFSETS, ()),
            counts=self.tags.get(TILE_COUNTS if tiled else STRIP_COUNTS, ()),
            compression=compression,
            predictor=self.first(PREDICTOR, 1) if compression in PREDICTED else 1,
            fill_order=self.first(FILL_ORDER, 1),
        )

    @property
    def no_data(self) -> float | None:
        """The number that means "nothing was measured"; None where the file has none."""
        text = self.tags.get(NO_DATA, (b"",))[0]
        try:
            return float(text.split(b"\0")[0].strip())
        except (ValueError, AttributeError):
            return None


def open_tiff(data: bytes | mmap) -> ImageFile.ImageFile:
    """The photo among a TIFF's pictures, header read, samples not.

    The first that is not marked as a reduced copy or a mask; sub-pictures come behind the one that
    names them. Where all are marked, the first.

    :raises Refused: for camera raws and what is not read.
    :raises Exception: anything, on broken files, as Pillow does.
    """
    try:
        directory = _photo(data)
    except (ValueError, IndexError, struct.error):
        # Pillow knows some broken ones, and has the word for the others.
        return Image.open(io.BytesIO(data), formats=("TIFF",))
    if directory.is_raw:
        raise Refused(RAW)
    compression = directory.first(COMPRESSION, UNCOMPRESSED)
    if compression not in (UNCOMPRESSED, *OF_BYTES, *OF_PILLOW):
        raise Refused(
            f"its samples are compressed in a way that is not read (TIFF compression {compression});"
            " save it with LZW or Deflate"
        )
    if directory.is_for_pillow:
        _refuse_what_pillow_mistakes(directory)
        image = Image.open(io.BytesIO(_starting_at(data, directory)), formats=("TIFF",))
        colours = directory.tags.get(COLOUR_MAP, ())
        if image.mode in ("P", "PA") and colours and max(colours) < 256:
            # Meant as 16 bits each, and written as 8 by some: nearly black.
            image.palette = ImagePalette.raw("RGB;L", bytes(colours))
        if directory.offset != _first_offset(data):
            _add_camera(image.getexif(), data, directory)
        return image
    return SampledTiff(data, directory)


class SampledTiff(ImageFile.ImageFile):
    """A TIFF whose samples are read here; as Pillow's own, but turned upright by the caller."""

    format = "TIFF"
    format_description = "TIFF of more than 8 bits"

    def __init__(self, data: bytes | mmap, directory: Directory) -> None:
        self._data = data
        self._directory = directory
        self._is_loaded = False
        super().__init__(io.BytesIO(data[:16]))

    def _open(self) -> None:
        directory = self._directory
        self._layout = directory.layout()
        self._photometric = directory.first(PHOTOMETRIC, WHITE_IS_ZERO)
        if self._photometric not in COLOURS:
            raise Refused(
                f"{self._layout.bits}-bit samples of PhotometricInterpretation {self._photometric}"
                " are not read; save it as grey or RGB"
            )
        colours, extra = COLOURS[self._photometric], directory.tags.get(EXTRA_SAMPLES, ())
        if self._layout.samples < colours:
            raise Refused(
                f"{self._layout.samples} samples a pixel, where its colours need {colours}"
            )
        # Four samples without a word on the fourth: Photoshop's RGBA, as Pillow takes it, too.
        implied = self._photometric == RGB and self._layout.samples == 4 and not extra
        alpha = ALPHA if implied else extra[0] if extra and self._photometric != CMYK else 0
        self._alpha = alpha if self._layout.samples > colours else 0
        self._size = self._layout.width, self._layout.height
        names = {1: ("L", "LA", "La"), 3: ("RGB", "RGBA", "RGBa"), 4: ("CMYK",)}[colours]
        self._mode = names[{ALPHA: 1, ASSOCIATED_ALPHA: 2}.get(self._alpha, 0)]

    def load(self) -> Any:
        if not self._is_loaded:
            try:
                self._layout.check()
            except ValueError as error:
                raise Refused(str(error)) from error
            self.im = self._picture().im
            self._is_loaded = True
        return Image.Image.load(self)

    def getexif(self) -> Image.Exif:
        """What the file's first picture says, and the orientation of this one."""
        if self._exif is None:
            exif = _exif_of_first(self._data, self._directory)
            if Base.Orientation in self._directory.tags:
                exif[Base.Orientation] = self._directory.first(Base.Orientation, 1)
            self._exif = exif
        return self._exif

    def _picture(self) -> Image.Image:
        colours = COLOURS[self._photometric]
        bands = len(self.getbands())
        samples = read_samples(self._data, self._layout, bands)
        grey = self._to_8_bit(samples[:, :, :colours])
        if self._photometric == WHITE_IS_ZERO:
            grey = 255 - grey
        channels = [*np.moveaxis(grey, 2, 0)]
        if bands > colours:
            alpha = samples[:, :, colours]
            channels.append(alpha_to_8_bit(alpha, samples[:, :, :colours], self._layout.bits))
        images = [Image.fromarray(np.ascontiguousarray(channel)) for channel in channels]
        return images[0] if bands == 1 else Image.merge(self.mode, images)

    def _to_8_bit(self, samples: NDArray[Any]) -> NDArray[np.uint8]:
        layout, directory = self._layout, self._directory
        measured = any(tag in directory.tags for tag in GEOREFERENCED)
        return to_8_bit(
            samples,
            bits=layout.bits if layout.bits not in (16, 32, 64) else None,
            missing=directory.no_data,
            # Colour on a map is measured light; other colour was made for the eye, and bright.
            stretch=layout.bits > 8 and (samples.shape[2] == 1 or measured or layout.kind == "f"),
        )


def _photo(data: bytes | mmap) -> Directory:
    first = None
    try:
        for directory in _directories(data):
            if directory.is_photo:
                return directory
            first = first or directory
    except (ValueError, IndexError, struct.error) as error:
        if first is not None:
            raise Refused("only a smaller copy of its picture can be read") from error
        raise
    if first is None:
        raise ValueError("a TIFF without a picture")
    return first


def _exif_of_first(data: bytes | mmap, directory: Directory) -> Image.Exif:
    exif = Image.Exif()
    exif.bigtiff, exif.endian = directory.big, directory.order
    with suppress(Exception):  # a stranger's bytes: it has no tags, then
        exif.load_from_fp(io.BytesIO(data), _first_offset(data))
    return exif


def _add_camera(exif: Image.Exif, data: bytes | mmap, directory: Directory) -> None:
    """Time, camera and place stand beside a file's first picture, whichever is the photo."""
    first = _exif_of_first(data, directory)
    with suppress(Exception):
        for tag in (Base.Make, Base.Model, Base.DateTime, IFD.Exif, IFD.GPSInfo):
            if tag in first and tag not in exif:
                exif[tag] = first[tag]


def _directories(data: bytes | mmap) -> Iterator[Directory]:
    """In the file's order, each one's sub-directories behind it; a loop ends it."""
    seen: set[int] = set()
    pending = [_first_offset(data)]
    while pending and len(seen) < MAX_DIRECTORIES:
        offset = pending.pop(0)
        if offset == 0 or offset in seen:
            continue
        seen.add(offset)
        directory = _directory(data, offset)
        yield directory
        pending[:0] = [int(sub) for sub in directory.tags.get(SUB_DIRECTORIES, ())]
        pending.append(directory.next)


def _first_offset(data: bytes | mmap) -> int:
    order, big = _header(data)
    form, at = (order + "Q", 8) if big else (order + "L", 4)
    return int(struct.unpack_from(form, data, at)[0])


def _header(data: bytes | mmap) -> tuple[Literal["<", ">"], bool]:
    start = bytes(data[:4])
    return ("<" if start[:2] == b"II" else ">"), b"+" in start


def _starting_at(data: bytes | mmap, directory: Directory) -> bytes | mmap:
    """The file, with this picture as its first."""
    if directory.offset == _first_offset(data):
        return data
    form, at = (directory.order + "Q", 8) if directory.big else (directory.order + "L", 4)
    where = struct.pack(form, directory.offset)
    return bytes(data[:at]) + where + bytes(data[at + len(where) :])


def _directory(data: bytes | mmap, offset: int) -> Directory:
    order, big = _header(data)
    form = order + ("Q" if big else "H")
    number = struct.unpack_from(form, data, offset)[0]
    size, at = (20 if big else 12), offset + struct.calcsize(form)
    if number > 4096 or at + number * size > len(data):
        raise ValueError("its directory does not end")
    tags = {}
    for entry in range(at, at + number * size, size):
        tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHL"), data, entry)
        inline = entry + size - (8 if big else 4)
        values = _values(data, order, big, kind, count, inline)
        if values:
            tags[tag] = values
    after = struct.unpack_from(order + ("Q" if big else "L"), data, at + number * size)[0]
    return Directory(order, big, offset, tags, after)


def _values(
    data: bytes | mmap, order: str, big: bool, kind: int, count: int, inline: int
) -> tuple[Any, ...]:
    """Empty for types that no picture needs and for values that lie outside of the file."""
    form = "u1" if kind == TEXT else NUMBERS.get(kind)
    if form is None:
        return ()
    size = int(form[1]) * count
    at = inline
    if size > (8 if big else 4):
        at = struct.unpack_from(order + ("Q" if big else "L"), data, inline)[0]
    if at + size > len(data):
        return ()
    if kind == TEXT:
        return (bytes(data[at : at + size]),)
    return tuple(np.frombuffer(data, order + form, count, at).tolist())


def _refuse_what_pillow_mistakes(directory: Directory) -> None:
    """Without compression it reads colour of half the size as if it were whole;
    and it unpacks a tile of any size for a picture of a few pixels.
    """
    pixels = directory.first(WIDTH, 0) * directory.first(HEIGHT, 0)
    tile = directory.first(TILE_WIDTH, 0) * directory.first(TILE_HEIGHT, 0)
    if tile > MAX_TILE_PIXELS + 4 * pixels:
        raise Refused(GIANT_TILE)
    if directory.first(COMPRESSION, 1) != UNCOMPRESSED or directory.first(PHOTOMETRIC, 0) != YCBCR:
        return
    counts = directory.tags.get(STRIP_COUNTS) or directory.tags.get(TILE_COUNTS) or (3 * pixels,)
    if sum(counts) < 3 * pixels:
        raise Refused("YCbCr of reduced colour without compression is not read; save it as RGB")


def _list(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
