"""Pooling to a given size, padding, resizing, sampling and shuffling of images."""

from __future__ import annotations

import numpy as np

from .driver import bad, case
from .samples import distinct, signed, within_one

FLOATS = "float64 float32"
F = "nn.functional."
_IMAGES = {1: (7,), 2: (6, 5), 3: (4, 5, 4)}


def _adaptive(n: int):
    x, target = _IMAGES[n], {1: (3,), 2: (3, 5), 3: (2, None, 3)}[n]
    average = "adaptive_avg_pool1d" if n == 1 else f"{F}adaptive_avg_pool{n}d"
    for name, make in ((average, signed), (f"{F}adaptive_max_pool{n}d", distinct)):
        yield case(name, make(2, 2, *x), target if n > 1 else 3, dtypes=FLOATS)
        yield case(name, make(2, *x), 2, note="unbatched", dtypes=FLOATS)
    yield case(
        f"{F}adaptive_max_pool{n}d", distinct(2, 2, *x), 3, note="places", return_indices=True, dtypes=FLOATS
    )


def _resized():
    for mode, n in (("nearest", 1), ("nearest", 2), ("nearest", 3), ("nearest-exact", 2), ("area", 2)):
        yield case(
            F + "interpolate",
            signed(2, 2, *_IMAGES[n]),
            note=f"{mode}-{n}",
            size=(9, 3, 5)[:n],
            mode=mode,
            dtypes=FLOATS,
        )
        yield case(
            F + "interpolate",
            signed(2, 2, *_IMAGES[n]),
            note=f"{mode}-{n}-by",
            scale_factor=1.7,
            mode=mode,
            dtypes=FLOATS,
        )
    for mode, n in (("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3)):
        for aligned in (False, True):
            options = {"mode": mode, "align_corners": aligned, "dtypes": FLOATS, "tolerance": 2e-5}
            note = f"{mode}-{aligned}"
            yield case(F + "interpolate", signed(2, 2, *_IMAGES[n]), note=note, size=(9, 3, 5)[:n], **options)
            yield case(
                F + "interpolate",
                signed(1, 2, *_IMAGES[n]),
                note=note + "-by",
                scale_factor=[0.6, 2.5, 1.3][:n],
                **options,
            )
    yield case(F + "interpolate", signed(2, 2, 6, 5), note="anew", scale_factor=1.7, mode="bilinear", recompute_scale_factor=True,
               dtypes=FLOATS, tolerance=2e-5)  # fmt: skip
    yield case(
        F + "interpolate",
        signed(2, 2, 6, 5),
        1,
        note="one",
        mode="bilinear",
        align_corners=True,
        dtypes=FLOATS,
    )


def _sampled():
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for aligned in (False, True):
                yield case(
                    F + "grid_sample", signed(2, 2, 4, 5), within_one(2, 3, 3, 2) * 1.6, note=f"{mode}-{padding}-{aligned}", mode=mode,
                    padding_mode=padding, align_corners=aligned, dtypes=FLOATS, tolerance=5e-5, twice=False,
                )  # fmt: skip
    ends = np.array([-1.0, 1.0, 0.0, -2.0, 3.0, 0.5, 1.5, -1.5]).reshape(1, 2, 2, 2)
    for padding in ("border", "reflection"):
        for aligned in (False, True):
            yield case(F + "grid_sample", signed(1, 2, 3, 5), ends, note=f"ends-{padding}-{aligned}", padding_mode=padding,
                       align_corners=aligned, dtypes="float64", twice=False)  # fmt: skip
    yield case(F + "grid_sample", signed(1, 2, 3, 4, 2), within_one(1, 2, 2, 3, 3) * 1.3, note="3d", align_corners=False, dtypes=FLOATS,
               tolerance=5e-5, twice=False)  # fmt: skip
    yield case(F + "affine_grid", signed(2, 2, 3), (2, 1, 3, 4), align_corners=False, dtypes=FLOATS)
    yield case(
        F + "affine_grid", signed(2, 3, 4), (2, 1, 3, 1, 2), note="3d", align_corners=True, dtypes=FLOATS
    )


CASES = [
    *(c for n in (1, 2, 3) for c in _adaptive(n)),
    case(F + "pad", signed(2, 3), [1, 2]),
    case(F + "pad", signed(2, 3), [1, 0, 0, 2], note="value", value=1.5, dtypes="float64 float32"),
    case(F + "pad", signed(2, 3, 4), [-1, 2, 1, -1], note="cut"),
    case(F + "pad", signed(2, 3), [0, 0], note="nothing"),
    *(case(F + "pad", signed(1, 2, 4), [1, 2], note=f"{m}-1", mode=m, dtypes=FLOATS) for m in ("reflect", "replicate", "circular")),
    *(case(F + "pad", signed(2, 4, 3), [1, 2, 2, 0], note=f"{m}-2", mode=m, dtypes=FLOATS) for m in ("reflect", "replicate", "circular")),
    *(case(F + "pad", signed(1, 2, 3, 2, 3), [1, 1, 1, 0, 2, 1], note=f"{m}-3", mode=m, dtypes=FLOATS)
      for m in ("reflect", "replicate", "circular")),
    *_resized(),
    *_sampled(),
    case("max_pool1d", distinct(2, 2, 6), 2, dtypes=FLOATS),
    case("max_pool2d", distinct(2, 2, 6, 5), 2, 1, dtypes=FLOATS),
    case("max_pool3d", distinct(2, 2, 4, 5, 4), 2, ceil_mode=True, dtypes=FLOATS),
    case("max_pool1d_with_indices", distinct(2, 2, 6), 3, 2, 1, dtypes=FLOATS),
    case("adaptive_max_pool1d", distinct(2, 2, 7), 3, dtypes=FLOATS),
    case(F + "adaptive_max_pool2d", distinct(2, 2, 5, 3), (0, 2), return_indices=True, note="nothing", dtypes=FLOATS, grad=False),
    case(F + "adaptive_max_pool2d", distinct(0, 2, 5, 3), 2, return_indices=True, note="no-images", dtypes=FLOATS),
    case(F + "adaptive_avg_pool2d", distinct(0, 2, 5, 3), (2, 0), note="no-images", dtypes=FLOATS, grad=False),
    *(case(F + "pad", signed(1, 2, 5), p, "circular", note=f"cut-{p}", dtypes=FLOATS) for p in ((-1, 2), (-3, 2), (1, -2))),
    case(F + "interpolate", signed(2, 2, 3, 2), scale_factor=(2.2, 1.3), note="nearest-doubled", dtypes=FLOATS),
    case("constant_pad_nd", signed(2, 3), (1, -1), 2),
    case("conv_tbc", signed(5, 2, 3), signed(2, 3, 4), signed(4), 1, dtypes=FLOATS, tolerance=1e-5),
    case("convolution", signed(2, 2, 5, 4), signed(3, 2, 2, 2), signed(3), [2, 1], [1], [1, 1], False, [0, 0], 1, dtypes=FLOATS, tolerance=1e-5),
    case("convolution", signed(2, 2, 5), signed(2, 3, 2), None, [2], [1], [1], True, [1], 1, note="transposed", dtypes=FLOATS, tolerance=1e-5),
    case("grid_sampler", signed(1, 2, 4, 5), within_one(1, 3, 3, 2), 0, 1, False, dtypes=FLOATS, tolerance=5e-5, twice=False),
    case("affine_grid_generator", signed(2, 2, 3), (2, 1, 3, 4), False, dtypes=FLOATS),
    case("native_channel_shuffle", signed(2, 6, 2, 2), 3, grad=False),
    case(F + "grid_sample", signed(1, 2, 4, 5), within_one(1, 3, 3, 2), align_corners=False, note="half", dtypes="float16", grad=False,
         forms=False, tolerance=1e-2),
    case(F + "interpolate", signed(1, 2, 4, 5), 7, mode="bilinear", note="half", dtypes="float16", grad=False, forms=False),
    case(F + "adaptive_avg_pool1d", signed(2, 2, 7), 3, dtypes=FLOATS),
    case(F + "adaptive_avg_pool2d", np.array([[[np.inf, 1.0, 2.0, 3.0, np.nan]]]), (1, 3), note="special", grad=False),
    case(F + "unfold", signed(2, 3, 5, 4), (2, 3), dtypes=FLOATS),
    case(F + "unfold", signed(2, 5, 4), 2, note="all", dilation=2, padding=1, stride=(2, 1), dtypes=FLOATS),
    case(F + "fold", signed(2, 12, 12), (4, 5), (2, 2), dtypes=FLOATS),
    case(F + "fold", signed(8, 9), (5, 5), 2, note="all", dilation=2, padding=1, stride=2, dtypes=FLOATS),
    *(case(f"{space}pixel_shuffle", signed(2, 8, 2, 3), 2) for space in ("", F)),
    case("pixel_shuffle", signed(9, 1, 2), 3, note="unbatched"),
    *(case(f"{space}pixel_unshuffle", signed(2, 2, 4, 6), 2) for space in ("", F)),
    *(case(f"{space}channel_shuffle", signed(2, 6, 2, 2), 3) for space in ("", F)),
]  # fmt: skip

BAD = [
    bad(F + "avg_pool3d", signed(1, 1, 6, 1, 1), (1, 2, 2), ceil_mode=True),
    *(
        bad(F + "pad", signed(1, 2, 5), *a)
        for a in (((-6, 2),), ((-3, -3),), (1,), ("ab",), ((1, 1), "constant", "a"), ((1.5, 1),))
    ),
    *(bad(F + "pad", np.arange(3, dtype=np.uint8), (1, 1), "constant", v) for v in (-1, 300)),
    bad(F + "pad", np.ones(3, np.float16), (1, 1), "constant", 1e6),
    bad(
        F + "grid_sample",
        np.ones((1, 2, 3, 3), np.int64),
        np.zeros((1, 2, 2, 2), np.int64),
        align_corners=False,
    ),
    *(
        bad(F + "grid_sample", signed(1, 2, 5, 5), g, align_corners=False)
        for g in (signed(1, 3, 3), 1.0, signed(1, 2, 2, 2, 3))
    ),
    bad(F + "affine_grid", signed(1, 2, 3), (2, 2, 3, 3), align_corners=False),
    bad(F + "affine_grid", signed(1, 2, 3), (1, 2, 2.5, 3), align_corners=False),
    bad("max_pool2d", signed(2, 4, 4), 2, return_indices=True),
    bad("conv_tbc", signed(5, 2), signed(2, 3, 4), signed(4), 1),
    bad(F + "adaptive_avg_pool2d", signed(2, 2), 2),
    bad(F + "adaptive_avg_pool2d", signed(2, 2, 2), (1, 2, 3)),
    bad(F + "adaptive_max_pool2d", signed(2, 2, 2), -1),
    bad(F + "pad", signed(2, 3), [1], note="odd"),
    bad(F + "pad", signed(2, 3), [1, 1, 1, 1, 1, 1], note="many"),
    bad(F + "pad", signed(2, 3), [-2, -2], note="negative"),
    bad(F + "pad", signed(1, 2, 3), [3, 0], mode="reflect"),
    bad(F + "pad", signed(1, 2, 3), [4, 0], mode="circular"),
    bad(F + "pad", signed(2, 3), [1, 1, 1, 1], mode="reflect"),
    bad(F + "pad", signed(1, 2, 3), [1, 1], mode="x"),
    bad(F + "interpolate", signed(1, 1, 4), note="neither"),
    bad(F + "interpolate", signed(1, 1, 4), 2, 2.0, note="both"),
    bad(F + "interpolate", signed(1, 1, 4), 2, mode="bilinear"),
    bad(F + "interpolate", signed(1, 1, 4), 2, mode="nearest", align_corners=True),
    bad(F + "interpolate", signed(1, 1, 4), (2, 2), note="sizes"),
    bad(F + "interpolate", signed(1, 4), 2, note="dims"),
    bad(F + "interpolate", signed(1, 1, 4), 0, note="zero"),
    bad(F + "grid_sample", signed(1, 1, 4, 4), signed(2, 2, 2, 2), align_corners=False),
    bad(F + "grid_sample", signed(1, 1, 4, 4), signed(1, 2, 2, 3), align_corners=False),
    bad(F + "grid_sample", signed(1, 1, 4, 4), signed(1, 2, 2, 2), mode="x", align_corners=False),
    bad(F + "grid_sample", signed(1, 1, 4, 4), signed(1, 2, 2, 2), padding_mode="x", align_corners=False),
    bad(F + "affine_grid", signed(2, 2, 3), (2, 1, 3), align_corners=False),
    bad(F + "affine_grid", signed(2, 3, 3), (2, 1, 3, 4), align_corners=False),
    *(
        bad(F + "unfold", signed(1, 2, 5, 5), *a)
        for a in ((6,), (0,), (2, 0), (2, 1, -1), (2, 1, 0, 0), ((2, 2, 2),), (1.5,))
    ),
    bad(F + "unfold", signed(5, 5), 2),
    *(bad(F + "fold", signed(1, *s), (5, 5), 2) for s in ((7, 16), (8, 15))),
    *(
        bad(F + "fold", signed(1, 8, 16), *a)
        for a in (((5, 5), 0), ((5, 5), 2, 0), ((5, 5), 2, 1, -1), ((5, 5), 2, 1, 0, 0), ((0, 5), 2))
    ),
    bad(F + "fold", signed(16), (5, 5), 2),
    *(
        bad("pixel_shuffle", *a)
        for a in ((signed(2, 7, 2, 3), 2), (signed(2, 2), 2), (signed(4, 2, 2), 0), (signed(4, 2, 2), 2.0))
    ),
    *(bad("pixel_unshuffle", *a) for a in ((signed(2, 7, 3, 3), 2), (signed(4, 4), 2), (signed(1, 4, 4), 0))),
    *(bad("channel_shuffle", *a) for a in ((signed(2, 6, 2), 4), (signed(4, 2), 2), (signed(1, 4, 2, 2), 0))),
]
