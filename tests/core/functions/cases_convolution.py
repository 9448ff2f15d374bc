"""Convolutions and transposed ones, in one to three dimensions."""

from __future__ import annotations

import math

import numpy as np

from .driver import bad, case

FLOATS = "float64 float32 float16"
INTS = "int32 int8 uint8"
_F = "nn.functional."
_draw = np.random.default_rng(17)  # of its own: sums that nearly vanish would need another tolerance


def within_one(*shape: int) -> np.ndarray:
    """From -0.9 to 0.9."""
    return np.asarray(_draw.uniform(-0.9, 0.9, shape))


signed = within_one


def _whole(*shape: int) -> np.ndarray:
    """Small integers: sums of products of them are exact in every dtype."""
    return (np.arange(math.prod(shape)) % 3).reshape(shape).astype(np.float64)


def _images(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return within_one(2, 4, *(6, 5, 4)[:n]), within_one(4, 2, *(3, 2, 2)[:n]), within_one(4)


def _cases(n: int) -> list:
    x, w, b = _images(n)
    whole = within_one(6, 4, *(3, 2, 2)[:n])
    name, back = f"conv{n}d", f"conv_transpose{n}d"
    return [
        case(name, x, whole, note="torch", dtypes=FLOATS, tolerance=2e-5),
        case(_F + name, x, whole, b[[0, 1, 2, 3, 0, 1]], note="bias", dtypes=FLOATS, tolerance=2e-5),
        case(_F + name, x[0], whole, note="unbatched", dtypes=FLOATS, tolerance=2e-5),
        case(_F + name, x, w, b, 2, 1, 1, 2, note="strided-grouped", dtypes=FLOATS, tolerance=2e-5),
        case(_F + name, x, w, b, groups=2, padding="same", dilation=2, note="same", dtypes="float64"),
        case(_F + name, x, whole, padding="valid", note="valid", dtypes="float64"),
        case(_F + name, x, w[:, :1], None, [2], groups=4, note="depthwise", dtypes=FLOATS, tolerance=2e-5),
        case(_F + name, x[:0], whole, note="empty", dtypes="float64"),
        case(back, x, w, note="torch", dtypes=FLOATS, tolerance=2e-4),
        case(_F + back, x, w, b[:2], 2, 1, 1, note="strided", dtypes=FLOATS, tolerance=2e-5),
        case(_F + back, x, w, b, 1, 0, 0, 2, note="grouped", dtypes=FLOATS, tolerance=2e-5),
        case(_F + back, x[0], w, dilation=2, output_padding=1, note="unbatched-dilated", dtypes="float64"),
        case(_F + back, x, w, stride=(3,) * n, padding=1, output_padding=(2, 1, 0)[:n], note="extra", dtypes="float64"),
        case(_F + name, _whole(2, 2, *(4, 3, 3)[:n]), _whole(3, 2, *(2, 2, 1)[:n]), note="integers", grad=False, forms=False,
             dtypes="int64 " + INTS + " bool", extra="int64 " + INTS),
        case(_F + back, _whole(2, 3, *(4, 3, 3)[:n]), _whole(3, 2, *(2, 2, 1)[:n]), note="integers", grad=False, forms=False,
             dtypes="int64 " + INTS + " bool", extra="int64 " + INTS),
    ]  # fmt: skip


CASES = [
    *(c for n in (1, 2, 3) for c in _cases(n)),
    case(_F + "conv2d", signed(2, 3, 5, 6), signed(4, 3, 2, 3), None, (1, 2), (0, 1), (2, 1), note="uneven", dtypes="float64"),
    case(_F + "conv2d", signed(1, 3, 4, 4), signed(2, 3, 1, 1), note="one-by-one", dtypes="float64 float32"),
    *(case(_F + "conv_transpose2d", signed(2, 4, 2, 3), signed(4, 1, 3, 2), None, (3, 1), p, (2, 1), 4, (2, 2), note=f"taken-back-{p}",
           dtypes="float64") for p in (0, 1, 2)),
    case(_F + "conv2d", signed(1, 2, 4, 5), signed(2, 2, 2, 4), padding="same", note="same-even", dtypes="float64"),
]  # fmt: skip

_X, _W = signed(1, 2, 5, 5), signed(3, 2, 2, 2)
_T = signed(2, 3, 2, 2)
BAD = [
    *(bad(_F + "conv2d", x, _W) for x in (signed(2, 5), signed(1, 3, 5, 5), signed(1, 1, 2, 5, 5), signed(1, 2, 1, 1))),
    *(bad(_F + "conv2d", _X, _W, **k) for k in (
        {"stride": 0}, {"stride": (1, 2, 3)}, {"padding": -1}, {"padding": (1, 2, 3)}, {"dilation": 0}, {"groups": 2}, {"groups": 0},
        {"padding": "some"}, {"padding": "same", "stride": 2}, {"stride": 1.5}, {"stride": "a"}, {"stride": True}, {"groups": 1.0},
        {"bias": signed(2)}, {"bias": signed(3, 1)},
    )),
    bad(_F + "conv2d", _X, signed(3, 2, 2)), bad(_F + "conv2d", _X, signed(0, 2, 2, 2)), bad(_F + "conv2d", _X, signed(3, 2, 0, 2)),
    bad(_F + "conv2d", _X, _W.astype(np.float32)), bad(_F + "conv2d", _X, _W, signed(3).astype(np.float32)),
    bad(_F + "conv2d", 1.0, _W), bad(_F + "conv2d", _X, 1.0), bad(_F + "conv2d", _X, _W, 1.0),
    bad(_F + "conv2d", signed(1, 2, 0, 5), _W, padding=1), bad(_F + "conv1d", signed(2), signed(1, 1, 1)),
    *(bad(_F + "conv_transpose2d", _X, _T, **k) for k in (
        {"output_padding": 1}, {"output_padding": -1}, {"padding": 5}, {"padding": "same"}, {"stride": 0}, {"dilation": 0},
        {"bias": signed(2)}, {"groups": 3}, {"output_padding": (1, 2, 3)},
    )),
    bad(_F + "conv_transpose2d", signed(1, 3, 5, 5), _T), bad(_F + "conv_transpose2d", _X, signed(2, 3, 2)),
]  # fmt: skip
