"""What `lakesift doctor` looks at: this machine,
a lake's files and filters, its rows, its vectors, its model, its sources, its engine.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from indexer.address import Address
from indexer.arrays import InputShape, Pixels, Vectors
from indexer.config import ReadLimits
from indexer.disk.entries import check_lake
from indexer.disk.filter_folders import FilterFolders
from indexer.disk.layout import Layout
from indexer.disk.manifest import check_files, read_manifest
from indexer.embed import Embedder
from indexer.errors import LakeError, ModelUnknown, SourceError, UnreadableImage
from indexer.images.decoder import Decoder, ReadSettings
from indexer.images.shared_decoder import SHARED
from indexer.models import are_imported
from indexer.sources import Listing
from indexer.sources.bytes_of import BytesOf
from indexer.sources.guard import Reach
from indexer.sources.opening import open_source
from indexer.vector_files.agreement import LEAST_AGREEMENT
from indexer.words import count, size
from service.doctor.engine import engine_looked_at
from service.doctor.waiting import parts_waiting
from service.lake import Lake
from service.map.points import Points
from service.relevance.decisions.soundness import Soundness, soundness, soundness_of_deleted
from service.relevance.decisions.store import FilterStore
from service.search.comparing import compare_rows, compare_texts
from service.snapshot.part import Part
from service.snapshot.snapshot import hash_row_ids

PACKAGES = (
    "numpy",
    "pyarrow",
    "faiss-cpu",
    "pillow",
    "onnxruntime",
    "duckdb",
    "torch",
    "open_clip_torch",
)
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


def examine(
    folder: Path | None,
    *,
    deep: bool = False,
    precision: str | None = None,
    trust_model: bool = False,
    engine: str | None = None,
    candidates: int = 400,
) -> Iterator[Finding]:
    """Look at everything in turn; a failure of one thing does not
    keep the rest from being looked at.

    :param folder: the lake; None: the machine alone.
    :param deep: True reads every byte of the lake.
    :param precision: also measure what embedding in this precision would change.
    :param trust_model: as `Lake.open` has it.
    :param engine: the address of one that the lake was pushed to; None: there is none.
    :param candidates: that a service asks it for at first.
    """
    yield _machine()
    yield _decoder()
    if folder is None:
        return
    try:
        check_lake(Layout(folder), everything=True)
        yield from _parts(folder)
        yield from _files(Layout(folder), deep)
        yield from _filters(Layout(folder), deep)
        lake = Lake.open(folder, trust_model=trust_model)
    except LakeError as error:
        yield Finding("lake", False, str(error))
        return
    with lake:
        yield from _opened(lake, lambda: lake.embedder, precision, engine, candidates)


def examine_served(
    lake: Lake, model: Callable[[], Embedder], *, engine: str | None, candidates: int
) -> Iterator[Finding]:
    """As `examine`, of a lake that is open already, with its model; not every byte is read.

    :param engine, candidates: as of `examine`.
    """
    layout = Layout(lake.folder)
    yield _decoder()
    try:
        check_lake(layout, everything=True)
        yield from _parts(lake.folder)
        yield from _files(layout, deep=False)
        yield from _filters(layout, deep=False)
    except LakeError as error:
        yield Finding("lake", False, str(error))
        return
    yield from _opened(lake, model, None, engine, candidates)


def _opened(
    lake: Lake,
    model: Callable[[], Embedder],
    precision: str | None,
    engine: str | None,
    candidates: int,
) -> Iterator[Finding]:
    yield _rows(lake)
    yield _vectors(lake)
    yield from _sources(lake)
    yield from _groups(lake, model)
    if engine is not None:
        for ok, detail in engine_looked_at(lake, model, engine, candidates):
            yield Finding("engine", ok, detail)
    yield from _people(lake)
    yield from _near_identical(lake)
    yield from _map(lake)
    try:
        embedder = model()
    except LakeError as error:
        # That nobody named it is what its owner chose.
        yield Finding("model", isinstance(error, ModelUnknown), str(error))
        return
    try:
        yield _model(lake, embedder)
    except Exception as error:  # noqa: BLE001 - whatever a model raises, it does not work
        yield Finding("model", False, f"{embedder.model_id} loads, but does not embed: {error}")
        return
    if precision is not None:
        yield _precision(lake, embedder, precision)


def _near_identical(lake: Lake) -> Iterator[Finding]:
    """Nothing is said where nobody grouped the images."""
    what = "near-identical"
    try:
        groups = lake.groups
    except LakeError as error:
        yield Finding(what, False, str(error))
        return
    if groups is not None:
        since = f"; {count(groups.since, 'image')} came since" if groups.since else ""
        made = f"of snapshot {groups.about.snapshot:,}{since}"
        yield Finding(what, True, f"{count(groups.count, 'group')}, {made}")


def _map(lake: Lake) -> Iterator[Finding]:
    """Nothing is said where there is no map."""
    try:
        points = Points.of(lake.snapshot)
    except LakeError as error:
        yield Finding("map", False, str(error))
        return
    if points is not None:
        since = f"; {count(points.since, 'image')} came since" if points.since else ""
        yield Finding("map", True, f"{count(len(points.row_ids), 'image')} on it{since}")


def _people(lake: Lake) -> Iterator[Finding]:
    """What people stored beside the rows; nothing is said of what nobody used."""
    try:
        if tags := lake.tags():
            yield Finding("tags", True, f"{count(len(tags), 'tag')}, every act as it was written")
    except LakeError as error:
        yield Finding("tags", False, str(error))
    try:
        if searches := lake.searches.all():
            yield Finding("searches", True, f"{count(len(searches), 'search', 'searches')} saved")
    except LakeError as error:
        yield Finding("searches", False, str(error))


def _machine() -> Finding:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return Finding(
        "machine",
        True,
        f"Python {platform.python_version()}, {platform.machine()}, {', '.join(versions)}",
    )


def _decoder() -> Finding:
    """Which walls stand around what decodes strangers' images; one that is missing here is no fault
    of this machine.
    """
    with closing(Decoder(ReadSettings(InputShape(8, 8), ReadLimits()))) as decoder:
        try:
            return Finding("decoder", True, f"in a box: {decoder.box()}")
        except UnreadableImage as error:
            return Finding("decoder", False, f"it does not start: {error.reason}")


def _files(layout: Layout, deep: bool) -> Iterator[Finding]:
    manifest, problems = read_manifest(layout)
    opened = check_files(layout, manifest, deep=deep or None)
    for problem in (*problems, *opened.problems):
        yield Finding("files", False, problem)
    if not (problems or opened.problems):
        what = f"{size(manifest.size_bytes)} in {count(len(manifest.segments), 'segment')}"
        coded = sum(entry.codes is not None for entry in manifest.segments)
        what += f", {coded:,} with codes" if coded else ""
        yield Finding("files", True, f"snapshot {manifest.snapshot}, {what}, as committed")


def _parts(lake: Path) -> Iterator[Finding]:
    """What waits to be committed, if anything does."""
    if (waiting := parts_waiting(lake)) is not None:
        yield Finding("parts", True, waiting)


def _filters(layout: Layout, deep: bool) -> Iterator[Finding]:
    store = FilterStore(layout)
    for name in store.names():
        yield from _filter(name, partial(soundness, store, name, deep=deep))
    for folder in FilterFolders(layout).deleted():
        looked = _filter(folder.name, partial(soundness_of_deleted, folder, deep=deep))
        # out of service, so it is worth a line only where something is wrong
        yield from (finding for finding in looked if not finding.ok)


def _filter(name: str, look: Callable[[], Soundness]) -> Iterator[Finding]:
    try:
        found = look()
    except LakeError as error:
        yield Finding("filter", False, f"{name}: {error}")
        return
    for problem in found.problems:
        yield Finding("filter", False, f"{name}: {problem}")
    if not found.problems:
        yield Finding("filter", True, f"{name}: {found.sentence}")


def _rows(lake: Lake) -> Finding:
    ids = [
        part.row_ids if part.alive is None else part.row_ids[part.alive]
        for part in lake.snapshot.parts
    ]
    row_ids = np.concatenate(ids) if ids else np.empty(0, np.int64)
    doubled = len(row_ids) - len(np.unique(row_ids))
    if doubled:
        return Finding(
            "rows", False, f"{count(doubled, 'row id occurs', 'row ids occur')} more than once"
        )
    if len(row_ids) and row_ids.max() >= lake.manifest.next_row_id:
        return Finding(
            "rows",
            False,
            f"row id {row_ids.max()} is not below the next one, {lake.manifest.next_row_id}",
        )
    return Finding("rows", True, f"{count(len(row_ids), 'live row')}, every row id once")


def _vectors(lake: Lake) -> Finding:
    bad = 0
    for part in lake.snapshot.parts:
        step = max(1, part.rows // SAMPLE_ROWS)
        vectors = part.vectors.take(np.arange(0, part.rows, step))
        # NaN counts as bad
        bad += int(np.sum(~(np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-2)))
    if bad:
        of_them = count(bad, "of the vectors looked at is", "of the vectors looked at are")
        return Finding("vectors", False, f"{of_them} not of unit length")
    return Finding("vectors", True, f"{lake.manifest.dim} dimensions, unit length")


def _groups(lake: Lake, model: Callable[[], Embedder]) -> Iterator[Finding]:
    """What searches that may miss a row find of the nearest, by rows and by texts."""
    groups = lake.snapshot.groups
    if groups is None:
        return
    for look, name in ((compare_rows, "image"), (compare_texts, "text")):
        try:
            found = look(lake.snapshot, model)
        except LakeError as error:
            yield Finding("groups", True, f"searches by {name} were not looked at: {error}")
            continue
        if found is None:
            yield Finding("groups", True, f"searches by {name} are exact")
            continue
        detail = f"{found.queries} searches by {name} that ask for a recall of {found.recall:g}"
        detail += f" looked into {found.how.depth:,} of {len(groups):,} groups, and found"
        detail += f" {found.found:.3f} of the 10 nearest"
        if not found.is_well:
            way_out = f"`lakesift compact {lake.folder} --no-groups`, then `--groups`"
            detail += f"; make the groups anew: {way_out}"
        yield Finding("groups", found.is_well, detail)


def _sources(lake: Lake) -> Iterator[Finding]:
    for entry in lake.manifest.sources:
        if entry.is_imported:
            yield Finding("source", True, f"{entry.uri} was imported; the lake needs it no more")
            continue
        try:
            opened = open_source(
                entry.uri,
                entry.columns,
                layout=entry.layout,
                crops=entry.crops,
                frames=entry.frames,
                careful=True,
            )
            next(iter(opened.files(Listing())), None)
        except SourceError as error:
            yield Finding("source", False, str(error))
        else:
            yield Finding("source", True, f"{entry.uri} is there")


def _model(lake: Lake, embedder: Embedder) -> Finding:
    embedder.embed_texts(["a photo"])
    photos = _photos(lake, embedder, SAMPLE_PHOTOS)
    if not photos:
        return Finding(
            "model",
            True,
            f"{embedder.model_id} loads and embeds; no unchanged local photo to compare with",
        )
    again = embedder.embed_images([pixels for pixels, _ in photos])
    cosines = np.sum(again * np.stack([vector for _, vector in photos]), axis=1)
    detail = f"{embedder.model_id} embeds {len(photos)} photos again with cosine {cosines.min():.4f} or more"
    least = LEAST_AGREEMENT if are_imported(lake.manifest.fingerprint) else SAME_COSINE
    return Finding("model", bool(cosines.min() > least), f"{detail} to what is stored")


def _precision(lake: Lake, embedder: Embedder, precision: str) -> Finding:
    """How far neighbours change when the photos are embedded in another precision, and how much
    faster that is on this machine.
    """
    from indexer.embed.models import load_embedder

    try:
        other = load_embedder(embedder.model_id, precision=precision)
    except LakeError as error:
        return Finding("precision", False, str(error))
    photos = [pixels for pixels, _ in _photos(lake, embedder, PRECISION_PHOTOS)]
    if len(photos) <= NEIGHBOURS:
        return Finding(
            "precision",
            False,
            f"{len(photos)} unchanged local photos are too few to compare {precision} on",
        )
    (ours, our_s), (theirs, their_s) = _embed(embedder, photos), _embed(other, photos)
    overlap = np.mean(
        [len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(_near(ours), _near(theirs), strict=True)]
    )
    cosine = float(np.median(np.sum(ours * theirs, axis=1)))
    detail = f"{precision} on {len(photos)} of your photos: median cosine {cosine:.4f} to what the lake has"
    detail += f", {overlap:.0%} of the {NEIGHBOURS} nearest neighbours stay"
    speed = f"{our_s / their_s:.2f} times as fast here ({len(photos) / their_s:,.0f} images/s)"
    return Finding("precision", True, f"{detail}; {speed}")


def _embed(embedder: Embedder, photos: list[Pixels]) -> tuple[Vectors, float]:
    """Vectors, and the seconds that they took; without what the first image waits for, such as a
    conversion.
    """
    embedder.embed_images(photos[:1])
    size, start = embedder.batch_size, time.perf_counter()
    vectors = np.concatenate(
        [embedder.embed_images(photos[at : at + size]) for at in range(0, len(photos), size)]
    )
    return vectors, time.perf_counter() - start


def _near(vectors: Vectors) -> list[list[int]]:
    scores = vectors @ vectors.T  # (n, n)
    np.fill_diagonal(scores, -2)
    return [list(map(int, row)) for row in np.argsort(-scores, axis=1)[:, :NEIGHBOURS]]


def _photos(lake: Lake, embedder: Embedder, count: int) -> list[tuple[Pixels, Vectors]]:
    """Up to count photos of the lake that are on this machine and
    unchanged: pixels and stored vector.
    """
    found: list[tuple[Pixels, Vectors]] = []
    for part in lake.snapshot.parts:
        live = np.arange(part.rows) if part.alive is None else np.flatnonzero(part.alive)
        chosen = live[np.argsort(hash_row_ids(part.row_ids[live]))][: count - len(found)]
        found += _unchanged(part, np.sort(chosen), embedder, lake.snapshot.reach)
        if len(found) >= count:
            break
    return found


def _unchanged(
    part: Part,
    positions: np.ndarray[tuple[int], np.dtype[np.int64]],
    embedder: Embedder,
    reach: Reach,
) -> list[Any]:
    found = []
    reader, limits = BytesOf(), ReadLimits()
    vectors = part.vectors.take(positions)
    for row, vector in zip(part.take(positions), vectors, strict=True):
        try:
            address = Address.of(row)
            if address.is_url or reach.why_not(address):
                continue
            data = reader.read(address, limits.max_bytes, seeks=reach.seeks)
            image = SHARED.decode(str(address), data, embedder.input_shape)
        except UnreadableImage:
            continue
        if image.sha256 == row["sha256"]:
            found.append((image.pixels, vector))
    return found
