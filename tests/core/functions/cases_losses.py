"""Losses, with every reduction, and the distances that some of them are made of."""

from __future__ import annotations

import numpy as np

from .driver import Constant, bad, case
from .samples import positive, signed, unit

_F = "nn.functional."
_FLOATS = "float64 float32 float16"
_REAL = "float64 float32"


def _each(name, *args, note="", **options):
    """With every reduction."""
    return [
        case(_F + name, *args, note=f"{note}{'-' * bool(note)}{how}", reduction=how, **{"dtypes": _REAL, **options})
        for how in ("mean", "sum", "none")
    ]  # fmt: skip


def _signs(*shape):
    return np.where(np.sin(np.arange(np.prod(shape, dtype=int)) * 2.1) > 0, 1, -1).reshape(shape)


def _classes(n, *shape):
    return np.asarray(np.arange(np.prod(shape, dtype=int)) * 7 % 5 % n, np.int64).reshape(shape)


def _log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


_IGNORING = np.array([0, -100, 2, 1, -100, 3])
_TIED = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 0.0])
_ROWS, _VOLUME = signed(6, 4), signed(2, 4, 3, 2)
_LP = _log_softmax(signed(7, 3, 5))
_PADDED = np.array([[1, 2, 2, 4], [3, 3, 1, 0], [2, 0, 0, 0]])
_JOINED = np.array([1, 2, 2, 4, 3, 3, 2])
_CTC = {"forms": False, "twice": False, "dtypes": _REAL}


def _ctc(targets, frames, counts, lp=_LP, note="", **options):
    return [
        case(_F + "ctc_loss", lp, targets, frames, counts, note=f"{note}-{how}", reduction=how, **{**_CTC, **options})
        for how in ("mean", "sum", "none")
    ]  # fmt: skip


