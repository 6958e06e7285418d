"""The box as a decoder stands in it, tried by one that an image has taken over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.arrays import InputShape
from indexer.box import Box
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images.decoder import Decoder, ReadSettings
from tests.bad_images import encoded, photo
from tests.lakes import RED, png
from tests.taken_over import HANGS, WAYS

SQUARE = InputShape(4, 4)
LIMITS = ReadLimits(decode_timeout_s=2.0)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(ReadSettings(SQUARE, LIMITS), "tests.taken_over")
    if not decoder.box().seccomp:
        decoder.close()
        pytest.skip("this machine has no seccomp")
    yield decoder
    decoder.close()


def reason_of(decoder: Decoder, way: str) -> str:
    with pytest.raises(UnreadableImage) as caught:
        decoder.decode("x", None, way.encode())
    return caught.value.reason


@pytest.mark.parametrize("way", WAYS)
def test_what_a_decoder_needs_not_is_refused_and_the_next_image_is_read(
    decoder: Decoder, way: str
) -> None:
    # Python calls setrlimit's refusal a ValueError
    other = {"take 10 GB": "MemoryError", "raise a limit": "ValueError"}
    assert reason_of(decoder, way) == f"refused: {other.get(way, 'PermissionError')}"
    assert decoder.decode("red", None, png(RED)).pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("way", HANGS)
def test_a_decoder_that_spins_is_ended_and_the_next_image_is_read(
    decoder: Decoder, way: str
) -> None:
    assert reason_of(decoder, way) == "decoding took longer than 2 s and was stopped"
    assert decoder.decode("red", None, png(RED)).pixels[0, 0].tolist() == [255, 0, 0]


def test_a_decoder_has_nothing_of_its_callers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    monkeypatch.setenv("PYTHONSTARTUP", "/tmp/run-me.py")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    for name in ("LC_ALL", "LC_CTYPE", "DYLD_LIBRARY_PATH", "SYSTEMROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    decoder = Decoder(ReadSettings(SQUARE, LIMITS), "tests.taken_over")
    try:
        assert reason_of(decoder, "environment").split() == [
            "LANG",
            "LD_LIBRARY_PATH",
            "MALLOC_MMAP_THRESHOLD_",
            "MALLOC_TRIM_THRESHOLD_",
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "ORT_DISABLE_TELEMETRY",  # lakesift's own, set when it is imported
        ]
    finally:
        decoder.close()


def test_a_decoder_has_no_file_open_but_its_three_its_socket_and_the_rules(
    tmp_path: Path,
) -> None:
    if not Path("/proc/self/fd").exists():
        pytest.skip("looks into /proc")
    (tmp_path / "red.png").write_bytes(png(RED))
    inherited = os.open(tmp_path / "red.png", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    decoder = Decoder(ReadSettings(SQUARE, LIMITS))
    try:
        decoder.decode("red", os.fsencode(tmp_path / "red.png"), None)
        assert decoder._process is not None
        held = [str(link.readlink()) for link in Path(f"/proc/{decoder._process.pid}/fd").iterdir()]
    finally:
        decoder.close()
        os.close(inherited)
    # standard output and error lead nowhere
    kinds = sorted(place.partition(":")[0] for place in held)
    assert [kind for kind in kinds if kind != "anon_inode"] == [
        "/dev/null",
        "/dev/null",
        "pipe",
        "socket",
    ]


PARENT = """
import sys
from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.images.decoder import Decoder, ReadSettings
decoder = Decoder(ReadSettings(InputShape(4, 4), ReadLimits()), "tests.taken_over")
decoder.box()
print(decoder._process.pid, flush=True)
decoder.decode("x", None, sys.argv[1].encode())
"""


@pytest.mark.parametrize("way", HANGS)
def test_a_decoder_that_spins_dies_with_its_parent(way: str) -> None:
    if sys.platform != "linux":
        pytest.skip("elsewhere a thread of the decoder waits for it")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, way], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert in_time(lambda: "R" in state_of(pid))  # it spins
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert in_time(lambda: state_of(pid) in ("", "Z", "X"))


WITHOUT_SECCOMP = """
import errno, socket
from indexer.box import box
def missing():
    raise OSError(errno.ENOSYS, "no such call")
box.refuse_all_but_open_work = missing
print(box.close(2_000_000_000).landlock_abi or 0)
for way in (
    lambda: open("/etc/passwd"),
    lambda: open("/tmp/lakesift-taken-over", "w"),
    lambda: socket.socket().connect(("127.0.0.1", 9)),
):
    try:
        print(way())
    except OSError as error:
        print(type(error).__name__)
"""


def test_landlock_alone_keeps_files_and_the_network_closed() -> None:
    command = [sys.executable, "-c", WITHOUT_SECCOMP]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    abi, *told = done.stdout.split()
    if int(abi) < 4:
        pytest.skip("the kernel has no Landlock, or one without rules for the network")
    assert told == ["PermissionError"] * 3


def test_the_box_says_what_is_missing() -> None:
    whole = Box(memory_cap_bytes=3_040_000_000, no_new_privs=True, landlock_abi=7, seccomp=True)
    assert str(whole) == "memory up to 3.0 GB, no_new_privs, Landlock (ABI 7), seccomp"
    part = Box(memory_cap_bytes=3_040_000_000, no_new_privs=True, landlock_abi=None, seccomp=True)
    assert str(part) == (
        "memory up to 3.0 GB, no_new_privs, seccomp; not on this machine: Landlock"
    )
    none = Box(memory_cap_bytes=None, no_new_privs=False, landlock_abi=None, seccomp=False)
    assert str(none) == (
        "nothing but a process of its own; "
        "not on this machine: a memory cap, no_new_privs, Landlock, seccomp"
    )


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF", "HEIF", "JPEG2000", "TIFF", "GIF"])
def test_in_the_box_pictures_are_read_as_outside(decoder: Decoder, format: str) -> None:
    from indexer.images import read_image

    data = encoded(photo(), format)
    inside = decoder.decode("x", None, data)
    outside = read_image("x", data, SQUARE, LIMITS)
    assert inside.pixels.tolist() == outside.pixels.tolist()
    assert (inside.sha256, inside.phash) == (outside.sha256, outside.phash)


def state_of(pid: int) -> str:
    """Its letter in /proc; "" if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def in_time(condition: Callable[[], bool], limit_s: float = 30.0) -> bool:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False
