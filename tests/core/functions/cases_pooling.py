"""Pooling in one to three dimensions, and unpooling."""

from __future__ import annotations

import numpy as np

from .driver import bad, case
from .samples import distinct, positive, signed, unit

FLOATS = "float64 float32 float16"
WHOLE = "int64 int32 int8 uint8 bool"
_F = "nn.functional."
_SIZES = (7, 6, 5)


def _max(n: int) -> list:
    name, x = f"{_F}max_pool{n}d", distinct(2, 2, *_SIZES[:n])
    return [
        case(name, x, 2, dtypes=FLOATS + " " + WHOLE, extra=WHOLE.replace(" bool", "")),
        case(name, x[0], (3,) * n, 2, 1, note="unbatched-padded", dtypes=FLOATS),
        case(name, x, 2, 1, note="overlap", dtypes="float64"),
        case(name, x, 2, 2, 1, 2, note="dilated", dtypes="float64"),
        case(name, x, 2, 2, 0, 1, True, note="ceil", dtypes="float64 float32"),
        case(name, x, 3, 2, 1, ceil_mode=True, return_indices=True, note="indices", dtypes="float64 float16"),
        case(name, x[:0], 2, note="empty", dtypes="float64"),
        case(name, np.round(x), 2, note="ties", dtypes="float64", twice=False),
        case(name + "_with_indices", x, 2, stride=[], note="with-indices", dtypes="float64"),
    ]


def _avg(n: int) -> list:
    name, x = f"{_F}avg_pool{n}d", signed(2, 2, *_SIZES[:n])
    more = [] if n == 1 else [case(name, x, 2, 2, 1, divisor_override=3, note="divisor", dtypes="float64")]
    return [
        case(name, x, 2, dtypes=FLOATS, extra="float16"),
        case(name, x[0], (3,) * n, 2, 1, note="unbatched-padded", dtypes="float64"),
        case(name, x, 3, 1, 1, count_include_pad=False, note="exclude-pad", dtypes="float64"),
        case(name, x, 2, ceil_mode=True, note="ceil", dtypes="float64"),
        case(name, x, 3, 2, 1, True, False, note="ceil-exclude", dtypes="float64"),
        case(name, x, 3, 2, 1, True, True, note="ceil-include", dtypes="float64"),
        case(name, x[:0], 2, note="empty", dtypes="float64"),
        *more,
        case(f"{_F}lp_pool{n}d", positive(2, 2, *_SIZES[:n]), 2, 2, note="two", dtypes="float64 float32"),
        case(f"{_F}lp_pool{n}d", positive(2, *_SIZES[:n]), 3.0, 3, 2, True, note="three", dtypes="float64"),
    ]


def _unpool(n: int) -> list:
    name, x = f"{_F}max_unpool{n}d", signed(2, 2, *(2, 3, 2)[:n])
    count = int(np.prod([2 * s for s in x.shape[2:]]))
    rows = [np.random.default_rng(i).permutation(count)[: x[0, 0].size] for i in range(4)]
    index = np.array(rows).reshape(x.shape)
    wanted = [2 * s + 1 for s in x.shape[2:]]
    return [
        case(name, x, index, 2, dtypes=FLOATS),
        case(name, x[0], index[0], 2, note="unbatched", dtypes="float64"),
        case(name, x, index, 2, output_size=wanted, note="sized", dtypes="float64"),
    ]


def _fractional(n: int) -> list:
    name, x, samples = f"{_F}fractional_max_pool{n}d", distinct(2, 2, *_SIZES[:n]), unit(2, 2, n)
    given = {"_random_samples": samples, "dtypes": "float64"}
    return [
        case(name, x, 2, 3, **given),
        case(
            name,
            x,
            (2, 1, 3)[:n],
            output_ratio=(0.5, 0.7, 0.4)[:n],
            return_indices=True,
            note="ratio",
            **given,
        ),
        case(name, x[0], 2, (3, 2, 1)[:n], note="unbatched", **{**given, "_random_samples": samples[:1]}),
        case(name + "_with_indices", x, 2, (1, 4, 3)[:n], note="indices", **given),
        case(name, x, 2, 3, note="drawn", compare=False, grad=False, dtypes="float64 float32"),
    ]


