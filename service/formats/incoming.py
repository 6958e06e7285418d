"""Labels on their way in: what any format's reader makes of a file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from indexer.errors import BadRequest
from indexer.sources.names import is_url

MEANINGS: dict[str, Literal["yes", "no", "skip"]] = {
    "keep": "yes",
    "drop": "no",
    "ask": "skip",
    "yes": "yes",
    "no": "no",
    "skip": "skip",
}
CATEGORIES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class IncomingLabel:
    """One person's answer on one image, which is named by row_id, uri or both.

    A row_id in a tool's file is of the lake that handed the image over, which may be another than
    the one that takes the labels. In a table that a person filled in it is of this lake.
    """

    row_id: int | None
    uri: str | None
    label: Literal["yes", "no", "skip"]
    labeller: str | None
    # where it stands in a person's table, counted from 1 with the header; None: in a tool's file
    line: int | None = None
    # the image's file name, where the file says no folder; uri is made of it then
    plain: str | None = field(default=None, compare=False)


# what it is about, a name or a line of a table; and a sentence
FileProblem: TypeAlias = tuple[str | int, str]


@dataclass(frozen=True, slots=True)
class IncomingLabels:
    """What a file holds."""

    labels: list[IncomingLabel] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    unanswered: int = 0  # images on which nobody said anything


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file's categories become answers."""

    name: str = "the file"  # what its reader calls it in a message
    # the categories that make an image relevant; empty: people chose
    yes: frozenset[str] = frozenset()
    empty_is_no: bool = False
    root: str | None = None  # what the tool has for its top folder, as it was given to the export

    def answer(self, names: Iterable[str]) -> Literal["yes", "no", "skip"] | None:
        """What one person's categories of an image say; None: nothing.

        :raises ValueError: if they say two things, or nothing that is known; str() is a sentence.
        """
        found = list(dict.fromkeys(names))
        if not found:
            return "no" if self.empty_is_no else None
        if self.yes:
            return "yes" if self.yes.intersection(found) else "no"
        unknown = [name for name in found if name.lower() not in MEANINGS]
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not keep, drop or ask; name the categories that mean yes"
            )
        meanings = {MEANINGS[name.lower()] for name in found}
        if len(meanings) > 1:
            raise ValueError(f"it is both {' and '.join(found)}")
        return meanings.pop()

    def uri_of(self, name: str) -> str:
        """The uri of an image that `Item.below(root)` gave this name.

        An absolute path or a URL is a uri already.
        """
        if is_uri(name):
            return name
        return f"{'' if self.root is None else self.root.rstrip('/')}/{name}"

    def check_yes(self, categories: Iterable[str]) -> None:
        """Refuse a category that the file does not know: it is misspelt, and every image of the
        category that was meant would become a no.

        A file without any category has none to be confused with.

        :param categories: those that the file defines or uses.
        :raises BadRequest: for the first that is not among them; names those that are.
        """
        there = sorted(set(categories))
        unknown = sorted(self.yes.difference(there))
        if unknown and there:
            raise BadRequest("yes", f"{self.name} has no category {_among(unknown[0], there)}")


def is_uri(name: str) -> bool:
    """Whether it says where an image is without any root."""
    return is_url(name) or name.startswith("/")


def plain_name(name: str) -> str | None:
    """The file name that this is, in any system's spelling; None: there is a folder in it."""
    if "/" not in name and "\\" not in name:
        return name or None
    bare = re.sub(r"^(\./+)+", "", name.replace("\\", "/"))
    return None if "/" in bare else bare or None


def _among(name: str, there: list[str]) -> str:
    """A name that is not there, what may have been meant, and what there is."""
    by_lower = {each.strip().lower(): each for each in there}
    near = difflib.get_close_matches(name.strip().lower(), by_lower, n=1)
    meant = f"; did you mean {by_lower[near[0]]!r}?" if near else ";"
    more = len(there) - CATEGORIES_SHOWN
    shown = ", ".join(map(quoted, there[:CATEGORIES_SHOWN]))
    return f"{quoted(name)}{meant} it has {shown}{f' and {more:,} more' if more > 0 else ''}"


class Collected:
    """Gathers answers and problems while a file is read."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.categories: set[str] = set()  # that the file defines or uses
        self.result: list[IncomingLabel] = []
        self.problems: list[FileProblem] = []
        self.unanswered = 0

    def take(
        self,
        about: str,
        row_id: int | None,
        uri: str | None,
        names: Iterable[str],
        labeller: str | None,
        *,
        plain: str | None = None,
        unclear: str = "",
    ) -> bool:
        """Whether these categories of one person are an answer; where they make no sense, that is
        one, and a problem.

        :param names: a ValueError while they are read says that they make no sense, and why.
        :param unclear: why more may have been said than these; then only a yes is certain.
        """
        try:
            used = list(names)
            self.categories.update(used)
            label = self.reading.answer(used)
            if unclear and label != "yes":
                raise ValueError(unclear)
        except ValueError as error:
            self.problem(about, str(error))
            return True
        if label is None:
            return False
        self.result.append(IncomingLabel(row_id, uri, label, labeller, plain=plain))
        return True

    def problem(self, about: str, sentence: str) -> None:
        self.problems.append((about, sentence))

    def labels(self) -> IncomingLabels:
        """:raises BadRequest: if a category that means yes is none of the file's."""
        self.reading.check_yes(self.categories)
        return IncomingLabels(self.result, self.problems, self.unanswered)


def quoted(text: str) -> str:
    """What stands in a file, as a message shows it."""
    return repr(text if len(text) <= 200 else f"{text[:200]}...")
