"""The tags of a lake: an append-only log of acts, and what rows are called that follows from it.

`tags/log.jsonl` has one JSON object a line (`act.py`), held together by a chain as labels are.
Lines are appended under the book's own lock and fsynced before a call returns, so that two
processes, or a `sync` beside them, lose nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from indexer.arrays import Positions
from indexer.disk.chain import BrokenChain
from indexer.disk.chained_log import ChainedLog
from indexer.disk.durable import make_folder
from indexer.disk.entries import reason_of
from indexer.disk.locks import held
from indexer.errors import BadCursor, BadRequest, CannotUndo, LakeDamaged, LakeError
from service.tags.act import Act, now
from service.tags.names import UNNAMED, check_by, key_of, tag_name
from service.tags.row_sets import MAX_ROWS, RowSet, stored, unnamed_files
from service.tags.tags import NO_TAGS, Tags, merged, rising

LOCK_WAIT_S = 10.0
MAX_TAGS = 10_000  # different ones in a lake


class TagBook:
    """The tags of one lake. Safe from several threads and processes;
    each call sees what the last writer left.
    """

    def __init__(self, folder: str | Path) -> None:
        """:param folder: `tags` in the lake's; the first act makes it."""
        self.folder = Path(folder)
        self.path = self.folder / "log.jsonl"
        self._threads = threading.RLock()
        self._log = ChainedLog(
            self.path,
            parse=self._parse,
            take=self._take,
            forget=self._forget,
            damaged=lambda error, _: self._damaged(error),
            unwritable=lambda error: _unwritable(self.path, error),
        )
        self._forget()

    def _forget(self) -> None:
        self._acts: dict[int, Act] = {}  # by seq, those that take acts back among them
        self._undone: set[int] = set()
        self._tags = NO_TAGS
        self._past = NO_TAGS  # as `tags_at` told them last
        self._in_force: dict[str, Positions] = {}  # key -> rows, as far as `_tags` comes
        self._unread: set[str] = set()  # keys whose rows are to be worked out anew
        self._waiting: dict[str, list[Act]] = {}  # by key, those that `_in_force` lacks

    def tags(self) -> Tags:
        """Which rows have which tags now; the same object as long as nobody tags.

        :raises LakeDamaged: if a line is not an act or not the one that comes next, or the rows of
            an act are gone.
        """
        with self._threads:
            self._log.refresh()
            if self._tags.seq != self._last_seq:
                self._work_out()
            return self._tags

    def tags_at(self, seq: int) -> Tags:
        """Which rows had which tags once the act of this seq was done, whatever was done since.

        :param seq: 0: before the first.
        :raises BadCursor: if the log has no such act: it was mended, or is another.
        :raises LakeDamaged: as `tags` does.
        """
        with self._threads:
            self._log.refresh()
            if seq == self._last_seq:
                return self.tags()
            if self._past.seq == seq and seq:
                return self._past
            if seq not in self._acts and seq:
                raise BadCursor(
                    "the tags that its first page went by are not in the lake's log any more; "
                    "search again"
                )
            acts = [act for act in self._acts.values() if act.seq <= seq]
            self._past = Tags(self._rows_after(acts), seq)
            return self._past

    def _rows_after(self, acts: Sequence[Act]) -> dict[str, Positions]:
        """A tag's name -> int64, (n,), rising: its rows once these were done.

        :param acts: from the first on, in their order.
        """
        undone = {act.undo for act in acts}
        steps: dict[str, list[tuple[Positions, bool]]] = {}
        names: dict[str, str] = {}
        for act in acts:
            if act.tag is not None and act.seq not in undone:
                steps.setdefault(act.key, []).append((self._rows(act), act.is_add))
                names.setdefault(act.key, act.tag)
        return {names[key]: merged(steps[key]) for key in steps}

    def acts(self) -> list[Act]:
        """All lines, oldest first."""
        with self._threads:
            self._log.refresh()
            return list(self._acts.values())

    def add(self, name: str, row_ids: Positions, by: str = UNNAMED) -> Act:
        """Give rows a tag: one act, on the disk when this returns.

        :param row_ids: int64, (n,), at least one.
        :raises BadRequest: if it is no name for a tag, or the lake has too many.
        :raises LakeError: if the folder cannot be written or the disk is full.
        """
        return self._change(name, row_ids, by, is_add=True)

    def remove(self, name: str, row_ids: Positions, by: str = UNNAMED) -> Act:
        """Take a tag from rows; as `add`."""
        return self._change(name, row_ids, by, is_add=False)

    def _change(self, name: str, row_ids: Positions, by: str, *, is_add: bool) -> Act:
        name, by, row_ids = tag_name(name), check_by(by), rising(row_ids)
        if len(row_ids) > MAX_ROWS:  # which no reader would take
            raise BadRequest(
                "rows", f"they are {len(row_ids):,}, and one act tags at most {MAX_ROWS:,}"
            )
        with self._writing() as file:
            known = self._spelling()
            if key_of(name) not in known and len(known) >= MAX_TAGS:
                raise BadRequest("name", f"the lake has {MAX_TAGS:,} tags, and can have no more")
            name = known.get(key_of(name), name)
            rows = self._stored(row_ids)
            act = Act(self._last_seq + 1, by, now(), name, is_add, rows)
            self._log.append(file, [act])
        return act

    def undo(self, by: str | None = None, act: int | None = None) -> Act | None:
        """Take back the last act in force: of that person, or at all.

        :param act: the seq of the one that is meant, so that no other is taken back, which somebody
            did meanwhile; None: whichever is the last.
        :returns: the act taken back; None: there is none.
        :raises CannotUndo: if the one that is meant is not the last.
        :raises LakeError: as for `add`.
        """
        who = UNNAMED if by is None else check_by(by)
        if not self.acts():
            if act is not None:
                self._check_last(act, None)
            return None
        with self._writing() as file:
            last = self._last_in_force(by)
            if act is not None:
                self._check_last(act, last)
            if last is not None:
                self._log.append(file, [Act(self._last_seq + 1, who, now(), undo=last.seq)])
            return last

    def _check_last(self, wanted: int, last: Act | None) -> None:
        """:raises CannotUndo: if it is not the last act in force."""
        if last is not None and last.seq == wanted:
            return
        meant = self._acts.get(wanted)
        if meant is None or meant.rows is None:
            raise CannotUndo("act", wanted, f"there is no act {wanted} that gave or took a tag")
        if wanted in self._undone:
            raise CannotUndo("act", wanted, f"act {wanted} was taken back already")
        if last is None or last.seq < wanted:
            raise CannotUndo(
                "act", wanted, f"act {wanted} is of {meant.by}, who alone takes it back"
            )
        raise CannotUndo(
            "act",
            wanted,
            f"act {wanted} is not the last: {last.by} {'gave' if last.is_add else 'took'} the tag "
            f"{last.tag} since, in act {last.seq}; take that back first, or change the tag by a new act",
        )

    def last(self) -> Act | None:
        """The last act in force, which `undo` would take back."""
        with self._threads:
            self._log.refresh()
            return self._last_in_force(None)

    def _last_in_force(self, by: str | None) -> Act | None:
        for act in reversed(self._acts.values()):
            is_theirs = by is None or act.by == by
            if act.rows is not None and act.seq not in self._undone and is_theirs:
                return act
        return None

    @property
    def _last_seq(self) -> int:
        return next(reversed(self._acts), 0)

    def _spelling(self) -> Mapping[str, str]:
        """key -> how it was written first, by an act in force."""
        names: dict[str, str] = {}
        for act in self._acts.values():
            if act.tag is not None and act.seq not in self._undone:
                names.setdefault(act.key, act.tag)
        return names

    def _work_out(self) -> None:
        for key in self._unread:
            acts = [
                act
                for act in self._acts.values()
                if act.rows is not None and act.key == key and act.seq not in self._undone
            ]
            self._in_force[key] = merged((self._rows(act), act.is_add) for act in acts)
            self._waiting.pop(key, None)
        self._unread.clear()
        for key in list(self._waiting):
            known = [(self._in_force[key], True)] if key in self._in_force else []
            new = [(self._rows(act), act.is_add) for act in self._waiting[key]]
            self._in_force[key] = merged([*known, *new])
            del self._waiting[key]
        names = self._spelling()
        rows = {names[key]: rows for key, rows in self._in_force.items() if key in names}
        self._tags = Tags(rows, self._last_seq)

    def _rows(self, act: Act) -> Positions:
        assert act.rows is not None
        try:
            return act.rows.load(self.folder)
        except (OSError, ValueError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            path = self.path if act.rows.file is None else self.folder / act.rows.file
            raise LakeDamaged(str(path), f"{reason}; {self._way_out}") from None

    @property
    def _way_out(self) -> str:
        return f"`lakesift tag {self.folder.parent} --mend` puts aside what is damaged"

    # -- writing

    @contextmanager
    def _writing(self) -> Iterator[BinaryIO]:
        """The log, open for appending, locked, read to its end and without half a line there."""
        with self._threads, self.lock(), self._log.writing() as file:
            yield file

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep others from writing tags; they can be read meanwhile.

        :raises LakeError: if the lake cannot be written, or somebody else holds it.
        """
        try:
            make_folder(self.folder)
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        no_locking = (
            f"{self.folder} lies on a file system without locks, so tags cannot be saved safely; "
            "move the lake to a local disk"
        )
        with held(self.folder / "tags.lock", no_locking, wait_s=LOCK_WAIT_S):
            yield

    def _stored(self, row_ids: Positions) -> RowSet:
        named = [act.rows for act in self._acts.values() if act.rows is not None]
        try:
            rows = stored(row_ids, self.folder)
            if rows.file is not None:
                for path in unnamed_files(self.folder, [*named, rows]):
                    path.unlink()
            return rows
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    # -- reading

    def _parse(self, body: bytes) -> Act:
        if not self._log.chain.is_begun:
            raise BrokenChain("has no chain")
        act = Act.from_line(body)
        if act.seq <= self._last_seq:
            raise ValueError(f"seq {act.seq} comes after {self._last_seq}")
        return act

    def _take(self, act: Act) -> None:
        self._acts[act.seq] = act
        if act.undo is None:
            self._waiting.setdefault(act.key, []).append(act)
        elif act.undo in self._acts:
            self._undone.add(act.undo)
            self._unread.add(self._acts[act.undo].key)

    def _damaged(self, error: ValueError) -> LakeDamaged:
        reason = f"{error}" if isinstance(error, BrokenChain) else f"is no act ({error})"
        return LakeDamaged(str(self.path), f"line {len(self._acts) + 1} {reason}; {self._way_out}")


def _unwritable(path: Path, error: OSError) -> LakeError:
    return LakeError(
        f"{path} cannot be written ({reason_of(error)}); tags are stored in the lake's folder, and "
        "nothing was tagged: see to it and try again"
    )
