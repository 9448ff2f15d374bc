"""Cases of convolution, pooling, padding and windows, in one to three dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from gradwire.ops.windows import Windows

from .cases import Case, distinct, given, signed

_SIZES = {1: (6,), 2: (5, 4), 3: (3, 4, 2)}
# kernel, stride, padding, dilation
_LAYOUTS = {
    1: [((2,), (2,), (1,), (1,)), ((3,), (1,), (0,), (2,))],
    2: [((3, 2), (1, 1), (0, 0), (1, 1)), ((2, 2), (3, 2), (1, 1), (2, 1)), ((3, 2), (2, 1), (1, 0), (1, 3))],
    3: [((2, 2, 1), (1, 2, 1), (1, 0, 0), (1, 1, 1))],
}


def _windows(n: int, layout: Any) -> Windows:
    out = tuple(
        (size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in zip(_SIZES[n], *layout, strict=True)
    )
    return Windows(*layout, out)


def _conv(n: int) -> Any:
    return (F.conv1d, F.conv2d, F.conv3d)[n - 1]


def _gradient(function: Any, x: np.ndarray) -> Any:
    """The gradient of `function` at x, as a function of the output's gradient."""

    def run(g: Any) -> Any:
        leaf = torch.from_numpy(x).requires_grad_()
        return torch.autograd.grad(function(leaf), leaf, g)[0]

    return run


def _convolutions(n: int, layout: Any, groups: int) -> list[Case]:
    spec = _windows(n, layout)
    kernel, stride, padding, dilation, out = spec
    x, w, g = signed(2, 4, *_SIZES[n]), signed(2, 4 // groups, *kernel), signed(2, 2, *out)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    conv, note = _conv(n), f"{n}d-{layout}-{groups}"
    of_input = torch.nn.grad.__dict__[f"conv{n}d_input"]
    of_weight = torch.nn.grad.__dict__[f"conv{n}d_weight"]
    return [
        Case("conv", (x, w), lambda a, b: conv(a, b, None, **options), given(spec, groups), note),
        Case("conv_input", (g, w), lambda a, b: of_input(x.shape, b, a, **options), given(spec, groups, x.shape), note),
        Case("conv_weight", (g, x), lambda a, b: of_weight(b, w.shape, a, **options), given(spec, groups, w.shape), note),
    ]  # fmt: skip


def _pools(n: int, layout: Any) -> list[Case]:
    kernel, stride, padding, dilation = layout
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        return []
    spec, x, note = _windows(n, layout), distinct(2, 2, *_SIZES[n]), f"{n}d-{layout}"
    g = signed(2, 2, *spec.out)
    max_pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[n - 1]

    def maximum(a: Any) -> Any:
        return max_pool(a, kernel, stride, padding, dilation)

    chosen = _chosen(x, spec)
    cases = [
        Case("max_pool", (x,), maximum, given(spec), note),
        Case("put_windows", (g,), _gradient(maximum, x), lambda move, _: (move(chosen), spec, x.shape), note),
        Case("take_windows", (x,), maximum, lambda move, _: (move(chosen), spec), note),
    ]
    if set(dilation) == {1}:
        average = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[n - 1]
        count = math.prod(kernel)

        def mean(a: Any) -> Any:
            return average(a, kernel, stride, padding)

        cases += [
            Case("avg_pool", (x,), mean, given(spec, count, x.shape), note),
            Case("spread_windows", (g,), _gradient(mean, x), given(spec, count, x.shape), note),
        ]
    return cases


def _chosen(x: np.ndarray, spec: Windows) -> np.ndarray:
    """By a loop over windows: the cell that holds the maximum."""
    n = len(spec.kernel)
    wide = np.pad(x, [(0, 0), (0, 0), *((p, 99) for p in spec.padding)], constant_values=-np.inf)
    found = np.empty((*x.shape[:2], *spec.out), np.int32)
    for place in np.ndindex(*spec.out):
        cells = [
            wide[
                (
                    slice(None),
                    slice(None),
                    *(place[d] * spec.stride[d] + cell[d] * spec.dilation[d] for d in range(n)),
                )
            ]
            for cell in spec.cells()
        ]
        found[(slice(None), slice(None), *place)] = np.argmax(cells, axis=0)
    return found


def _columns() -> list[Case]:
    spec = _windows(2, _LAYOUTS[2][1])
    x = signed(2, 3, *_SIZES[2])
    options = {"dilation": spec.dilation, "padding": spec.padding, "stride": spec.stride}
    g = signed(2, 3 * math.prod(spec.kernel), math.prod(spec.out))
    return [
        Case("take_all_windows", (x,), lambda a: F.unfold(a, spec.kernel, **options), given(spec)),
        Case(
            "put_all_windows",
            (g,),
            lambda a: F.fold(a, _SIZES[2], spec.kernel, **options),
            given(spec, x.shape),
        ),
    ]


CASES = [
    *(c for n, layouts in _LAYOUTS.items() for layout in layouts for c in _convolutions(n, layout, 1)),
    *(c for n, layouts in _LAYOUTS.items() for c in _convolutions(n, layouts[-1], 2)),
    *(c for n, layouts in _LAYOUTS.items() for layout in layouts for c in _pools(n, layout)),
    Case(
        "avg_pool",
        (signed(1, 2, 4),),
        lambda a: F.avg_pool1d(a, 2, 2, 1, count_include_pad=False),
        lambda move, _: (Windows((2,), (2,), (1,), (1,), (3,)), move(np.array([1, 2, 1])), (1, 2, 4)),
        "each-its-own",
    ),
    *_columns(),
    Case("pad", (signed(2, 3),), lambda a: F.pad(a, (1, 2, 0, 1), value=0.5), given(((0, 1), (1, 2)), 0.5)),
]  # fmt: skip
