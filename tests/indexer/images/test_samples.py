from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.images.samples import alpha_to_8_bit, to_8_bit

HUNDRED = np.arange(100)


def grey(
    numbers: Sequence[float] | NDArray[Any],
    dtype: str,
    bits: int | None = None,
    missing: float | None = None,
    stretch: bool = True,
) -> list[int]:
    """One row of samples, scaled."""
    row = np.array([numbers], dtype)
    return [int(x) for x in to_8_bit(row, bits=bits, missing=missing, stretch=stretch)[0]]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_16_bits_are_scaled_by_the_depth_they_use(bits: int) -> None:
    most = 2**bits - 1
    assert grey([0, (most + 1) // 2, most], "uint16") == [0, 128, 255]


def test_stated_bits_count_more_than_used_ones() -> None:
    # 12 bits of which 10 are used, over more than half of the range or unstretched
    assert grey([0, 1023], "uint16", bits=12, stretch=False) == [0, 64]


@pytest.mark.parametrize(
    ("numbers", "dtype", "levels"),
    [
        ([-128, 0, 127], "int8", [0, 128, 255]),
        ([-2000, 0, 2000], "int16", [0, 128, 255]),
        ([0, 2**31, 2**32 - 1], "uint32", [0, 128, 255]),
        ([0, 2**63, 2**64 - 1], "uint64", [0, 128, 255]),
        ([0, 4095], "uint32", [0, 255]),
        ([0.0, 0.5, 1.0], "float16", [0, 128, 255]),
        ([-5.0, 5.0, 15.0], "float64", [0, 128, 255]),
    ],
)
def test_no_number_type_wraps(numbers: list[float], dtype: str, levels: list[int]) -> None:
    assert grey(numbers, dtype) == levels


def test_a_thermal_frame_gets_the_contrast_that_a_person_needs() -> None:
    # 14-bit counts of 7,000 to 7,990: 6 % of the range, five grey levels in 16 bits. The 1st
    # percentile, 7,000, becomes black, the 99th, 7,980, white.
    levels = grey(7000 + 10 * HUNDRED, "uint16")
    assert levels[:2] == [0, 3]  # 10 of 980: 2.6
    assert levels[49] == 128  # 490 of 980: 127.5
    assert levels[98:] == [255, 255]


def test_a_hot_pixel_costs_no_contrast() -> None:
    numbers = np.concatenate([np.repeat(7000 + 10 * HUNDRED, 2), [16383]])
    # Of 201 samples the 3rd, 7,010, is the 1st percentile, the 199th, 7,990, the 99th.
    levels = grey(numbers, "uint16")
    assert (levels[0], levels[98], levels[-1]) == (0, 125, 255)  # 480 of 980: 124.9


def test_what_uses_half_of_its_range_is_left_alone() -> None:
    # from 0 to 2,100 of 4,095
    assert grey([0, 1050, 2100], "uint16") == [0, 65, 131]
    # a quarter: stretched
    assert grey([2100, 2600, 3100], "uint16") == [0, 128, 255]
    assert grey([2100, 2600, 3100], "uint16", stretch=False) == [131, 162, 193]


def test_a_depth_frame_is_stretched_over_what_was_measured() -> None:
    # millimetres; nothing was seen where the camera wrote 0, or 65,535
    assert grey([0, 0, 4000, 4500, 5000], "uint16") == [0, 0, 0, 128, 255]
    assert grey([4000, 4500, 5000, 65535, 65535], "uint16") == [0, 128, 255, 255, 255]
    # metres
    assert grey([0.5, 3.0, 5.5], "float32") == [0, 128, 255]


def test_elevation_leaves_out_what_was_not_measured() -> None:
    lowest = float(np.finfo(np.float32).min)
    for hole in (-9999.0, -32768.0, lowest, float("nan"), float("inf")):
        assert grey([hole, 100.0, 600.0, 1100.0], "float32") == [0, 0, 128, 255]
    assert grey([-32768, 100, 600, 1100], "int16") == [0, 0, 128, 255]
    assert grey([7777.0, 100.0, 600.0, 1100.0], "float32", missing=7777.0) == [0, 0, 128, 255]
    assert grey([500, 1000, 3000, 5000], "uint16", missing=500) == [0, 0, 128, 255]


def test_a_no_data_value_that_the_type_cannot_hold_is_none() -> None:
    assert grey([0, 128, 255], "uint8", missing=-9999.0, stretch=False) == [0, 128, 255]
    assert grey([0, 2048, 4095], "uint16", missing=0.5) == [0, 128, 255]


def test_one_number_everywhere_keeps_its_grey_and_two_are_told_apart() -> None:
    assert grey([30000, 30000], "uint16") == [117, 117]  # of 65,535
    mask = [0] * 300 + [1]
    assert grey(mask, "uint16")[-2:] == [0, 255]


def test_nothing_measured_at_all_is_black() -> None:
    assert grey([float("nan")] * 3, "float32") == [0, 0, 0]
    assert grey([-9999] * 3, "int32") == [0, 0, 0]


def test_channels_share_one_scale() -> None:
    samples = np.array([[[0, 1000, 4095]]], np.uint16)
    assert to_8_bit(samples, stretch=False).tolist() == [[[0, 62, 255]]]


def test_big_pictures_are_scaled_as_small_ones() -> None:
    samples = np.tile(np.arange(1000, 2000, dtype=np.int32), (1500, 1))  # percentiles of every 2nd
    by_parts = to_8_bit(samples)
    assert by_parts[0, 0] == by_parts[1499, 0] == 0
    assert by_parts[700, 999] == 255
    assert abs(int(by_parts[3, 500]) - 128) <= 1


@pytest.mark.parametrize(
    ("alpha", "colours", "opacity"),
    [
        ([0, 65535], [0, 4095], [0, 255]),  # 12-bit colour, alpha of 16
        ([0, 4095], [0, 4095], [0, 255]),
        ([0, 32768], [0, 65535], [0, 128]),
    ],
)
def test_alpha_goes_up_to_what_the_writer_used(
    alpha: list[int], colours: list[int], opacity: list[int]
) -> None:
    found = alpha_to_8_bit(np.array([alpha], np.uint16), np.array([[colours]], np.uint16))
    assert found[0].tolist() == opacity
