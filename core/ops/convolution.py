"""Two-dimensional convolution and pooling, by unfolding windows into one matrix product.

The three convolution ops are each other's gradients, so derivatives of any order close among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .registry import register

Pair = tuple[int, int]


def _windows(x: Any, kernel: Pair, stride: Pair) -> Any:
    """A view (N, C, kh, kw, oh, ow) of x (N, C, H, W)."""
    n, c, h, w = x.shape
    oh, ow = (h - kernel[0]) // stride[0] + 1, (w - kernel[1]) // stride[1] + 1
    sn, sc, sh, sw = x.strides
    as_strided = module_of(x).lib.stride_tricks.as_strided
    return as_strided(x, (n, c, *kernel, oh, ow), (sn, sc, sh, sw, sh * stride[0], sw * stride[1]))


def _padded(x: Any, padding: Pair, value: float = 0.0) -> Any:
    ph, pw = padding
    if not (ph or pw):
        return x
    return module_of(x).pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), mode="constant", constant_values=value)


def _columns(x: Any, kernel: Pair, stride: Pair, padding: Pair) -> tuple[Any, Pair]:
    """Matrix (C*kh*kw, N*oh*ow) of all windows, and (oh, ow)."""
    v = _windows(_padded(x, padding), kernel, stride).transpose(1, 2, 3, 0, 4, 5)
    c, kh, kw, n, oh, ow = v.shape
    return v.reshape(c * kh * kw, n * oh * ow), (oh, ow)


def _fold(columns: Any, shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, out: Pair) -> Any:
    """The transpose of `_columns`: adds windows back into (N, C, H, W), in the fixed order of the kernel's cells."""
    n, c, h, w = shape
    (ph, pw), (oh, ow) = padding, out
    x = module_of(columns).zeros((n, c, h + 2 * ph, w + 2 * pw), columns.dtype)
    cells = columns.reshape(c, *kernel, n, oh, ow)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            target = x[:, :, i : i + oh * stride[0] : stride[0], j : j + ow * stride[1] : stride[1]]
            target += cells[:, i, j].transpose(1, 0, 2, 3)
    return x[:, :, ph : ph + h, pw : pw + w]


def _rows(g: Any) -> Any:
    """(N, O, oh, ow) as a matrix (O, N*oh*ow)."""
    n, o, oh, ow = g.shape
    return g.transpose(1, 0, 2, 3).reshape(o, n * oh * ow)


@register("conv2d", inputs=2)
class Conv2d(Op):
    """conv2d(x, w, stride, padding): x (N, C, H, W), w (O, C, kh, kw) -> (N, O, oh, ow)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(x: Any, w: Any, stride: Pair, padding: Pair) -> Any:
        o, _, kh, kw = w.shape
        columns, (oh, ow) = _columns(x, (kh, kw), stride, padding)
        out = w.reshape(o, columns.shape[0]) @ columns
        return module_of(x).ascontiguousarray(out.reshape(o, x.shape[0], oh, ow).transpose(1, 0, 2, 3))

    def backward(self, m: Any, g: Any, x: Any, w: Any) -> Any:
        stride, padding = self.attrs
        ex, ew = self.edges
        return (
            m.conv2d_input(g, w, stride, padding, tuple(x.shape)) if ex is not None else None,
            m.conv2d_weight(g, x, stride, padding, tuple(w.shape)) if ew is not None else None,
        )

    def name(self) -> str:
        return "ConvolutionBackward0"


@register("conv2d_input", inputs=2)
class Conv2dInput(Op):
    """conv2d_input(g, w, stride, padding, shape): the gradient of conv2d for x of `shape`."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(g: Any, w: Any, stride: Pair, padding: Pair, shape: tuple[int, ...]) -> Any:
        o, c, kh, kw = w.shape
        columns = w.reshape(o, c * kh * kw).T @ _rows(g)
        return _fold(columns, shape, w.shape[2:], stride, padding, g.shape[2:])

    def backward(self, m: Any, gg: Any, *saved: Any) -> Any:
        g, w = saved
        stride, padding, _ = self.attrs
        eg, ew = self.edges
        return (
            m.conv2d(gg, w, stride, padding) if eg is not None else None,
            m.conv2d_weight(g, gg, stride, padding, tuple(w.shape)) if ew is not None else None,
        )


