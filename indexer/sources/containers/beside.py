"""Which members of an archive are images, and which speak of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from indexer.sources.names import is_hidden, may_be_image
from indexer.sources.sidecars import max_sidecar_bytes

# What speaks of an image, in the order in which it speaks: the later has the last word.
_SIDECARS = ("cls", "json", "caption", "txt")
# What WebDataset writes beside images under one key, and is none.
_OF_SAMPLES = frozenset(
    "cls cls2 index inx id caption transcript ten tb tenbin pyd pickle mp msg".split()  # noqa: SIM905
)


def is_wanted(name: str) -> bool:
    """Whether a member of this name is tried as an image."""
    *folders, last = name.split("/")
    suffix = last.rpartition(".")[2].lower() if "." in last else ""
    return suffix not in _OF_SAMPLES and may_be_image(last) and not any(map(is_hidden, folders))


def sidecars_in(sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """Sidecars by the name without their suffix, in the order in which they speak.

    :param sizes: every member that can be read, and its size in bytes.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for name, size_bytes in sizes.items():
        stem, _, suffix = name.rpartition(".")
        if suffix in _SIDECARS and size_bytes <= max_sidecar_bytes(name):
            found[stem].append(name)
    for names in found.values():
        names.sort(key=lambda name: _SIDECARS.index(name.rpartition(".")[2]))
    return found


def beside_in(sidecars: Mapping[str, list[str]], image: str) -> list[str]:
    """Those that speak of an image: of its key, then of its stem, then of its whole name."""
    folder, slash, last = image.rpartition("/")
    key = folder + slash + last.partition(".")[0]
    stem = image.rpartition(".")[0] or image
    stems = dict.fromkeys((key, stem, image))
    return [sidecar for each in stems for sidecar in sidecars.get(each, ())]
