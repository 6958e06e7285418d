"""Thumbnails: the right picture, made once, kept within a bound,
and none at all where the image is not what it was.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from indexer.address import Address
from indexer.errors import BadRequest, ImageGone, UnreadableImage
from service.pictures.decoders import DecoderPool
from service.pictures.originals import IndexedImage, Originals
from service.pictures.thumbnail_cache import DIGEST_BYTES, ThumbnailCache
from service.pictures.thumbnails import Thumbnails, snap
from tests.bad_images import cmyk_jpeg, encoded, grey16_ramp, photo, png_header
from tests.lakes import BLUE, GREEN, RED, YELLOW, png, write

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


@pytest.fixture(scope="module")
def decoders() -> Iterator[DecoderPool]:
    pool = DecoderPool(decoders=2)
    yield pool
    pool.close()


@pytest.fixture
def thumbnails(tmp_path: Path, decoders: DecoderPool) -> Thumbnails:
    return Thumbnails(tmp_path, decoders)


class CountedOriginals(Originals):
    """Counts what is read; a gate can be shut before it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.gate = threading.Event()
        self.gate.set()
        self._counting = threading.Lock()

    def read(self, image: IndexedImage) -> bytes:
        with self._counting:
            self.reads += 1
        assert self.gate.wait(10)
        return super().read(image)


def indexed(folder: Path, name: str, data: bytes) -> IndexedImage:
    """A file, and what a row would say of it."""
    path = write(folder / name, data)
    return IndexedImage(1, Address(str(path)), len(data), sha256(data).hexdigest(), "png")


def picture(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image.convert("RGB")


def near(pixel: object, colour: tuple[int, int, int], by: int = 6) -> bool:
    return bool(np.abs(np.array(pixel, np.int16) - colour).max() <= by)


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "thumbnails").rglob("*") if path.is_file())


# sizes


@pytest.mark.parametrize(
    ("asked", "made"),
    [(32, 128), (128, 128), (129, 256), (256, 256), (257, 512), (513, 1024), (1024, 1024)],
)
def test_sizes_snap_up(asked: int, made: int) -> None:
    assert snap(asked) == made


@pytest.mark.parametrize("asked", [31, 1025, 0, -5])
def test_other_sizes_are_refused(asked: int) -> None:
    with pytest.raises(BadRequest) as caught:
        snap(asked)
    assert str(caught.value) == f"size: {asked} is not in 32..1024"


@pytest.mark.parametrize(
    ("size", "asked", "shown"),
    [
        ((2000, 1000), 200, (256, 128)),
        ((1000, 2000), 300, (256, 512)),
        ((100, 50), 256, (100, 50)),
        ((1, 1), 256, (1, 1)),
        ((1, 5000), 256, (1, 256)),
    ],
)
def test_the_longer_side_is_the_snapped_size_or_the_images_own(
    thumbnails: Thumbnails,
    tmp_path: Path,
    size: tuple[int, int],
    asked: int,
    shown: tuple[int, int],
) -> None:
    image = indexed(tmp_path, "a.png", png(BLUE, size))
    small = picture(thumbnails.of(image, asked))
    assert small.size == shown
    assert near(small.getpixel((0, shown[1] - 1)), BLUE)


def test_a_large_picture_is_at_most_4096_px(thumbnails: Thumbnails, tmp_path: Path) -> None:
    assert picture(thumbnails.large(indexed(tmp_path, "a.png", png(RED, (5000, 10))))).size == (
        4096,
        8,
    )
    assert picture(thumbnails.large(indexed(tmp_path, "b.png", png(RED, (4096, 10))))).size == (
        4096,
        10,
    )


# what is in it


def test_it_looks_like_the_image(thumbnails: Thumbnails, tmp_path: Path) -> None:
    original = photo(1200, 900)
    small = picture(
        thumbnails.of(indexed(tmp_path, "a.jpg", encoded(original, "JPEG", quality=95)), 256)
    )
    plain = np.asarray(original.resize((256, 192), Image.Resampling.LANCZOS), np.int16)
    assert np.abs(np.asarray(small, np.int16) - plain).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_upright(thumbnails: Thumbnails, tmp_path: Path, orientation: int) -> None:
    """A phone's JPEG, upright 300 x 400:
    red above blue on the left, green above yellow on the right.
    """
    upright = Image.new("RGB", (300, 400))
    corners = {(0, 0): RED, (150, 0): GREEN, (0, 200): BLUE, (150, 200): YELLOW}
    for place, colour in corners.items():
        upright.paste(colour, (*place, place[0] + 150, place[1] + 200))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposition that stores it so
    stored = (
        upright.transpose(Image.Transpose(undo[orientation])) if orientation in undo else upright
    )
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(stored, "JPEG", quality=95, exif=exif)

    small = picture(thumbnails.of(indexed(tmp_path, "a.jpg", data), 128))
    assert small.size == (96, 128)
    for (x, y), colour in corners.items():
        at = (24 if x == 0 else 72, 32 if y == 0 else 96)
        assert near(small.getpixel(at), colour, by=12), (at, small.getpixel(at))