@register("conv2d_weight", inputs=2)
class Conv2dWeight(Op):
    """conv2d_weight(g, x, stride, padding, shape): the gradient of conv2d for w of `shape`."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(g: Any, x: Any, stride: Pair, padding: Pair, shape: tuple[int, ...]) -> Any:
        columns, _ = _columns(x, (shape[2], shape[3]), stride, padding)
        return (_rows(g) @ columns.T).reshape(shape)

    def backward(self, m: Any, gg: Any, *saved: Any) -> Any:
        g, x = saved
        stride, padding, _ = self.attrs
        eg, ex = self.edges
        return (
            m.conv2d(x, gg, stride, padding) if eg is not None else None,
            m.conv2d_input(g, gg, stride, padding, tuple(x.shape)) if ex is not None else None,
        )


@register("max_pool2d")
class MaxPool2d(Op):
    """max_pool2d(x, kernel, stride, padding): the first of equal maxima gets the gradient."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(x: Any, kernel: Pair, stride: Pair, padding: Pair) -> Any:
        out = None
        for cell in _cells(x, kernel, stride, padding):
            out = cell.copy() if out is None else module_of(x).maximum(out, cell)
        return out

    def backward(self, m: Any, g: Any, x: Any) -> Any:
        kernel, stride, padding = self.attrs
        raw = x._array if hasattr(x, "_array") else x
        chosen = _first_maximum(raw, kernel, stride, padding)
        return (m.put_windows(g, chosen, kernel, stride, padding, tuple(x.shape)),)

    def name(self) -> str:
        return "MaxPool2DWithIndicesBackward0"


def _cells(x: Any, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    """For each cell of the kernel a view (N, C, oh, ow) of what lies under it."""
    v = _windows(_padded(x, padding, -np.inf), kernel, stride)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            yield v[:, :, i, j]


def _first_maximum(x: Any, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    """Number (in reading order) of the cell that holds each window's first maximum."""
    best = chosen = None
    xp = module_of(x)
    for k, cell in enumerate(_cells(x, kernel, stride, padding)):
        if best is None:
            best, chosen = cell, xp.zeros(cell.shape, np.int16)
        else:
            larger = cell > best
            best, chosen = xp.where(larger, cell, best), xp.where(larger, np.int16(k), chosen)
    return chosen


@register("put_windows")
class PutWindows(Op):
    """put_windows(g, chosen, kernel, stride, padding, shape): g added to the chosen cell of each window."""

    __slots__ = ()

    @staticmethod
    def forward(
        g: Any, chosen: Any, kernel: Pair, stride: Pair, padding: Pair, shape: tuple[int, ...]
    ) -> Any:
        xp = module_of(g)
        n, c, oh, ow = g.shape
        cells = xp.empty((c, *kernel, n, oh, ow), g.dtype)
        for k in range(kernel[0] * kernel[1]):
            i, j = divmod(k, kernel[1])
            cells[:, i, j] = xp.where(chosen == k, g, g.dtype.type(0)).transpose(1, 0, 2, 3)
        return _fold(cells, shape, kernel, stride, padding, (oh, ow))

    def backward(self, m: Any, gg: Any) -> Any:
        chosen, kernel, stride, padding, _ = self.attrs
        return (m.take_windows(gg, chosen, kernel, stride, padding),)


@register("take_windows")
class TakeWindows(Op):
    """take_windows(x, chosen, kernel, stride, padding): the chosen cell of each window."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, chosen: Any, kernel: Pair, stride: Pair, padding: Pair) -> Any:
        xp = module_of(x)
        out = xp.zeros(chosen.shape, x.dtype)
        for k, cell in enumerate(_cells(x, kernel, stride, padding)):
            out = xp.where(chosen == k, cell, out)
        return out

    def backward(self, m: Any, g: Any) -> Any:
        chosen, kernel, stride, padding = self.attrs
        return (m.put_windows(g, chosen, kernel, stride, padding, self.input_shape()),)


@register("avg_pool2d")
class AvgPool2d(Op):
    """avg_pool2d(x, kernel, stride, padding, shape): zeros of the padding count, as PyTorch's default has it."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, kernel: Pair, stride: Pair, padding: Pair, shape: tuple[int, ...]) -> Any:
        out = None
        v = _windows(_padded(x, padding), kernel, stride)
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                out = v[:, :, i, j].copy() if out is None else out + v[:, :, i, j]
        return out / x.dtype.type(kernel[0] * kernel[1])

    def backward(self, m: Any, g: Any) -> Any:
        return (m.spread_windows(g, *self.attrs),)


@register("spread_windows")
class SpreadWindows(Op):
    """spread_windows(g, kernel, stride, padding, shape): the gradient of avg_pool2d for x of `shape`."""

    __slots__ = ()

    @staticmethod
    def forward(g: Any, kernel: Pair, stride: Pair, padding: Pair, shape: tuple[int, ...]) -> Any:
        n, c, oh, ow = g.shape
        share = (g / g.dtype.type(kernel[0] * kernel[1])).transpose(1, 0, 2, 3)
        cells = module_of(g).broadcast_to(share[:, None, None], (c, *kernel, n, oh, ow))
        return _fold(cells, shape, kernel, stride, padding, (oh, ow))

    def backward(self, m: Any, gg: Any) -> Any:
        return (m.avg_pool2d(gg, *self.attrs),)
