"""Decoding in processes of their own,
so that an image that crashes or hangs its decoder costs only itself.

A decoder is `indexer.images.decoder_process` run as a program, started afresh (never forked). It
closes itself in (`indexer.box`) and is given one image at a time: its bytes, or its file, open.
Answers come back as JSON and raw pixels, never as a pickle: a decoder that a hostile image
took over cannot hand its parent code to run. It stands in the root folder, imports nothing from the
caller's (`indexer.processes`), and dies with its parent.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from indexer.arrays import InputShape, Pixels
from indexer.box import Box
from indexer.box.channel import GO_ON, Channel
from indexer.config import ReadLimits
from indexer.errors import UnreadableImage
from indexer.images import ReadImage
from indexer.images.files import check_size, open_file
from indexer.processes import FOLDER, bare_environment, python_command
from indexer.read_image import Quality

PROCESS = "indexer.images.decoder_process"
ENVIRONMENT = {
    # glibc gives memory back to the system after every image and takes it again for the next one,
    # page by page: a tenth of a decoder's time (0.6 ms of 500 x 375 px). Blocks up to 8 MiB are
    # kept instead; larger ones still go back at once.
    "MALLOC_MMAP_THRESHOLD_": str(8 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20),
    # NumPy's threads would stand before the box is closed, for matrices of 32 x 32.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
START_S = 60.0  # from its command to its box
WAITING_GIANTS = 16  # as many may be ahead as there are decoders at most
LOOK_S = 0.25  # how often a giant that waits sees whether it is still wanted
MAX_REASON_CHARACTERS = 1_000
MAX_SIDE_PX = 2**31 - 1
MAX_CAMERA_BYTES = 400  # 100 characters
SHA256, FORMAT = re.compile("[0-9a-f]{64}"), re.compile("[a-z0-9_-]{1,20}")
MAX_SHARPNESS = 1020.0**2  # of levels 0 to 255: each edge is at most 4 x 255
MAX_ANSWER_BYTES = 100_000  # of JSON; more is no answer of ours
DYING_S = 5.0  # from the end of its socket to the end of a process


class DecoderFailed(UnreadableImage):
    """The process ended or answered nonsense:
    the image's doing, or that of a machine on which no decoder runs.
    """


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """What every decoder of a run is told once."""

    shape: InputShape  # of images that no other shape is asked for
    limits: ReadLimits
    exact: bool = False  # True: JPEGs are never decoded at reduced scale
    # a lock file: images over GIANT_PIXELS are decoded one at a time, for their memory
    giants_lock: str | None = None


class Decoder:
    """One decoder process as its parent sees it;
    used by one thread at a time, restarted after a crash.
    """

    def __init__(self, settings: ReadSettings, module: str = PROCESS) -> None:
        """:param module: what the process runs;
        another one where a test needs a decoder that an image took over.
        """
        self._settings = settings
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._box: Box | None = None

    def decode(
        self, uri: str, path: bytes | None, data: bytes | None, shape: InputShape | None = None
    ) -> ReadImage:
        """Read one image, from a local path or from bytes already here.

        The process gets the bytes or the open file, never a name.

        :param shape: of this image's pixels; None: the shape of the settings.
        :raises UnreadableImage: with what is wrong with it; also if it took too long.
        :raises DecoderFailed: if the decoder crashed over it.
        """
        if path is not None:
            descriptor = open_file(uri, path)
            try:
                return self._decode(uri, descriptor, b"", shape)
            finally:
                os.close(descriptor)
        data = data or b""
        check_size(uri, len(data), self._settings.limits)
        return self._decode(uri, None, data, shape)

    def box(self) -> Box:
        """Which walls the process stands in on this machine.

        :raises UnreadableImage: if it does not start.
        """
        with self._running("a decoder"):
            assert self._box is not None
            return self._box

    def _decode(
        self, uri: str, descriptor: int | None, data: bytes, shape: InputShape | None
    ) -> ReadImage:
        with self._running(uri) as until:
            request = {"is_file": descriptor is not None, "shape": shape and asdict(shape)}
            self._channel.send(json.dumps(request).encode(), until)
            if descriptor is not None:
                self._channel.send_file(descriptor, until)
            else:
                self._channel.send(data, until)
            answer = self._answer(until)
            if not answer.get("waiting"):
                return self._image(uri, answer, shape, until)
            with self._turn_of_giants(uri):
                until = self._patience()
                self._channel.send(GO_ON, until)
                return self._image(uri, self._answer(until), shape, until)

    def _image(
        self, uri: str, answer: dict[str, Any], shape: InputShape | None, until: float
    ) -> ReadImage:
        if "reason" in answer:
            reason = str(answer["reason"])[:MAX_REASON_CHARACTERS]
            # it is printed on terminals
            reason = "".join(letter if letter.isprintable() else " " for letter in reason)
            raise UnreadableImage(uri, reason, transient=bool(answer["transient"]))
        shape = shape or self._settings.shape
        most = 3 * shape.width_px * shape.height_px
        return _image_from(answer, self._channel.receive(most, until), shape)

    def _answer(self, until: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._channel.receive(MAX_ANSWER_BYTES, until))
        return answer

    def _patience(self) -> float:
        return time.monotonic() + self._settings.limits.decode_timeout_s

    @contextmanager
    def _running(self, uri: str) -> Iterator[float]:
        """A process, and until when its answer has to be there. Whatever it does instead of
        answering ends it, and is told as the image's fault.
        """
        limit_s, late = START_S, "its decoder did not start within"
        try:
            self._start(uri)
            # That it stands in its box is its first word. A loaded machine needs a while, which is
            # no image's fault.
            if self._box is None:
                self._box = Box(**self._answer(time.monotonic() + START_S))
            limit_s = self._settings.limits.decode_timeout_s
            late = "decoding took longer than"
            yield self._patience()
        except TimeoutError:
            self.close()
            raise UnreadableImage(uri, f"{late} {limit_s:g} s and was stopped") from None
        except (EOFError, OSError):
            raise DecoderFailed(uri, f"its decoder crashed ({self._cause_of_death()})") from None
        # RecursionError: JSON in JSON in JSON
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.close()
            raise DecoderFailed(uri, "its decoder answered nonsense and was stopped") from None
        except UnreadableImage:
            raise
        except BaseException:  # Ctrl-C: its answer would be taken for the next image's
            self.close()
            raise

    @contextmanager
    def _turn_of_giants(self, uri: str) -> Iterator[None]:
        """Hold the giants' lock; waiting for it does not count as hanging."""
        if self._settings.giants_lock is None:
            raise ValueError("nobody told it to wait")
        lock = FileLock(self._settings.giants_lock)
        until = time.monotonic() + WAITING_GIANTS * self._settings.limits.decode_timeout_s
        while not lock.is_locked:
            try:
                lock.acquire(timeout=LOOK_S)
            except Timeout:
                if not self.is_running:  # it was stopped meanwhile
                    raise EOFError from None
                if time.monotonic() > until:
                    raise TimeoutError from None
            except OSError as error:
                self.close()
                reason = f"the lock for large images cannot be had: {error.strerror or error}"
                raise UnreadableImage(uri, reason, transient=True) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Kill the process from another thread;
        the thread that waits for its answer sees a crash.
        """
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._channel.close()
            os.close(self._lifeline)
            self._process = None

    def let_go(self) -> None:
        """In a forked child: close this side's ends, and leave the process to the parent."""
        if self._process is not None:
            self._channel.close()
            os.close(self._lifeline)
            self._process.returncode = 0  # not this process's child: never waited for here
            self._process = None

    def start(self) -> None:
        """Start the process, if there is none, and do not wait until it is ready; `decode` does.

        :raises OSError: if this machine cannot start one.
        """
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        # It dies when this process ends and the system closes `lifeline`; nothing is written to it.
        try:
            their_lifeline, lifeline = os.pipe()
        except OSError:
            ours.close()
            theirs.close()
            raise
        try:
            self._process = subprocess.Popen(
                python_command(self._module, json.dumps(_told(self._settings))),
                stdin=their_lifeline,
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,  # libtiff and libpng write their warnings straight to it
                env=bare_environment(ENVIRONMENT),
                cwd=FOLDER,
                # Ctrl-C in a terminal goes to its whole process group; decoders finish in peace
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            os.close(lifeline)
            raise
        finally:
            theirs.close()
            os.close(their_lifeline)
        self._channel, self._lifeline, self._box = Channel(ours), lifeline, None

    def _start(self, uri: str) -> None:
        try:
            self.start()
        except OSError as error:  # no memory, too many files open: no image's fault
            reason = f"its decoder cannot be started: {error.strerror or error}"
            raise UnreadableImage(uri, reason, transient=True) from error

    def _cause_of_death(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(DYING_S)
        # it lives, and closed its socket or sent more than was asked for
        except subprocess.TimeoutExpired:
            self.close()
            return "it answered too much"
        self.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _told(settings: ReadSettings) -> dict[str, Any]:
    """What of the settings a decoder has to know: no place on this machine."""
    fields = asdict(settings)
    fields["giants_wait"] = fields.pop("giants_lock") is not None
    return fields


def _image_from(answer: dict[str, Any], pixels: bytes, shape: InputShape) -> ReadImage:
    """
    :raises ValueError, KeyError, TypeError, AttributeError: if anything of it is not what a lake
        keeps: a decoder that an image took over answers what it likes.
    """
    fields = dict(answer)
    fields["pixels"] = np.frombuffer(pixels, np.uint8).reshape(*fields.pop("shape")[:2], 3)
    fields["captured_at"] = fields["captured_at"] and datetime.fromisoformat(fields["captured_at"])
    fields["place"] = fields["place"] and tuple(map(float, fields["place"]))
    fields["quality"] = Quality(*fields["quality"])
    image = ReadImage(**fields)
    whole = (
        _fits(image.pixels, shape)
        and SHA256.fullmatch(image.sha256)
        and _is_number(image.phash, 0, 2**64 - 1)
        and _is_number(image.width_px, 1, MAX_SIDE_PX)
        and _is_number(image.height_px, 1, MAX_SIDE_PX)
        and FORMAT.fullmatch(image.format)
        and (image.camera is None or len(image.camera.encode()) <= MAX_CAMERA_BYTES)
        and (image.captured_at is None or image.captured_at.tzinfo is None)
        and (image.place is None or _is_on_earth(*image.place))
        and image.quality is not None
        and _is_measured(image.quality)
    )
    if not whole:
        raise ValueError("not what a lake keeps of an image")
    return image


def _fits(pixels: Pixels, shape: InputShape) -> bool:
    height, width = pixels.shape[:2]
    if shape.mode == "inside":
        return bool(0 < height <= shape.height_px and 0 < width <= shape.width_px)
    return bool((height, width) == (shape.height_px, shape.width_px))


def _is_number(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_measured(quality: Quality) -> bool:
    sharpness, brightness, contrast, entropy = quality
    # and a little for what rounding adds
    return (
        (sharpness is None or _is_up_to(sharpness, MAX_SHARPNESS))
        and _is_up_to(brightness, 1.0001)
        and _is_up_to(contrast, 0.5001)
        and _is_up_to(entropy, 8.0001)
    )


def _is_up_to(value: object, most: float) -> bool:
    return type(value) is float and 0 <= value <= most  # NaN is neither


def _is_on_earth(latitude: float, longitude: float) -> bool:
    return abs(latitude) <= 90 and abs(longitude) <= 180  # NaN is neither
