"""Which rows each person was handed to label, so that two people at once are not asked the same.

`leases.json` beside the book: {"leases": [[row_id, labeller, until], ...]}, until in seconds since
1970. A lease dies by time, so nobody has to give one back: who closes the browser holds nothing up
for long. It ends, too, when its row is answered. Nothing rests on the file: one that is missing or
cannot be read is one without leases. It has a lock of its own, since answers must not wait for who
chooses rows. Knows no answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from indexer.disk.durable import replace_file
from indexer.disk.locks import held
from indexer.errors import LakeError

LASTS_S = 600.0
LOCK_WAIT_S = 10.0
Answered: TypeAlias = Mapping[int, Collection[str]]  # row_id -> who has answered it
NOBODY: Answered = {}
MOST = 2_000  # leases of one person; of more, the newest


@dataclass(frozen=True, slots=True)
class Lease:
    """A row that a person was handed."""

    row_id: int
    labeller: str
    until: float  # seconds since 1970


class Leases:
    """The leases of one filter. Safe from several threads and processes."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """
        :param folder: the filter's.
        :param clock: seconds since 1970.
        """
        self._path = folder / "leases.json"
        self._clock = clock

    def of_others(self, labeller: str, answered: Answered = NOBODY) -> set[int]:
        """The row_ids that somebody else was handed not long ago."""
        return {lease.row_id for lease in self._alive(answered) if lease.labeller != labeller}

    def take(self, row_ids: Sequence[int], labeller: str, answered: Answered = NOBODY) -> list[int]:
        """Lease rows to a person, anew where they had them.

        :param answered: who has answered which row: their leases of it are over.
        :returns: those of them, in their order, that nobody else has.
        :raises LakeError: if the folder is gone or cannot be written.
        """
        if not row_ids:
            return []
        try:
            with self._lock():
                alive = self._alive(answered)
                theirs = {lease.row_id for lease in alive if lease.labeller != labeller}
                taken = [row_id for row_id in row_ids if row_id not in theirs]
                until, new = self._clock() + LASTS_S, set(taken)
                own = [each for each in alive if each.labeller == labeller]
                own = [each for each in own if each.row_id not in new]
                own += [Lease(row_id, labeller, until) for row_id in taken]
                others = [each for each in alive if each.labeller != labeller]
                self._write([*others, *own[-MOST:]])
        except OSError as error:
            raise LakeError(f"{self._path} cannot be written ({error.strerror})") from None
        return taken

    def _lock(self) -> AbstractContextManager[None]:
        if not self._path.parent.is_dir():  # the lock would make it anew
            raise LakeError(f"{self._path.parent} is not there any more: the filter was deleted")
        no_locking = (
            f"{self._path.parent} lies on a file system without locks, so rows cannot be handed to "
            "one person alone; leave the labeller out"
        )
        return held(self._path.with_suffix(".lock"), no_locking, wait_s=LOCK_WAIT_S)

    def _alive(self, answered: Answered) -> list[Lease]:
        try:
            found = json.loads(self._path.read_bytes())["leases"]
            leases = [Lease(int(row), str(who), float(until)) for row, who, until in found]
        except (OSError, ValueError, TypeError, KeyError):
            return []
        now = self._clock()
        return [
            lease
            for lease in leases
            # One that ends later than any can was written by another clock.
            if now < lease.until <= now + LASTS_S
            and lease.labeller not in answered.get(lease.row_id, ())
        ]

    def _write(self, leases: Sequence[Lease]) -> None:
        document = {"leases": [[each.row_id, each.labeller, each.until] for each in leases]}
        replace_file(self._path, json.dumps(document, ensure_ascii=False).encode())
