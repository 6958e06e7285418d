"""Whole pictures in files with a fault beside them: metadata costs only itself.

Only asked once a file could not be read. PNG: text and profiles that are broken or larger than
Pillow keeps, wrong checksums of what is no pixel, a missing end. JPEG: segments of programs that
are broken, a missing end marker where every row is there. A picture that lacks rows stays refused:
half of one would be found as a picture of something else.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from mmap import mmap

from PIL import Image

from indexer.config import ReadLimits
from indexer.images.deep_png import PNG_START
from indexer.images.files import hash_bytes
from indexer.images.pillow import check_pixels

# Only these make the picture; of the others, only what says how it stands and when it was taken.
PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
TAGS = (b"eXIf", b"iTXt")
XMP = b"XML:com.adobe.xmp\0\0"  # not compressed
MAX_TAG_BYTES = 2**20
PNG_END = struct.pack(">L4sL", 0, b"IEND", zlib.crc32(b"IEND"))

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive: what Pillow decodes
SCAN = 0xDA
METADATA = (*range(0xE0, 0xF0), 0xFE)  # of programs, and comments
# Of these: JFIF, EXIF, colour profiles and Adobe's word on colours, none shorter than this.
KEPT = (
    (0xE0, b"JFIF\0", 14),
    (0xE1, b"Exif\0\0", 14),
    (0xE2, b"ICC_PROFILE\0", 14),
    (0xEE, b"Adobe", 12),
)
ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length
# Entropy-coded bits that a decoder takes only where it still misses some.
FILLER = b"\x5a\xc3\x96\x3d" * 64


def mended(data: bytes | mmap, limits: ReadLimits) -> bytes | None:
    """The same picture as a file without the fault; None where there is none that is known here.

    The caps still hold for what comes back: it has yet to be read.
    """
    if data[:8] == PNG_START:
        return _png_without_its_metadata(bytes(data))
    if data[:2] == JPEG_START:
        return _whole_jpeg(bytes(data), limits)
    return None


def _png_without_its_metadata(data: bytes) -> bytes:
    parts = [PNG_START]
    for kind, body, check in _chunks(data):
        if kind in PICTURE or (kind in TAGS and _is_sound_tag(kind, body, check)):
            parts += [struct.pack(">L", len(body)), kind, body, struct.pack(">L", check)]
    return b"".join([*parts, PNG_END])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind, content and checksum of each; a last one that the file cuts off has the right sum."""
    at = len(PNG_START)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">L4s", data, at)
        if kind == b"IEND":
            return
        body = data[at + 8 : at + 8 + size]
        after = at + 8 + size
        if after + 4 <= len(data):
            yield kind, body, struct.unpack_from(">L", data, after)[0]
        else:
            yield kind, body, zlib.crc32(kind + body)
        at = after + 4


def _is_sound_tag(kind: bytes, body: bytes, check: int) -> bool:
    if zlib.crc32(kind + body) != check or len(body) > MAX_TAG_BYTES:
        return False
    return kind != b"iTXt" or body.startswith(XMP)


def _whole_jpeg(data: bytes, limits: ReadLimits) -> bytes | None:
    try:
        data = _jpeg_without_its_metadata(data)
        return data if data.endswith(JPEG_END) else _jpeg_with_its_end(data, limits)
    except Exception:  # noqa: BLE001  a stranger's bytes again: they have their reason already
        return None


def _jpeg_without_its_metadata(data: bytes) -> bytes:
    """Keeps what says colours, how it stands and when it was taken, where that is long enough."""
    parts, kept = [], 0
    for marker, at, end in _segments(data):
        if marker == SCAN:
            break
        body = data[at + 4 : end]
        if marker in METADATA and not any(
            marker == kind and body.startswith(start) and len(body) >= size
            for kind, start, size in KEPT
        ):
            parts.append(data[kept:at])
            kept = end
    return b"".join([*parts, data[kept:]])


def _jpeg_with_its_end(data: bytes, limits: ReadLimits) -> bytes | None:
    """None unless its end is all that is missing.

    Behind a picture that lacks nothing, more bits change nothing; behind one that does, they become
    a part of it.
    """
    data = data.rstrip(b"\xff")
    if not _has_all_scans(data):
        return None
    whole = data + JPEG_END
    more = data + FILLER + JPEG_END
    return whole if _hash_pixels(whole, limits) == _hash_pixels(more, limits) else None


def _hash_pixels(data: bytes, limits: ReadLimits) -> str:
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        check_pixels("", image.width * image.height, limits)
        return hash_bytes(image.tobytes())


def _has_all_scans(data: bytes) -> bool:
    """Every component has come, of progressive files to its last bit."""
    components: tuple[int, ...] = ()
    missing: set[tuple[int, int]] = set()
    for marker, at, end in _segments(data):
        body = data[at + 4 : end]
        if marker in FRAMES:
            components = tuple(body[6 : 6 + 3 * body[5] : 3])
            places = range(64) if marker == 0xC2 else range(1)
            missing = {(component, place) for component in components for place in places}
        elif marker == SCAN:
            number = body[0]
            first, last, bits = body[1 + 2 * number : 4 + 2 * number]
            if bits & 15 == 0:
                missing -= {
                    (component, place)
                    for component in body[1 : 1 + 2 * number : 2]
                    for place in range(first, last + 1)
                }
    return bool(components) and not missing


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each, entropy-coded bits passed over."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in (0x00, 0xFF, *ALONE):
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        yield marker, at, end
        at = end
