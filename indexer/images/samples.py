"""Samples of more than 8 bits, brought to the 8 that a screen shows and a model sees.

What the file says comes first: stated bits, stated no-data. Then what the picture uses: a 12-bit
X-ray in a 16-bit file is no black square. Last the contrast: depth maps, thermal and elevation
frames use a sliver of what their type holds, and a person would see one flat grey. All of it is a
function of the samples alone, so that the same file looks the same tomorrow. Knows no file format.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_DEPTHS = (8, 10, 12, 14, 16)  # bits; what sensors deliver
ROWS_AT_ONCE = 256  # float arithmetic on a whole image of 180 Mpx would take gigabytes

# From the 1st to the 99th percentile: a dead pixel or a hot one costs nobody the contrast.
PERCENTILES = (0.01, 0.99)
# A picture whose middle 98 % use less of its range than this is stretched.
LEAST_SPAN = 0.5
# Percentiles of types wider than 16 bits are taken of every n-th row and column.
SAMPLES_COUNTED = 1_000_000

# "Nothing was measured here", as elevation and depth files write it without saying so. One that
# was a measurement after all would be the darkest sample, and missing ones are black as well.
MISSING_BY_CUSTOM = (-9999, -32767, -32768)
MISSING_FLOAT = 1e30  # and beyond, either sign: the lowest float32 is the commonest no-data value

# 0, or the largest number of 16 bits, does not set the contrast where it is this many times farther
# from the rest than the rest is wide: depth cameras write either where they saw nothing, turned
# thermal frames have corners of 0. They stay the blackest and the whitest.
FAR_APART = 2


def to_8_bit(
    samples: NDArray[Any],
    *,
    bits: int | None = None,
    missing: float | None = None,
    stretch: bool = True,
) -> NDArray[np.uint8]:
    """Scale samples of any number type to 0..255, black to white.

    Whole numbers that fit 16 bits: by `bits`, else by the smallest sensor depth (8, 10, 12, 14, 16
    bits) that holds the largest one. Floats in 0..1 and in 0..255 are taken at their word. Where
    the 1st to the 99th percentile then span less than half of 0..255, and for all other numbers,
    those percentiles become black and white. Missing samples and what is not finite are black.

    :param samples: (height, width) or (height, width, channels); channels share one scale.
    :param bits: of a sample, where the file says it and it is no round number.
    :param missing: the file's own no-data value.
    :param stretch: False leaves the contrast as it is: colour that was made for the eye.
    """
    if samples.dtype.kind in "ui" and samples.dtype.itemsize <= 2:
        return _small_to_8_bit(samples, bits, missing, stretch)
    return _wide_to_8_bit(samples, missing, stretch)


def alpha_to_8_bit(alpha: NDArray[Any], colours: NDArray[Any], bits: int = 16) -> NDArray[np.uint8]:
    """Opacity, 0 to 255. It goes up to what the colours go up to; some writers fill all 16 bits
    instead, others 12 of them.

    :param alpha: (height, width).
    :param colours: (height, width, channels), of the same type.
    :param bits: of a sample.
    """
    if alpha.dtype.kind == "f":
        most = 1.0
    else:
        bits -= alpha.dtype.kind == "i"
        if bits == 16:
            bits = depth_of(max(int(colours.max()), int(alpha.max())))
        most = 2.0**bits - 1
    return _grey(np.nan_to_num(alpha), 0, most)


def depth_of(highest: float) -> int:
    """The smallest sensor depth, in bits, that holds this sample; 16 where none does."""
    return next((bits for bits in SAMPLE_DEPTHS if highest < 2**bits), SAMPLE_DEPTHS[-1])


def _small_to_8_bit(
    samples: NDArray[Any], bits: int | None, missing: float | None, stretch: bool
) -> NDArray[np.uint8]:
    """Of 8 and 16 bits, exactly: how often each number occurs says everything about them."""
    limits = np.iinfo(samples.dtype.type)
    numbers = np.arange(limits.min, limits.max + 1)
    # Counted and looked up by their bits, which spares a copy of eight bytes a sample; numbers that
    # are signed then begin in the middle.
    patterns = samples.view(f"u{samples.dtype.itemsize}")
    counts = np.zeros(len(numbers), np.int64)
    for rows in _in_parts(patterns):
        counts += np.bincount(rows.ravel(), minlength=len(numbers))
    counts = np.roll(counts, -limits.min)
    gone = np.isin(numbers, _missing(samples, missing))
    counts[gone] = 0
    if stretch and limits.min == 0 and limits.max > 255:
        counts[_far_from_the_rest(counts)] = 0
    present = np.flatnonzero(counts)
    if not len(present):
        return np.zeros(samples.shape, np.uint8)
    low, high = numbers[present[0]], numbers[present[-1]]
    full = (0.0, 2.0 ** (bits or depth_of(high)) - 1) if low >= 0 else None
    ends = numbers[_percentiles(counts)]
    table = _grey(numbers, *_black_and_white(full, ends, (low, high), stretch))
    table[gone] = 0
    return np.asarray(np.roll(table, limits.min)[patterns])


def _wide_to_8_bit(
    samples: NDArray[Any], missing: float | None, stretch: bool
) -> NDArray[np.uint8]:
    gone = _missing(samples, missing)
    lows, highs = [], []
    for rows in _in_parts(samples):
        valid = rows[_valid(rows, gone)]
        if valid.size:
            lows.append(float(valid.min()))
            highs.append(float(valid.max()))
    if not lows:
        return np.zeros(samples.shape, np.uint8)
    low, high = min(lows), max(highs)
    full = None
    if samples.dtype.kind in "ui" and low >= 0 and high < 2**16:
        full = (0.0, 2.0 ** depth_of(high) - 1)
    elif samples.dtype.kind == "f" and low >= 0 and high <= 255:
        full = (0.0, 1.0 if high <= 1 else 255.0)
    ends: Sequence[float] | NDArray[Any] = (low, high)
    if full is None or stretch:
        step = max(1, int(np.ceil(np.sqrt(samples.size / SAMPLES_COUNTED))))
        some = samples[::step, ::step]
        some = some[_valid(some, gone)].astype(np.float64)
        if some.size:
            ends = np.quantile(some, PERCENTILES, method="inverted_cdf")
    black, white = _black_and_white(full, ends, (low, high), stretch)
    grey = np.empty(samples.shape, np.uint8)
    for part, rows in zip(_in_parts(grey), _in_parts(samples), strict=True):
        part[...] = np.where(_valid(rows, gone), _grey(rows, black, white), 0)
    return grey


def _black_and_white(
    full: tuple[float, float] | None,
    ends: Sequence[float] | NDArray[Any],
    extremes: tuple[float, float],
    stretch: bool,
) -> tuple[float, float]:
    """Which samples become black and white.

    :param full: the range that the type or the depth gives; None: none that means anything.
    :param ends: the two percentiles.
    :param extremes: the darkest and the brightest sample, for pictures of two numbers, where the
        percentiles coincide.
    """
    black, white = float(ends[0]), float(ends[1])
    if black == white:
        black, white = float(extremes[0]), float(extremes[1])
    if full is None:
        return black, white
    narrow = black < white and white - black < LEAST_SPAN * (full[1] - full[0])
    return (black, white) if stretch and narrow else full


def _grey(samples: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    scale = 255 / (white - black) if white > black else 0.0
    # What is not finite is taken out by the caller.
    with np.errstate(invalid="ignore", over="ignore"):
        levels = (samples.astype(np.float64) - black) * scale
    return np.clip(np.rint(np.nan_to_num(levels)), 0, 255).astype(np.uint8)


def _missing(samples: NDArray[Any], stated: float | None) -> list[Any]:
    """The numbers that mean "nothing was measured", as this type holds them."""
    customs = MISSING_BY_CUSTOM if samples.dtype.kind in "if" else ()
    held = []
    for value in (stated, *customs):
        if value is None or (samples.dtype.kind in "ui" and not _fits(value, samples.dtype)):
            continue
        with np.errstate(over="ignore"):
            held.append(samples.dtype.type(value))
    return held


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype.type)
    return bool(np.isfinite(value)) and value == int(value) and limits.min <= value <= limits.max


def _valid(samples: NDArray[Any], gone: list[Any]) -> NDArray[np.bool_]:
    valid = np.ones(samples.shape, np.bool_)
    if samples.dtype.kind == "f":
        # A NaN is not below anything. Halves end at 65,504.
        limit = min(MISSING_FLOAT, float(np.finfo(samples.dtype.type).max))
        with np.errstate(invalid="ignore"):
            np.less_equal(np.abs(samples), samples.dtype.type(limit), out=valid)
    for value in gone:
        valid &= np.not_equal(samples, value)
    return valid


def _far_from_the_rest(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where 0 or the largest number stands so far apart that it cannot belong to the picture."""
    gone = np.zeros(len(counts), np.bool_)
    rest = counts.copy()
    rest[[0, -1]] = 0
    if rest.any():
        low, high = _percentiles(rest)
        reach = FAR_APART * (high - low)
        if high > low:
            gone[0] = low > reach
            gone[-1] = len(counts) - 1 - high > reach
    return gone


def _percentiles(counts: NDArray[np.int64]) -> NDArray[np.intp]:
    """The indexes at which PERCENTILES of all that is counted are reached."""
    shares = np.cumsum(counts)
    reached: NDArray[np.intp] = np.searchsorted(
        shares, np.ceil(np.multiply(PERCENTILES, shares[-1]))
    )
    return reached


def _in_parts(samples: NDArray[Any]) -> list[NDArray[Any]]:
    return [samples[top : top + ROWS_AT_ONCE] for top in range(0, len(samples), ROWS_AT_ONCE)]
