"""Convolutions, transposed ones, windows as columns, and shuffles of channels."""

from __future__ import annotations

from .driver import bad, case
from .samples import signed

# PyTorch sums float16 in other orders, and integers not at all (or without gradients), where gradwire does both.
FLOATS = "float64 float32"
_CONV = {"dtypes": FLOATS, "tolerance": 1e-5}


def _images(n: int) -> tuple[int, ...]:
    return {1: (7,), 2: (6, 5), 3: (4, 3, 5)}[n]


def _kernel(n: int) -> tuple[int, ...]:
    return {1: (3,), 2: (3, 2), 3: (2, 1, 3)}[n]


def _convs(n: int):
    name, x, k = f"conv{n}d", _images(n), _kernel(n)
    yield case(name, signed(2, 3, *x), signed(4, 3, *k), note="plain", **_CONV)
    yield case(
        name,
        signed(2, 4, *x),
        signed(6, 2, *k),
        signed(6),
        note="all",
        stride=2,
        padding=1,
        dilation=1,
        groups=2,
        **_CONV,
    )
    yield case(name, signed(3, *x), signed(2, 3, *k), signed(2), note="unbatched", padding=1, **_CONV)
    yield case(name, signed(2, 3, *x), signed(3, 1, *k), note="depthwise", groups=3, padding="same", **_CONV)
    yield case(
        name,
        signed(1, 2, *x),
        signed(2, 2, *k),
        note="valid",
        padding="valid",
        dilation=(2,) * n if n < 3 else (1, 2, 2),
        **_CONV,
    )
    yield case(name, signed(0, 2, *x), signed(2, 2, *k), note="no-images", **_CONV)


def _transposed(n: int):
    name, x, k = f"conv_transpose{n}d", _images(n), _kernel(n)
    yield case(name, signed(2, 3, *x), signed(3, 2, *k), note="plain", **_CONV)
    yield case(
        name, signed(2, 4, *x), signed(4, 3, *k), signed(6), note="all", stride=2, padding=1 if n < 3 else 0, output_padding=1, groups=2,
        **_CONV,
    )  # fmt: skip
    yield case(name, signed(3, *x), signed(3, 2, *k), signed(2), note="unbatched", dilation=2, **_CONV)


CASES = [
    *(c for n in (1, 2, 3) for c in _convs(n)),
    *(c for n in (1, 2, 3) for c in _transposed(n)),
    case("nn.functional.unfold", signed(2, 3, 5, 4), (2, 3), dtypes=FLOATS),
    case("nn.functional.unfold", signed(2, 5, 4), 2, note="all", dilation=2, padding=1, stride=(2, 1), dtypes=FLOATS),
    case("nn.functional.fold", signed(2, 12, 12), (4, 5), (2, 2), dtypes=FLOATS),
    case("nn.functional.fold", signed(8, 9), (5, 5), 2, note="all", dilation=2, padding=1, stride=2, dtypes=FLOATS),
    case("pixel_shuffle", signed(2, 8, 2, 3), 2),
    case("pixel_shuffle", signed(9, 1, 2), 3, note="unbatched"),
    case("pixel_unshuffle", signed(2, 2, 4, 6), 2),
    case("channel_shuffle", signed(2, 6, 2, 2), 3),
]  # fmt: skip

BAD = [
    *(
        bad(f"conv{n}d", signed(2, 3, *_images(n)), signed(2, 2, *_kernel(n)), note="channels")
        for n in (1, 2, 3)
    ),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 3), note="kernel-dims"),
    bad("conv2d", signed(6, 5), signed(2, 3, 3, 3), note="image-dims"),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 7, 3), note="large-kernel"),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 2, 2), signed(3), note="bias"),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 2, 2), stride=0),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 2, 2), padding=-1),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 2, 2), dilation=0),
    bad("conv2d", signed(2, 4, 6, 5), signed(3, 2, 2, 2), groups=2),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 2, 2), padding="x"),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 2, 2), padding="same", stride=2),
    bad("conv2d", signed(2, 3, 6, 5), signed(2, 3, 2, 2), stride=(1, 2, 3)),
    bad("conv_transpose2d", signed(2, 3, 6, 5), signed(2, 2, 3, 3), note="channels"),
    bad("conv_transpose2d", signed(2, 3, 6, 5), signed(3, 2, 3, 3), output_padding=1),
    bad("conv_transpose2d", signed(2, 3, 6, 5), signed(3, 2, 3, 3), padding=9),
    bad("nn.functional.unfold", signed(2, 3, 5, 4), 6),
    bad("nn.functional.fold", signed(2, 12, 13), (4, 5), (2, 2)),
    bad("nn.functional.fold", signed(2, 13, 12), (4, 5), (2, 2)),
    bad("pixel_shuffle", signed(2, 7, 2, 3), 2),
    bad("pixel_unshuffle", signed(2, 7, 3, 3), 2),
    bad("channel_shuffle", signed(2, 6, 2), 4),
]