def test_ink_depth_layers_and_frames(thumbnails: Thumbnails, tmp_path: Path) -> None:
    cyan = picture(thumbnails.of(indexed(tmp_path, "cmyk.jpg", cmyk_jpeg()), 128)).getpixel(
        (10, 10)
    )
    assert isinstance(cyan, tuple) and cyan[0] < 60 and cyan[1] > 120 and cyan[2] > 180

    for format in ("PNG", "TIFF"):
        ramp = picture(
            thumbnails.of(indexed(tmp_path, "grey16", encoded(grey16_ramp(), format)), 256)
        )
        assert all(near(ramp.getpixel((x, 8)), (x, x, x)) for x in (0, 64, 128, 255))

    frames = [Image.new("RGB", (40, 30), colour) for colour in (RED, GREEN, BLUE)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    assert near(picture(thumbnails.of(indexed(tmp_path, "a.gif", gif), 128)).getpixel((9, 9)), RED)

    clear = encoded(Image.new("RGBA", (40, 30), (0, 0, 0, 0)), "PNG")
    assert picture(thumbnails.of(indexed(tmp_path, "clear.png", clear), 128)).getpixel((9, 9)) == (
        255,
        255,
        255,
    )

    heic = encoded(Image.new("RGB", (64, 48), GREEN), "HEIF")
    assert near(
        picture(thumbnails.of(indexed(tmp_path, "a.heic", heic), 128)).getpixel((9, 9)),
        GREEN,
        by=12,
    )


def test_a_bomb_is_refused_by_its_header(thumbnails: Thumbnails, tmp_path: Path) -> None:
    bomb = indexed(tmp_path, "bomb.png", png_header(20_000, 10_000))
    with pytest.raises(UnreadableImage, match=r"200 Mpx, over the cap of 180 Mpx"):
        thumbnails.of(bomb, 128)
    assert thumbnails.of(indexed(tmp_path, "a.png", png(RED)), 128)


# once, and kept


def test_it_is_read_once_and_then_kept_even_when_the_image_moves(
    tmp_path: Path, decoders: DecoderPool
) -> None:
    originals = CountedOriginals()
    thumbnails = Thumbnails(tmp_path, decoders, originals=originals)
    image = indexed(tmp_path, "a.png", png(RED))
    first = thumbnails.of(image, 128)
    assert thumbnails.of(image, 100) == first
    assert originals.reads == 1
    moved = indexed(tmp_path, "elsewhere/b.png", png(RED))
    again = Thumbnails(tmp_path, decoders, originals=originals)
    assert again.of(moved, 128) == first
    assert originals.reads == 1
    assert again.of(moved, 256) == first  # 4 px in either size
    assert originals.reads == 2


def test_two_that_want_one_thumbnail_make_it_once(tmp_path: Path, decoders: DecoderPool) -> None:
    originals = CountedOriginals()
    thumbnails = Thumbnails(tmp_path, decoders, max_cache_bytes=0, originals=originals)
    image = indexed(tmp_path, "a.png", png(RED, (600, 400)))
    originals.gate.clear()
    with ThreadPoolExecutor(8) as threads:
        started = threading.Barrier(8)

        def ask() -> bytes:
            started.wait()
            return thumbnails.of(image, 128)

        asked = [threads.submit(ask) for _ in range(8)]
        assert not any(future.done() for future in asked)
        threading.Timer(0.3, originals.gate.set).start()
        assert len({future.result() for future in asked}) == 1
    assert originals.reads == 1
    assert kept(tmp_path) == []  # nothing was to be kept: it was the waiting that saved the work
    thumbnails.of(image, 128)
    assert originals.reads == 2


def test_one_that_fails_fails_for_all_who_wait_and_is_tried_again(
    thumbnails: Thumbnails, tmp_path: Path
) -> None:
    image = indexed(tmp_path, "a.png", png(RED))
    write(tmp_path / "a.png", png(BLUE))
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(thumbnails.of, image, 128) for _ in range(4)]
        for future in asked:
            with pytest.raises(ImageGone):
                future.result()
    write(tmp_path / "a.png", png(RED))
    assert near(picture(thumbnails.of(image, 128)).getpixel((0, 0)), RED)


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "grown"])
def test_a_damaged_file_of_the_cache_is_not_served(
    thumbnails: Thumbnails, tmp_path: Path, damage: str
) -> None:
    image = indexed(tmp_path, "a.png", png(RED, (300, 200)))
    good = thumbnails.of(image, 128)
    (path,) = kept(tmp_path)
    content = path.read_bytes()
    assert content[DIGEST_BYTES:] == good
    flipped = bytes([*content[:200], content[200] ^ 1, *content[201:]])
    bad = {"cut": content[:100], "flipped": flipped, "emptied": b"", "grown": content + b"x"}[
        damage
    ]
    path.write_bytes(bad)
    assert thumbnails.of(image, 128) == good
    assert path.read_bytes()[DIGEST_BYTES:] == good  # mended


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, decoders: DecoderPool, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "thumbnails").write_text("no folder can be made here")
    thumbnails = Thumbnails(tmp_path, decoders)
    image = indexed(tmp_path, "a.png", png(RED))
    assert thumbnails.of(image, 128) == thumbnails.of(image, 128)
    (record,) = caplog.records  # once, not for each picture
    assert f"thumbnails cannot be kept in {tmp_path / 'thumbnails'}" in record.getMessage()


