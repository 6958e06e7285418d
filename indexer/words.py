"""Numbers with their nouns and units, and times with their zone, as messages say them."""

from __future__ import annotations

from datetime import UTC, datetime


def count(number: int | float, one: str = "", many: str = "") -> str:
    """1,234, or with a word: 1 image, 2 images; 1 row belongs, 2 rows belong.

    :param many: "": one with an s.
    """
    word = one if number == 1 else many or (f"{one}s" if one else "")
    return f"{number:,.0f} {word}".strip()


def quoted(text: str, most: int = 100) -> str:
    """'night' as Python writes it, of a long text the beginning: what somebody sent may have
    megabytes, and a message is a sentence.
    """
    return repr(text) if len(text) <= most else f"{text[:most]!r}... of {len(text):,} characters"


def size(size_bytes: int) -> str:
    """999 bytes, 40.0 kB, 1.5 MB, 12,345.7 GB; a kB is 1,000 bytes."""
    if size_bytes < 1_000:
        return count(size_bytes, "byte")
    for unit, scale in (("kB", 1e3), ("MB", 1e6)):
        # 999,950 would be 1,000.0 of it
        if size_bytes < 999.95 * scale:
            return f"{size_bytes / scale:,.1f} {unit}"
    return f"{size_bytes / 1e9:,.1f} GB"


def moment(text: str) -> str:
    """2026-01-31 09:05:00 UTC, of ISO 8601; anything else comes back as it is."""
    try:
        when = datetime.fromisoformat(text)
        zone = "" if when.tzinfo is None else " UTC"
        return f"{when.astimezone(UTC) if zone else when:%Y-%m-%d %H:%M:%S}{zone}"
    except (ValueError, OverflowError):
        return text
