"""Folders of photos to index, made from the sample photos that
scikit-image and scikit-learn carry.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image

SAMPLES = {
    "skimage": (
        "data/astronaut.png",
        "data/chelsea.png",
        "data/coffee.png",
        "data/hubble_deep_field.jpg",
        "data/motorcycle_left.png",
        "data/retina.jpg",
        "data/rocket.jpg",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}
FLICKR_PX = (500, 375)  # what Flickr8k, COCO and most scraped sets look like
CAMERA_PX = (4000, 3000)  # 12 MP
GIANT_PX = (13_400, 13_400)  # 179.6 Mpx, just under the cap of 180
QUALITY = 90


@cache
def sample_photos() -> tuple[Image.Image, ...]:
    """Nine photos, RGB; read once."""
    found = []
    for package, names in SAMPLES.items():
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None, (
            f"{package} is missing: pip install 'lakesift[samples]'"
        )
        found += [Image.open(Path(spec.origin).parent / name).convert("RGB") for name in names]
    return tuple(found)


def make_photos(
    folder: Path, count: int, size: tuple[int, int] = FLICKR_PX, seed: int = 0
) -> list[Path]:
    """Write that many different JPEGs:
    parts of the sample photos, one in four upright instead of lying.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, image in enumerate(_parts(size, random.Random(seed), count)):
        path = folder / f"photo-{number:05d}.jpg"
        image.save(path, quality=QUALITY)
        paths.append(path)
    return paths


def _parts(size: tuple[int, int], rng: random.Random, count: int) -> Iterator[Image.Image]:
    photos = sample_photos()
    for number in range(count):
        photo = photos[number % len(photos)]
        width, height = size if number % 4 else size[::-1]
        share = rng.uniform(0.6, 1.0)
        # of the sample for a pixel of ours
        scale = min(photo.width / width, photo.height / height) * share
        left = rng.uniform(0, photo.width - width * scale)
        top = rng.uniform(0, photo.height - height * scale)
        box = (left, top, left + width * scale, top + height * scale)
        yield photo.resize((width, height), Image.Resampling.BICUBIC, box=box)


def make_giants(folder: Path, count: int, size: tuple[int, int] = GIANT_PX) -> list[Path]:
    """PNGs as large as the cap allows,
    which no decoder can read at reduced scale; of one colour, so 1 MB each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"giant-{number}.png"
        Image.new("RGB", size, (number * 40 % 256, 90, 160)).save(path, compress_level=1)
        paths.append(path)
    return paths