_NAN = np.array([[[1.0, np.nan, 2.0, 3.0, np.nan, np.nan, -np.inf, -np.inf]]])
CASES = [
    *(c for n in (2, 3) for c in _fractional(n)),
    *(c for n in (1, 2, 3) for c in (*_max(n), *_avg(n), *_unpool(n))),
    case("avg_pool1d", signed(2, 2, 6), 2, dtypes=FLOATS),
    case(_F + "max_pool1d", _NAN, 2, 2, 1, return_indices=True, note="nan", dtypes="float64", twice=False),
    case(_F + "max_pool1d", _NAN, 3, 1, 1, note="nan-values", dtypes="float64", grad=False),
    case(_F + "avg_pool2d", np.arange(-9.0, 16.0).reshape(1, 5, 5), 2, note="whole", dtypes="int64 bool", grad=False, forms=False),
    case(_F + "max_pool2d", signed(1, 2, 5, 6), (2, 3), (2, 1), (1, 0), note="uneven", dtypes="float64"),
    case(_F + "avg_pool2d", signed(1, 2, 5, 6), (2, 3), (2, 1), (1, 0), note="uneven", dtypes="float64"),
]  # fmt: skip

_X = signed(1, 2, 5, 5)
_SMALL, _PLACES = signed(1, 2, 2, 2), np.zeros((1, 2, 2, 2), np.int64)
BAD = [
    *(bad(_F + "fractional_max_pool2d", _X, *a) for a in ((2,), (2, 5), (2, (1, 2, 3)), (2.5, 2))),
    *(bad(_F + "fractional_max_pool2d", x, 2, 2) for x in (signed(5, 5), signed(1, 2, 0, 5))),
    *(bad(f"{_F}{kind}_pool2d", _X, *a) for kind in ("max", "avg") for a in (
        (2, 1, 2), (2, 1, -1), (2, 0), (0,), ((1, 2, 3),), (2, (1, 2, 3)), (6,), (2.5,),
    )),
    *(bad(f"{_F}{kind}_pool1d", signed(2, 5), *a) for kind in ("max", "avg") for a in ((2, 1, 2), (6,), (2, 0), (0,), (2, 1, -1))),
    *(bad(f"{_F}{kind}_pool3d", signed(1, 5, 5, 5), *a) for kind in ("max", "avg") for a in ((2, 1, 2), (6,), (2, 0))),
    *(bad(f"{_F}{kind}_pool2d", signed(*s), 2) for kind in ("max", "avg") for s in ((5, 5), (1, 1, 1, 5, 5), (1, 2, 0, 5))),
    *(bad(f"{_F}{kind}_pool1d", signed(*s), 2) for kind in ("max", "avg") for s in ((5,), (1, 2, 5, 5))),
    *(bad(f"{_F}{kind}_pool3d", signed(5, 5), 2) for kind in ("max", "avg")),
    bad(_F + "max_pool2d", _X, 2, dilation=0), bad(_F + "max_pool2d", _X > 0, 2), bad(_F + "avg_pool2d", _X > 0, 2),
    bad(_F + "avg_pool2d", _X, 2, divisor_override=0), bad(_F + "avg_pool2d", _X.astype(np.int32), 2),
    bad(_F + "max_pool2d", 3, 2), bad(_F + "avg_pool2d", 3, 2), bad(_F + "lp_pool2d", signed(5, 5), 2, 2),
    bad(_F + "max_unpool2d", _SMALL, _SMALL, 2), bad(_F + "max_unpool2d", _SMALL, _PLACES[..., :1], 2),
    bad(_F + "max_unpool2d", _SMALL, _PLACES + 99, 2), bad(_F + "max_unpool2d", _SMALL, _PLACES - 1, 2),
    bad(_F + "max_unpool2d", _SMALL, _PLACES, 2, output_size=(9, 9)), bad(_F + "max_unpool2d", _SMALL, _PLACES, 2, output_size=(5, 5, 5)),
    bad(_F + "max_unpool2d", signed(2, 2), _PLACES[0, 0], 2), bad(_F + "max_unpool1d", signed(2), _PLACES[0, 0, 0], 2),
]  # fmt: skip
