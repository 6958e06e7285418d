"""Patterns such as `photos/**/*.jpg`:
which files match, and which folders are worth looking into.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fsspec.utils import glob_translate


def has_magic(text: str) -> bool:
    return re.search(r"[*?[]", text) is not None


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern below a root: `*`, `?`, `[...]` within one name,
    `**` for any folders, none included.

    Matches files only, and case counts.
    """

    root: str  # without magic: where the listing starts
    pattern: str  # relative to root
    _whole: re.Pattern[str]
    # step d matches the folders of depth d + 1 that lead to a match
    _steps: tuple[re.Pattern[str], ...]
    is_deep: bool  # below the last step any folder may hold one

    @classmethod
    def split(cls, text: str, exists: Callable[[str], bool]) -> Glob | None:
        """Take a pattern apart: the folder to start in is all before the first part with magic.

        What exists is no pattern: `set[1]/*.jpg` is of the folder set[1], if there is one. With a
        slash at its end it is of folders, and of all below them.

        :param exists: told a beginning of text, without "/" at its end; asked only where a part has
            magic and all before it exists.
        :returns: None if all of it exists.
        :raises ValueError: if `**` is only a part of a name, as in `a**b`.
        """
        parts = text.split("/")
        first = next(
            (
                i
                for i, part in enumerate(parts)
                if has_magic(part) and not exists("/".join(parts[: i + 1]))
            ),
            None,
        )
        if first is None:
            return None
        if not parts[-1]:
            parts[-1] = "**"
        root, parts = "/".join(parts[:first]), parts[first:]
        pattern = "/".join(parts)
        before_deep = parts.index("**") if "**" in parts else len(parts) - 1
        steps = [_compiled("/".join(parts[: depth + 1])) for depth in range(before_deep)]
        return cls(root, pattern, _compiled(pattern), tuple(steps), "**" in parts)

    def matches(self, relative: str) -> bool:
        """Whether a file matches; `relative` is its path below root, with `/`."""
        return self._whole.match(_all_named(relative)) is not None

    def may_contain(self, relative: str) -> bool:
        """Whether a folder below root may hold matches, at any depth."""
        depth = relative.count("/") + 1
        if depth <= len(self._steps):
            return self._steps[depth - 1].match(_all_named(relative)) is not None
        return self.is_deep


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(glob_translate(_all_named(pattern)))


def _all_named(path: str) -> str:
    """A folder of a bucket may have an empty name, which a pattern's `*` and `**` stand for too."""
    return "/".join(part or "\0" for part in path.split("/")) if path else "\0"
