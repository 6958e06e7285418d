"""PNGs with colour, or alpha, of 16 bits a sample: Pillow keeps the higher byte of each sample, so
that 10 and 12 bits in 16 would be nearly black.
"""

from __future__ import annotations

import io
from mmap import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from indexer.images.samples import alpha_to_8_bit, to_8_bit

PNG_START = b"\x89PNG\r\n\x1a\n"
COLOUR, GREY_ALPHA, COLOUR_ALPHA = 2, 4, 6  # of IHDR
# More than 14 bits are used: the higher byte is the sample, to the last grey level.
ALL_BITS_USED = 2**6


def is_deep_colour(data: bytes | mmap) -> bool:
    """A PNG of 16 bits that is not grey alone; grey Pillow gives in full."""
    if data[:8] != PNG_START or data[12:16] != b"IHDR" or len(data) < 26:
        return False
    return data[24] == 16 and data[25] in (COLOUR, GREY_ALPHA, COLOUR_ALPHA)


class DeepPng(PngImagePlugin.PngImageFile):
    """Its samples are scaled by the depth that they use, once they are loaded."""

    def __init__(self, data: bytes | mmap) -> None:
        self._data = data
        self._is_scaled = False
        super().__init__(io.BytesIO(data))

    def load(self) -> Any:
        if not self._is_scaled:
            self._is_scaled = True
            # Of 16 bits, which Pillow compares with its higher bytes.
            see_through = self.info.pop("transparency", None)
            super().load()
            highest = max(int(high) for _, high in self.getextrema()[:3])  # type: ignore[misc]
            if highest < ALL_BITS_USED or see_through is not None:
                picture = self._scaled(see_through)
                self._mode = picture.mode
                self.im = picture.im
        return super().load()

    def _scaled(self, see_through: tuple[int, int, int] | None) -> Image.Image:
        samples = self._samples()
        count = 1 if self._data[25] == GREY_ALPHA else 3
        colours = samples[:, :, :count]
        channels = [*np.moveaxis(to_8_bit(colours, stretch=False), 2, 0)]
        if samples.shape[2] > count:
            channels.append(alpha_to_8_bit(samples[:, :, count], colours))
        elif see_through is not None:
            opaque = (samples != np.array(see_through, np.uint16)).any(axis=2)
            channels.append(np.where(opaque, 255, 0).astype(np.uint8))
        mode = {2: "LA", 3: "RGB", 4: "RGBA"}[len(channels)]
        return Image.merge(
            mode, [Image.fromarray(np.ascontiguousarray(channel)) for channel in channels]
        )

    def _samples(self) -> NDArray[np.uint16]:
        """(height, width, channels): the file decoded again, by other ways to take its bytes."""
        if self._data[25] == GREY_ALPHA:
            # Grey and alpha, two bytes each, are four bytes to a decoder that is told RGBA.
            return np.ascontiguousarray(self._as("RGBA")).view(">u2").astype(np.uint16)
        # Big-endian samples taken for little-endian ones give their lower bytes.
        lower = self._as(f"{self.mode};16L")
        samples = np.asarray(self).astype(np.uint16)
        samples <<= 8
        samples |= lower
        return samples

    def _as(self, raw_mode: str) -> NDArray[np.uint8]:
        image = PngImagePlugin.PngImageFile(io.BytesIO(self._data))
        image.info.pop("transparency", None)
        image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
        return np.asarray(image)
