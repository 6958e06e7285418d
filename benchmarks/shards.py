"""Images in WebDataset's shards beside the same photos as loose files: how fast either is indexed,
what an unchanged set costs, how fast one image is shown, and what dealing them out anew does.
"""

from __future__ import annotations

import io
import shutil
import statistics
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Never

from benchmarks.lakes import NearlyNothing, write_tiny_images
from benchmarks.measure import Measurement, in_turn
from benchmarks.photos import make_photos
from indexer.disk.manifest import Manifest, SourceEntry
from indexer.report import SyncReport
from indexer.sources.guard import Reach
from indexer.sync import sync
from service.lake import Lake
from service.pictures.originals import IndexedImage, Originals

AT_LEAST = 0.95  # of the rate of loose files
UNCHANGED_S = 1.0
SHOWN_S = 0.02


def measure_shards(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    photos, rounds = (40, 1) if quick else (2_000, 3)
    loose, shards = workspace / "loose", workspace / "shards"
    _deal(make_photos(loose, photos), shards, 4 if quick else 20)
    number = iter(range(1_000))

    def index(source: Path) -> None:
        _index(workspace / f"{next(number)}.lake", source)

    seconds = in_turn([lambda: index(loose), lambda: index(shards)], rounds)
    yield Measurement(
        f"indexing {photos:,} photos of 500x375 from tars: rate, of that of loose files",
        seconds[0] / seconds[1],
        "",
        at_least=AT_LEAST,
        note="a model that costs nothing",
    )
    yield from _unchanged(workspace, *((4, 50) if quick else (100, 1_000)))


def _unchanged(workspace: Path, count: int, members: int) -> Iterator[Measurement]:
    tiny, shards, lake = workspace / "tiny", workspace / "many", workspace / "many.lake"
    write_tiny_images(tiny, count * members)
    _deal(sorted(path for path in tiny.rglob("*") if path.is_file()), shards, count)
    _index(lake, shards)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        report = sync(lake, _must_not_load)
        seconds.append(time.perf_counter() - start)
        assert report.unchanged == count * members, report
    yield Measurement(
        f"sync of {count} unchanged shards of {members:,}",
        statistics.median(seconds),
        "s",
        at_most=UNCHANGED_S,
    )
    yield Measurement("one image read from its shard", _shown(lake), "s", at_most=SHOWN_S)
    before = _ids(lake)
    shutil.rmtree(shards)
    _deal(sorted(path for path in tiny.rglob("*") if path.is_file()), shards, count * 37 // 100)
    start = time.perf_counter()
    report = sync(lake, _must_not_load)
    assert (report.new, report.gone) == (0, 0)
    yield Measurement(
        f"sync after {count} shards became {count * 37 // 100}", time.perf_counter() - start, "s"
    )
    yield Measurement("row ids changed by it", len(before ^ _ids(lake)), "", at_most=0)


def _deal(photos: Sequence[Path], folder: Path, shards: int) -> None:
    """Into tars, each photo with a caption."""
    folder.mkdir()
    for number in range(shards):
        with tarfile.open(folder / f"{number:05d}.tar", "w") as shard:
            for at, photo in enumerate(photos[number::shards]):
                key = f"{number:05d}{at:05d}"
                for suffix, data in ((photo.suffix, photo.read_bytes()), (".txt", b"a photo")):
                    info = tarfile.TarInfo(key + suffix)
                    info.size = len(data)
                    shard.addfile(info, io.BytesIO(data))


def _index(lake: Path, source: Path) -> SyncReport:
    return sync(lake, lambda _: NearlyNothing(), add=[SourceEntry(str(source))])


def _shown(lake: Path) -> float:
    """Median seconds to read one image and to see that it is the one that was indexed."""
    originals, seconds = Originals(), []
    with Lake.open(lake) as opened:
        for hit in opened.search(row_id=1, k=40):
            image = IndexedImage.of(hit.columns, Reach([hit.columns["source"]]))
            start = time.perf_counter()
            originals.read(image)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _ids(lake: Path) -> set[tuple[int, str]]:
    with Lake.open(lake) as opened:
        return {(hit.row_id, str(hit.columns["sha256"])) for hit in opened.search(row_id=1, k=None)}


def _must_not_load(manifest: Manifest | None) -> Never:
    raise AssertionError("the model was asked for, though no image is new")
