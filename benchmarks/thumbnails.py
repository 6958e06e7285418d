"""How long a person waits for a picture: a thumbnail made, and one that was made before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from itertools import cycle
from pathlib import Path

from benchmarks.measure import Measurement, in_turn
from benchmarks.photos import CAMERA_PX, make_photos
from indexer.address import Address
from service.pictures.decoders import DecoderPool
from service.pictures.originals import IndexedImage
from service.pictures.thumbnails import Thumbnails

MADE_BUDGET_MS = 60
KEPT_BUDGET_MS = 2
PAGE = 50  # pictures that a page of hits shows at once


def measure_thumbnails(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    rounds = 3 if quick else 25
    camera = _indexed(make_photos(workspace / "camera", 2 if quick else 6, CAMERA_PX))
    page = _indexed(make_photos(workspace / "page", 8 if quick else PAGE))
    decoders = DecoderPool()
    made = Thumbnails(workspace, decoders, max_cache_bytes=0)
    kept = Thumbnails(workspace, decoders)
    jobs: dict[str, Callable[[], object]] = {
        "256 px of 12 MP": _one_after_the_other(made, camera, 256),
        "1024 px of 12 MP": _one_after_the_other(made, camera, 1024),
        "256 px of 500x375": _one_after_the_other(made, page, 256),
        "256 px of 12 MP, kept": _one_after_the_other(kept, camera, 256),
    }
    _all_at_once(made, page)  # starts every process
    for job in jobs.values():
        for _ in camera:
            job()
    seconds = dict(zip(jobs, in_turn(list(jobs.values()), rounds), strict=True))
    for name in jobs:
        budget = KEPT_BUDGET_MS if name.endswith("kept") else MADE_BUDGET_MS
        yield Measurement(f"thumbnail, {name}", 1e3 * seconds[name], "ms", at_most=budget)
    (page_s,) = in_turn([partial(_all_at_once, made, page)], 3)
    yield Measurement(
        f"{len(page)} thumbnails at once, 256 px of 500x375",
        1e3 * page_s,
        "ms",
        note=f"{decoders.size} decoders",
    )
    decoders.close()


def _indexed(paths: Sequence[Path]) -> list[IndexedImage]:
    images = []
    for number, path in enumerate(paths, 1):
        data = path.read_bytes()
        images.append(
            IndexedImage(number, Address(str(path)), len(data), sha256(data).hexdigest(), "jpeg")
        )
    return images


def _one_after_the_other(
    thumbnails: Thumbnails, images: Sequence[IndexedImage], size_px: int
) -> Callable[[], object]:
    """Another image at every call, so that no cache of the processor's knows it."""
    waiting = cycle(images)
    return lambda: thumbnails.of(next(waiting), size_px)


def _all_at_once(thumbnails: Thumbnails, images: Sequence[IndexedImage]) -> None:
    with ThreadPoolExecutor(len(images)) as pool:
        list(pool.map(lambda image: thumbnails.of(image, 256), images))
