"""A pool of decoder processes: what comes back, and what one bad image costs the others."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from indexer.config import ReadLimits
from indexer.decoder import Decoder
from indexer.embed import InputShape
from indexer.errors import UnreadableImage
from service.decoders import DecoderPool
from tests.bad_images import encoded, photo, png_header
from tests.hostile_decoder import WAYS
from tests.lakes import BLUE, GREEN, RED, png

SQUARE = InputShape(8, 8, mode="squash")
INSIDE = InputShape(128, 128, mode="inside")


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(decoders=2)
    yield pool
    pool.close()


def children() -> set[int]:
    """The decoder processes that this process started and that live."""
    lines = subprocess.run(
        ["ps", "-eo", "pid,ppid,stat,args"], capture_output=True, text=True, check=True
    ).stdout
    fields = [line.split(None, 3) for line in lines.splitlines()[1:]]
    me = str(os.getpid())
    return {int(f[0]) for f in fields if f[1] == me and f[2][0] != "Z" and "indexer.decoder" in f[3]}


def within_10_s(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


SLOW = png((9, 200, 9), (6000, 6000))  # takes a decoder long enough to be met at it


def test_no_process_starts_before_the_first_image() -> None:
    before = children()
    pool = DecoderPool(decoders=2)
    assert children() == before
    assert pool.decode("red", png(RED), SQUARE).pixels.tolist() == [[list(RED)] * 8] * 8
    assert len(children() - before) == 1
    pool.close()
    assert children() == before


def test_one_process_serves_models_and_thumbnails(pool: DecoderPool) -> None:
    data = png(BLUE, (400, 100))
    assert pool.decode("x", data, SQUARE).pixels.shape == (8, 8, 3)
    small = pool.decode("x", data, INSIDE)
    assert small.pixels.shape == (32, 128, 3)
    assert (small.width_px, small.height_px) == (400, 100)
    assert pool.decode("x", data, InputShape(8, 16, mode="squash")).pixels.shape == (16, 8, 3)


def test_a_path_is_opened_by_the_decoder(pool: DecoderPool, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"not utf-8 \xff.png")
    path.write_bytes(png(GREEN))
    assert pool.decode("x", path, SQUARE).pixels[0, 0].tolist() == [0, 255, 0]
    with pytest.raises(UnreadableImage) as caught:
        pool.decode("y", tmp_path / "none.png", SQUARE)
    assert str(caught.value) == "y: vanished: there is no such file any more"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1, 1), (1, 1)),
        ((1, 5000), (1, 128)),
        ((5000, 1), (128, 1)),
        ((127, 60), (127, 60)),  # never enlarged
        ((128, 128), (128, 128)),
        ((129, 258), (64, 128)),
        ((1000, 500), (128, 64)),
    ],
)
def test_inside_fits_both_sides_and_never_enlarges(
    pool: DecoderPool, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    pixels = pool.decode("x", png(RED, size), INSIDE).pixels
    assert pixels.shape == (shown[1], shown[0], 3)
    assert (pixels == RED).all()


def test_inside_keeps_the_picture(pool: DecoderPool) -> None:
    picture = photo(640, 480)
    pixels = pool.decode("x", encoded(picture, "PNG"), INSIDE).pixels
    plain = np.asarray(picture.resize((128, 96), Image.Resampling.BICUBIC), np.int16)
    assert np.abs(pixels.astype(np.int16) - plain).mean() < 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "x: empty file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "x: an SVG drawing, not an image made of pixels"),
        (png(RED, (40, 40))[:200], "x: truncated: "),
        (png_header(20_000, 10_000), "x: 200 Mpx, over the cap of 180 Mpx (LAKESIFT_MAX_PIXELS)"),
    ],
)
def test_what_is_no_image_is_a_sentence(pool: DecoderPool, data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage) as caught:
        pool.decode("x", data, SQUARE)
    assert str(caught.value).startswith(reason)
    assert pool.decode("y", png(RED), SQUARE).pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_costs_only_the_image_that_caused_it(number: signal.Signals) -> None:
    pool = DecoderPool(decoders=1)
    before = children()
    with ThreadPoolExecutor(4) as threads:
        slow = threads.submit(pool.decode, "slow", SLOW, SQUARE)
        assert within_10_s(lambda: bool(children() - before))
        others = [threads.submit(pool.decode, "red", png(RED), SQUARE) for _ in range(3)]
        (decoder,) = children() - before
        os.kill(decoder, number)
        with pytest.raises(UnreadableImage) as caught:
            slow.result()
        assert str(caught.value) == f"slow: its decoder crashed ({number.name})"
        assert [other.result().pixels[0, 0].tolist() for other in others] == [[255, 0, 0]] * 3
    pool.close()


def test_a_decoder_that_died_idle_costs_nobody_anything(pool: DecoderPool) -> None:
    before = children()
    pool.decode("x", png(RED), SQUARE)
    (decoder,) = children() - before
    os.kill(decoder, signal.SIGKILL)
    assert within_10_s(lambda: not children() - before)
    assert pool.decode("y", png(BLUE), SQUARE).pixels[0, 0].tolist() == [0, 0, 255]


def test_an_image_that_hangs_is_stopped() -> None:
    pool = DecoderPool(ReadLimits(decode_timeout_s=3.0), decoders=1)
    before = children()
    pool.decode("warm", png(RED), SQUARE)
    (decoder,) = children() - before
    os.kill(decoder, signal.SIGSTOP)
    with pytest.raises(UnreadableImage) as caught:
        pool.decode("x", png(RED), SQUARE)
    assert str(caught.value) == "x: decoding took longer than 3 s and was stopped"
    assert pool.decode("y", png(GREEN), SQUARE).pixels[0, 0].tolist() == [0, 255, 0]
    pool.close()


def test_as_many_processes_as_were_allowed(pool: DecoderPool) -> None:
    before, most = children(), 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, len(children() - before))

    watching = threading.Thread(target=watch)
    watching.start()
    with ThreadPoolExecutor(8) as threads:
        images = list(threads.map(lambda n: pool.decode("x", png((n, 0, 0), (900, 900)), SQUARE), range(24)))
    done.set()
    watching.join()
    assert [image.pixels[0, 0, 0] for image in images] == list(range(24))
    assert most == 2


def test_idle_processes_end_and_come_back() -> None:
    before = children()
    pool = DecoderPool(decoders=2, idle_s=0.3)
    pool.decode("x", png(RED), SQUARE)
    assert within_10_s(lambda: not children() - before)
    assert pool.decode("y", png(RED), SQUARE).pixels[0, 0].tolist() == [255, 0, 0]
    pool.close()


def test_a_closed_pool_ends_what_is_under_way_and_takes_nothing_new() -> None:
    pool = DecoderPool(decoders=1)
    before = children()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(pool.decode, "slow", SLOW, SQUARE)
        assert within_10_s(lambda: bool(children() - before))
        pool.close()
        with pytest.raises(UnreadableImage, match=r"^slow: its decoder crashed"):
            slow.result(timeout=10)
    assert children() == before
    with pytest.raises(UnreadableImage) as caught:
        pool.decode("x", png(RED), SQUARE)
    assert str(caught.value) == "x: the service is stopping"


def test_a_decoder_that_an_image_took_over_ends_with_it() -> None:
    """Whatever it answers, or does not, its request ends and the next one gets another decoder."""
    pool = DecoderPool(
        ReadLimits(decode_timeout_s=1.0),
        decoders=1,
        start=lambda settings: Decoder(settings, "tests.hostile_decoder"),
    )
    reasons = {}
    for way in WAYS:
        if way != "honest":
            with pytest.raises(UnreadableImage) as caught:
                pool.decode(way, b"x", SQUARE)
            reasons[way] = caught.value.reason
        assert pool.decode("honest", b"x", SQUARE).pixels.shape == (2, 2, 3)
    pool.close()
    assert reasons.pop("silence") == "decoding took longer than 1 s and was stopped"
    crashed = [reasons.pop(way) for way in list(reasons) if "answer" in way or way == "more pixels"]
    assert len(crashed) == 4
    assert all(reason.startswith("its decoder crashed (") for reason in crashed)
    assert len(reasons) == 8
    assert set(reasons.values()) == {"its decoder answered nonsense and was stopped"}


def test_giants_of_two_pools_are_decoded_one_at_a_time(cache_of_the_tests: Path) -> None:
    """While somebody holds the lock, a giant waits and anything smaller does not."""
    giant = png_of_giant()
    pools = [DecoderPool(decoders=2), DecoderPool(decoders=2)]
    with ThreadPoolExecutor(2) as threads:
        with FileLock(cache_of_the_tests / "giants.lock"):
            giants = [threads.submit(pool.decode, "giant", giant, SQUARE) for pool in pools]
            assert [pool.decode("red", png(RED), SQUARE).width_px for pool in pools] == [4, 4]
            time.sleep(0.5)
            assert not any(waiting.done() for waiting in giants)
        assert [waiting.result().width_px for waiting in giants] == [7000, 7000]
    for pool in pools:
        pool.close()


def png_of_giant() -> bytes:
    """49 Mpx of one grey."""
    return encoded(Image.new("L", (7000, 7000), 128), "PNG", compress_level=1)
