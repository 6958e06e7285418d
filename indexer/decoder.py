"""Decoding in processes of their own, so that an image that crashes or hangs its decoder costs only itself.

A decoder is `python -m indexer.decoder`, started afresh (never forked), fed through its standard input, one image at a
time. Answers come back as JSON and raw pixels, never as a pickle: a decoder that a hostile image took over cannot hand
its parent code to run. A decoder dies with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from indexer.config import ReadLimits
from indexer.embed import InputShape
from indexer.errors import UnreadableImage
from indexer.images import ReadImage, count_pixels, read_bytes, read_image
from indexer.images.files import check_size

MEMORY_CAP_BYTES = (
    6 * 2**30
)  # address space of one decoder; a bomb the caps did not foresee ends in MemoryError
GIANT_PIXELS = 40_000_000  # 160 MB as Pillow keeps RGB, and as much again while its mode changes
# glibc gives memory back to the system after every image and takes it again for the next one, page by page: a tenth of
# a decoder's time (0.6 ms of 500 x 375 px). Blocks up to 8 MiB are kept instead; larger ones still go back at once.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(8 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20)}
WAITING_GIANTS = 16  # as many may be ahead as there are decoders at most
MAX_ANSWER_BYTES = 100_000  # of JSON; more is no answer of ours
DYING_S = 5.0  # from the end of its pipe to the end of a process


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """What every decoder of a run is told once."""

    shape: InputShape  # of images that no other shape is asked for
    limits: ReadLimits
    exact: bool = False  # True: JPEGs are never decoded at reduced scale
    giants_lock: str | None = (
        None  # a lock file: images over GIANT_PIXELS are decoded one at a time, for their memory
    )


class Decoder:
    """One decoder process as its parent sees it; used by one thread at a time, restarted after a crash."""

    def __init__(self, settings: ReadSettings, module: str = "indexer.decoder") -> None:
        """:param module: what the process runs; another one where a test needs a decoder that an image took over."""
        self._settings = settings
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    def decode(
        self, uri: str, path: bytes | None, data: bytes | None, shape: InputShape | None = None
    ) -> ReadImage:
        """Read one image, from a local path or from bytes already here.

        :param shape: of this image's pixels; None: the shape of the settings.
        :raises UnreadableImage: with what is wrong with it; also if the decoder crashed or took too long.
        """
        self._start()
        assert self._process is not None
        timeout_s = self._settings.limits.decode_timeout_s
        request = {"uri": uri, "from_path": path is not None, "shape": shape and asdict(shape)}
        try:
            self._requests.send_bytes(json.dumps(request).encode())
            self._requests.send_bytes(path if path is not None else data or b"")
            answer = self._answer_within(uri, timeout_s)
            if answer.get("waiting"):
                self._answer_within(uri, WAITING_GIANTS * timeout_s)
                answer = self._answer_within(uri, timeout_s)
            if "reason" in answer:
                raise UnreadableImage(uri, answer["reason"], transient=answer["transient"])
            most = _most_pixel_bytes(shape or self._settings.shape)
            return _image_from(answer, self._message_within(uri, timeout_s, most))
        except (EOFError, OSError):
            raise UnreadableImage(uri, f"its decoder crashed ({self._cause_of_death()})") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            self.close()
            raise UnreadableImage(uri, "its decoder answered nonsense and was stopped") from None

    def _answer_within(self, uri: str, timeout_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._message_within(uri, timeout_s, MAX_ANSWER_BYTES))
        return answer

    def _message_within(self, uri: str, timeout_s: float, max_bytes: int) -> bytes:
        if not self._answers.poll(timeout_s):
            self.close()
            raise UnreadableImage(uri, f"decoding took longer than {timeout_s:g} s and was stopped")
        return self._answers.recv_bytes(max_bytes)  # OSError if it is longer

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Kill the process from another thread; the thread that waits for its answer sees a crash."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._requests.close()
            self._answers.close()
            self._process = None

    def _start(self) -> None:
        if self._process is not None:
            return
        request_end, requests = os.pipe()
        answers, answer_end = os.pipe()
        package_root = str(Path(__file__).resolve().parents[1])
        inherited = os.environ.get("PYTHONPATH")
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module, json.dumps(asdict(self._settings))],
            stdin=request_end,
            stdout=answer_end,
            stderr=subprocess.DEVNULL,  # libtiff and libpng write their warnings straight to it
            env={
                **KEEP_MEMORY,
                **os.environ,
                "PYTHONPATH": os.pathsep.join([package_root, *([inherited] if inherited else [])]),
            },
            start_new_session=True,  # Ctrl-C in a terminal goes to its whole process group; decoders finish in peace
        )
        os.close(request_end)
        os.close(answer_end)
        self._requests = Connection(requests, readable=False)
        self._answers = Connection(answers, writable=False)

    def _cause_of_death(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(DYING_S)
        except subprocess.TimeoutExpired:  # it lives, and closed its pipe or sent more than was asked for
            self.close()
            return "it answered too much"
        self.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _most_pixel_bytes(shape: InputShape) -> int:
    return 3 * shape.width_px * shape.height_px


def _image_from(answer: dict[str, Any], pixels: bytes) -> ReadImage:
    fields = dict(answer)
    fields["pixels"] = np.frombuffer(pixels, np.uint8).reshape(*fields.pop("shape")[:2], 3)
    fields["captured_at"] = fields["captured_at"] and datetime.fromisoformat(fields["captured_at"])
    fields["place"] = fields["place"] and tuple(fields["place"])
    return ReadImage(**fields)


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    settings = _settings_from(json.loads(sys.argv[1]))
    _cap_memory()
    requests, answers = Connection(0, writable=False), Connection(os.dup(1), readable=False)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not garble the answers
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    while True:
        try:
            request = json.loads(requests.recv_bytes())
            body = requests.recv_bytes()
            _answer(answers, request, body, settings)
        except (EOFError, BrokenPipeError):
            return


def _answer(answers: Connection, request: dict[str, Any], body: bytes, settings: ReadSettings) -> None:
    uri = request["uri"]
    shape = _shape_from(request["shape"]) if request["shape"] else settings.shape
    try:
        data = read_bytes(uri, body, settings.limits) if request["from_path"] else body
        check_size(uri, len(data), settings.limits)
        with _one_giant_at_a_time(answers, uri, data, settings):
            image = read_image(uri, data, shape, settings.limits, settings.exact)
    except UnreadableImage as error:
        answers.send_bytes(json.dumps({"reason": error.reason, "transient": error.transient}).encode())
        return
    fields = {name: getattr(image, name) for name in ReadImage.__slots__ if name != "pixels"}
    fields["captured_at"] = image.captured_at and image.captured_at.isoformat()
    answers.send_bytes(json.dumps({**fields, "shape": image.pixels.shape}).encode())
    answers.send_bytes(image.pixels.tobytes())


@contextmanager
def _one_giant_at_a_time(
    answers: Connection, uri: str, data: bytes, settings: ReadSettings
) -> Iterator[None]:
    """Hold the giants' lock while a giant is decoded; the parent is told, so that waiting does not count as hanging."""
    if settings.giants_lock is None or not _is_giant(uri, data, settings):
        yield
        return
    answers.send_bytes(b'{"waiting": true}')
    with FileLock(settings.giants_lock):  # a kernel lock: a decoder that is killed lets go of it
        answers.send_bytes(b'{"waiting": false}')
        yield


def _is_giant(uri: str, data: bytes, settings: ReadSettings) -> bool:
    return count_pixels(uri, data, settings.limits, settings.exact) > GIANT_PIXELS


def _settings_from(fields: dict[str, Any]) -> ReadSettings:
    shape, limits = _shape_from(fields["shape"]), ReadLimits(**fields["limits"])
    return ReadSettings(shape, limits, fields["exact"], fields["giants_lock"])


def _shape_from(fields: dict[str, Any]) -> InputShape:
    return InputShape(**{**fields, "fill": tuple(fields["fill"])})


def _cap_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    cap = MEMORY_CAP_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_CAP_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (cap, hard))


def _die_with_parent(parent: int) -> None:
    """A busy decoder would notice the closed pipe only after its image; one that hangs, never."""
    while os.getppid() == parent:
        threading.Event().wait(1.0)
    os._exit(1)


if __name__ == "__main__":
    main()
