"""The filters of an open lake: make one, open it, copy,
delete and list them. `Filter` is what is done with one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from indexer.arrays import Vectors
from indexer.config import ReadLimits
from indexer.disk.layout import Layout
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeError
from service.lake import Lake
from service.relevance.answers import DamagedFilter, FiltersAnswer
from service.relevance.carrying import Carried, carry
from service.relevance.decisions.store import FilterStore
from service.relevance.definition import Definition, ExampleImage, Examples, Target, now
from service.relevance.filter import Filter
from service.relevance.labels.mending import Mended
from service.relevance.scoring.fitting import draft
from service.relevance.scoring.scorer import score_rows, vectors_of
from service.search.query import Query
from service.search.vector import query_vector
from service.snapshot.snapshot import Snapshot


class Filters:
    """The filters of one lake."""

    def __init__(self, lake: Lake, embedder: Callable[[], Embedder] | None = None) -> None:
        """:param embedder: gives the lake's model,
        where it is not the lake itself that loads it.
        """
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

        Where a filter of this name was deleted after it was audited, its audits count on.

        :param keep_images, drop_images: files, or what was made of them.
        :raises BadRequest: if nothing is wanted, a row is unknown, or the name is taken or not fit
            for a folder.
        :raises WhereError: if where is not understood; UnreadableImage: if an example cannot be
            read.
        """
        snapshot = self.lake.snapshot
        keep = self._examples(snapshot, keep_texts, keep_images, keep_rows)
        drop = self._examples(snapshot, drop_texts, drop_images, drop_rows)
        made = self.drafted(snapshot, name, keep, drop, where, target or Target())
        self.store.add(replace(made, copied=self.store.deleted_before(name)))
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
            if where is None:
                raise BadRequest("lake", "it holds no image yet; index some first")
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
        from indexer.images import read_named  # not at the top: most filters decode nothing

        data = read_named(path, ReadLimits())
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
        """Make a filter of another lake like one of this:
        its texts, examples, where and target. See `carrying`.

        :param new_name: None: the same.
        :param labels: True takes the labels along, too.
        :raises BadRequest: if it is the same lake, no text or example is left, none of the labelled
            images is in the other lake, or the name is taken there.
        :raises LakeError: if this lake cannot be written: what the copy takes of the chance of
            error is written down here.
        :raises WhereError: if where is not understood there, as of a column that the other lake has
            not.
        """
        return carry(self, name, into, new_name or name, labels=labels)

    def delete(self, name: str) -> Path:
        """Take it out of service; where it lies now. See `FilterStore.delete`."""
        return self.store.delete(name)

    def mend(self, name: str) -> Mended:
        """Go on with the labels that can be believed, where they are damaged. See
        `FilterStore.mend`.
        """
        return self.store.mend(name)

    def listing(self) -> FiltersAnswer:
        """The summary of each filter that can be used, and what is wrong with the rest, by name."""
        usable, problems = [], []
        for name in self.names():
            try:
                usable.append(self.open(name).summary())
            except LakeError as error:
                problems.append(DamagedFilter(name, str(error)))
        return FiltersAnswer(tuple(usable), tuple(problems))


def _shown(snapshot: Snapshot, examples: Examples) -> Vectors:
    """float32, (n, dim): the vectors of example rows and images."""
    rows = vectors_of(snapshot, examples.row_ids)
    images = np.array([image.vector for image in examples.images], np.float32)
    return np.concatenate([rows, images.reshape(-1, rows.shape[1])])
