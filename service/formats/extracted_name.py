"""What the part of a file is called once it is a file of its own: `000.tar-1f3a9c2e/7.jpg`.

The name is made of the image's address alone, so that labels that come back for it find their row
wherever the folder lies by then. Eight digits tell two containers of one name apart.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from service.formats.item import SUFFIXES

# As `str(Address)` writes it.
_PART = re.compile("#(?=(?:member|bytes|row|stream|xywh)=)")
_MEMBER = re.compile("member=(?P<name>.*)", re.DOTALL)
_ROW = re.compile(r"(?:member=.*&)?row=(?:(?P<group>\d+)/)?(?P<row>\d+)", re.DOTALL)
_FOLDER = re.compile("-[0-9a-f]{8}$")
# a backslash is a folder's end to some tools
_ODD = re.compile(r"[\x00-\x1f\x7f\\]")
_MAX_BYTES = 180  # of one name in a folder; file systems hold 255, and what is added needs some
_KNOWN = frozenset(SUFFIXES.values()) | {".jpeg", ".tiff", ".heif"}


@dataclass(frozen=True, slots=True)
class ExtractedName:
    """A name below any folder: no `..`, not absolute, `/` between folders."""

    stem: str  # whole where the part's own name ends as an image's does
    has_suffix: bool

    @classmethod
    def of(cls, place: str) -> ExtractedName | None:
        """:param place: an image's address as text; None comes back where it is a whole file."""
        container, *parts = _PART.split(place, maxsplit=1)
        if not parts:
            return None
        name = _name(parts[0])
        stem = f"{_folder(container)}/{name}"
        suffix = re.search(r"\.[A-Za-z0-9]+$", name)
        return cls(stem, suffix is not None and suffix[0].lower() in _KNOWN)

    def file(self, suffix: str) -> str:
        """:param suffix: of the image's format, for a part that has none of its own."""
        return self.stem if self.has_suffix else self.stem + suffix


def below_container(path: str) -> str | None:
    """The end of a path that may be an extracted name; None where no folder is named as such."""
    parts = path.split("/")
    for place in range(len(parts) - 2, -1, -1):
        if _FOLDER.search(parts[place]):
            return "/".join(parts[place:])
    return None


@lru_cache(4096)
def _folder(container: str) -> str:
    name = container.rstrip("/").rpartition("/")[2]
    return f"{_cut(_ODD.sub('_', name))}-{_mark(container)}"


def _name(part: str) -> str:
    if row := _ROW.fullmatch(part):
        return "-".join(["image", *filter(None, row.groups())])
    member = _MEMBER.fullmatch(part)
    if member is None:
        return f"image-{_mark(part)}"
    own = member["name"]
    wanted = [_cut(_ODD.sub("_", each)) for each in own.split("/") if each not in ("", ".", "..")]
    plain = "/".join(wanted)
    if own and plain == own:
        return own
    # Two members shall not become one: `../a.jpg` is not `a.jpg`.
    stem, dot, suffix = plain.rpartition(".")
    marked = f"{stem or 'image'}-{_mark(own)}"
    return f"{marked}.{suffix}" if dot and "/" not in suffix else f"{plain or 'image'}-{_mark(own)}"


def _cut(name: str) -> str:
    """Short enough for a file system; its end, with the suffix, stays."""
    data = name.encode()
    return name if len(data) <= _MAX_BYTES else data[-_MAX_BYTES:].decode(errors="ignore")


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
