"""What browsers show by themselves, told by an image's own bytes;
never by its name, nor by what anybody says of it.
"""

from __future__ import annotations

JPEG = "image/jpeg"
# of an ISO file's list of what it is compatible with; real ones have a few dozen
MAX_BRANDS_BYTES = 256
STARTS = {
    b"\xff\xd8\xff": JPEG,
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
}
FORMATS = frozenset(
    {"jpeg", "png", "gif", "webp", "avif", "bmp"}
)  # as rows call them; others are never shown
SHOWN = (*dict.fromkeys(STARTS.values()), "image/webp", "image/avif")


def shown_as(data: bytes) -> str | None:
    """The media type under which a browser shows these bytes as a picture,
    and as nothing else; None: it does not.
    """
    for start, media_type in STARTS.items():
        if data.startswith(start):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return "image/avif" if {b"avif", b"avis"} & _brands(data) else None


def _brands(data: bytes) -> set[bytes]:
    """What an ISO media file (HEIC, AVIF, MP4) says it is: ISO/IEC 14496-12, section 4.3."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), MAX_BRANDS_BYTES)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
