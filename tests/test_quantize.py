"""int8 conversion against values worked out by hand from ``real = scale * (q - zero_point)``."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_edge.model.quantize import Quantization


def quantize(q: Quantization, *real: float) -> list[int]:
    values = np.array(real, np.float32)
    return q.quantize(values, np.zeros(len(values), np.int8)).tolist()


def test_values_by_hand() -> None:
    # scale 0.5, zero point -10: 0 -> -10; 1 -> 1 / 0.5 - 10 = -8; -3 -> -16; 20.2 -> 40.4 -> 30
    assert quantize(Quantization(0.5, -10), 0.0, 1.0, -3.0, 20.2) == [-10, -8, -16, 30]


def test_sigmoid_output_of_the_spec() -> None:
    # LiteRT fixes LOGISTIC to scale 1/256, zero point -128: 0.5 is 0, 255/256 is 127.
    q = Quantization(1 / 256, -128)
    assert quantize(q, 0.0, 0.5, 255 / 256) == [-128, 0, 127]
    real = q.dequantize(np.array([-128, 0, 127], np.int8), np.zeros(3, np.float32))
    assert real.tolist() == [0.0, 0.5, 255 / 256]


def test_clips_before_it_casts() -> None:
    # 1000 would wrap around to -24 in a bare cast, -1000 to 24.
    assert quantize(Quantization(1.0, 0), 1000.0, -1000.0, 127.4, -128.4) == [127, -128, 127, -128]
    assert quantize(Quantization(1e-3, 0), 1e30, -1e30) == [127, -128]


def test_halves_go_to_the_even_neighbour() -> None:
    assert quantize(Quantization(1.0, 0), 0.5, 1.5, 2.5, -0.5, -1.5) == [0, 2, 2, 0, -2]


def test_what_is_no_number_is_the_lowest() -> None:
    assert quantize(Quantization(1.0, 5), np.nan, np.inf, -np.inf) == [-128, 127, -128]


def test_every_int8_survives_the_round_trip() -> None:
    q, every = Quantization(0.0137, -17), np.arange(-128, 128).astype(np.int8)
    real = q.dequantize(every, np.zeros(256, np.float32))
    assert real[0] == pytest.approx(0.0137 * (-128 + 17), rel=1e-6)
    assert np.array_equal(q.quantize(real, np.zeros(256, np.int8)), every)


def test_zeros_are_the_zero_point() -> None:
    assert Quantization(0.1, -128).zeros((2, 2)).tolist() == [[-128, -128], [-128, -128]]


@pytest.mark.parametrize(("scale", "zero_point"), [(0.0, 0), (-1.0, 0), (np.nan, 0), (1.0, 200)])
def test_refuses_what_is_no_quantization(scale: float, zero_point: int) -> None:
    with pytest.raises(ValueError, match="must"):
        Quantization(scale, zero_point)
