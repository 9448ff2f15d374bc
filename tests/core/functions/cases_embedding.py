"""Tables of vectors, and dropout where it does not draw."""

from __future__ import annotations

import numpy as np

from .driver import bad, case
from .samples import signed

_F = "nn.functional."
_TABLE = signed(6, 3)
_IDS = np.array([[0, 5, 2, 2], [1, 2, 0, 5]])
_FLAT, _OFFSETS = np.array([0, 5, 2, 2, 1, 2, 0]), np.array([0, 3, 3, 5])
_FLOATS = "float64 float32 float16"


def _bags(**options):
    """By every mode, of indices in rows and one after the other."""
    found = []
    for mode in ("sum", "mean", "max"):
        note = f"{mode}{'-' * bool(options)}{', '.join(options)}"
        common = {"mode": mode, "twice": False, "dtypes": _FLOATS, **options}
        found.append(case(_F + "embedding_bag", _IDS, _TABLE, note=f"rows-{note}", **common))
        found.append(case(_F + "embedding_bag", _FLAT, _TABLE, _OFFSETS, note=f"flat-{note}", **common))
    return found


CASES = [
    case(_F + "embedding", _IDS, _TABLE, dtypes=_FLOATS),
    case(_F + "embedding", np.array(3), _TABLE, note="0d", dtypes=_FLOATS),
    case(_F + "embedding", np.zeros((2, 0), np.int64), _TABLE, note="empty", dtypes=_FLOATS),
    case(_F + "embedding", _IDS.astype(np.int32), _TABLE, note="int32", dtypes=_FLOATS),
    *(case(_F + "embedding", _IDS, _TABLE, padding_idx=p, note=f"padding-{p}", dtypes=_FLOATS, twice=False) for p in (2, -6, 0)),
    case(_F + "embedding", _IDS, _TABLE, scale_grad_by_freq=True, note="freq", dtypes=_FLOATS, twice=False),
    case(_F + "embedding", _IDS, _TABLE, scale_grad_by_freq=True, padding_idx=5, note="freq-padding", dtypes=_FLOATS, twice=False),
    *(case(_F + "embedding", _IDS, _TABLE, None, 0.9, p, note=f"max_norm-{p}", dtypes="float64 float32", grad=False, forms=False) for p in (2.0, 1.0, 3.0)),
    case("embedding", _TABLE, _IDS, dtypes=_FLOATS),
    case("embedding", _TABLE, _IDS, 2, True, note="padding", dtypes=_FLOATS, twice=False),
    case("embedding_renorm_", _TABLE, _IDS, 0.9, 2.0, dtypes="float64 float32", grad=False),
    *_bags(),
    *_bags(padding_idx=2),
    *_bags(padding_idx=-1),
    *(c for c in _bags(scale_grad_by_freq=True, grad=False) if c.kwargs["mode"] != "max"),
    *_bags(max_norm=0.9, grad=False, forms=False),
    case(_F + "embedding_bag", _FLAT, _TABLE, np.array([0, 3, 3, 5, 7]), include_last_offset=True, note="last", twice=False, dtypes=_FLOATS),
    case(_F + "embedding_bag", _IDS, _TABLE, per_sample_weights=signed(2, 4), mode="sum", note="weights", twice=False, dtypes=_FLOATS),
    case(_F + "embedding_bag", _FLAT, _TABLE, _OFFSETS, per_sample_weights=signed(7), mode="sum", padding_idx=2, note="weights-padding",
         twice=False, dtypes="float64 float32"),
    case(_F + "embedding_bag", np.array([[1, 0], [0, 1]]), np.array([[1.0, 5.0], [1.0, 2.0]]), mode="max", note="ties", twice=False, dtypes=_FLOATS),
    *(case(_F + "embedding_bag", np.zeros(0, np.int64), _TABLE, np.zeros(n, np.int64), mode=m, note=f"empty-{n}-{m}", dtypes=_FLOATS, grad=False)
      for n in (0, 2) for m in ("sum", "mean", "max")),
    case(_F + "one_hot", np.array([[0, 2], [1, 3]])),
    case(_F + "one_hot", np.array(2), 5, note="0d"),
    case(_F + "one_hot", np.zeros((2, 0), np.int64), 3, note="empty"),
    # what dropout leaves as it is, all of it or nothing
    *(case(_F + name, signed(*([2, 3, 2, 2, 2][:n])), p, training, note=f"{p}-{training}", dtypes=_FLOATS)
      for name, n in (("dropout", 2), ("alpha_dropout", 2), ("feature_alpha_dropout", 3), ("dropout1d", 3), ("dropout2d", 4), ("dropout3d", 5))
      for p, training in ((0.3, False), (0.0, True), (1.0, True))),
    *(case(name, signed(2, 3, 2), p, train, note=f"{p}-{train}", dtypes=_FLOATS, grad=not name.endswith("_"), keywords=False)
      for form in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout") for name in (form, form + "_")
      for p, train in ((0.3, False), (0.0, True), (1.0, True))),
    *(case(name, signed(2, 3, 2), 0.5, True, note="drawn", dtypes=_FLOATS + " int64", grad=False, compare=False, forms=False)
      for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")),
    *(case(_F + "gumbel_softmax", signed(2, 3), hard=hard, dim=d, note=f"{hard}-{d}", compare=False, grad=False, dtypes=_FLOATS)
      for hard in (False, True) for d in (0, -1)),
]  # fmt: skip

BAD = [
    bad(_F + "embedding", np.array([6]), _TABLE),
    bad(_F + "embedding", np.array([-1]), _TABLE),
    bad(_F + "embedding", signed(2), _TABLE),
    bad(_F + "embedding", np.array([1], np.int16), _TABLE),
    bad(_F + "embedding", np.array([1]), signed(3)),
    bad(_F + "embedding_bag", _FLAT, _TABLE),
    bad(_F + "embedding_bag", _IDS, _TABLE, _OFFSETS),
    bad(_F + "embedding_bag", _FLAT, _TABLE, np.array([1, 2])),
    bad(_F + "embedding_bag", _FLAT, _TABLE, np.array([0, 8])),
    bad(_F + "embedding_bag", _FLAT, _TABLE, np.array([0.0])),
    bad(_F + "embedding_bag", np.array([[9]]), _TABLE),
    bad(_F + "embedding_bag", _IDS, _TABLE, mode="median"),
    bad(_F + "embedding_bag", _IDS, _TABLE, mode="max", scale_grad_by_freq=True),
    bad(_F + "embedding_bag", _IDS, _TABLE, per_sample_weights=signed(2, 4)),
    bad(_F + "embedding_bag", _IDS, _TABLE, mode="sum", per_sample_weights=signed(4)),
    bad(_F + "embedding_bag", _IDS, signed(3)),
    bad(_F + "one_hot", np.array([-1])),
    bad(_F + "one_hot", np.array([3]), 2),
    bad(_F + "one_hot", np.zeros(0, np.int64)),
    bad(_F + "one_hot", np.array([3], np.int32)),
    *(bad(_F + name, signed(2, 3, 2), p) for name in ("dropout", "alpha_dropout", "dropout1d") for p in (-0.1, 1.1)),
    bad("dropout", signed(3), 1.5, True),
    bad("feature_dropout", signed(3), 0.5, True),
    bad(_F + "dropout1d", signed(3)),
]  # fmt: skip
