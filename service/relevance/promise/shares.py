"""How an audit's draws are shared out from one of its looks on: written once, before any row that
is drawn by it is shown, and never worked out again.

`filters/<name>/audits/<number>.shares-01.json`, `-02.json` ... lie beside the audit's design, which
has the shares up to the first look. `replanning.py` chooses them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from indexer.disk.durable import write_once
from indexer.disk.entries import read_file
from indexer.disk.filter_checks import anew, shares_name
from indexer.errors import LakeDamaged

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Shares:
    """Those from one look to the next."""

    look: int  # its number, from 1
    first: int  # the draw, from 0, from which on they hold
    answers: int  # yes and no, of the draws before, that they were worked out from
    shares: tuple[float, ...]  # the chance of each stratum a draw, while it lasts; above 0, sum 1
    of: str  # the audit and the looks before that they go on from: see `mark_of`

    def to_json(self) -> bytes:
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Shares:
        """:raises ValueError: if it is not what to_json gives."""
        try:
            document = json.loads(data)
            if document.pop("format") != FORMAT:
                raise ValueError("it is of another format")
            found = cls(**{**document, "shares": tuple(document["shares"])})
            if not math.isclose(sum(found.shares), 1, rel_tol=1e-6) or min(found.shares) <= 0:
                raise ValueError("they are no chances")
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from None
        return found

    def save(self, folder: Path, number: int) -> None:
        """
        :param folder: of the audits; number: of the audit.
        :raises FileExistsError: if somebody else was first; OSError: if it cannot be written.
        """
        write_once(_path(folder, number, self.look), self.to_json())


def is_there(folder: Path, number: int, look: int) -> bool:
    """Whether an audit's draws were shared out anew at a look.

    :param folder: of the audits; number: of the audit.
    """
    return _path(folder, number, look).exists()


def mark_of(seed: str, before: Sequence[Shares]) -> str:
    """What tells what shares go on from: two copies of a lake may go on in different ways, and an
    audit's number may come again.

    :param seed: of the audit's draws; before: of its earlier looks.
    """
    every = b"".join([bytes.fromhex(seed), *(each.to_json() for each in before)])
    return hashlib.sha256(every).hexdigest()[:32]


def load(
    folder: Path, number: int, seed: str, looks: Sequence[int], strata: int
) -> tuple[Shares, ...]:
    """All that are there, look after look.

    :param folder: of the audits; number: of the audit.
    :param seed, looks: of its draws, and the draw of each look, as the design has them.
    :raises LakeDamaged: if one cannot be read, is not of this audit, or lacks one before it.
    """
    found: list[Shares] = []
    for look, first in enumerate(looks, 1):
        path = _path(folder, number, look)
        if not path.exists():
            continue
        if len(found) < look - 1:
            raise lost(folder, number, len(found) + 1, "it is missing")
        try:
            shares = Shares.from_json(read_file(path))
        except ValueError as error:
            raise lost(folder, number, look, f"it is no audit's shares ({error})") from None
        except OSError as error:
            raise lost(folder, number, look, error.strerror or str(error)) from None
        goes_on = shares.of == mark_of(seed, found)
        if not goes_on or (shares.look, shares.first, len(shares.shares)) != (look, first, strata):
            raise lost(folder, number, look, "it is of another audit, or another look")
        found.append(shares)
    return tuple(found)


def lost(folder: Path, number: int, look: int, why: str) -> LakeDamaged:
    """What there is to say of a look whose shares are missing or damaged: they cannot be worked out
    again, since they follow from the answers as they were then.

    :param folder: of the audits; number: of the audit.
    """
    way_out = anew(folder.parent, shares_name(number, look))
    return LakeDamaged(str(_path(folder, number, look)), f"{why}; {way_out}")


def _path(folder: Path, number: int, look: int) -> Path:
    return folder.parent / shares_name(number, look)
