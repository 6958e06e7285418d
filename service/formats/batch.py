"""Several items in a row as columns, and items as an export takes them: a batch or one at a time.

A format that can writes a batch as it is. A row that its columns cannot say in full, as a path that
is not UTF-8, becomes an Item, and is written as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from indexer.address import ADDRESS_COLUMNS
from indexer.disk.joined_places import is_odd, is_url, joined_places
from indexer.disk.rows import ROW_SCHEMA, is_part
from service.formats.item import Item, LeftOut
from service.search.hits import NOT_AMONG_COLUMNS
from service.search.json_columns import or_null, values_json

ITEMS_AT_ONCE = 1_000  # as Python values: some 10 MB
DECIDED = ("decision", "score", "probability", "label", "labeller")
# What an Item has beside its columns.
_OF_ITEM = ("row_id", *ADDRESS_COLUMNS, "width_px", "height_px")

LeftOutItem = tuple[str, LeftOut]  # its uri, and why


@dataclass(frozen=True)
class Batch:
    """Items as columns; each has the same number of rows, in one piece."""

    rows: pa.Table  # columns of the lake: those of _OF_ITEM at least
    decided: pa.Table  # DECIDED: text, float64, float64, text, text

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def between(self, start: int, end: int) -> Batch:
        """Some of them in a row; nothing is copied."""
        count = end - start
        return Batch(
            self.rows.slice(start, count).combine_chunks(),
            self.decided.slice(start, count).combine_chunks(),
        )

    def where(self, mask: pa.Array) -> Batch:
        """Those that a mask keeps."""
        return Batch(
            self.rows.filter(mask).combine_chunks(), self.decided.filter(mask).combine_chunks()
        )

    def items(self) -> Iterator[Item]:
        """
        :raises UnreadableImage: if a row holds no address of an image.
        """
        for start in range(0, len(self), ITEMS_AT_ONCE):
            rows = self.rows.slice(start, ITEMS_AT_ONCE).to_pylist()
            decided = self.decided.slice(start, ITEMS_AT_ONCE).to_pylist()
            for row, values in zip(rows, decided, strict=True):
                yield Item.of(row, *(values[name] for name in DECIDED))

    def column(self, name: str) -> pa.Array:
        """One column of the lake, (n,)."""
        return one_piece(self.rows[name])

    def said(self, name: str) -> pa.Array:
        """One of DECIDED, (n,); a user's own column may be called the same."""
        return one_piece(self.decided[name])

    @cached_property
    def places(self) -> pa.Array:
        """text, (n,): each one's `Item.uri`; null where only an Item knows it."""
        return one_piece(joined_places(self.rows, "#", "&"))

    @cached_property
    def uris(self) -> pa.Array:
        """text, (n,): each one's `Item.uri`."""
        return self.filled(self.places, lambda item: item.uri)

    @cached_property
    def is_odd(self) -> pa.Array:
        """bool, (n,): where only an Item knows the place."""
        return one_piece(is_odd(self.rows))

    @cached_property
    def is_part(self) -> pa.Array:
        """bool, (n,): as `Item.is_part`."""
        return one_piece(is_part(self.rows))

    @cached_property
    def is_url(self) -> pa.Array:
        """bool, (n,): whether its file is at a URL."""
        return one_piece(is_url(self.rows["uri"]))

    def size(self, name: str) -> pa.Array:
        """int32, (n,): `width_px` or `height_px` as an Item has it, 0 where it is not known."""
        return pc.fill_null(self.column(name), 0)

    @property
    def has_size(self) -> pa.Array:
        """bool, (n,): see `Item.check_size`."""
        sizes = (self.size(name) for name in ("width_px", "height_px"))
        return pc.and_(*(pc.not_equal(size, 0) for size in sizes))

    def below(self, root: str | None) -> pa.Array:
        """text, (n,): `Item.below` a folder or URL; null where that is none, or only an Item
        knows it.
        """
        nothing = pa.scalar(None, pa.string())
        if root is None:
            whole = pc.if_else(self.is_part, nothing, self.places)
            return pc.replace_substring_regex(whole, "^(?:/|[A-Za-z][A-Za-z0-9+.-]+://)", "")
        top = root.rstrip("/") + "/"
        is_below = pc.and_not(pc.starts_with(self.places, top), self.is_part)
        below = pc.utf8_slice_codeunits(self.places, len(top))
        return pc.if_else(is_below, below, nothing)

    @cached_property
    def local_paths(self) -> pa.Array:
        """text, (n,): `Item.local_path`; null where that is none, or only an Item knows it."""
        is_elsewhere = pc.or_(self.is_url, self.is_part)
        return pc.if_else(is_elsewhere, pa.scalar(None, pa.string()), self.places)

    def filled(self, found: pa.Array, of: Callable[[Item], str | bytes | None]) -> pa.Array:
        """What was found, and where that is null what an item says."""
        if not found.null_count:
            return found
        odd = found.is_null()
        said = pa.array([of(item) for item in self.where(odd).items()], found.type)
        return pc.replace_with_mask(found, odd, said)

    def lines(
        self, found: pa.Array, of: Callable[[Item], str | bytes]
    ) -> tuple[pa.Array, list[LeftOutItem]]:
        """As `told`, without those left out."""
        whole, left_out = self.told(found, of)
        return (whole.drop_null() if left_out else whole), left_out

    def told(
        self, found: pa.Array, of: Callable[[Item], str | bytes]
    ) -> tuple[pa.Array, list[LeftOutItem]]:
        """What was found, and where that is null what an item says; null where that is left out,
        and those.

        :param of: raises LeftOut.
        """
        left_out: list[LeftOutItem] = []

        def said(item: Item) -> str | bytes | None:
            try:
                return of(item)
            except LeftOut as error:
                # without its frames, which would hold the batch till the next garbage collection
                left_out.append((item.uri, error.with_traceback(None)))
                return None

        return self.filled(found, said), left_out


