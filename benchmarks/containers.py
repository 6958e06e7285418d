"""Containers at their worst: a tar of a gigabyte in a gzip, a row group of two gigabytes, and ten
thousand shards. And how long a picture of a member takes.
"""

from __future__ import annotations

import gzip
import io
import random
import statistics
import subprocess
import tarfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.lakes import NearlyNothing, write_tiny_images
from benchmarks.measure import Measurement
from benchmarks.photos import make_photos
from benchmarks.processes import watched_memory
from indexer.address import Address
from indexer.config import ReadLimits
from indexer.disk.manifest import Manifest, SourceEntry
from indexer.processes import python_code
from indexer.sources.containers import Member
from indexer.sources.containers.packed.tar import PackedTar
from indexer.sources.store import Stores
from indexer.sync import sync
from service.pictures.decoders import DecoderPool
from service.pictures.originals import IndexedImage
from service.pictures.thumbnails import Thumbnails

SHOWN_S, THUMBNAIL_MS, ROW_GROUP_GB = 0.5, 20, 1.0
VALUE_BYTES = 60_000
LIST_AND_READ = """
import sys
from indexer.address import Address
from indexer.config import ReadLimits
from indexer.sources.containers.parquet import Parquet
from indexer.sources.store import Stores
table = Parquet(Stores())
*_, last = table.members(Address(sys.argv[1]))
assert len(table.read(last.address, ReadLimits())) == last.size_bytes
print(last.address.row_index + 1)
"""


def measure_containers(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    photos = make_photos(workspace / "photos", 20 if quick else 400)
    yield from _packed(workspace, photos, 30 if quick else 1_000)
    yield from _thumbnails(workspace, photos)
    yield from _row_group(workspace, 0.05 if quick else 2.0)
    yield from _many_shards(workspace, 50 if quick else 10_000)


def _packed(workspace: Path, photos: list[Path], megabytes: int) -> Iterator[Measurement]:
    path, seeks = workspace / "packed.tar.gz", workspace / "seeks"
    _pack(path, photos, megabytes * 10**6)
    tar = PackedTar(Stores())
    tar.folder = seeks
    start = time.perf_counter()
    members = list(tar.members(Address(str(path))))
    listing_s = time.perf_counter() - start
    name = f".tar.gz of {path.stat().st_size / 1e6:,.0f} MB, {len(members):,} photos"
    yield Measurement(f"{name}: listed, once", listing_s, "s")
    index_bytes = sum(each.stat().st_size for each in seeks.iterdir())
    yield Measurement(f"{name}: its seek index", index_bytes / 1e6, "MB")
    chosen = random.Random(1).sample(members, min(20, len(members)))
    first = [_read_s(PackedTar(Stores()), member, seeks) for member in chosen]
    yield Measurement(
        f"{name}: one photo, by a reader that has not opened it yet",
        statistics.median(first),
        "s",
        at_most=SHOWN_S,
        note=f"slowest of {len(first)}: {max(first):.3f} s",
    )
    reader = PackedTar(Stores())
    again = [_read_s(reader, member, seeks) for member in chosen][1:]
    yield Measurement(f"{name}: one more", statistics.median(again), "s", at_most=SHOWN_S)


def _read_s(reader: PackedTar, member: Member, seeks: Path) -> float:
    start = time.perf_counter()
    data = reader.read(member.address, ReadLimits(), seeks)
    assert len(data) == member.size_bytes
    return time.perf_counter() - start


def _pack(path: Path, photos: list[Path], size_bytes: int) -> None:
    """Photos over and over; each ends with bytes of its own, so that gzip finds none again."""
    data, rng, written = [photo.read_bytes() for photo in photos], random.Random(0), 0
    with gzip.open(path, "wb", 1) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        while written < size_bytes:
            photo = data[rng.randrange(len(data))] + rng.randbytes(16)
            info = tarfile.TarInfo(f"{written:012d}.jpg")
            info.size = len(photo)
            tar.addfile(info, io.BytesIO(photo))
            written += len(photo)


def _thumbnails(workspace: Path, photos: list[Path]) -> Iterator[Measurement]:
    path, images = workspace / "plain.tar", []
    with tarfile.open(path, "w") as tar:
        for photo in photos[:60]:
            tar.add(photo, photo.name)
    with tarfile.open(path) as tar:
        for number, info in enumerate(tar.getmembers(), 1):
            data = photos[number - 1].read_bytes()
            place = Address(str(path), None, info.name, info.offset_data, info.size)
            digest = sha256(data).hexdigest()
            images.append(IndexedImage(number, place, len(data), digest, "jpeg"))
    decoders = DecoderPool()
    thumbnails = Thumbnails(workspace, decoders, max_cache_bytes=0)
    seconds = []
    for image in [*images[:10], *images]:  # the first start the processes
        start = time.perf_counter()
        thumbnails.of(image, 256)
        seconds.append(time.perf_counter() - start)
    decoders.close()
    yield Measurement(
        "thumbnail of a member of a tar, 256 px of 500x375",
        1e3 * statistics.median(seconds[10:]),
        "ms",
        at_most=THUMBNAIL_MS,
    )


def _row_group(workspace: Path, gigabytes: float) -> Iterator[Measurement]:
    path = workspace / "large.parquet"
    rows = int(gigabytes * 1e9) // VALUE_BYTES
    values = np.random.default_rng(0).integers(0, 256, rows * VALUE_BYTES, np.uint8)
    values.reshape(rows, VALUE_BYTES)[:, :3] = (0xFF, 0xD8, 0xFF)
    offsets = pa.py_buffer(np.arange(rows + 1, dtype=np.int64) * VALUE_BYTES)
    column = pa.Array.from_buffers(pa.large_binary(), rows, [None, offsets, pa.py_buffer(values)])
    pq.write_table(
        pa.table({"image": column}),
        path,
        row_group_size=rows,
        compression="none",
        use_dictionary=False,
    )
    assert pq.read_metadata(path).num_row_groups == 1
    start = time.perf_counter()
    command = python_code(LIST_AND_READ, str(path))
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with watched_memory(child.pid) as peak:
        told, _ = child.communicate()
    assert told.split() == [str(rows)], told
    peak_gb, seconds = peak.bytes / 1e9, time.perf_counter() - start
    name = f"a row group of {path.stat().st_size / 1e9:.2g} GB, listed and its last row read"
    yield Measurement(f"{name}: peak memory", peak_gb, "GB", at_most=ROW_GROUP_GB)
    yield Measurement(name, seconds, "s")
    path.unlink()


def _many_shards(workspace: Path, count: int) -> Iterator[Measurement]:
    tiny, shards, lake = workspace / "tiny", workspace / "many", workspace / "many.lake"
    write_tiny_images(tiny, count)
    shards.mkdir()
    for number, path in enumerate(path for path in sorted(tiny.rglob("*")) if path.is_file()):
        with tarfile.open(shards / f"{number:05d}.tar", "w") as tar:
            tar.add(path, path.name)
    start = time.perf_counter()
    sync(lake, lambda _: NearlyNothing(), add=[SourceEntry(str(shards))])
    yield Measurement(f"index {count:,} shards of one image", time.perf_counter() - start, "s")
    start = time.perf_counter()
    report = sync(lake, _no_model)
    assert report.unchanged == count
    yield Measurement(f"sync of {count:,} unchanged shards", time.perf_counter() - start, "s")


def _no_model(manifest: Manifest | None) -> NearlyNothing:
    raise AssertionError("no image is new")
