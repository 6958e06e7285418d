"""Makes a folder of files that image indexers choke on, and says of each what must become of it.

Works on its own: the tests of `indexer.images` read every file of it, the end-to-end test indexes
it.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import ExifTags, Image

from indexer.config import ReadLimits

pillow_heif.register_heif_opener()

# so that "just under the cap" is quick to decode
BAD_FOLDER_LIMITS = ReadLimits(max_pixels=1_000_000)
NOBODY = 65534
CUTS = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97)  # share of a file that is left


def make_bad_folder(folder: Path) -> dict[str, str | None]:
    """Write all the files into an existing folder; read them with BAD_FOLDER_LIMITS.

    Where the process may read anything (root), "no permission.jpg" is made but not promised: see
    `as_nobody`.

    :returns: file name (as os.fsdecode gives it) -> part of the reason it is skipped with; None: it
        is read.
    """
    expected: dict[str, str | None] = {}

    def add(name: str, data: bytes, reason: str | None) -> None:
        (folder / name).write_bytes(data)
        expected[name] = reason

    for name, data in readable_files().items():
        add(name, data, None)
    for name, (data, reason) in _broken_files().items():
        add(name, data, reason)
    expected.update(_special_files(folder))
    add("no permission.jpg", encoded(photo(), "JPEG"), "permission denied")
    (folder / "no permission.jpg").chmod(0)
    if os.geteuid() == 0:
        del expected["no permission.jpg"]
    return expected


@contextmanager
def as_nobody() -> Iterator[None]:
    """Inside, a process of root may open only what anybody may.
    Needs root; holds for all its threads.
    """
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def photo(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """A smooth random picture: compresses like a photo, and another seed gives another motif."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """The image as a file of that format."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def with_orientation(orientation: int) -> bytes:
    """A PNG that is, upright, 2 wide and 3 high:
    red, green / blue, white / black, yellow; stored turned.
    """
    upright = Image.new("RGB", (2, 3))
    upright.putdata(
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (255, 255, 0)]
    )
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposition that stores it so
    stored = (
        upright.transpose(Image.Transpose(undo[orientation])) if orientation in undo else upright
    )
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(stored, "PNG", exif=exif)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size, with a dozen bytes of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"\0" * 12))
    )


