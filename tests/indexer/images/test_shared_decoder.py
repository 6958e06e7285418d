from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.arrays import InputShape
from indexer.errors import UnreadableImage
from indexer.images.shared_decoder import SharedDecoder
from tests.lakes import BLUE, RED, png

SQUARE = InputShape(4, 4)


def pid_of(shared: SharedDecoder) -> int | None:
    process = shared._decoder and shared._decoder._process
    return process.pid if process else None


def test_images_of_several_threads_take_turns_at_one_process() -> None:
    shared = SharedDecoder()
    try:
        with ThreadPoolExecutor(4) as threads:
            images = list(
                threads.map(lambda n: shared.decode("x", png((n, 0, 0)), SQUARE), range(12))
            )
        first = pid_of(shared)
        assert [image.pixels[0, 0, 0] for image in images] == list(range(12))
        with pytest.raises(UnreadableImage, match=r"^y: not an image"):
            shared.decode("y", b"no image at all, whatever it is called", SQUARE)
        # other shapes too
        assert shared.decode("x", png(BLUE), InputShape(2, 6)).pixels.shape == (6, 2, 3)
        assert pid_of(shared) == first
    finally:
        shared.end()
    assert pid_of(shared) is None


def test_an_idle_process_ends_and_a_dead_one_is_replaced() -> None:
    shared = SharedDecoder(idle_s=0.3)
    shared.decode("x", png(RED), SQUARE)
    assert in_time(lambda: pid_of(shared) is None)
    shared.decode("x", png(RED), SQUARE)
    assert shared._decoder is not None
    shared._decoder.stop()
    assert in_time(lambda: not shared._decoder or not shared._decoder.is_running)
    assert shared.decode("x", png(BLUE), SQUARE).pixels[0, 0].tolist() == [0, 0, 255]
    shared.end()


def test_after_an_interruption_an_image_gets_its_own_answer_and_not_the_one_before() -> None:
    shared = SharedDecoder()
    shared.decode("x", png(RED), SQUARE)
    assert shared._decoder is not None
    channel = shared._decoder._channel

    def interrupted(max_bytes: int, until: float | None = None) -> bytes:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shared.decode("red", png(RED), SQUARE)
    assert shared.decode("blue", png(BLUE), SQUARE).pixels[0, 0].tolist() == [0, 0, 255]
    shared.end()


def test_a_process_that_cannot_be_started_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    shared = SharedDecoder()
    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr("indexer.images.decoder.subprocess.Popen", refused)
        shared.start()
        with pytest.raises(UnreadableImage) as caught:
            shared.decode("x", png(RED), SQUARE)
    assert str(caught.value) == "x: its decoder cannot be started: Too many open files"
    assert caught.value.transient
    assert open_files() == before
    assert shared.decode("x", png(RED), SQUARE).width_px == 4
    shared.end()


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


FORKED = """
import os, sys
from indexer.arrays import InputShape
from indexer.images.shared_decoder import SHARED
from tests.lakes import BLUE, RED, png
square = InputShape(4, 4)
SHARED.decode("x", png(RED), square)
mine = SHARED._decoder._process.pid
child = os.fork()
if child == 0:
    same = SHARED._decoder is None
    blue = SHARED.decode("x", png(BLUE), square).pixels[0, 0].tolist()
    other = SHARED._decoder._process.pid
    SHARED.end()
    os._exit(0 if (same, blue, other != mine) == (True, [0, 0, 255], True) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(SHARED.decode("x", png(RED), square).pixels[0, 0].tolist())
print(SHARED._decoder._process.pid == mine, mine)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_has_its_own_and_the_program_leaves_none_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORKED], capture_output=True, text=True, check=True
    )
    code, red, same_and_pid = done.stdout.splitlines()
    same, pid = same_and_pid.split()
    assert (code, red, same, done.stderr) == ("0", "[255, 0, 0]", "True", "")
    if Path("/proc/self").exists():
        assert in_time(lambda: not Path(f"/proc/{pid}").exists())


def in_time(condition: Callable[[], bool], limit_s: float = 20.0) -> bool:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False
