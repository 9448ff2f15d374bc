"""Convolution and pooling over windows, and maps that read few elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from gradwire.ops.resampling import Table
from gradwire.ops.windows import Windows

from .cases import Case, distinct, given, signed


def _gradient(function: Callable[[Any], Any], x: np.ndarray) -> Callable[[Any], Any]:
    """The gradient of `function` at x as a function of the output's gradient."""

    def run(g: Any) -> Any:
        start = torch.from_numpy(x).requires_grad_()
        return torch.autograd.grad(function(start), start, g)[0]

    return run


def _convolutions() -> list[Case]:
    cases = []
    for x_shape, w_shape, stride, padding, dilation, groups in (
        ((2, 2, 5, 4), (3, 2, 3, 2), (1, 1), (0, 0), (1, 1), 1),
        ((2, 2, 5, 4), (3, 2, 3, 2), (2, 1), (1, 2), (1, 1), 1),
        ((1, 4, 5, 5), (2, 2, 2, 2), (3, 2), (0, 1), (2, 1), 2),
        ((2, 2, 7), (2, 1, 3), (2,), (1,), (2,), 2),
        ((1, 2, 3, 4, 3), (1, 2, 2, 2, 1), (1, 2, 1), (0, 1, 0), (1, 1, 2), 1),
    ):
        n = len(stride)
        windows = Windows(w_shape[2:], stride, dilation, padding, padding)
        x, w, b = signed(*x_shape), signed(*w_shape), signed(w_shape[0])
        function = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
        run = lambda a, k, bias=None, f=function, m=(stride, padding, dilation, groups): f(a, k, bias, *m)  # noqa: E731
        g = signed(*run(torch.from_numpy(x), torch.from_numpy(w)).shape)
        of_x = lambda g, k, r=run, x=x: _gradient(lambda a: r(a, k), x)(g)  # noqa: E731
        of_w = lambda g, a, r=run, w=w: _gradient(lambda k: r(a, k), w)(g)  # noqa: E731
        note = f"{stride}-{padding}-{dilation}-{groups}"
        cases += [
            Case("convolution", (x, w), run, given(windows, groups), note),
            Case("convolution_with_bias", (x, w, b), run, given(windows, groups), note),
            Case("convolution_input", (g, w), of_x, given(windows, groups, x_shape), note),
            Case("convolution_weight", (g, x), of_w, given(windows, groups, w_shape), note),
        ]
    return cases


_POOLED = distinct(2, 2, 5, 4)


def _chosen(kernel: Any, stride: Any, padding: Any) -> np.ndarray:
    """The cell of each window of _POOLED that PyTorch finds largest."""
    _, flat = F.max_pool2d(torch.from_numpy(_POOLED), kernel, stride, padding, return_indices=True)
    width = _POOLED.shape[3]
    oh, ow = flat.shape[2:]
    i = flat // width - torch.arange(oh).reshape(-1, 1) * stride[0] + padding[0]
    j = flat % width - torch.arange(ow) * stride[1] + padding[1]
    return (i * kernel[1] + j).numpy().astype(np.int16)


def _pooling() -> list[Case]:
    cases, shape = [], _POOLED.shape
    for of in (((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 1)), ((2, 1), (3, 3), (0, 0))):
        kernel, stride, padding = of
        chosen, windows = _chosen(*of), Windows(kernel, stride, (1, 1), padding, padding)
        g, cells = signed(*chosen.shape), kernel[0] * kernel[1]
        maximum = lambda x, w=of: F.max_pool2d(x, *w)  # noqa: E731
        average = lambda x, w=of: F.avg_pool2d(x, *w)  # noqa: E731
        columns = lambda x, w=of: F.unfold(x, w[0], 1, w[2], w[1])  # noqa: E731
        g2 = signed(*columns(torch.from_numpy(_POOLED)).shape)
        with_chosen = lambda move, _, c=chosen, w=windows: (move(c), w)  # noqa: E731
        and_shape = lambda move, _, c=chosen, w=windows: (move(c), w, shape)  # noqa: E731
        cases += [
            Case("max_pool", (_POOLED,), maximum, given(windows), str(of)),
            Case("avg_pool", (_POOLED,), average, given(windows, cells, shape), str(of)),
            Case("spread_windows", (g,), _gradient(average, _POOLED), given(windows, cells, shape), str(of)),
            Case("put_windows", (g,), _gradient(maximum, _POOLED), and_shape, str(of)),
            Case("take_windows", (_POOLED,), maximum, with_chosen, str(of)),
            Case("columns_of_windows", (_POOLED,), columns, given(windows, shape), str(of)),
            Case("windows_of_columns", (g2,), _gradient(columns, _POOLED), given(windows, shape), str(of)),
        ]
    return cases


_MAP = np.array([[0.5, 0.0, 2.0], [0.25, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 1.5, 0.5]])  # outputs by sources
_TABLE = Table(
    np.array([[0, 0, 1, 1], [2, 3, 3, 2]]), np.array([[0.5, 0.25, -1.0, 1.5], [2.0, 0.0, 0.0, 0.5]]), 3
)
_MIRROR = Table(np.array([[2, 1, 0, 1, 2, 2]]), None, 3)

CASES: list[Case] = [
    *_convolutions(),
    *_pooling(),
    Case("resample", (signed(2, 3),), lambda a: a @ torch.from_numpy(_MAP).T, given(_TABLE, 1), "weights"),
    Case("resample", (signed(3, 2, 2),), lambda a: a[[2, 1, 0, 1, 2, 2]], given(_MIRROR, 0), "places"),
    Case("pad", (signed(2, 3),), lambda a: F.pad(a, (1, 2, 0, 1), value=1.5), given(((0, 1), (1, 2)), 1.5)),
    Case("pad", (signed(3, 4),), lambda a: F.pad(a, (-1, 2, 1, -2)), given(((1, -2), (-1, 2)), 0), "cut"),
]  # fmt: skip
