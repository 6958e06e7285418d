"""The filters of an open lake: make one, open it, copy, delete and list them. `Filter` is what is done with one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from indexer.embed import Embedder, Vectors
from indexer.errors import BadRequest, UnreadableImage
from indexer.layout import Layout
from service.lake import Lake
from service.query import Query, query_vector
from service.relevance.carrying import Carried, carry
from service.relevance.definition import Definition, ExampleImage, Examples, Target, now
from service.relevance.filter import Filter
from service.relevance.fitting import draft
from service.relevance.listing import listing
from service.relevance.scorer import score_rows, vectors_of
from service.relevance.store import FilterStore
from service.snapshot import Snapshot


class Filters:
    """The filters of one lake."""

    def __init__(self, lake: Lake, embedder: Callable[[], Embedder] | None = None) -> None:
        """:param embedder: gives the lake's model, where it is not the lake itself that loads it."""
        self.lake = lake
        self.store = FilterStore(Layout(lake.folder))
        self._embedder = embedder or (lambda: lake.embedder)

    def names(self) -> list[str]:
        return self.store.names()

    def create(
        self,
        name: str,
        *,
        keep_texts: Sequence[str] = (),
        keep_images: Sequence[str | Path | ExampleImage] = (),
        keep_rows: Sequence[int] = (),
        drop_texts: Sequence[str] = (),
        drop_images: Sequence[str | Path | ExampleImage] = (),
        drop_rows: Sequence[int] = (),
        where: str | None = None,
        target: Target | None = None,
    ) -> Filter:
        """Make a draft: it scores, and promises nothing yet.

        :param keep_images, drop_images: files, or what was made of them.
        :raises BadRequest: if nothing is wanted, a row is unknown, or the name is taken or not fit for a folder.
        :raises WhereError: if where is not understood; UnreadableImage: if an example cannot be read.
        """
        snapshot = self.lake.snapshot
        keep = self._examples(snapshot, keep_texts, keep_images, keep_rows)
        drop = self._examples(snapshot, drop_texts, drop_images, drop_rows)
        self.store.add(self.drafted(snapshot, name, keep, drop, where, target or Target()))
        return self.open(name)

    def drafted(
        self,
        snapshot: Snapshot,
        name: str,
        keep: Examples,
        drop: Examples,
        where: str | None,
        target: Target,
    ) -> Definition:
        """A version 1 that is not saved yet.

        :raises BadRequest: as for `create`.
        """
        shown = _shown(snapshot, keep), _shown(snapshot, drop)
        definition = Definition(
            name=name,
            version=1,
            created_at=now(),
            parent=None,
            reason="created",
            keep=keep,
            drop=drop,
            where=where,
            target=target,
            model=dict(snapshot.manifest.fingerprint),
            snapshot=snapshot.number,
            scorer=draft(keep.texts, drop.texts, *shown, self._embedder),
        )
        if not len(score_rows(snapshot, definition.scorer, where)):
            raise BadRequest("where", "no image of the lake is left by it")
        return definition

    def _examples(
        self,
        snapshot: Snapshot,
        texts: Sequence[str],
        images: Sequence[str | Path | ExampleImage],
        rows: Sequence[int],
    ) -> Examples:
        shown = tuple(
            image if isinstance(image, ExampleImage) else self._example(snapshot, Path(image))
            for image in images
        )
        return Examples(tuple(texts), tuple(rows), shown)

    def _example(self, snapshot: Snapshot, path: Path) -> ExampleImage:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnreadableImage(str(path), error.strerror or str(error)) from None
        vector = query_vector(snapshot, Query.of(image=path), self._embedder)
        return ExampleImage(path.name, hashlib.sha256(data).hexdigest(), tuple(vector.tolist()))

    def open(self, name: str) -> Filter:
        """:raises UnknownFilter: if there is none of this name."""
        self.store.folder(name)
        return Filter(self.lake, self.store, name, self._embedder)

    def copy(self, name: str, new_name: str, *, labels: bool = False) -> Filter:
        """A filter of its own, like another's latest version. See `FilterStore.copy`."""
        self.store.copy(name, new_name, labels=labels)
        return self.open(new_name)

    def carry(
        self, name: str, into: Filters, new_name: str | None = None, *, labels: bool = False
    ) -> Carried:
        """Make a filter of another lake like one of this: its texts, examples, where and target. See `carrying`.

        :param new_name: None: the same.
        :param labels: True takes the labels along, too.
        :raises BadRequest: if it is the same lake, no text or example is left, none of the labelled images is in the
            other lake, or the name is taken there.
        :raises WhereError: if where is not understood there, as of a column that the other lake has not.
        """
        return carry(self, name, into, new_name or name, labels=labels)

    def delete(self, name: str) -> Path:
        """Take it out of service; where it lies now. See `FilterStore.delete`."""
        return self.store.delete(name)

    def to_json(self) -> dict[str, Any]:
        """All filters, a line each; and what is wrong with those of which there is none. See `listing`."""
        return listing(self)


def _shown(snapshot: Snapshot, examples: Examples) -> Vectors:
    """float32, (n, dim): the vectors of example rows and images."""
    rows = vectors_of(snapshot, examples.row_ids)
    images = np.array([image.vector for image in examples.images], np.float32)
    return np.concatenate([rows, images.reshape(-1, rows.shape[1])])