CASES = [
    # of numbers
    *(c for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss") for c in [
        *_each(name, signed(2, 3), signed(2, 3), dtypes="float64 float32 float16 int64"),
        *_each(name, signed(), signed(), note="0d"),
        *_each(name, signed(0, 2), signed(0, 2), note="empty"),
        *_each(name, signed(2, 3), signed(3), note="broadcast"),
        *_each(name, _TIED, np.zeros(8), note="kinks"),
        case(_F + name, signed(2, 3), _signs(2, 3), note="whole-target", grad=name != "huber_loss"),
    ]),
    *(c for name in ("mse_loss", "l1_loss", "huber_loss") for c in _each(name, signed(2, 3), signed(2, 3), note="weight", weight=positive(2, 3))),
    *_each("smooth_l1_loss", signed(2, 3), signed(2, 3), note="beta", beta=0.5),
    *_each("smooth_l1_loss", _TIED, np.zeros(8), note="beta-kinks", beta=0.5),
    *_each("smooth_l1_loss", signed(2, 3), signed(2, 3), note="beta-0", beta=0),
    *_each("huber_loss", _TIED, np.zeros(8), note="delta", delta=0.5),
    *_each("poisson_nll_loss", signed(2, 3), positive(2, 3) * 2),
    *_each("poisson_nll_loss", positive(2, 3), positive(2, 3) * 2, note="full", full=True, log_input=False),
    *_each("poisson_nll_loss", positive(2, 3), positive(2, 3), note="plain", log_input=False, eps=1e-3),
    *_each("gaussian_nll_loss", signed(2, 3), signed(2, 3), positive(2, 3)),
    *_each("gaussian_nll_loss", signed(2, 3), signed(2, 3), positive(2, 1), note="one-each", full=True),
    *_each("gaussian_nll_loss", signed(2, 3), signed(2, 3), positive(2), note="shorter", eps=0.8),
    *_each("gaussian_nll_loss", signed(2, 3), signed(2, 3), 0.7, note="number"),
    # of classes
    *(c for name in ("nll_loss", "cross_entropy") for c in [
        *_each(name, _ROWS, _classes(4, 6)),
        *_each(name, signed(4), np.array(2), note="single"),
        *_each(name, signed(4), np.array([2]), note="single-1d", grad=False),
        *_each(name, _VOLUME, _classes(4, 2, 3, 2), note="volume"),
        *_each(name, _ROWS, _IGNORING, note="ignoring"),
        *_each(name, _ROWS, _classes(4, 6), note="ignoring-1", ignore_index=1),
        *_each(name, _ROWS, _IGNORING, note="weight", weight=Constant(positive(4))),
        *_each(name, _VOLUME, _classes(4, 2, 3, 2), note="weight-volume", weight=Constant(positive(4)), ignore_index=2),
        *_each(name, _ROWS, np.full(6, -100), note="all-ignored"),
        *_each(name, signed(0, 4), np.zeros(0, np.int64), note="empty"),
        *_each(name, _ROWS, _classes(4, 6).astype(np.uint8), note="bytes"),
    ]),
    *_each("cross_entropy", _ROWS, _IGNORING, note="smooth", label_smoothing=0.3),
    *_each("cross_entropy", _ROWS, _IGNORING, note="smooth-weight", label_smoothing=0.3, weight=Constant(positive(4))),
    *_each("cross_entropy", _VOLUME, _classes(4, 2, 3, 2), note="smooth-volume", label_smoothing=0.3, weight=Constant(positive(4))),
    *_each("cross_entropy", signed(4), np.array(2), note="smooth-single", label_smoothing=1.0),
    *_each("cross_entropy", _ROWS, np.full(6, -100), note="smooth-all-ignored", label_smoothing=0.3),
    *_each("cross_entropy", _ROWS, unit(6, 4), note="probabilities"),
    *_each("cross_entropy", _VOLUME, unit(2, 4, 3, 2), note="probabilities-volume", label_smoothing=0.2),
    *_each("cross_entropy", _ROWS, unit(6, 4), note="probabilities-weight", weight=Constant(positive(4)), label_smoothing=0.2),
    *_each("cross_entropy", signed(4), unit(4), note="probabilities-single"),
    *_each("cross_entropy", signed(0, 4), unit(0, 4), note="probabilities-empty"),
    *_each("linear_cross_entropy", signed(6, 3), signed(4, 3), _classes(4, 6), keywords=False),
    *_each("linear_cross_entropy", signed(3), signed(4, 3), np.array(1), note="single", linear_bias=signed(4), keywords=False),
    *_each("linear_cross_entropy", signed(2, 3), signed(4, 2, 3), _classes(4, 2, 2), note="deep", linear_bias=signed(4, 2), keywords=False),
    *_each("linear_cross_entropy", signed(6, 3), signed(4, 3), unit(6, 4), note="probabilities", label_smoothing=0.1, keywords=False),
    # of probabilities
    *_each("binary_cross_entropy", unit(2, 3), unit(2, 3), dtypes=_FLOATS),
    *_each("binary_cross_entropy", unit(2, 3), unit(2, 3), note="weight", weight=Constant(positive(3))),
    *_each("binary_cross_entropy", np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0]), note="extremes", twice=False, tolerance=1e-7),
    *_each("binary_cross_entropy", unit(), unit(), note="0d"),
    *_each("binary_cross_entropy_with_logits", signed(2, 3), unit(2, 3), dtypes=_FLOATS),
    *_each("binary_cross_entropy_with_logits", np.array([1e4, -1e4, np.inf, -np.inf, np.nan, 0.0]), np.array([0.0, 1.0, 0.5, 0.5, 1.0, 1.0]), note="special", grad=False),
    *_each("binary_cross_entropy_with_logits", signed(2, 3) * 30, unit(2, 3), note="large"),
    *_each("binary_cross_entropy_with_logits", signed(2, 3), unit(2, 3).astype(np.float32), note="float32-targets", dtypes=_FLOATS, grad=False),
    *_each("binary_cross_entropy_with_logits", signed(2, 3), unit(2, 3), note="weights", weight=Constant(positive(3)), pos_weight=Constant(positive(3))),
    *_each("binary_cross_entropy_with_logits", signed(2, 3), unit(2, 3), note="pos_weight", pos_weight=Constant(positive(2, 1))),
    *_each("kl_div", _log_softmax(signed(2, 3)), unit(2, 3)),
    *_each("kl_div", _log_softmax(signed(2, 3)), _log_softmax(signed(2, 3)), note="log", log_target=True),
    *_each("kl_div", _log_softmax(signed(2, 3)), Constant(np.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])), note="zeros"),
    case(_F + "kl_div", signed(2, 3), unit(2, 3), note="batchmean", reduction="batchmean", dtypes=_REAL),
    case(_F + "kl_div", signed(), unit(), note="batchmean-0d", reduction="batchmean", dtypes=_REAL),
    # with margins
    *_each("hinge_embedding_loss", signed(2, 3), _signs(2, 3)),
    *_each("hinge_embedding_loss", _TIED, _signs(8), note="kinks", margin=0.5),
    *_each("margin_ranking_loss", signed(4), signed(4), _signs(4), margin=0.3),
    *_each("margin_ranking_loss", _TIED, np.zeros(8), _signs(8), note="kinks", margin=0.5),
    *_each("soft_margin_loss", signed(2, 3), _signs(2, 3)),
    *_each("soft_margin_loss", signed(2, 3) * 20, _signs(2, 3), note="large"),
    *_each("multilabel_soft_margin_loss", signed(2, 3), unit(2, 3)),
    *_each("multilabel_soft_margin_loss", signed(3), unit(3), note="single", weight=positive(3)),
    *_each("multi_margin_loss", _ROWS, _classes(4, 6), twice=False),
    *_each("multi_margin_loss", _ROWS, _classes(4, 6), note="square", p=2, margin=0.5, twice=False),
    *_each("multi_margin_loss", _ROWS, _classes(4, 6), note="weight", weight=Constant(positive(4)), twice=False),
    *_each("multi_margin_loss", np.round(_ROWS), _classes(4, 6), note="kinks", twice=False),
    *_each("multi_margin_loss", signed(4), np.array([2]), note="single", twice=False),
    *_each("multi_margin_loss", signed(4), np.array(2), note="single-0d", twice=False),
    *_each("multilabel_margin_loss", signed(3, 4), np.array([[3, 0, -1, 1], [-1, 2, 2, 2], [0, 1, 2, 3]]), twice=False),
    *_each("multilabel_margin_loss", np.round(_ROWS[:1]), np.array([[1, 1, -1, 0]]), note="kinks", twice=False),
    *_each("multilabel_margin_loss", signed(4), np.array([3, 1, -1, -1]), note="single", twice=False),
    *_each("triplet_margin_loss", signed(4, 3), signed(4, 3), signed(4, 3)),
    *_each("triplet_margin_loss", signed(3), signed(3), signed(3), note="single", p=1.0, swap=True, margin=2.0),
    *_each("triplet_margin_loss", signed(2, 4, 3), signed(2, 4, 3), signed(2, 4, 3), note="p3", p=3.0, eps=0.1),
    *_each("triplet_margin_with_distance_loss", signed(4, 3), signed(4, 3), signed(4, 3), swap=True, keywords=False),
    *_each("cosine_embedding_loss", signed(4, 3), signed(4, 3), _signs(4), margin=0.1),
    *_each("cosine_embedding_loss", signed(3), signed(3), np.array(-1), note="single"),
    # alignments
    *_ctc(_PADDED, np.array([7, 6, 3]), np.array([4, 3, 1])),
    *_ctc(_JOINED, (7, 6, 7), (4, 2, 1), note="joined", strided=False),  # PyTorch reads strided ones wrongly
    *_ctc(_PADDED + (_PADDED == 0) * 4 - 1, np.array([7, 7, 7]), np.array([3, 3, 0]), note="blank", blank=4),
    *_ctc(_PADDED, np.array([7, 2, 3]), np.array([4, 3, 1]), note="impossible", zero_infinity=True),
    *_ctc(_PADDED, np.array([7, 2, 3]), np.array([4, 3, 1]), note="infinite"),
    *_ctc(_PADDED[0], np.array(7), np.array(4), lp=_LP[:, 0], note="single"),
    *_ctc(_PADDED[:, :2], np.array([7, 0, 0]), np.array([2, 0, 1]), note="no-frames", zero_infinity=True),
    # distances
    case("cosine_similarity", signed(3, 4), signed(3, 4)),
    case("cosine_similarity", signed(2, 1, 4), signed(3, 4), dim=-1, note="broadcast"),
    case("cosine_similarity", signed(3, 4), np.zeros((3, 4)), note="zeros", twice=False),
    case("cosine_similarity", signed(3, 4) * 1e-5, signed(3, 4), eps=1e-2, note="eps", twice=False, dtypes=_REAL),
    case("cosine_similarity", signed(4), signed(4), dim=0, note="vectors"),
    case("cosine_similarity", signed(0, 4), signed(0, 4), note="empty"),
    case("pairwise_distance", signed(3, 4), signed(3, 4)),
    case("pairwise_distance", signed(2, 3, 4), signed(4), keepdim=True, note="broadcast"),
    case("pairwise_distance", signed(3, 4), signed(3, 4), 1.0, note="p1"),
    case("pairwise_distance", signed(3, 4), signed(3, 4), 3.0, eps=0.1, note="p3"),
    case("pairwise_distance", signed(3, 4), signed(3, 4), float("inf"), note="inf"),
    case("pairwise_distance", signed(4), signed(4), note="vectors"),
    *(case("pdist", signed(4, 3), p, note=f"{p}", twice=False, dtypes=_REAL) for p in (2.0, 1.0, 3.0, float("inf"), 0.0, 0.5, 1.5)),
    case("pdist", signed(1, 3), note="one-row", twice=False, dtypes=_REAL),
    case("pdist", signed(0, 3), note="empty", grad=False, dtypes=_REAL),  # whose gradient crashes PyTorch
    case("pdist", np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]]), note="equal-rows", twice=False, dtypes=_REAL),
    *(case(_F + name, *args, dtypes=_REAL, twice=name != "pdist") for name, args in {
        "cosine_similarity": (signed(3, 4), signed(3, 4)), "pairwise_distance": (signed(3, 4), signed(3, 4)), "pdist": (signed(3, 4),),
    }.items()),
]  # fmt: skip