@runtime_checkable
class Batches(Protocol):
    """Items that can be had as columns, too."""

    def batches(self, names: Sequence[str] | None) -> Iterator[Batch]:
        """All of them, in their order.

        :param names: the columns that are needed; None: every column of the lake.
        """


@runtime_checkable
class InBulk(Protocol):
    """A chunk that takes batches."""

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        """As `Chunk.add` of each one; those that were left out, in their order."""


class Supply:
    """The items of an export, as many at a time as its chunks have."""

    def __init__(self, items: Iterable[Item] | Batches, names: Sequence[str] | None) -> None:
        """:param names: as `Batches.batches` has them."""
        self._pieces: Iterator[Batch | Item]
        if isinstance(items, Batches):
            self._pieces = items.batches(names)
        else:
            self._pieces = iter(items)
        self._next: Batch | Item | None = None

    def first(self) -> int | None:
        """The row_id of the next item; None: there is none."""
        while self._next is None or (isinstance(self._next, Batch) and not len(self._next)):
            self._next = next(self._pieces, None)
            if self._next is None:
                return None
        if isinstance(self._next, Item):
            return self._next.row_id
        return int(self._next.rows["row_id"][0].as_py())

    def part(self, size: int | None) -> Iterator[Batch | Item]:
        """The next so many items; None: all that are left."""
        left = size
        while left != 0 and self.first() is not None:
            piece = self._next
            if isinstance(piece, Item):
                count, self._next = 1, None
            else:
                assert piece is not None, "there is a first one"
                whole, count = len(piece), len(piece) if left is None else min(left, len(piece))
                self._next = piece.between(count, whole) if count < whole else None
                piece = piece.between(0, count) if count < whole else piece
            left = None if left is None else left - count
            yield piece


def needed(columns: Sequence[str] | None, names: Sequence[str], *, own: bool) -> list[str] | None:
    """The columns to read for a format; None: all.

    :param columns: those it shows beside what every Item has; None: all.
    :param names: of the lake.
    :param own: whether it shows the user's own columns and the caption.
    """
    if columns is None:
        return None
    shown = {*_OF_ITEM, *columns, *(own_columns(names) if own else ())}
    return [name for name in names if name in shown]


def own_columns(names: Iterable[str]) -> list[str]:
    """The user's own columns and the caption, as `Item.own_columns` has them."""
    ours = {*ROW_SCHEMA.names, *NOT_AMONG_COLUMNS} - {"caption"}
    return [name for name in names if name not in ours]


def decided_json(batch: Batch) -> list[pa.Array | str]:
    """`,"decision":"keep","score":0.25,"probability":null` of each one, in pieces to be joined."""
    pieces: list[pa.Array | str] = []
    for name in ("decision", "score", "probability"):
        pieces += [f',"{name}":', or_null(values_json(batch.said(name)))]
    return pieces


def one_piece(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
