"""Other tools' vectors become rows of a lake, all of them in one snapshot, or none.

No image is read but a few that tell whether the named model made the vectors. Memory holds one
segment's vectors, and 8 bytes for every row.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from ulid import ULID

from indexer.address import ADDRESS_COLUMNS, Address
from indexer.arrays import Vectors
from indexer.config import IndexConfig
from indexer.disk.entries import reason_of, remove
from indexer.disk.layout import Layout
from indexer.disk.manifest import (
    IMPORTED,
    Manifest,
    SegmentEntry,
    SkippedEntry,
    SourceEntry,
    publish,
)
from indexer.disk.rows import Spellings, merge_types, own_types, place_keys
from indexer.disk.segment import Segment, SegmentWriter
from indexer.disk.tables import Skipped, dead_positions, write_skipped
from indexer.embed import Embedder
from indexer.errors import BadRequest, DimensionMismatch, LakeError, SourceError
from indexer.models import UNKNOWN, as_imported, check_model
from indexer.report import Progress, Silent, SyncReport
from indexer.run.coding import with_codes
from indexer.run.grouping.making import own_model, with_groups
from indexer.run.writing.commits import clear_staging
from indexer.run.writing.compact import compact
from indexer.run.writing.first_run import folder_held
from indexer.run.writing.opening import open_manifest
from indexer.sources.guard import remember_sites
from indexer.sources.names import absolute, is_url, uri_of
from indexer.vector_files.agreement import LEAST_AGREEMENT, TRIES, measure
from indexer.vector_files.rows import RowMaker, is_ours
from indexer.vector_files.tables import OURS, VectorRows, VectorTable, open_tables
from indexer.words import count

SEGMENT_BYTES = 256 * 2**20  # of vectors in one segment: they are held in memory until it is whole
SKIPPED_ROWS = 65_536  # skips in one file
_MOST_SITES = 100
_TWICE = "another row names this image, and one row an image is kept: the first"
_THERE = "the lake has a row of this image already, which is kept"

Hashes = NDArray[np.int64]


def import_vectors(
    lake: Path,
    path: Path,
    load_embedder: Callable[[], Embedder] | None = None,
    *,
    vector: str | None = None,
    uri: str | None = None,
    images: Path | None = None,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> SyncReport:
    """Put vectors that another tool made into a lake, with the rows that they belong to.

    They are brought to unit length; a row whose vector is null, all zeros, of another width or no
    number is skipped with its reason, and so is one whose image another row names. `sync` leaves
    what was imported alone.

    :param lake: made if it is not there.
    :param path: a folder as clip-retrieval writes it, a Parquet file, or a folder of such.
    :param load_embedder: gives the model that made the vectors; up to 16 of the images are embedded
        again to see whether it did. None: nobody knows, and the lake answers by row and by vector.
    :param vector: the column of vectors in a Parquet file; None: the only one that can be.
    :param uri: the column that names the images; None: found by its name.
    :param images: the folder that relative paths start at; None: the one that the table is in.
    :param should_stop: asked often; True ends the run, and nothing is imported.
    :raises SourceError: if there are no vectors, or none of them can be used.
    :raises BadRequest: if an argument makes no sense, was imported before, or the model did not
        make these vectors.
    :raises DimensionMismatch: if they are not as wide as the model's or the lake's.
    :raises WrongModel: if the lake is another model's; LakeLocked: if another process writes it.
    """
    if is_url(str(path)):
        raise SourceError(str(path), "vectors are imported from this disk; copy the files here")
    layout, config = Layout(lake), config or IndexConfig.from_env()
    tables = open_tables(path, vector)
    source = uri_of(absolute(str(path)))[0]
    start = path if images is None and path.is_dir() else images
    embedder = None if load_embedder is None else load_embedder()
    if embedder is not None and embedder.dim != tables[0].dim:
        raise DimensionMismatch(embedder.dim, tables[0].dim)
    try:
        with folder_held(layout, config):
            clear_staging(layout)
            run = _Import(layout, tables, source, embedder, config, progress or Silent())
            run.make_rows(uri, start)
            return run.run(should_stop)
    except OSError as error:
        reason = f"{error.filename or lake}: {reason_of(error)}; nothing was imported"
        raise LakeError(reason) from error


class _Stopped(Exception):
    """The user asked for it."""


class _Import:
    """One import's state."""

    def __init__(
        self,
        layout: Layout,
        tables: Sequence[VectorTable],
        source: str,
        embedder: Embedder | None,
        config: IndexConfig,
        progress: Progress,
    ) -> None:
        self.started = time.monotonic()
        self.layout, self.tables, self.source = layout, tables, source
        self.embedder, self.config, self.progress = embedder, config, progress
        self.report = SyncReport(str(layout.root))
        self.before = open_manifest(layout, config, self.report)
        self.manifest = self._manifest()
        self.makers: list[RowMaker] = []
        self.segments: list[SegmentEntry] = []
        self.skips: list[SkippedEntry] = []
        self.waiting: list[Skipped] = []
        self.writer: SegmentWriter | None = None
        self.schema: pa.Schema | None = None
        self.in_segment = 0
        self.columns = dict(self.manifest.columns)

    def _manifest(self) -> Manifest:
        """That of the lake, or of a new one.

        :raises BadRequest, DimensionMismatch, WrongModel: if these vectors do not belong there.
        """
        lake, dim = str(self.layout.root), self.tables[0].dim
        manifest, embedder = self.before, self.embedder
        if manifest is None and embedder is not None:
            return Manifest(embedder.model_id, as_imported(dict(embedder.fingerprint)), dim)
        if manifest is None:
            # Vectors of two lakes are never taken for those of one model that nobody knows.
            return Manifest(
                UNKNOWN, as_imported({"name": UNKNOWN, "space": str(ULID()), "dim": dim}), dim
            )
        if any(entry.uri == self.source for entry in manifest.sources):
            reason = f"{self.source} is a source of {lake} already; import it into a new lake"
            raise BadRequest("SOURCE", reason)
        if manifest.dim != dim:
            raise DimensionMismatch(manifest.dim, dim)
        if embedder is not None:
            check_model(lake, manifest, embedder)
        elif manifest.model_id != UNKNOWN:
            made = f"{lake} has vectors of {manifest.model_id}"
            raise BadRequest("--model", f"{made}; name it, if it made these, or use a new lake")
        else:
            made = f"nobody named the model of {lake}, and two unknown ones are not one"
            raise BadRequest("--into", f"{made}; import into a new lake")
        return manifest

    def make_rows(self, uri: str | None, images: Path | None) -> None:
        """See how each table names its images.

        :raises BadRequest, SourceError: as `RowMaker.of`.
        """
        spellings = Spellings(self.manifest.columns)
        self.makers = [
            RowMaker.of(table, uri, images, self.source, spellings) for table in self.tables
        ]

    def run(self, should_stop: Callable[[], bool]) -> SyncReport:
        try:
            known, twice = self._places()
            self._measure()
            self._write(known, twice, should_stop)
            if not self.report.new:
                self._refuse_empty()
            self._publish()
        except _Stopped:
            self._take_back()
            self.report.interrupted = True
        except BaseException:
            self._take_back()
            raise
        return self._finish()

    # -- before

    def _places(self) -> tuple[Hashes, Hashes]:
        """Hashes of the places that the lake has rows of, in order, and of those that several of
        the new rows name. Of a million different places two share a hash once in 10^7 imports.
        """
        self.progress.stage("looking for images named twice", None)
        known = np.sort(np.concatenate([np.empty(0, np.int64), *self._live()]))
        new: list[Hashes] = []
        sites: set[str] = set()
        for addresses, _ in chain.from_iterable(maker.places() for maker in self.makers):
            here = [address for address in addresses if address is not None]
            new.append(np.fromiter((_hash_of(each) for each in here), np.int64, len(here)))
            if len(sites) < _MOST_SITES:
                sites |= {each.uri for each in here[:_MOST_SITES] if each.is_url}
            self.progress.advance(len(addresses))
        remember_sites(sites)
        hashes, times = np.unique(np.concatenate([np.empty(0, np.int64), *new]), return_counts=True)
        return known, hashes[times > 1]

    def _live(self) -> Iterator[Hashes]:
        if self.before is None:
            return
        dead = dead_positions(self.layout, self.before)
        for entry in self.before.segments:
            first, gone = 0, dead.get(entry.id, np.empty(0, np.int64))
            for table in Segment(self.layout, entry).row_groups(list(ADDRESS_COLUMNS)):
                places = place_keys(table).to_pylist()
                hashes = np.fromiter(map(hash, places), np.int64, len(places))
                yield hashes[~np.isin(np.arange(first, first + len(places)), gone)]
                first += len(places)

    def _measure(self) -> None:
        """:raises BadRequest: if the model did not make these vectors."""
        if self.embedder is None:
            if named := self._named():
                self.report.notes.append(
                    f"the vectors were written as those of {named}; with --model texts can be asked"
                )
            return
        self.progress.stage("comparing with the model", None)
        model = self.embedder.model_id
        agreement = measure(self._candidates(), self.embedder, self.config.limits)
        if agreement is None:
            self.report.notes.append(
                f"none of the images looked for can be read here, so that {model} made the vectors is taken on your "
                "word"
            )
            return
        images = count(len(agreement.cosines), "image")
        cosines = f"{agreement.median:.3f} in the middle, {agreement.least:.3f} at least"
        found = f"{model} embedded {images} again: cosine {cosines}"
        if agreement.median < LEAST_AGREEMENT:
            raise BadRequest(
                "--model", f"{found}; name the model that made these vectors, or leave --model out"
            )
        self.report.notes.append(f"{found}, with the vector that it came with")

    def _named(self) -> str | None:
        schema = self.tables[0].schema
        if not is_ours(schema):
            return None
        try:
            named = json.loads(schema.metadata[OURS])["model"]
        except (ValueError, KeyError, TypeError):
            return None
        return named if isinstance(named, str) and named != UNKNOWN else None

    def _candidates(self) -> Iterator[tuple[Address, Vectors]]:
        total = sum(table.row_count for table in self.tables)
        step = max(1, total // TRIES)
        for maker in self.makers:
            for rows in maker.table.rows():
                chosen = range(0, rows.table.num_rows, step)
                addresses = maker.addresses(rows.table.take(pa.array(chosen)))
                for at, address in zip(chosen, addresses, strict=True):
                    if address is not None and at not in rows.refused:
                        yield address, rows.vectors[at]

    # -- writing

    def _write(self, known: Hashes, twice: Hashes, should_stop: Callable[[], bool]) -> None:
        self.progress.stage("importing", sum(table.row_count for table in self.tables))
        seen: set[int] = set()
        for maker in self.makers:
            for rows in maker.table.rows():
                if should_stop():
                    raise _Stopped
                self._write_rows(maker, rows, known, twice, seen)
        self._end_segment()
        if self.waiting:
            self._write_skips()

    def _write_rows(
        self, maker: RowMaker, rows: VectorRows, known: Hashes, twice: Hashes, seen: set[int]
    ) -> None:
        addresses = maker.addresses(rows.table)
        refused = dict(rows.refused)
        hashes = np.fromiter((_hash_of(each) for each in addresses), np.int64, len(addresses))
        for at, address in enumerate(addresses):
            if address is None:
                refused[at] = "it names no image"
        for at in np.flatnonzero(np.isin(hashes, known)).tolist():
            refused.setdefault(at, _THERE)
        for at in np.flatnonzero(np.isin(hashes, twice)).tolist():
            if at in refused:
                continue
            if int(hashes[at]) in seen:
                refused[at] = _TWICE
            seen.add(int(hashes[at]))
        for at, reason in sorted(refused.items()):
            self._skip(rows, at, addresses[at], reason)
        keep = np.ones(len(addresses), bool)
        keep[list(refused)] = False
        if keep.any():
            first_id = self.manifest.next_row_id + self.report.new
            self._add(maker.rows(rows.table, addresses, keep, first_id), rows.vectors[keep])
        self.progress.advance(len(addresses), skipped=len(refused))

    def _add(self, rows: pa.Table, vectors: Vectors) -> None:
        if self.writer is not None and rows.schema != self.schema:
            self._end_segment()  # a segment's rows have the same columns of the same types
        if self.writer is None:
            self.writer, self.schema = SegmentWriter(self.layout, self.manifest.dim), rows.schema
        self.writer.add_rows(rows)
        self.writer.add_vectors(vectors)
        self.columns = merge_types(self.columns, own_types(rows.schema))
        self.report.new += rows.num_rows
        self.in_segment += rows.num_rows
        if self.in_segment * 2 * self.manifest.dim >= SEGMENT_BYTES:
            self._end_segment()

    def _end_segment(self) -> None:
        if self.writer is not None:
            self.segments.append(self.writer.finish())
        self.writer, self.in_segment = None, 0

    def _skip(self, rows: VectorRows, at: int, address: Address | None, reason: str) -> None:
        # By its row: of two rows of one image, the one that is kept is no skip.
        name = f"{rows.file}#row={rows.first + at}"
        reason = reason if address is None else f"{address}: {reason}"
        now = datetime.now(UTC).replace(tzinfo=None)
        self.waiting.append(
            Skipped(name, None, self.source, 0, None, None, reason, transient=False, when=now)
        )
        self.report.newly_skipped.append((name, reason))
        if len(self.waiting) == SKIPPED_ROWS:
            self._write_skips()

    def _write_skips(self) -> None:
        self.skips.append(write_skipped(self.layout, self.waiting))
        self.waiting = []

    def _refuse_empty(self) -> None:
        first = self.report.newly_skipped[:1]
        why = f", as {first[0][0]}: {first[0][1]}" if first else ""
        rows = count(sum(table.row_count for table in self.tables), "row")
        raise SourceError(self.source, f"none of its {rows} can be imported{why}")

    def _publish(self) -> None:
        manifest = self.manifest
        merged = replace(
            manifest,
            segments=(*manifest.segments, *self.segments),
            skipped=(*manifest.skipped, *self.skips),
            columns=self.columns,
            sources=(*manifest.sources, SourceEntry(self.source, kind=IMPORTED)),
            next_row_id=manifest.next_row_id + self.report.new,
        )
        self.manifest = publish(self.layout, merged)
        # From here on they are the lake's.
        self.segments, self.skips = [], []
        self.progress.stage("merging", None)
        self.manifest = compact(self.layout, self.manifest, max_segments=self.config.max_segments)
        self.manifest = with_codes(
            self.layout, self.manifest, self.config, self.report, self.progress
        )
        model = own_model(self.layout, self.manifest)
        self.manifest = with_groups(
            self.layout, self.manifest, self.config, self.report, self.progress, model
        )

    def _take_back(self) -> None:
        for segment in self.segments:
            remove(self.layout.segment(segment.id))
        for skipped in self.skips:
            remove(self.layout.skipped_file(skipped.id))
        clear_staging(self.layout)

    def _finish(self) -> SyncReport:
        report = self.report
        manifest = self.before if report.interrupted else self.manifest
        if report.interrupted:
            report.new, report.newly_skipped = 0, []
        if manifest is not None:
            report.snapshot, report.rows = manifest.snapshot, manifest.live_rows
            report.skipped = sum(entry.rows for entry in manifest.skipped)
        report.seconds = time.monotonic() - self.started
        return report


def _hash_of(address: Address | None) -> int:
    return hash(None if address is None else address.key)