BAD = [
    *(bad(_F + name, signed(2, 3), signed(2, 3), reduction="most") for name in ("mse_loss", "l1_loss", "huber_loss", "kl_div", "poisson_nll_loss")),
    *(bad(_F + name, signed(2, 3), signed(2, 4)) for name in ("mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy_with_logits")),
    *(bad(_F + "binary_cross_entropy_with_logits", signed(2, 3), np.ones((2, 3), kind), reduction="none") for kind in (np.int64, np.uint8, np.bool_)),
    bad(_F + "mse_loss", signed(2, 3), signed(3), weight=signed(3)),
    bad(_F + "smooth_l1_loss", signed(2, 3), signed(2, 3), beta=-1.0),
    bad(_F + "huber_loss", signed(2, 3), signed(2, 3), delta=0.0),
    bad(_F + "gaussian_nll_loss", signed(2, 3), signed(2, 3), positive(3)),
    bad(_F + "gaussian_nll_loss", signed(2, 3), signed(2, 3), -positive(2, 3)),
    bad(_F + "nll_loss", signed(), np.array(0)),
    bad(_F + "nll_loss", _ROWS, _classes(4, 5)),
    bad(_F + "nll_loss", _ROWS, _classes(4, 6, 1)),
    bad(_F + "nll_loss", _VOLUME, _classes(4, 2, 3, 3)),
    bad(_F + "nll_loss", _ROWS, _classes(4, 6) + 1),
    bad(_F + "nll_loss", _ROWS, _classes(4, 6) - 1),
    bad(_F + "nll_loss", _ROWS, _classes(4, 6).astype(np.int32)),
    bad(_F + "nll_loss", _ROWS, signed(6)),
    bad(_F + "nll_loss", _ROWS, _classes(4, 6), positive(3)),
    bad(_F + "cross_entropy", _ROWS, _classes(4, 6), label_smoothing=1.5),
    bad(_F + "cross_entropy", _ROWS, _classes(4, 6), positive(3)),
    bad(_F + "cross_entropy", _ROWS, unit(6, 4), ignore_index=1),
    bad(_F + "cross_entropy", _ROWS, _classes(4, 6, 4)),
    bad(_F + "binary_cross_entropy", unit(3), unit(3, 1)),
    bad(_F + "binary_cross_entropy", unit(3) + 1, unit(3)),
    bad(_F + "multi_margin_loss", _ROWS, _classes(4, 6), p=3),
    bad(_F + "multi_margin_loss", _ROWS, _classes(4, 6) + 2),
    bad(_F + "multi_margin_loss", _ROWS, _classes(4, 5)),
    bad(_F + "multilabel_margin_loss", _ROWS, _classes(4, 6)),
    bad(_F + "multilabel_margin_loss", _ROWS, _classes(4, 6, 4) + 2),
    bad(_F + "margin_ranking_loss", signed(3), signed(3, 1), _signs(3)),
    bad(_F + "triplet_margin_loss", signed(3), signed(1, 3), signed(3)),
    bad(_F + "triplet_margin_loss", signed(3), signed(3), signed(3), margin=0.0),
    bad(_F + "cosine_embedding_loss", signed(3), signed(3), _signs(3)),
    bad(_F + "cosine_embedding_loss", signed(3, 2), signed(3, 2), _signs(3, 1)),
    bad(_F + "ctc_loss", _LP, _PADDED, np.array([8, 6, 3]), np.array([4, 3, 1])),
    bad(_F + "ctc_loss", _LP, _PADDED, np.array([7, 6]), np.array([4, 3])),
    bad(_F + "ctc_loss", _LP, _PADDED, np.array([7, 6, 3]), np.array([5, 3, 1])),
    bad(_F + "ctc_loss", _LP, _JOINED, np.array([7, 6, 3]), np.array([4, 3, 1])),
    bad(_F + "ctc_loss", _LP, _PADDED, np.array([7, 6, 3]), np.array([4, 3, 1]), blank=5),
    bad("cosine_similarity", signed(3, 4), signed(3, 4), dim=2),
    bad("pdist", signed(3)),
    bad("pdist", signed(3, 2), -1.0),
    bad(_F + "linear_cross_entropy", signed(6, 3), signed(4, 2), _classes(4, 6)),
]  # fmt: skip
