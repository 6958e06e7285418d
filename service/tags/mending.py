"""What is damaged in the tags' log is put aside; every act that is whole stays in force."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ulid import ULID

from indexer.disk.chain import CHAINED, FIRST, lines_of, next_head
from indexer.disk.durable import fsync_folder, replace_file, write_file
from indexer.disk.entries import read_file, reason_of
from indexer.errors import LakeError
from service.tags.act import Act
from service.tags.book import TagBook


@dataclass(frozen=True, slots=True)
class Mended:
    kept: int  # lines
    lost: int  # lines
    aside: Path | None  # the log as it was; None: nothing was damaged, and nothing changed


def mend(book: TagBook) -> Mended:
    """Keep the lines of the log that are whole, and whose rows can be read.

    A line is whole if it says what its chain says, after what the line before it says its own was:
    one that was changed does not take those after it along. After a line without a chain this
    cannot be told of the next one, which is kept.

    :raises LakeError: if the folder cannot be written.
    """
    with book.lock():
        try:
            data = read_file(book.path)
        except FileNotFoundError:
            return Mended(0, 0, None)
        except OSError as error:
            raise LakeError(f"{book.path} cannot be read ({reason_of(error)})") from None
        *lines, half = data.split(b"\n")
        kept = _whole(lines, book.folder)
        if len(kept) == len(lines) and not half:
            return Mended(len(kept), 0, None)
        return _replace(book, data, kept, lost=len(lines) - len(kept))


def _replace(book: TagBook, data: bytes, kept: list[bytes], *, lost: int) -> Mended:
    aside = book.folder / f"log-{ULID()}.damaged"
    try:
        write_file(aside, data)
        fsync_folder(book.folder)
        replace_file(book.path, lines_of(kept))
    except OSError as error:
        raise LakeError(f"{book.folder} cannot be written ({reason_of(error)})") from None
    return Mended(len(kept), lost, aside)


def _whole(lines: list[bytes], folder: Path) -> list[bytes]:
    """The bodies, without chains, of the lines to be kept."""
    kept: list[bytes] = []
    head: str | None = FIRST
    seq = 0
    for line in lines:
        found = CHAINED.fullmatch(line + b"\n")
        before, head = head, None if found is None else found[2].decode()
        if found is None:
            continue
        body = found[1] + b"}"
        if before is not None and next_head(before, body) != head:
            continue
        act = _act(body, folder)
        if act is not None and act.seq > seq:
            seq = act.seq
            kept.append(body)
    return kept


def _act(body: bytes, folder: Path) -> Act | None:
    try:
        act = Act.from_line(body)
        if act.rows is not None:
            act.rows.load(folder)
    except (OSError, ValueError):
        return None
    return act