# the cache's bound


def name_of(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 10_000)
    size = 1_000 - DIGEST_BYTES
    for number in range(12):
        cache.put(name_of(number), bytes([number]) * size)
        path = tmp_path / name_of(number)[:2] / name_of(number)
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    assert cache.get(name_of(0)) == bytes(size)  # used now
    cache.tidy()
    here = [number for number in range(12) if cache.get(name_of(number)) is not None]
    assert here == [0, 4, 5, 6, 7, 8, 9, 10, 11]  # 9,000 bytes: a tenth of the bound is free


def test_the_first_write_and_every_tenth_of_the_bound_call_for_tidying(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 10_000)
    data = bytes(500 - DIGEST_BYTES)
    assert cache.put(name_of(0), data)
    cache.tidy()
    assert [cache.put(name_of(n), data) for n in (1, 2)] == [False, True]
    assert cache.put(name_of(3), data)  # until it is done
    cache.tidy()
    assert not cache.put(name_of(4), data)


def test_what_is_too_large_for_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 10_000)
    assert not cache.put(name_of(0), bytes(1_001))
    assert cache.get(name_of(0)) is None
    assert not ThumbnailCache(tmp_path, 0).put(name_of(1), b"x")
    assert list(tmp_path.iterdir()) == []


def test_with_a_bound_of_0_nothing_is_kept_nor_looked_for(tmp_path: Path) -> None:
    ThumbnailCache(tmp_path, 10_000).put(name_of(1), b"x")
    assert ThumbnailCache(tmp_path, 10_000).get(name_of(1)) == b"x"
    assert ThumbnailCache(tmp_path, 0).get(name_of(1)) is None


def test_leftovers_of_a_crash_go_in_their_turn(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 10_000)
    cache.put(name_of(1), b"small")
    leftover = write(tmp_path / name_of(1)[:2] / ".dead.tmp", bytes(20_000))
    cache.tidy()
    assert not leftover.exists()
    assert cache.get(name_of(1)) == b"small"


def test_many_threads_stay_within_the_bound(tmp_path: Path, decoders: DecoderPool) -> None:
    thumbnails = Thumbnails(tmp_path, decoders, max_cache_bytes=20_000)
    images = [indexed(tmp_path, f"{n}.png", png((n, 0, 99), (64, 64))) for n in range(60)]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda image: thumbnails.of(image, 128), images))
    assert len({picture(jpeg).size for jpeg in made}) == 1
    for thread in threading.enumerate():
        if thread.name == "thumbnails":
            thread.join()
    assert sum(path.stat().st_size for path in kept(tmp_path)) <= 20_000
    # it was not for want of pictures
    assert sum(len(jpeg) + DIGEST_BYTES for jpeg in made) > 30_000


@pytest.mark.skipif(resource is None, reason="this system limits no file sizes")
def test_a_full_disk_costs_only_time(
    tmp_path: Path, decoders: DecoderPool, caplog: pytest.LogCaptureFixture
) -> None:
    thumbnails = Thumbnails(tmp_path, decoders)
    image = indexed(tmp_path, "a.jpg", encoded(photo(640, 480), "JPEG"))
    # its decoder runs: the limit is not for that
    thumbnails.of(indexed(tmp_path, "warm.png", png(RED)), 128)
    before = kept(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # a write stops half-way, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        made = thumbnails.of(image, 256)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert picture(made).size == (256, 192) and len(made) > 1_000
    assert kept(tmp_path) == before
    (record,) = caplog.records
    assert (
        "thumbnails cannot be kept in" in record.getMessage()
        and "File too large" in record.getMessage()
    )
    assert thumbnails.of(image, 256) == made  # there is room again
    assert len(kept(tmp_path)) == len(before) + 1