def png_of(
    samples: NDArray[Any],
    colour: int,
    before: bytes = b"",
    behind: bytes = b"",
    end: bool = True,
) -> bytes:
    """A PNG of these samples.

    :param samples: uint8 or uint16, (height, width) or (height, width, channels).
    :param colour: its colour type: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA.
    :param before: chunks between header and pixels; `behind`: after the pixels.
    """
    size = samples.dtype.itemsize
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 8 * size, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{size}").tobytes() for row in samples)
    parts = [b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", header), before]
    parts += [png_chunk(b"IDAT", zlib.compress(rows)), behind]
    return b"".join([*parts, png_chunk(b"IEND", b"") if end else b""])


def tiff_of(
    blocks: list[bytes],
    tags: dict[int, tuple[str, object]],
    order: str = "<",
    big: bool = False,
    more: bytes = b"",
) -> bytes:
    """A TIFF written by hand: a header, the blocks, the values of tags, one directory.

    Strip offsets and byte counts are added, tile offsets where there is a tile width.

    :param tags: number -> (struct's letter, value or values; bytes for "s").
    :param more: put between header and blocks.
    """
    offsets, at = [], (16 if big else 8) + len(more)
    for block in blocks:
        offsets.append(at)
        at += len(block)
    tiled = 322 in tags
    tags = tags | {
        324 if tiled else 273: ("L", offsets),
        325 if tiled else 279: ("L", [len(block) for block in blocks]),
    }
    kinds = {"B": 1, "s": 2, "H": 3, "L": 4, "Q": 16, "d": 12}
    room, letter = (8, "Q") if big else (4, "L")
    entries, values = [], b""
    for tag, (kind, value) in sorted(tags.items()):
        if isinstance(value, bytes):
            packed, count = value, len(value)
        else:
            numbers = list(value) if isinstance(value, list | tuple) else [value]
            packed, count = struct.pack(f"{order}{len(numbers)}{kind}", *numbers), len(numbers)
        if len(packed) > room:
            where = struct.pack(order + letter, at + len(values))
            values += packed + b"\0" * (len(packed) % 2)
        else:
            where = packed.ljust(room, b"\0")
        entries.append(struct.pack(order + "HH" + letter, tag, kinds[kind], count) + where)
    first = at + len(values)
    mark = b"II" if order == "<" else b"MM"
    start = (
        struct.pack(order + "HHHQ", 43, 8, 0, first)
        if big
        else struct.pack(order + "HL", 42, first)
    )
    number = struct.pack(order + ("Q" if big else "H"), len(entries))
    return b"".join([mark, start, more, *blocks, values, number, *entries, bytes(room)])


def cmyk_jpeg() -> bytes:
    """Full cyan ink: on screen red is low, green and blue are high.
    Stored inverted, as Adobe does.
    """
    return encoded(Image.new("CMYK", (64, 48), (255, 0, 0, 0)), "JPEG", quality=95)


def grey16_ramp() -> Image.Image:
    """256 wide, 16 high; grey from 0 to 65535 in steps of 257."""
    return Image.fromarray(np.tile(np.arange(256, dtype=np.uint16) * 257, (16, 1)))


def readable_files() -> dict[str, bytes]:
    """File name -> bytes; each must be read, however odd it is."""
    picture = photo()
    jpeg = encoded(picture, "JPEG")
    frames = [photo(seed=seed) for seed in (0, 1, 2)]
    animated = {"save_all": True, "append_images": frames[1:], "duration": 100}
    files = {
        "photo.jpg": jpeg,
        "progressive.jpg": encoded(picture, "JPEG", progressive=True),
        "a png.jpg": encoded(picture, "PNG"),
        "a jpeg.png": jpeg,
        "cmyk.jpg": cmyk_jpeg(),
        "grey.jpg": encoded(picture.convert("L"), "JPEG"),
        "grey16.png": encoded(grey16_ramp(), "PNG"),
        "grey16.tif": encoded(grey16_ramp(), "TIFF"),
        "float.tif": encoded(picture.convert("F"), "TIFF"),
        "lab.tif": encoded(_lab(picture), "TIFF"),
        "one bit.png": encoded(picture.convert("1"), "PNG"),
        "alpha.png": encoded(_with_alpha(picture), "PNG"),
        "grey alpha.png": encoded(_with_alpha(picture).convert("LA"), "PNG"),
        "palette alpha.png": encoded(_with_alpha(picture).quantize(16), "PNG"),
        "animated.gif": encoded(frames[0], "GIF", **animated),
        "animated.webp": encoded(frames[0], "WEBP", **animated),
        "animated.png": encoded(frames[0], "PNG", **animated),
        "pages.tif": encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        "phone.heic": encoded(picture, "HEIF"),
        "photo.avif": encoded(picture, "AVIF"),
        "photo.webp": encoded(picture, "WEBP"),
        "photo.jp2": encoded(picture, "JPEG2000"),
        "photo.bmp": encoded(picture, "BMP"),
        "icon.ico": encoded(picture, "ICO"),
        # metadata costs only itself, and what nobody reads is not unpacked
        "text bomb.png": _text_bomb(),
        "one pixel.png": encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG"),
        "one line.png": encoded(Image.new("RGB", (20_000, 1), (9, 8, 7)), "PNG"),
        "just under the cap.png": encoded(Image.new("L", (1000, 1000), 128), "PNG"),
        "broken exif.jpg": encoded(picture, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage"),
        "new\nline.jpg": jpeg,
        'quote\'s "and" `ticks` $HOME; %41 #.jpg': jpeg,
        os.fsdecode(b"not utf-8 \xff\xe9.jpg"): jpeg,
        "ünï©ödé \U0001f4f7.jpg": jpeg,
    }
    return files | {f"orientation {number}.png": with_orientation(number) for number in range(1, 9)}


def _broken_files() -> dict[str, tuple[bytes, str]]:
    """File name -> bytes, part of the reason."""
    picture = photo(400, 300)
    broken: dict[str, tuple[bytes, str]] = {}
    for suffix, whole in (("jpg", encoded(picture, "JPEG")), ("png", encoded(picture, "PNG"))):
        for cut in CUTS:
            broken[f"cut at {cut:.0%}.{suffix}"] = (whole[: int(len(whole) * cut)], "truncated")
    for suffix, format in (
        ("gif", "GIF"),
        ("webp", "WEBP"),
        ("tif", "TIFF"),
        ("heic", "HEIF"),
        ("avif", "AVIF"),
    ):
        whole = encoded(picture, format)
        broken[f"half.{suffix}"] = (whole[: len(whole) // 2], "")
    jpeg = encoded(picture, "JPEG")
    return broken | {
        "empty.jpg": (b"", "empty file"),
        "one byte.jpg": (b"\xff", "not an image that Pillow or HEIF can open"),
        "text.jpg": (b"just some text, longer than any magic number\n" * 9, "not an image"),
        "zeros.png": (bytes(5000), "not an image"),
        "page.jpg": (
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
            "a PDF, not an image made of pixels",
        ),
        "drawing.jpg": (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "a PostScript drawing",
        ),
        "bomb.png": (
            png_header(60_000, 60_000),
            "3600 Mpx, over the cap of 1 Mpx (LAKESIFT_MAX_PIXELS)",
        ),
        "just over the cap.png": (
            encoded(Image.new("L", (1000, 1001), 128), "PNG"),
            "1.001 Mpx, over the cap of 1 Mpx (LAKESIFT_MAX_PIXELS)",
        ),
        "icon bomb.ico": (_icon_of(png_header(60_000, 60_000)), "over the cap of 1 Mpx"),
        "header only.jpg": (jpeg[:20], "truncated"),
    }


def _special_files(folder: Path) -> dict[str, str | None]:
    """Directory entries that are no files with bytes."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.jpg").symlink_to("loop back.jpg")
    (folder / "loop back.jpg").symlink_to("loop.jpg")
    (folder / "dangling.jpg").symlink_to("nothing here.jpg")
    with (folder / "heavy.jpg").open("wb") as file:
        file.truncate(BAD_FOLDER_LIMITS.max_bytes + 1_000_000)  # sparse: takes no room on the disk
    assert stat.S_ISFIFO((folder / "pipe.jpg").stat().st_mode)
    return {
        "pipe.jpg": "a pipe (FIFO), not a file",
        "loop.jpg": "a loop of symbolic links",
        "loop back.jpg": "a loop of symbolic links",
        "dangling.jpg": "a symbolic link to something that is not there",
        "heavy.jpg": "201 MB, over the cap of 200 MB (LAKESIFT_MAX_BYTES)",
    }


def _lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    source, target = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image, source, target, outputMode="LAB")
    assert converted is not None
    return converted


def _with_alpha(image: Image.Image) -> Image.Image:
    """Left half opaque, right half fully transparent."""
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (image.width // 2, 0, image.width, image.height))
    image = image.copy()
    image.putalpha(alpha)
    return image


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """With its length and its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _text_bomb() -> bytes:
    """A PNG whose compressed comment is 100 MB long."""
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9))
    whole = encoded(photo(), "PNG")
    return whole[:33] + text + whole[33:]  # behind the signature and IHDR


def _icon_of(png: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(png), 22) + png
