"""What a branch has taken of its chance of error, as it lies on disk: audits that it
has begun, and copies that it has given to other lakes.

A branch is a filter and its copies in one lake (`promise/sharing.py`). Its audits lie in
`audits/<number>.json` of those filters, and what it gave away in `given/<number>.json`, one JSON
object: `{"format": 1, "filter": "hospital", "into": "new.lake", "at": "2026-...", "branch":
"01J...", "one_in": 2}`. Both are written before anything comes of them, and stay when a filter is
deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from service.relevance.definition import Copied, Definition, Part, now
from service.relevance.promise.audit import numbers

FORMAT = 1
GIVEN = "given"  # the folder's name


def origin_of(first: Definition) -> Copied:
    """:param first: a filter's first version."""
    return first.copied or Copied(first.name, first.created_at, 0)


def up_to_now(origin: Copied, others: Iterable[tuple[Copied | None, Path]]) -> Copied:
    """The origin, with all that its branch has taken so far.

    :param others: of each filter of the lake: where it is from, and its folder. None: whose copy it
        is cannot be told, so it counts for each: too many audits promise less, never too much.
    """
    audits, given = [origin.audits], [origin.part.given]
    for other, folder in others:
        if other is None or other.branch == origin.branch:
            known = () if other is None else (other,)
            audits += [*(each.audits for each in known), *numbers(folder / "audits")]
            given += [*(each.part.given for each in known), *numbers(folder / GIVEN)]
    return replace(origin, audits=max(audits), part=replace(origin.part, given=max(given)))


def given_file(folder: Path, number: int) -> Path:
    """:param folder: the filter's; number: of the copy that leaves its branch, from 1."""
    return folder / GIVEN / f"{number:06d}.json"


def given_document(taken: Part, filter: str, into: str) -> bytes:
    """What is written of a copy: the part that it takes, its name, and its lake's."""
    document = {
        "format": FORMAT,
        "filter": filter,
        "into": into,
        "at": now(),
        "branch": taken.branch,
        "one_in": taken.one_in,
    }
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
