"""Decoder processes that tests of one session share: starting one takes longer than most tests.

What they do is what any decoder does. A test that looks at the processes themselves starts its own:
its module is in COLD.
"""

from __future__ import annotations

from collections import defaultdict
from typing import ClassVar

from indexer.arrays import InputShape
from indexer.images import ReadImage
from indexer.images.decoder import Decoder, ReadSettings, _told

COLD = frozenset(
    {
        "test_box.py",
        "test_memory.py",
        "test_pipeline.py",
        "test_processes.py",
    }
)
MOST = 2  # kept of each kind


class WarmDecoder(Decoder):
    """Begins with a process that another one left, and leaves its own if its last image was read
    without a fault.
    """

    _left: ClassVar[defaultdict[str, list[WarmDecoder]]] = defaultdict(list)
    _is_sound = False

    @property
    def _kind(self) -> str:
        return f"{self._module} {_told(self._settings)}"

    def start(self) -> None:
        while self._process is None and self._left[self._kind]:
            other = self._left[self._kind].pop()
            if other.is_running:
                self._take_from(other)
            else:
                Decoder.close(other)
        super().start()

    def _take_from(self, other: WarmDecoder) -> None:
        self._process, self._channel = other._process, other._channel
        self._lifeline, self._box = other._lifeline, other._box
        other._process = None

    def decode(
        self, uri: str, path: bytes | None, data: bytes | None, shape: InputShape | None = None
    ) -> ReadImage:
        self._is_sound = False
        image = super().decode(uri, path, data, shape)
        self._is_sound = True
        return image

    def stop(self) -> None:
        if not self._is_sound:  # with an image, or after a bad one; else `close` follows
            super().stop()

    def close(self) -> None:
        left = self._left[self._kind]
        if self._is_sound and self.is_running and len(left) < MOST:
            heir = WarmDecoder(self._settings, self._module)
            heir._take_from(self)
            left.append(heir)
            self._is_sound = False
        else:
            super().close()

    @classmethod
    def end_all(cls) -> None:
        for left in cls._left.values():
            while left:
                Decoder.close(left.pop())


def warm(settings: ReadSettings) -> Decoder:
    return WarmDecoder(settings)
