"""What `lakesift doctor` looks at: this machine, a lake's files, its rows, its vectors, its model, its sources."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from indexer import ann
from indexer.config import ReadLimits
from indexer.embed import Embedder, Pixels, Vectors
from indexer.errors import LakeError, SourceError, UnreadableImage
from indexer.images import read_file
from indexer.layout import Layout
from indexer.manifest import check_files, read_manifest
from indexer.sources import Listing
from indexer.sources.opening import open_source
from service.lake import Lake
from service.snapshot import Part, hash_row_ids

PACKAGES = ("numpy", "pyarrow", "faiss-cpu", "pillow", "onnxruntime", "duckdb", "torch", "open_clip_torch")
SAMPLE_ROWS = 1_000  # stored vectors whose length is checked
SAMPLE_PHOTOS = 5  # photos embedded again and compared with what is stored
SAME_COSINE = 0.995  # below: the lake's vectors are not what this model makes of these photos now
PRECISION_PHOTOS = 100
NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    detail: str

    def to_json(self) -> dict[str, Any]:
        return {"what": self.what, "ok": self.ok, "detail": self.detail}


def examine(folder: Path | None, *, deep: bool = False, precision: str | None = None) -> Iterator[Finding]:
    """Look at everything in turn; a failure of one thing does not keep the rest from being looked at.

    :param folder: the lake; None: the machine alone.
    :param deep: True reads every byte of the lake.
    :param precision: also measure what embedding in this precision would change.
    """
    yield _machine()
    if folder is None:
        return
    try:
        yield from _files(Layout(folder), deep)
        lake = Lake.open(folder)
    except LakeError as error:
        yield Finding("lake", False, str(error))
        return
    with lake:
        yield _rows(lake)
        yield _vectors(lake)
        yield from _sources(lake)
        try:
            embedder = lake.embedder
        except LakeError as error:
            yield Finding("model", False, str(error))
            return
        yield _model(lake, embedder)
        if precision is not None:
            yield _precision(lake, embedder, precision)


def _machine() -> Finding:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return Finding(
        "machine", True, f"Python {platform.python_version()}, {platform.machine()}, {', '.join(versions)}"
    )


def _files(layout: Layout, deep: bool) -> Iterator[Finding]:
    manifest, problems = read_manifest(layout)
    opened = check_files(layout, manifest, deep=deep or None)
    for problem in (*problems, *opened.problems):
        yield Finding("files", False, problem)
    if not (problems or opened.problems):
        size = f"{manifest.size_bytes / 1e6:,.1f} MB in {len(manifest.segments):,} segments"
        yield Finding("files", True, f"snapshot {manifest.snapshot}, {size}, as committed")


def _rows(lake: Lake) -> Finding:
    ids = [part.row_ids if part.alive is None else part.row_ids[part.alive] for part in lake.snapshot.parts]
    row_ids = np.concatenate(ids) if ids else np.empty(0, np.int64)
    doubled = len(row_ids) - len(np.unique(row_ids))
    if doubled:
        return Finding("rows", False, f"{doubled:,} row ids occur more than once")
    if len(row_ids) and row_ids.max() >= lake.manifest.next_row_id:
        return Finding(
            "rows", False, f"row id {row_ids.max()} is not below the next one, {lake.manifest.next_row_id}"
        )
    return Finding("rows", True, f"{len(row_ids):,} live rows, every row id once")


def _vectors(lake: Lake) -> Finding:
    bad = 0
    for part in lake.snapshot.parts:
        step = max(1, part.rows // SAMPLE_ROWS)
        vectors = ann.vectors_at(part.segment.index, np.arange(0, part.rows, step))
        bad += int(np.sum(~(np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-2)))  # NaN counts as bad
    if bad:
        return Finding("vectors", False, f"{bad:,} of the vectors looked at are not of unit length")
    return Finding("vectors", True, f"{lake.manifest.dim} dimensions, unit length")


def _sources(lake: Lake) -> Iterator[Finding]:
    for entry in lake.manifest.sources:
        try:
            next(iter(open_source(entry.uri, entry.columns).files(Listing())), None)
        except SourceError as error:
            yield Finding("source", False, str(error))
        else:
            yield Finding("source", True, f"{entry.uri} is there")


def _model(lake: Lake, embedder: Embedder) -> Finding:
    embedder.embed_texts(["a photo"])
    photos = _photos(lake, embedder, SAMPLE_PHOTOS)
    if not photos:
        return Finding(
            "model", True, f"{embedder.model_id} loads and embeds; no unchanged local photo to compare with"
        )
    again = embedder.embed_images([pixels for pixels, _ in photos])
    cosines = np.sum(again * np.stack([vector for _, vector in photos]), axis=1)
    detail = f"{embedder.model_id} embeds {len(photos)} photos again with cosine {cosines.min():.4f} or more"
    return Finding("model", bool(cosines.min() > SAME_COSINE), f"{detail} to what is stored")


def _precision(lake: Lake, embedder: Embedder, precision: str) -> Finding:
    """How far neighbours change when the photos are embedded in another precision."""
    from indexer.embed.catalog import load_embedder

    try:
        other = load_embedder(embedder.model_id, precision=precision)
    except LakeError as error:
        return Finding("precision", False, str(error))
    photos = [pixels for pixels, _ in _photos(lake, embedder, PRECISION_PHOTOS)]
    if len(photos) <= NEIGHBOURS:
        return Finding(
            "precision", False, f"{len(photos)} unchanged local photos are too few to compare {precision} on"
        )
    ours, theirs = _embed(embedder, photos), _embed(other, photos)
    overlap = np.mean(
        [len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(_near(ours), _near(theirs), strict=True)]
    )
    cosine = float(np.median(np.sum(ours * theirs, axis=1)))
    detail = f"{precision} on {len(photos)} of your photos: median cosine {cosine:.4f} to what the lake has"
    return Finding("precision", True, f"{detail}, {overlap:.0%} of the {NEIGHBOURS} nearest neighbours stay")


def _embed(embedder: Embedder, photos: list[Pixels]) -> Vectors:
    size = embedder.batch_size
    return np.concatenate(
        [embedder.embed_images(photos[at : at + size]) for at in range(0, len(photos), size)]
    )


def _near(vectors: Vectors) -> list[list[int]]:
    scores = vectors @ vectors.T  # (n, n)
    np.fill_diagonal(scores, -2)
    return [list(map(int, row)) for row in np.argsort(-scores, axis=1)[:, :NEIGHBOURS]]


def _photos(lake: Lake, embedder: Embedder, count: int) -> list[tuple[Pixels, Vectors]]:
    """Up to count photos of the lake that are on this machine and unchanged: pixels and stored vector."""
    found: list[tuple[Pixels, Vectors]] = []
    for part in lake.snapshot.parts:
        live = np.arange(part.rows) if part.alive is None else np.flatnonzero(part.alive)
        chosen = live[np.argsort(hash_row_ids(part.row_ids[live]))][: count - len(found)]
        found += _unchanged(part, np.sort(chosen), embedder)
        if len(found) >= count:
            break
    return found


def _unchanged(
    part: Part, positions: np.ndarray[tuple[int], np.dtype[np.int64]], embedder: Embedder
) -> list[Any]:
    found = []
    vectors = ann.vectors_at(part.segment.index, positions)
    for row, vector in zip(part.take(positions), vectors, strict=True):
        path = row["path_bytes"] or str(row["uri"])
        try:
            image = read_file(str(row["uri"]), path, embedder.input_shape, ReadLimits())
        except UnreadableImage:
            continue
        if image.sha256 == row["sha256"]:
            found.append((image.pixels, vector))
    return found
