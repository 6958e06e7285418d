"""A lake opened for reading: the current snapshot,
its model, and a reload when a new snapshot is committed.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from indexer.arrays import Positions, RowMask, Vectors
from indexer.disk import manifest as manifest_module
from indexer.disk.entries import check_lake, read_file
from indexer.disk.layout import Layout
from indexer.disk.locks import Reading
from indexer.disk.manifest import Manifest, check_files, read_manifest
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeDamaged, LakeError, SnapshotGone
from indexer.models import check_model, load_model_of
from service.alike.live import LiveGroups
from service.alike.names import where_others
from service.search.browse import Passing, passing
from service.search.collapse import NEAR_BITS
from service.search.decided import DecidedBy, DecidedRows
from service.search.facets import VALUES, Facets, facets
from service.search.query import ByMoment, ImageLike, MaxPer, Query
from service.search.saved import SavedSearches
from service.search.score_histogram import BINS, ScoreHistogram, masks_above, score_histogram
from service.search.search import (
    Hit,
    Page,
    row_ids_found,
    search,
    search_page,
    search_together,
    stream,
)
from service.search.tagging import Tagged, choice_of, give_tag, tag_counts, take_tag
from service.search.understood import Understood, understand
from service.snapshot.background import BackgroundCheck
from service.snapshot.older import OlderSnapshots
from service.snapshot.snapshot import Snapshot
from service.tags.act import Act
from service.tags.book import TagBook
from service.tags.names import UNNAMED

if TYPE_CHECKING:
    from indexer.report import Progress
    from service.curate.comparing.compare import Comparison
    from service.curate.groups import GroupsMade
    from service.curate.picking.pick import Picks
    from service.curate.strange.strange import StrangeImages
    from service.map.making import MapMade
    from service.search.ledgers import LedgersInUse
    from service.search.suggested import Suggested


class Lake:
    """An open lake. Searching is safe from several threads;
    a search keeps the snapshot it began with.

    `problems` says, a sentence each, what is damaged and out of service.
    """

    def __init__(
        self,
        layout: Layout,
        embedder: Embedder | None = None,
        *,
        background_check: bool = False,
        trust_model: bool = False,
    ) -> None:
        check_lake(layout)  # before the mark in readers/ is made
        self._layout = layout
        self._reading = Reading(layout)
        weakref.finalize(self, self._reading.close)  # also at exit, where nobody closed it
        self._given = embedder
        self._trust_model = trust_model
        self._loading = threading.Lock()
        self._moving = threading.Lock()  # held while another snapshot takes the place of this one
        self._check = BackgroundCheck(layout, self._take_out) if background_check else None
        self._older = OlderSnapshots(self._reading)
        self._finding_ledgers = threading.Lock()
        self._tag_book = TagBook(layout.tags)
        self.snapshot = self._open()
        self._check_behind()

    @classmethod
    def open(
        cls,
        folder: str | Path,
        embedder: Embedder | None = None,
        *,
        background_check: bool = False,
        trust_model: bool = False,
    ) -> Lake:
        """Open the current snapshot.

        :param embedder: the lake's own model, if it is loaded already; None loads it when a query
            needs it.
        :param background_check: True reads every byte of a lake too large to be checked whole now
            (from 256 MB), while it answers; segments found damaged go out of service.
        :param trust_model: True: load whatever model the lake names. Else it is `builtin`, or one
            that was named on this machine before, as in `lakesift index --model` or
            `load_embedder`; said once, it is remembered.
        :raises LakeNotFound: if the folder is not a lake.
        :raises LakeDamaged: if no snapshot can be read at all; LakeUnsafe: if a link stands for
            something of the lake.
        """
        return cls(
            Layout(Path(folder)),
            embedder,
            background_check=background_check,
            trust_model=trust_model,
        )

    def _open(self, before: Snapshot | None = None) -> Snapshot:
        """The current snapshot, sharing with the one before what both have."""
        while True:
            manifest, problems = read_manifest(self._layout)
            self._older.hold(manifest.snapshot, *([] if before is None else [before.number]))
            snapshot = self._read(manifest, before)
            if (
                not snapshot.problems
                or read_manifest(self._layout)[0].snapshot == manifest.snapshot
            ):
                break  # else `vacuum` may have taken it in the instant before it was held
        snapshot.problems[:0] = problems
        return snapshot

    def _read(self, manifest: Manifest, current: Snapshot | None) -> Snapshot:
        """:param current: segments found whole there are not read again."""
        known = [*self._older.parts(), *([] if current is None else current.parts)]
        groups = None if current is None else current.groups
        opened = check_files(
            self._layout,
            manifest,
            known={
                *(part.segment.entry.id for part in known),
                *(part.codes.id for part in known if part.codes is not None),
                *(() if groups is None else (groups.stored.id,)),
            },
        )
        snapshot = Snapshot(self._layout, opened, known, groups, self._tag_book)
        return snapshot if self._check is None else snapshot.without(self._check.damaged)

    def _check_behind(self) -> None:
        if (
            self._check is not None
            and self.manifest.size_bytes >= manifest_module.ALWAYS_DEEP_BELOW_BYTES
        ):
            self._check.look_at(self.manifest)

    def _take_out(self, damaged: Mapping[str, str]) -> None:
        with self._moving:
            self._older.change(lambda snapshot: snapshot.without(damaged))
            rest = self.snapshot.without(damaged)
            with suppress(LakeDamaged):  # more damage, which the check will come to
                rest.warm()
            self.snapshot = rest

    def reload(self) -> bool:
        """Move to the current snapshot; True if it is another one.
        Searches that run keep the old one.

        The new one is ready before it takes the old one's place, so the first search on it is as
        fast as the second.
        """
        with self._moving:
            manifest, _ = read_manifest(self._layout)
            old = self.snapshot
            if manifest.snapshot == old.number:
                return False
            self.snapshot = self._open(old).warm()
            self._older.put(old)
            self._older.hold(self.snapshot.number)
        self._check_behind()
        return True

    def at(self, number: int) -> Snapshot:
        """The current snapshot, or an older one that is still on disk;
        the last three used stay open and on disk.

        :raises SnapshotGone: if its manifest or one of its files is gone.
        """
        current = self.snapshot
        found = current if current.number == number else self._older.get(number)
        if found is not None:
            return found
        with self._moving:
            current = self.snapshot  # another thread may have been first
            found = current if current.number == number else self._older.get(number)
            return self._open_older(number, current) if found is None else found

    def _open_older(self, number: int, current: Snapshot) -> Snapshot:
        self._older.hold(current.number, number)
        path = self._layout.snapshot(number)
        try:
            manifest = Manifest.from_json(read_file(path), str(path))
            if any(
                not file.exists() for file in (self._layout.root / name for name in manifest.checks)
            ):
                raise SnapshotGone(str(self.folder), number)
            snapshot = self._read(manifest, current).warm()
            # `vacuum`, if it did not see the hold, deletes this file before any that it names
            path.lstat()
            self._older.put(snapshot)
            return snapshot
        except (OSError, LakeDamaged):
            raise SnapshotGone(str(self.folder), number) from None
        finally:
            self._older.hold(current.number)

    @property
    def folder(self) -> Path:
        return self._layout.root

    @property
    def manifest(self) -> Manifest:
        return self.snapshot.manifest

    @property
    def problems(self) -> Sequence[str]:
        return tuple(self.snapshot.problems)

    @property
    def rows(self) -> int:
        return self.snapshot.live_rows

    @property
    def embedder(self) -> Embedder:
        """The lake's model, loaded once.

        :raises WrongModel: if the model at hand has another fingerprint than the lake's.
        :raises ModelUnavailable: if it cannot be loaded here; ModelNotTrusted: if only the lake
            names it.
        """
        with self._loading:
            return self._embedder

    @cached_property
    def _embedder(self) -> Embedder:
        manifest = self.manifest
        name = str(self.folder)
        embedder = self._given or load_model_of(name, manifest, trust_model=self._trust_model)
        check_model(name, manifest, embedder)
        return embedder

    def search(
        self,
        text: str | Sequence[str] | None = None,
        *,
        image: ImageLike | Sequence[ImageLike] | None = None,
        not_text: str | Sequence[str] | None = None,
        not_image: ImageLike | Sequence[ImageLike] | None = None,
        row_id: int | Sequence[int] | None = None,
        not_row_id: int | Sequence[int] | None = None,
        vector: Vectors | None = None,
        where: str | None = None,
        filter: str | None = None,
        decision: str | Sequence[str] | None = None,
        k: int | None = 10,
        min_z: float | None = None,
        offset: int = 0,
        collapse: bool = False,
        max_per: MaxPer | tuple[str, int] | None = None,
        moments: ByMoment | float | None = None,
        diversity: float | None = None,
        explain: bool = False,
        sort: str | None = None,
        recall: float | None = None,
        exact: bool = False,
    ) -> list[Hit]:
        """Find the images most similar to what is wanted and least to what is not, best first.

        The query is the normalised sum of the wanted texts, images and rows less the unwanted ones,
        each of weight 1; use `search_query` for other weights.

        :param image: a path, an encoded image's bytes, or a uint8 RGB array (height, width, 3).
        :param vector: float32, (dim,), made by the lake's own model; added as one more wanted
            example.
        :param where: a SQL predicate over the rows' columns, applied before the top k.
        :param filter: only rows that this filter decided as `decision` says: a name, with @ and a
            version where it is not to be the one applied last. Rows added since have no decision,
            and are not found.
        :param decision: keep, ask, drop, undecided or several of them; None: keep.
        :param k: hits wanted, up to every row; None: all.
        :param min_z: only hits whose z is at least this.
        :param offset: hits to pass over.
        :param collapse: True makes near-identical images one hit, the best of them; its `collapsed`
            names the others.
        :param max_per: ("camera", 2): at most 2 hits for each value of that column; rows without a
            value count as one value together.
        :param moments: 5: frames of one video, or of one topic of a recording, that fit and are at
            most 5 seconds apart are one hit, the best of them; its `span` has the first and last.
        :param diversity: 0 to 1: how much it counts against a hit that it is like those before it
            (maximal marginal relevance, among the 500 best); 0 or None: not at all.
        :param explain: True: a hit's `explained` has what each example adds to its score.
        :param sort: "date:down", "path", "random:17", "match:up" or a column, as "width_px:down":
            the first k of all that pass, in this order; None: the best match first.
        :param recall: 0.99: it may miss one in a hundred of the nearest, which makes a search of a
            large lake with groups many times as fast; None: as the lake is set, which is exact
            unless somebody chose otherwise. `search_page` tells what was done.
        :param exact: True: every row is searched, however the lake is set.
        :raises BadRequest: if nothing is wanted or unwanted, k is below 1, a row_id or max_per's
            column is unknown, or the filter was not applied yet.
        :raises UnknownFilter: if there is none of this name.
        :raises WhereError: if where is not understood.
        :raises UnreadableImage: if an image cannot be read.
        """
        examples = Query.of(
            text=text,
            image=image,
            not_text=not_text,
            not_image=not_image,
            row_id=row_id,
            not_row_id=not_row_id,
            vector=vector,
        )
        options = {
            "where": where,
            "filter": filter,
            "decision": decision,
            "k": k,
            "min_z": min_z,
            "offset": offset,
            "collapse": collapse,
            "max_per": MaxPer(*max_per) if isinstance(max_per, tuple) else max_per,
            "moments": ByMoment(moments) if isinstance(moments, int | float) else moments,
            "diversity": diversity,
            "explain": explain,
            "sort": sort,
            "recall": recall,
            "exact": exact,
        }
        return self.search_query(examples.with_options(options))

    def browse(
        self,
        where: str | None = None,
        *,
        filter: str | None = None,
        decision: str | Sequence[str] | None = None,
        sort: str | None = None,
    ) -> Passing:
        """The rows that pass, without a query, by rising row_id: `len` counts, a loop reads them.

        :param where: as `search` takes it; so are filter, decision and sort.
        :raises BadRequest: if the filter was not applied, a decision comes without a filter, or
            there is nothing to sort by.
        :raises UnknownFilter: if there is none of this name.
        :raises WhereError: if where is not understood.
        """
        said = {"where": where, "filter": filter, "decision": decision, "sort": sort}
        return self.passing(Query().with_options(said))[0]

    def facets(
        self,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        *,
        values: int = VALUES,
        filter: str | None = None,
        decision: str | Sequence[str] | None = None,
    ) -> Facets:
        """What the columns hold, counted: values with their numbers of rows, or a histogram. A
        column is counted without the conditions of `where` that ask for it alone.

        :param where: as `search` takes it; so are filter and decision.
        :param columns: their names, as a `where` writes them; None: those with a range or few
            values.
        :param values: of a column at most so many, those that most rows have; 1 to 1,000.
        :raises BadRequest: if a column is unknown, values is out of range, the filter was not
            applied, or a decision comes without a filter.
        :raises UnknownFilter: if there is none of this name.
        :raises WhereError: if where is not understood.
        """
        query = Query().with_options({"where": where, "filter": filter, "decision": decision})
        return self.count_columns(query, columns, values=values)

    def count_columns(
        self,
        query: Query,
        columns: Sequence[str] | None,
        *,
        values: int,
        snapshot: Snapshot | None = None,
    ) -> Facets:
        """As `facets`, by a query's where and decided; on the current snapshot, if none is given.
        With examples and a min_z among the images alone that match so strongly.
        """
        snapshot = self.snapshot if snapshot is None else snapshot
        by = query.decided
        among: Sequence[RowMask] | None
        if query.has_examples and query.min_z is not None:
            # Without its where: a column is counted without the conditions that ask for it alone.
            everywhere = replace(query, where=None)
            among = masks_above(
                understand(snapshot, everywhere, lambda: self.embedder, self.rows_decided)
            )
        else:
            query.check_browsing()
            among = None if by is None else self.rows_decided(snapshot, by).masks
        return facets(snapshot, query.where, columns, values=values, among=among)

    def tags(self) -> dict[str, int]:
        """The names of the tags, by the alphabet, and how many images have each.

        :raises LakeDamaged: if the log of tags is damaged.
        """
        return tag_counts(self.snapshot)

    def tag(
        self,
        name: str,
        rows: int | Sequence[int] | None = None,
        *,
        where: str | None = None,
        query: Query | None = None,
        by: str = UNNAMED,
    ) -> Tagged:
        """Give images a tag, stored beside the lake: one act, which `undo_tag` takes back.

        Images are chosen by one of `rows`, `where` and `query`.

        :param name: 1 to 64 letters, digits, '-', '_', '.' and single spaces; Night and night are
            one tag, called as it was first.
        :param rows: row_ids; those that the lake has not are told in the answer, the rest is done.
        :param where: as `search` takes it; every row that passes.
        :param query: its hits: `Query.of("a tram").with_options({"k": 100})`.
        :param by: who says so.
        :raises BadRequest: if the name is none, or nothing is chosen by.
        :raises UnknownRow: if the lake has none of the rows.
        :raises LakeError: if the lake cannot be written.
        """
        return self._change_tag(name, rows, where, query, by, is_add=True)

    def untag(
        self,
        name: str,
        rows: int | Sequence[int] | None = None,
        *,
        where: str | None = None,
        query: Query | None = None,
        by: str = UNNAMED,
    ) -> Tagged:
        """Take a tag from images, chosen as for `tag`; from all, where nothing is chosen by.

        :raises BadRequest: if no image has a tag of this name.
        """
        return self._change_tag(name, rows, where, query, by, is_add=False)

    def _change_tag(
        self,
        name: str,
        rows: int | Sequence[int] | None,
        where: str | None,
        query: Query | None,
        by: str,
        *,
        is_add: bool,
    ) -> Tagged:
        snapshot = self.snapshot
        wanted = [rows] if isinstance(rows, int) else rows
        choice = choice_of(snapshot, wanted, where, None if query is None else self._found(query))
        change = give_tag if is_add else take_tag
        return change(snapshot, name, choice, by)

    def _found(self, query: Query) -> Positions:
        """The row_ids of a query's hits; of one without examples, of all rows that pass."""
        if query.has_examples:
            return row_ids_found(self.understand(query))
        if query.where is None and query.decided is None:
            raise BadRequest(
                "query", "it asks for nothing; say what to look for, or which rows pass"
            )
        return self.passing(query)[0].row_ids

    def undo_tag(self, by: str | None = None, act: int | None = None) -> Act | None:
        """Take the last act back that is in force, of `tag` or `untag`.

        :param by: the last act of this person; None: of anybody.
        :param act: the number of the one that is meant, as `Tagged.seq` has it; None: the last.
        :returns: what was taken back; None: there was nothing.
        :raises CannotUndo: if the one that is meant is not the last, or was taken back already.
        """
        return self._tag_book.undo(by, act)

    def make_groups(
        self,
        *,
        bits: int = NEAR_BITS,
        threshold: float | None = None,
        progress: Progress | None = None,
    ) -> GroupsMade:
        """Group all images of the lake that are nearly the same, and store that beside it, in the
        place of the groups that are there: `where` has `group`, `group_size` and `is_best` then.

        Images that come later are in no group until this is called again.

        :param bits: 0 to 8: of the 64 bits of two images' perceptual hashes so many may differ.
        :param threshold: -1 to 1: least cosine of their vectors; None: 0.5.
        :raises BadRequest: if bits or threshold is out of range.
        :raises LakeError: if the lake cannot be written.
        """
        from service.curate.groups import THRESHOLD, make_groups

        least = THRESHOLD if threshold is None else threshold
        return make_groups(self.snapshot, bits=bits, threshold=least, progress=progress)

    @property
    def groups(self) -> LiveGroups | None:
        """The groups of near-identical images, of the rows that live; None: there are none yet.

        :raises LakeDamaged: if their file is damaged.
        """
        return self.snapshot.alike()

    def pick(
        self,
        n: int,
        *,
        by: str = "coverage",
        where: str | None = None,
        labelled: str | None = None,
        at_most: Mapping[str, int] | None = None,
        at_least: Mapping[str, int | float] | None = None,
        within: float | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Picks:
        """Pick images to label, and tell how near the lake lies to them. Nothing is written: `tag`
        keeps them.

        :param n: 1 to 20,000; fewer are picked where no more keep to what is asked.
        :param by: "coverage": so that each image of the lake is as near as can be to one of them;
            "diversity": so that they lie far apart, the odd ones first.
        :param where: pick of these alone, and stand for these alone; as `search` takes it.
        :param labelled: a where: images that have labels. They count as picked before.
        :param at_most: a column and how many picks may share a value of it; {"group": 1}: one of a
            group of near-identical images. Images without a value are not limited.
        :param at_least: a where and how many picks pass it: a number, or a share as 0.2.
        :param within: -1 to 1: a cosine; the answer tells which share of the images have a pick
            within it, too.
        :param seed: of what is drawn at random.
        :raises BadRequest: if an argument is out of range, or a column is unknown.
        :raises WhereError: if a where is not understood.
        """
        from service.curate.picking.pick import pick

        return pick(
            self.snapshot,
            n,
            by=by,
            where=where,
            labelled=labelled,
            at_most=at_most,
            at_least=at_least,
            within=within,
            seed=seed,
            progress=progress,
        )

    def compare(
        self,
        a: str,
        b: str | None = None,
        *,
        phrases: Sequence[str] = (),
        one_per: str | None = None,
        q: float = 0.05,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Comparison:
        """Whether two sets of images differ, where, and in words; nothing is written.

        At most 10,000 images of each are drawn at random. It is taken for granted that each was
        drawn by itself: where they are frames of videos, say `one_per`.

        :param a: a where, as `search` takes it; b: likewise, of other images; None: of all others.
        :param phrases: to name differences by, beside a vocabulary of what photos are often of.
        :param one_per: a column: of each value one image of each set is taken; "group": of each
            group of near-identical images.
        :param q: above 0, up to 1: of the clusters that are told at most this share is expected to
            be there by chance, and of the phrases.
        :param seed: of what is drawn at random.
        :raises BadRequest: if an image passes both, a set has fewer than 20 images, an argument is
            out of range, or a column is unknown; ModelUnavailable: without its model no words.
        :raises WhereError: if a where is not understood.
        """
        from service.curate.comparing.compare import compare

        return compare(
            self.snapshot,
            a,
            b,
            embed=lambda texts: self.embedder.embed_texts(texts),  # once the sets are known
            phrases=phrases,
            one_per=one_per,
            q=q,
            seed=seed,
            progress=progress,
        )

    def strange(
        self,
        n: int = 100,
        *,
        where: str | None = None,
        labelled: str | None = None,
        q: float = 0.05,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> StrangeImages:
        """Which images stand alone, farther from their tenth nearest than the tail of the lake's
        distances explains, in groups that have a name; nothing is written.

        :param n: 1 to 10,000: told at most, the strangest first.
        :param where: look at these alone, as `search` takes it; 100 images at least.
        :param labelled: a where: 100 images or more that have labels. Then the distance is that to
            the nearest of these, usual is how far they are from each other, and none is told.
        :param q: above 0, up to 1: of what is found at most this share is expected to be there by
            chance, if the tail above falls off at least as fast as it does below.
        :param seed: of what is drawn at random, where the lake has more than 20,000 images.
        :raises BadRequest: if an argument is out of range, or too few images pass;
            ModelUnavailable: without its model no words.
        :raises WhereError: if a where is not understood.
        """
        from service.curate.strange.strange import strange

        return strange(
            self.snapshot,
            n,
            where=where,
            labelled=labelled,
            embed=lambda texts: self.embedder.embed_texts(texts),  # only where there is something
            q=q,
            seed=seed,
            progress=progress,
        )

    def make_map(
        self,
        *,
        anew: bool = False,
        landmarks: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> MapMade:
        """Put all images on the map that is stored beside the lake: the first time it is laid out,
        later those that came since are placed beside what they look like.

        :param anew: True: lay it out anew, though there is one.
        :param landmarks: 100 to 100,000: images that are laid out against each other; None: 10,000.
        :param seed: another one gives another map.
        :raises BadRequest: if landmarks or seed is out of range.
        :raises LakeDamaged: if the map that is there cannot be read.
        :raises LakeError: if openTSNE is not installed, or the lake cannot be written.
        """
        from service.map.making import LANDMARKS, make_map

        marks = LANDMARKS if landmarks is None else landmarks
        return make_map(self.snapshot, anew=anew, landmarks=marks, seed=seed, progress=progress)

    @property
    def where_copies(self) -> str:
        """A `where` that all but the best of each group pass."""
        return where_others(self.snapshot.schema.names)

    def passing(self, query: Query) -> tuple[Passing, DecidedRows | None]:
        """As `browse`, by a query's where, decided and sort alone, and what its filter decided.

        :raises BadRequest: if the query has what only a search can answer.
        """
        query.check_browsing()
        snapshot = self.snapshot
        by = query.decided
        decided = None if by is None else self.rows_decided(snapshot, by)
        among = None if decided is None else decided.masks
        return passing(snapshot, query.where, among, query.sort), decided

    def search_query(self, query: Query) -> list[Hit]:
        """As `search`, with weights."""
        return search(self.understand(query))

    def search_page(self, query: Query) -> Page:
        """As `search_query`, and where the next page begins."""
        return search_page(self.understand(query))

    def search_many(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """As `search_query`, several queries at once, on one snapshot: a list of hits for each.

        In a large lake they share one pass over the rows, so that 64 queries together take a
        fraction of the time that they take one after the other.

        :raises LakeError: as `search` does, for the first query with a mistake.
        """
        snapshot = self.snapshot
        asked = [
            understand(snapshot, query, lambda: self.embedder, self.rows_decided)
            for query in queries
        ]
        hits = []
        for page in search_together(asked):
            if isinstance(page, LakeError):
                raise page
            hits.append(page.hits)
        return hits

    def score_histogram(self, query: Query, bins: int = BINS) -> ScoreHistogram:
        """How strongly all rows match that the query's where and filter keep, counted; and how many
        have its min_z.

        :param bins: at most so many, 4 to 1,000.
        :raises LakeError: as `search` does.
        """
        return score_histogram(self.understand(query), bins)

    def stream(self, query: Query) -> Iterator[Hit]:
        """As `search_query`, rows read as they are asked for;
        a million hits do not fill the memory.
        """
        return stream(self.understand(query))

    def understand(self, query: Query) -> Understood:
        """A query, ready to be answered on the current snapshot: what is wrong with it shows now.

        :raises LakeError: as `search` does.
        """
        return understand(self.snapshot, query, lambda: self.embedder, self.rows_decided)

    def rows_decided(self, snapshot: Snapshot, asked: DecidedBy) -> DecidedRows:
        """The rows of a snapshot of this lake that a filter decided so.
        A ledger is read once for many searches.

        :raises UnknownFilter: if there is none of this name; BadRequest: if it was not applied, or
            not this version.
        """
        with self._finding_ledgers:
            ledgers = self._ledgers
        return ledgers.rows(snapshot, asked)

    @cached_property
    def _ledgers(self) -> LedgersInUse:
        from service.search.ledgers import LedgersInUse

        return LedgersInUse(self._layout)

    @cached_property
    def searches(self) -> SavedSearches:
        """The searches that people saved by name, beside the lake."""
        return SavedSearches(self._layout.searches)

    @cached_property
    def suggested(self) -> Suggested:
        """What one may try in this lake, worked out once a snapshot."""
        from service.search.suggested import Suggested

        return Suggested()

    def close(self) -> None:
        """Let `vacuum` delete the snapshot this lake had open."""
        if self._check is not None:
            self._check.stop()
        self._reading.close()

    def __enter__(self) -> Lake:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
