"""How long something takes, as people write it."""

from __future__ import annotations

import re

_UNITS_US = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "min": 60_000_000}


def duration_us(text: str) -> int:
    """Microseconds of `0.5s`, `500ms` or `2m`; without a unit, of seconds.

    :raises ValueError: with a sentence, if it is none of whole milliseconds.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|min)?", text)
    us = round(float(match[1]) * _UNITS_US[match[2] or "s"]) if match else -1
    if us < 0 or us % 1_000:
        raise ValueError(f"{text!r} is no time of whole milliseconds; write 0.5s, 500ms or 2m")
    return us
