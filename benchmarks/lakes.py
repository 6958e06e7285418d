"""Lakes of any size, written without looking at an image: for what is measured after indexing."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from indexer.arrays import InputShape, Pixels, Vectors
from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SourceEntry, publish
from indexer.disk.rows import ROW_SCHEMA
from indexer.disk.segment import SegmentWriter
from indexer.embed import Embedder
from indexer.images import ReadImage
from indexer.run.embedding.tasks import Embedded, Task
from indexer.run.writing.commits import Commits, prepare_folder
from indexer.sources import Listing
from indexer.sources.opening import open_source

BLOCK_ROWS = 50_000
SMALL_ROWS = 5_000
CAMERAS = (
    "Canon EOS R6",
    "Canon EOS 5D",
    "NIKON Z 6",
    "SONY ILCE-7M4",
    "Apple iPhone 15",
    "GoPro HERO12",
    None,
    None,
)
SIZES_PX = ((500, 375), (640, 480), (1920, 1080), (4000, 3000), (6000, 4000))
LONG_AGO_US = 1_600_000_000_000_000


class NearlyNothing:
    """An embedder that costs nothing, so that all that is measured is ours:
    the vector is the first 8 pixels.
    """

    model_id = "nearly-nothing"
    dim = 8
    batch_size = 64
    input_shape = InputShape(8, 8, mode="squash")
    fingerprint: dict[str, str | int] = {  # noqa: RUF012 - the protocol has it as an attribute
        "name": "nearly-nothing",
        "weights": "0",
        "preprocessing": "squash 8",
        "dim": 8,
        "precision": "fp32",
    }

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        vectors = np.stack([image[0, :, 0] for image in images]).astype(np.float32) + 1
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        raise NotImplementedError


def write_tiny_images(folder: Path, count: int, folder_files: int = 1_000) -> None:
    """That many PNGs of 8 x 8 px and about 100 bytes, no two alike, a thousand a folder."""
    for number in range(count):
        path = folder / f"{number // folder_files:04d}" / f"image-{number:07d}.png"
        if number % folder_files == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(_png(number))


def _png(number: int) -> bytes:
    row = b"\0" + struct.pack(">Q", number) * 3  # filter "none", then 8 RGB pixels
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * 8)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def write_lake_of(folder: Path, lake: Path) -> int:
    """A lake that equals this folder, as `index` would leave it, from its listing alone.

    :returns: its rows.
    """
    layout = Layout(lake)
    prepare_folder(layout)
    source = open_source(str(folder), None)
    model = NearlyNothing()
    manifest = Manifest(
        model.model_id, model.fingerprint, model.dim, sources=(SourceEntry(source.uri),)
    )
    in_an_hour_us = 4_000_000_000_000_000  # every row counts as settled
    commits = Commits(layout, manifest, IndexConfig(commit_rows=10_000), in_an_hour_us)
    vector = np.full(8, 8**-0.5, np.float32)
    pixels = np.zeros((8, 8, 3), np.uint8)
    for file in source.files(Listing()):
        digest = hashlib.sha256(file.uri.encode()).hexdigest()
        image = ReadImage(pixels, digest, 0, 8, 8, "png").columns()
        commits.add(Embedded(Task.of(file, source.uri, {}), image, vector))
        commits.commit_if_due()
    commits.commit()
    return commits.manifest.live_rows


def write_synthetic_lake(
    lake: Path,
    rows: int,
    dim: int,
    *,
    segment_rows: int,
    seed: int = 0,
    model: Embedder | None = None,
    vectors: Callable[[int, np.random.Generator], Vectors] | None = None,
    small_segments: int = 0,
) -> Manifest:
    """Random unit vectors with rows such as photos have:
    sizes, times, cameras, places, captions, one own column.

    :param vectors: makes so many unit rows instead.
    :param small_segments: so many of 5,000 rows end the lake, as `index` leaves it.
    """
    layout = Layout(lake)
    prepare_folder(layout)
    rng = np.random.default_rng(seed)
    entries = []
    large = rows - small_segments * SMALL_ROWS
    starts = [*range(0, large, segment_rows), *range(large, rows, SMALL_ROWS), rows]
    for start, end in pairwise(starts):
        writer = SegmentWriter(layout, dim)
        for block in range(start, end, BLOCK_ROWS):
            count = min(BLOCK_ROWS, end - block)
            writer.add_rows(_rows(block, count, rng))
            writer.add_vectors(
                random_unit_rows(count, dim, rng) if vectors is None else vectors(count, rng)
            )
        entries.append(writer.finish())
    fingerprint: dict[str, str | int] = {"name": "synthetic", "dim": dim, "precision": "fp32"}
    model_id = "synthetic"
    if model is not None:  # as if it had made the vectors
        model_id, fingerprint = model.model_id, model.fingerprint
    manifest = Manifest(
        model_id, fingerprint, dim, columns={"split": "string"}, segments=tuple(entries)
    )
    return publish(layout, manifest)


def random_unit_rows(count: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    vectors = rng.standard_normal((count, dim), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


class PhotoLike:
    """Unit vectors with what embeddings of photos have in common, drawn, not embedded.

    A mean as long as 0.75; groups of unequal size about centres; a spread that falls off as i^-0.5
    from one principal direction to the next, of which the first half have 0.92 of the variance.
    Texts lie apart: the cosine of their mean and the photos' is -0.5, and a part of each is spread
    evenly over all directions.
    """

    def __init__(self, dim: int, groups: int = 3_000, seed: int = 7) -> None:
        random = np.random.default_rng(seed)
        self._spread = np.arange(1, dim + 1, dtype=np.float32) ** -0.5
        self._spread /= np.linalg.norm(self._spread)
        self._centres = random.standard_normal((groups, dim), np.float32) * self._spread
        sizes = 1 + random.pareto(1.2, groups)
        self._shares = sizes / sizes.sum()
        turn = np.linalg.qr(random.standard_normal((dim, dim)))[0]
        self._turn = turn.astype(np.float32)
        self._mean, apart = random_unit_rows(2, dim, random)
        apart = apart - (apart @ self._mean) * self._mean
        apart /= np.linalg.norm(apart)
        self._text_mean = np.float32(np.sqrt(0.75)) * apart - np.float32(0.5) * self._mean

    def photos(self, count: int, random: np.random.Generator) -> Vectors:
        """float32, (count, dim), unit rows."""
        group = random.choice(len(self._centres), count, p=self._shares)
        own = random.standard_normal((count, len(self._spread)), np.float32) * self._spread
        return _unit(
            0.75 * self._mean + 0.66 * ((0.75 * self._centres[group] + 0.66 * own) @ self._turn)
        )

    def texts(self, count: int, random: np.random.Generator) -> Vectors:
        """float32, (count, dim), unit rows."""
        group = random.choice(len(self._centres), count)
        evenly = random_unit_rows(count, len(self._spread), random)
        return _unit(
            0.75 * self._text_mean + 0.33 * (self._centres[group] @ self._turn) + 0.33 * evenly
        )


def _unit(vectors: NDArray[np.float32]) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _rows(start: int, count: int, rng: np.random.Generator) -> pa.Table:
    numbers = np.arange(start, start + count)
    sizes = np.array(SIZES_PX)[rng.integers(0, len(SIZES_PX), count)]  # (count, 2)
    cameras = np.array(CAMERAS, object)[rng.integers(0, len(CAMERAS), count)]
    modified = LONG_AGO_US + numbers * 1_000_000
    has_place = rng.random(count) < 0.3
    latitude, longitude = rng.uniform(-60, 60, count), rng.uniform(-180, 180, count)
    columns = {
        "row_id": numbers + 1,
        "uri": [f"/photos/{2000 + n % 25}/{n % 997:03d}/IMG_{n:07d}.jpg" for n in numbers.tolist()],
        "size_bytes": rng.integers(20_000, 5_000_000, count),
        "modified": modified,
        "sha256": list(_hex_digests(rng, count)),
        "phash": rng.integers(0, 2**63, count).astype(np.uint64),
        "width_px": sizes[:, 0].astype(np.int32),
        "height_px": sizes[:, 1].astype(np.int32),
        "format": ["jpeg"] * count,
        "captured_at": modified,
        "camera": cameras.tolist(),
        "place": [
            {"latitude": a, "longitude": b} if here else None
            for here, a, b in zip(
                has_place.tolist(), latitude.tolist(), longitude.tolist(), strict=True
            )
        ],
        "caption": [
            f"a photo of thing {n % 5_003}" if n % 3 == 0 else None for n in numbers.tolist()
        ],
        "source": ["/photos"] * count,
    }
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(count, field.type)
        for field in ROW_SCHEMA
    ]
    split = pa.array(np.array(("train", "val", "test"), object)[numbers % 3].tolist(), pa.string())
    return pa.table([*arrays, split], schema=ROW_SCHEMA.append(pa.field("split", pa.string())))


def _hex_digests(rng: np.random.Generator, count: int) -> Iterator[str]:
    noise = rng.bytes(32 * count)
    return (noise[at : at + 32].hex() for at in range(0, len(noise), 32))
