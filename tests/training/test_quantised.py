"""8 and 4 bits: scales and integers by hand, and the same integers the second time."""

from __future__ import annotations

import numpy as np
import pytest

from training.quantised import packed, to_4_bits, to_8_bits, unpacked


def test_a_row_has_its_own_scale_in_8_bits() -> None:
    quantised = to_8_bits(np.array([[127, -63.4, 0.6], [0.0254, 0.0126, 0]], np.float32))
    assert quantised.scales == pytest.approx([1, 0.0002])
    assert quantised.integers.tolist() == [[127, -63, 1], [127, 63, 0]]
    assert quantised.values() == pytest.approx(
        np.array([[127, -63, 1], [0.0254, 0.0126, 0]]), abs=1e-6
    )


def test_a_kernel_has_a_scale_an_output_channel() -> None:
    kernels = np.array([1, -2, 3, 4], np.float32).reshape(2, 1, 1, 2)
    quantised = to_8_bits(kernels)
    assert quantised.scales == pytest.approx([2 / 127, 4 / 127])
    assert quantised.integers.reshape(2, 2).tolist() == [
        [64, -127],
        [95, 127],
    ]  # 63.5 and 95.25, half to even
    assert quantised.values().shape == kernels.shape


def test_a_row_of_zeros_stays_zeros() -> None:
    assert to_8_bits(np.zeros((2, 3), np.float32)).values().tolist() == [[0, 0, 0], [0, 0, 0]]
    assert to_4_bits(np.zeros((1, 32), np.float32)).values().tolist() == [[0] * 32]


def test_each_32_columns_have_their_own_scale_in_4_bits() -> None:
    table = np.zeros((1, 64), np.float32)
    table[0, :3], table[0, 32:35] = [7, -3.1, 2.9], [-70, 20, 4]
    quantised = to_4_bits(table)
    assert quantised.scales.tolist() == [[1, 10]]
    assert quantised.values()[0, [0, 1, 2, 3, 32, 33, 34]].tolist() == [7, -3, 3, 0, -70, 20, 0]
    with pytest.raises(ValueError, match="a table of 33 columns has no whole blocks of 32"):
        to_4_bits(np.zeros((1, 33), np.float32))


def test_a_scale_in_4_bits_gives_up_some_of_one_large_value_for_many_small_ones() -> None:
    """One of 7 and 31 of 0.85.

    At the full scale of 1 the small ones are off by 0.15, at 0.85 of it by nothing and the large
    one by 1.05. Squared: 31 x 0.0225 = 0.70, 1.10; at 0.9: 0.49 + 31 x 0.0025 = 0.57; at 0.95: 0.12
    + 31 x 0.01 = 0.43.
    """
    table = np.full((1, 32), 0.85, np.float32)
    table[0, 0] = 7
    quantised = to_4_bits(table)
    assert quantised.scales[0, 0] == np.float32(np.float16(0.95))
    assert quantised.integers[0, :2].tolist() == [7, 1]


def test_integers_short_of_7_in_4_bits_are_found_again() -> None:
    for largest in (4, 5, 6, 7):
        table = np.resize(np.array([largest, -3, 1, 0], np.float32) * np.float32(0.375), (1, 32))
        quantised = to_4_bits(table)
        assert np.array_equal(quantised.values(), table)
        assert quantised.integers[0, :4].tolist() == [largest, -3, 1, 0]


@pytest.mark.parametrize("quantise", [to_8_bits, to_4_bits])
def test_what_was_unpacked_packs_to_the_same_integers(quantise: object) -> None:
    assert callable(quantise)
    once = quantise(np.random.default_rng(3).normal(0, 0.02, (500, 64)).astype(np.float32))
    again = quantise(once.values())
    assert np.array_equal(once.integers, again.integers)
    assert np.allclose(once.scales, again.scales, rtol=1e-6, atol=0)


def test_two_4_bit_integers_share_a_byte_low_half_first() -> None:
    integers = np.array([1, -1, 7, -7], np.int8)
    assert packed(integers) == bytes([0xF1, 0x97])
    assert unpacked(packed(integers)).tolist() == [1, -1, 7, -7]
