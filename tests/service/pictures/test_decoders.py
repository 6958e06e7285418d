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

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.decoder import Decoder, ReadSettings
from service.pictures.decoders import DecoderPool
from tests.bad_images import encoded, photo, png_header
from tests.hostile_decoder import WAYS
from tests.lakes import BLUE, GREEN, RED, png

SQUARE = InputShape(8, 8, mode="squash")
INSIDE = InputShape(128, 128, mode="inside")


class Started:
    """Decoders as a pool starts them, and which of their processes live.

    Other tests of the same run may have left processes that come and go.
    """

    def __init__(self) -> None:
        self._decoders: list[Decoder] = []
        self._ids: set[int] = set()

    def __call__(self, settings: ReadSettings) -> Decoder:
        self._decoders.append(Decoder(settings))
        return self._decoders[-1]

    def alive(self) -> set[int]:
        """The ids of the processes that run a decoder; one that just began does not yet."""
        processes = [decoder._process for decoder in list(self._decoders)]
        self._ids |= {process.pid for process in processes if process is not None}
        lines = subprocess.run(
            ["ps", "-ww", "-eo", "pid,ppid,stat,args"], capture_output=True, text=True, check=True
        ).stdout
        fields = [line.split(None, 3) for line in lines.splitlines()[1:]]
        me = str(os.getpid())
        return self._ids & {
            int(f[0])
            for f in fields
            if f[1] == me and f[2][0] != "Z" and "indexer.images.decoder" in f[3]
        }


@pytest.fixture
def started() -> Started:
    return Started()


@pytest.fixture
def pool(started: Started) -> Iterator[DecoderPool]:
    pool = DecoderPool(decoders=2, start=started)
    yield pool
    pool.close()


def in_time(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


SLOW = png((9, 200, 9), (6000, 6000))  # takes a decoder long enough to be met at it


def test_no_process_starts_before_the_first_image(started: Started) -> None:
    pool = DecoderPool(decoders=2, start=started)
    assert started.alive() == set()
    assert pool.decode("red", png(RED), SQUARE).pixels.tolist() == [[list(RED)] * 8] * 8
    assert len(started.alive()) == 1
    pool.close()
    assert started.alive() == set()


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
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "x: an SVG drawing, not an image made of pixels",
        ),
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
def test_a_crash_costs_only_the_image_that_caused_it(
    number: signal.Signals, started: Started
) -> None:
    pool = DecoderPool(decoders=1, start=started)
    with ThreadPoolExecutor(4) as threads:
        slow = threads.submit(pool.decode, "slow", SLOW, SQUARE)
        assert in_time(lambda: bool(started.alive()))
        others = [threads.submit(pool.decode, "red", png(RED), SQUARE) for _ in range(3)]
        (decoder,) = started.alive()
        os.kill(decoder, number)
        with pytest.raises(UnreadableImage) as caught:
            slow.result()
        assert str(caught.value) == f"slow: its decoder crashed ({number.name})"
        assert [other.result().pixels[0, 0].tolist() for other in others] == [[255, 0, 0]] * 3
    pool.close()


def test_a_decoder_that_died_idle_costs_nobody_anything(
    pool: DecoderPool, started: Started
) -> None:
    pool.decode("x", png(RED), SQUARE)
    (decoder,) = started.alive()
    os.kill(decoder, signal.SIGKILL)
    # `ps` shows no command any more before the process can be waited for
    assert in_time(lambda: not pool._idle[-1].decoder.is_running)
    assert pool.decode("y", png(BLUE), SQUARE).pixels[0, 0].tolist() == [0, 0, 255]


def test_an_image_that_hangs_is_stopped(started: Started) -> None:
    pool = DecoderPool(ReadLimits(decode_timeout_s=3.0), decoders=1, start=started)
    pool.decode("warm", png(RED), SQUARE)
    (decoder,) = started.alive()
    os.kill(decoder, signal.SIGSTOP)
    with pytest.raises(UnreadableImage) as caught:
        pool.decode("x", png(RED), SQUARE)
    assert str(caught.value) == "x: decoding took longer than 3 s and was stopped"
    assert pool.decode("y", png(GREEN), SQUARE).pixels[0, 0].tolist() == [0, 255, 0]
    pool.close()


def test_as_many_processes_as_were_allowed(pool: DecoderPool, started: Started) -> None:
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, len(started.alive()))

    watching = threading.Thread(target=watch)
    watching.start()
    with ThreadPoolExecutor(8) as threads:
        images = list(
            threads.map(lambda n: pool.decode("x", png((n, 0, 0), (900, 900)), SQUARE), range(24))
        )
    done.set()
    watching.join()
    assert [image.pixels[0, 0, 0] for image in images] == list(range(24))
    assert most == 2


def test_idle_processes_end_and_come_back(started: Started) -> None:
    pool = DecoderPool(decoders=2, idle_s=0.3, start=started)
    pool.decode("x", png(RED), SQUARE)
    assert in_time(lambda: not started.alive())
    assert pool.decode("y", png(RED), SQUARE).pixels[0, 0].tolist() == [255, 0, 0]
    pool.close()


def test_a_closed_pool_ends_what_is_under_way_and_takes_nothing_new(started: Started) -> None:
    pool = DecoderPool(decoders=1, start=started)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(pool.decode, "slow", SLOW, SQUARE)
        assert in_time(lambda: bool(started.alive()))
        pool.close()
        with pytest.raises(UnreadableImage, match=r"^slow: its decoder crashed"):
            slow.result(timeout=10)
    assert started.alive() == set()
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
                pool.decode(way, way.encode(), SQUARE)
            reasons[way] = caught.value.reason
        assert pool.decode("honest", b"honest", SQUARE).pixels.shape == (8, 8, 3)
    pool.close()
    assert reasons.pop("escapes") == " [2Jno way "
    for way in ("silence", "half an answer"):
        assert reasons.pop(way) == "decoding took longer than 1 s and was stopped"
    crashed = [reasons.pop(way) for way in list(reasons) if "answer" in way or way == "more pixels"]
    assert len(crashed) == 3
    assert all(reason.startswith("its decoder crashed (") for reason in crashed)
    assert len(reasons) == 22
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
