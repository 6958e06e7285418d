"""Addresses that Label Studio's server has for images, which its exports name them by."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from indexer.sources.labelled.reading.files import joined, parent
from indexer.sources.labelled.reading.names import last_parts, spellings
from indexer.sources.names import is_url

IMAGE_SUFFIXES = tuple(
    f".{suffix}"
    for suffix in "jpg jpeg png webp bmp gif tif tiff heic heif avif jfif".split()  # noqa: SIM905
)


def is_address(value: Any) -> bool:
    """Whether a value among a task's data may be an image's address."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        return False
    return (
        is_url(value)
        or value.startswith(("/data/", "/tasks/"))
        or (value.lower().endswith(IMAGE_SUFFIXES))
    )


def bare(address: str) -> str:
    """The file that an address is for, without a question behind it."""
    parsed = urlsplit(address)
    asked = parse_qs(parsed.query)
    inner = (asked.get("d") or asked.get("fileuri") or [parsed.path])[0]
    return inner if "fileuri" not in asked else _decoded(inner)


def _decoded(text: str) -> str:
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.urlsafe_b64decode(padded).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return text


def spelt(address: str, document: str) -> list[str]:
    """What an address of Label Studio may mean beside its export, the likeliest first."""
    if address.startswith("/data/local-files/"):
        # below a folder that its server knows, which is often one above the export
        below = bare(address).lstrip("/")
        return [below, *_above(document, below), f"/{below}", *last_parts(below)[1:]]
    if address.startswith("/tasks/") and is_url(inner := bare(address)):
        return [inner]
    if address.startswith("/data/"):  # uploaded: `8 hexadecimal digits-its own name`
        below = unquote(urlsplit(address).path).removeprefix("/data/")
        last = below.rpartition("/")[2]
        # or it is a path of this machine's
        return list(dict.fromkeys((address, below, last, as_it_was(last))))
    return spellings(address)


def _above(document: str, below: str) -> Iterator[str]:
    """A path below each folder that an export lies in."""
    folder = parent(document)
    while (above := parent(folder)) != folder:
        yield joined(above, below)
        folder = above


def as_it_was(uploaded: str) -> str:
    """An uploaded file's own name."""
    mark, dash, name = uploaded.partition("-")
    is_mark = len(mark) == 8 and all(letter in "0123456789abcdef" for letter in mark)
    return name if dash and is_mark and name else uploaded
