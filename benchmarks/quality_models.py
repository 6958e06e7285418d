"""What is measured: models that read images and mostly texts,
and their vectors over a set, each made once.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from indexer.arrays import InputShape, Pixels, Vectors
from indexer.config import ReadLimits
from indexer.embed import Embedder
from indexer.embed.models import load_embedder
from indexer.embed.runtime import open_session
from indexer.embed.vectors import unit_rows
from indexer.errors import BadRequest
from indexer.images import read_bytes, read_image

LIMITS = ReadLimits()
# Larger than any image under the limits that is no mere line.
AS_IT_IS = InputShape(width_px=100_000, height_px=100_000, mode="inside")
REPORT_S = 10.0
SIZE = re.compile(r"([1-9][0-9]{0,3})(?:x([1-9][0-9]{0,3}))?")
Change = Callable[[Image.Image], bytes]  # an image -> the file of a copy that somebody made of it


@dataclass(frozen=True, slots=True)
class QualityModel:
    """A model as this benchmark sees it."""

    name: str
    fingerprint: Mapping[str, str | int]
    shape: InputShape
    batch_size: int
    embed_images: Callable[[Sequence[Pixels]], Vectors]
    embed_texts: Callable[[Sequence[str]], Vectors] | None  # None: it reads images only


def open_model(name: str) -> QualityModel:
    """`builtin`, `builtin@FOLDER`, `open_clip:...`, `bridge`,
    or `backbone`, the classifier's features alone.

    :raises LakeError: if there is no such model here.
    """
    if name == "backbone":
        return _backbone()
    if name == "bridge":
        from training.bridge import BridgeEmbedder

        return _whole(name, BridgeEmbedder())
    return _whole(name, load_embedder(name))


def open_models(names: Sequence[str]) -> list[QualityModel]:
    """Each once. A folder's is called by the name in its model.json,
    unless another here has that name too.

    :raises LakeError: if there is no such model here.
    """
    models = [open_model(name) for name in dict.fromkeys(names)]
    short = [
        str(model.fingerprint["name"]) if model.name.startswith("builtin") else model.name
        for model in models
    ]
    return [
        replace(model, name=name) if short.count(name) == 1 else model
        for model, name in zip(models, short, strict=True)
    ]


def _whole(name: str, model: Embedder) -> QualityModel:
    shape, size = model.input_shape, model.batch_size
    return QualityModel(name, model.fingerprint, shape, size, model.embed_images, model.embed_texts)


def _backbone() -> QualityModel:
    from training.arrays import LITE2, ImageArrays
    from training.graphs import image_graph
    from training.starting import CLASSIFIER, backbone

    graph = image_graph(ImageArrays(LITE2, backbone(), None, 1.0, None), in_8_bits=False)
    session = open_session(graph)

    def embed(images: Sequence[Pixels]) -> Vectors:
        return unit_rows(session.run(["vectors"], {"pixels": np.stack(images)})[0])

    shape = InputShape(width_px=LITE2.side_px, height_px=LITE2.side_px)
    return QualityModel(
        "backbone", {"name": "backbone", "weights": CLASSIFIER.sha256}, shape, 16, embed, None
    )


@dataclass(frozen=True, slots=True)
class VectorCache:
    """Vectors on disk, by what they were made from; without a folder nothing is kept."""

    folder: Path | None

    def get(self, key: object, make: Callable[[], Vectors]) -> Vectors:
        """:param key: of JSON."""
        if self.folder is None:
            return make()
        path = (
            self.folder
            / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()}.npz"
        )
        if path.is_file():
            with np.load(path, allow_pickle=False) as stored:
                return np.asarray(stored["vectors"], np.float32)
        vectors = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(
            f".{os.getpid()}.npz"
        )  # a run that is killed leaves no half file under the name
        np.savez(beside, vectors=vectors)
        beside.replace(path)
        return vectors


def image_vectors(
    model: QualityModel,
    files: Sequence[Path],
    cache: VectorCache,
    change: tuple[str, Change] | None = None,
) -> Vectors:
    """float32, (files, dim), unit rows.

    :param change: its name, and what is done to each image before it is read.
    :raises UnreadableImage: at the first file that is no whole image.
    """
    key = [
        dict(model.fingerprint),
        change and change[0],
        [[str(file), file.stat().st_size] for file in files],
    ]
    return cache.get(key, lambda: _embed_files(model, files, change))


def text_vectors(model: QualityModel, texts: Sequence[str], cache: VectorCache) -> Vectors:
    """float32, (texts, dim), unit rows. The model must read texts."""
    assert model.embed_texts is not None
    embed = model.embed_texts
    return cache.get([dict(model.fingerprint), "texts", list(texts)], lambda: embed(texts))


def _embed_files(
    model: QualityModel, files: Sequence[Path], change: tuple[str, Change] | None
) -> Vectors:
    what = "images" if change is None else f"copies {change[0]}"
    parts, start = [], time.monotonic()
    told = start
    for i in range(0, len(files), model.batch_size):
        batch = [
            _pixels(file, model.shape, change and change[1])
            for file in files[i : i + model.batch_size]
        ]
        parts.append(model.embed_images(batch))
        now, done = time.monotonic(), min(i + model.batch_size, len(files))
        if now - told > REPORT_S or done == len(files):
            rate = f"{done / max(now - start, 1e-9):.0f}/s"
            print(
                f"  {model.name}: {done:,} of {len(files):,} {what}, {rate}",
                file=sys.stderr,
                flush=True,
            )
            told = now
    return np.concatenate(parts)


def _pixels(file: Path, shape: InputShape, change: Change | None) -> Pixels:
    data = read_bytes(str(file), str(file), LIMITS)
    if change is not None:
        # As indexing reads it: upright, since a copy has no EXIF, in RGB, and mended.
        data = change(Image.fromarray(read_image(str(file), data, AS_IT_IS, LIMITS).pixels))
    return read_image(str(file), data, shape, LIMITS).pixels


def resized(text: str) -> tuple[str, Change]:
    """What `--sizes` means: a name for the table, and what is done to each image.

    Saved as JPEGs of quality 75, as most programs save small copies.

    :param text: "200": the longer side in pixels, the shape kept, smaller images as large as they
        are. "224x224": scaled to that width and height, the shape lost.
    :raises BadRequest: if it is neither, or a side is not in 1..9,999.
    """
    found = SIZE.fullmatch(text)
    if found is None:
        raise BadRequest(
            "sizes", f"{text!r} is no size; write 200 (the longer side) or 224x224 (squashed to it)"
        )
    width, height = int(found[1]), found[2]
    if height is None:
        return f"at {width} px", partial(_at_longer_side, width)
    return f"squashed to {width}x{int(height)}", partial(_squashed, (width, int(height)))


def _at_longer_side(longer_px: int, image: Image.Image) -> bytes:
    share = min(1.0, longer_px / max(image.size))
    return _squashed(
        (max(1, round(image.width * share)), max(1, round(image.height * share))), image
    )


def _squashed(size: tuple[int, int], image: Image.Image) -> bytes:
    return _saved(image.resize(size, Image.Resampling.BICUBIC), format="JPEG", quality=75)


def _as_jpeg(image: Image.Image) -> bytes:
    return _saved(image, format="JPEG", quality=60)


def _at_half_size(image: Image.Image) -> bytes:
    size = max(1, image.width // 2), max(1, image.height // 2)
    return _saved(image.resize(size, Image.Resampling.BICUBIC), format="PNG", compress_level=1)


def _cropped(image: Image.Image) -> bytes:
    box = round(image.width * 0.05), round(image.height * 0.05), image.width, image.height
    return _saved(image.crop(box), format="PNG", compress_level=1)


def _saved(image: Image.Image, **options: str | int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, **options)  # type: ignore[arg-type]
    return stream.getvalue()


CHANGES: dict[str, Change] = {
    "as JPEG of quality 60": _as_jpeg,
    "at half size": _at_half_size,
    "5 % cut off left and top": _cropped,
}
