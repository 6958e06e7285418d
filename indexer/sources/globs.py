"""Patterns such as `photos/**/*.jpg`: which files match, and which folders are worth looking into."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fsspec.utils import glob_translate


def has_magic(text: str) -> bool:
    return re.search(r"[*?[]", text) is not None


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern below a root: `*`, `?`, `[...]` within one name, `**` for any folders, none included.

    Matches files only, and case counts.
    """

    root: str  # without magic: where the listing starts
    pattern: str  # relative to root
    _whole: re.Pattern[str]
    _steps: tuple[re.Pattern[str], ...]  # step d matches the folders of depth d + 1 that lead to a match
    is_deep: bool  # below the last step any folder may hold one

    @classmethod
    def split(cls, text: str) -> Glob:
        """Take a pattern apart: the folder to start in is all before the first part with magic.

        :raises ValueError: if `**` is only a part of a name, as in `a**b`.
        """
        parts = text.split("/")
        first = next(i for i, part in enumerate(parts) if has_magic(part))
        root, parts = "/".join(parts[:first]), parts[first:]
        pattern = "/".join(parts)
        before_deep = parts.index("**") if "**" in parts else len(parts) - 1
        steps = [re.compile(glob_translate("/".join(parts[: depth + 1]))) for depth in range(before_deep)]
        return cls(root, pattern, re.compile(glob_translate(pattern)), tuple(steps), "**" in parts)

    def matches(self, relative: str) -> bool:
        """Whether a file matches; `relative` is its path below root, with `/`, never a leading one."""
        return self._whole.match(relative) is not None

    def may_contain(self, relative: str) -> bool:
        """Whether a folder below root may hold matches, at any depth."""
        depth = relative.count("/") + 1
        if depth <= len(self._steps):
            return self._steps[depth - 1].match(relative) is not None
        return self.is_deep
