"""Normalisation."""

from __future__ import annotations

import numpy as np

from .driver import Constant, bad, case
from .samples import positive, signed, unit

_F = "nn.functional."
_ROWS, _IMAGE = signed(4, 6), signed(3, 4, 2, 3)
_ALL = "float64 float32 float16 bfloat16"


def _affine(n):
    return {"weight": positive(n), "bias": signed(n)}


def _statistics(n):
    return Constant(signed(n)), Constant(positive(n))


CASES = [
    *(case(name, signed(2, 3, 4), shape, **options, note=f"{shape}{'-affine' * len(options)}", twice="weight" in options or "bias" not in options)
      for name in ("layer_norm", _F + "layer_norm") for shape, options in (
          ((4,), {}), ((3, 4), {}), ((4,), _affine(4)), ((2, 3, 4), {"eps": 0.1}), ((4,), {"bias": signed(4)}),
      )),
    case("layer_norm", signed(0, 4), (4,), note="empty"),
    case("layer_norm", signed(2, 0), (0,), note="of-nothing"),
    case("layer_norm", np.full((2, 4), 0.7), (4,), note="constant"),
    *(case(name, signed(2, 3, 4), shape, **options, note=f"{shape}{'-weight' * bool(options)}")
      for name in ("rms_norm", _F + "rms_norm") for shape, options in (
          ((4,), {}), ((3, 4), {}), ((4,), {"weight": positive(4)}), ((4,), {"weight": positive(4), "eps": 0.1}),
      )),
    case("rms_norm", signed(2, 4) * 1e-3, (4,), note="small", dtypes=_ALL),
    case("rms_norm", np.zeros((2, 4)), (4,), note="zeros", dtypes=_ALL, grad=False),
    *(case(_F + "batch_norm", x, *_statistics(n), training=training, note=f"{x.ndim}d-{training}", dtypes=_ALL, tolerance=1e-6)
      for x, n in ((_ROWS, 6), (signed(3, 4, 5), 4), (_IMAGE, 4)) for training in (False, True)),
    *(case(_F + "batch_norm", _IMAGE, *_statistics(4), **_affine(4), training=training, eps=0.1, note=f"affine-{training}") for training in (False, True)),
    case(_F + "batch_norm", _IMAGE, None, None, training=True, note="no-statistics"),
    case("batch_norm", _IMAGE, positive(4), signed(4), *_statistics(4), True, 0.3, 1e-3, True, keywords=False),
    case("batch_norm", _IMAGE, None, None, *_statistics(4), False, 0.3, 1e-3, True, note="evaluation", keywords=False),
    *(case(name, signed(3, 4, 5), g, **options, note=f"{g}{'-affine' * bool(options)}", dtypes=_ALL)
      for name in ("group_norm", _F + "group_norm") for g in (1, 2, 4) for options in ({}, _affine(4))),
    case("group_norm", signed(3, 4), 2, note="rows"),
    *(case(_F + "instance_norm", x, note=f"{x.ndim}d", dtypes=_ALL) for x in (signed(3, 4, 5), _IMAGE, signed(2, 3, 2, 2, 2))),
    case(_F + "instance_norm", _IMAGE, *_statistics(4), **_affine(4), note="affine", tolerance=1e-6),
    case(_F + "instance_norm", _IMAGE, *_statistics(4), use_input_stats=False, note="evaluation", tolerance=1e-6),
    case("instance_norm", _IMAGE, positive(4), signed(4), *_statistics(4), True, 0.3, 1e-3, True, keywords=False),
    *(case(_F + "normalize", signed(2, 3, 4), p=p, dim=d, note=f"{p}-{d}", dtypes="float64 float32 float16 int64", twice=p != float("inf"))
      for p, d in ((2.0, 1), (1.0, -1), (3.0, 0), (float("inf"), 2), (2, (1, 2)))),
    case(_F + "normalize", np.zeros((2, 3)), note="zeros", twice=False),
    case(_F + "normalize", signed(2, 3) * 0.1, eps=0.5, note="eps"),
    *(case(_F + "local_response_norm", x, size, alpha=0.3, beta=0.6, k=1.5, note=f"{x.ndim}d-{size}", dtypes="float64 float32")
      for x in (signed(2, 5, 3), signed(2, 5, 2, 3), signed(1, 5, 2, 2, 2)) for size in (1, 2, 3)),
]  # fmt: skip

BAD = [
    bad("layer_norm", _ROWS, (5,)),
    bad("layer_norm", _ROWS, ()),
    bad("layer_norm", _ROWS, (4, 6, 1)),
    bad("layer_norm", _ROWS, (6,), signed(5)),
    bad("layer_norm", _ROWS, (6,), None, signed(5)),
    bad("layer_norm", np.ones((2, 3), np.int64), (3,)),
    bad("rms_norm", _ROWS, (5,)),
    bad("rms_norm", _ROWS, (6,), signed(5)),
    bad(_F + "batch_norm", _ROWS, None, None),
    bad(_F + "batch_norm", _ROWS, signed(5), positive(6)),
    bad(_F + "batch_norm", _ROWS, signed(6), positive(6), signed(5)),
    bad(_F + "batch_norm", signed(1, 4), None, None, training=True),
    bad(_F + "batch_norm", np.ones((2, 3), np.int64), None, None, training=True),
    bad(_F + "group_norm", signed(3, 4, 2), 3),
    bad(_F + "group_norm", signed(3), 1),
    bad(_F + "group_norm", signed(1, 4), 4),
    bad("group_norm", signed(3, 4, 2), 2, signed(3)),
    bad("group_norm", signed(3, 4, 2), 0),
    bad(_F + "instance_norm", signed(3, 4, 1)),
    bad(_F + "instance_norm", _IMAGE, use_input_stats=False),
    bad(_F + "local_response_norm", signed(3, 4), 2),
    bad(_F + "normalize", signed(3), dim=1),
    bad(_F + "normalize", unit(3)),
]  # fmt: skip
