"""Losses and distances as modules."""

from __future__ import annotations

import numpy as np

from .driver import call, ids, layer, rows

_A, _B, _C = rows(4, 3), rows(4, 3), rows(4, 3)
_UNIT = 1 / (1 + np.exp(-rows(4, 3)))
_SHARES = 1 / (1 + np.exp(-rows(4, 3)))
_SIGNS = np.where(rows(4, 3) > 0, 1, -1)
_POSITIVE = np.exp(rows(3))
_CLASSES = ids(3, 4)
_LP = rows(4, 3) - 2
_T = rows(6, 2, 5)
_T = _T - np.log(np.exp(_T).sum(-1, keepdims=True))


def _losses(name, *args, on, **options):
    """With every reduction; half precision has its tests at the functions."""
    return [
        layer(name, *args, on=on, reduction=how, half=False, modes=(True,), **options)
        for how in ("mean", "sum", "none")
    ]  # fmt: skip


MODULES = [
    layer("AdaptiveLogSoftmaxWithLoss", 8, 20, [5, 10], 2.0, on=[(rows(6, 8), ids(20, 6)), (rows(8), np.array(12))], half=False),
    layer("AdaptiveLogSoftmaxWithLoss", 8, 20, (3,), head_bias=True, on=[(rows(6, 8), ids(3, 6)), (rows(1, 8), ids(20, 1))], half=False),
    *_losses("MSELoss", on=(_A, _B)),
    *_losses("L1Loss", on=(_A, _B)),
    *_losses("SmoothL1Loss", on=(_A, _B)),
    *_losses("SmoothL1Loss", beta=0.3, on=(_A, _B)),
    *_losses("HuberLoss", on=(_A, _B)),
    *_losses("HuberLoss", delta=0.4, on=(_A, _B)),
    *_losses("PoissonNLLLoss", on=(_A, np.exp(_B))),
    *_losses("PoissonNLLLoss", False, True, on=(np.exp(_A), np.exp(_B))),
    *_losses("GaussianNLLLoss", on=(_A, _B, np.exp(_C))),
    *_losses("GaussianNLLLoss", full=True, eps=0.5, on=(_A, _B, np.exp(_C))),
    *_losses("NLLLoss", on=(_A, _CLASSES)),
    *_losses("NLLLoss", _POSITIVE, ignore_index=1, on=(_A, _CLASSES)),
    *_losses("CrossEntropyLoss", on=[(_A, _CLASSES), (rows(3), ids(3, 1)[0]), (rows(2, 3, 4), ids(3, 2, 4))]),
    *_losses("CrossEntropyLoss", _POSITIVE, ignore_index=1, label_smoothing=0.2, on=(_A, _CLASSES)),
    *_losses("CrossEntropyLoss", _POSITIVE, label_smoothing=0.2, on=(_A, _UNIT)),
    *_losses("LinearCrossEntropyLoss", 2, 3, on=(rows(4, 2), _CLASSES)),
    *_losses("LinearCrossEntropyLoss", 2, 3, bias=True, weight=_POSITIVE, ignore_index=1, label_smoothing=0.2, on=(rows(4, 2), _CLASSES)),
    *_losses("LinearCrossEntropyLoss", 2, 3, out_features=(2,), bias=True, on=(rows(4, 2), ids(3, 4, 2))),
    *_losses("BCELoss", on=(_UNIT, _SHARES)),
    *_losses("BCELoss", _POSITIVE, on=(_UNIT, _SHARES)),
    *_losses("BCEWithLogitsLoss", on=(_A, _SHARES)),
    *_losses("BCEWithLogitsLoss", _POSITIVE, pos_weight=_POSITIVE, on=(_A, _SHARES)),
    *(layer("KLDivLoss", reduction=how, log_target=log, on=(_LP, target), half=False)  # "mean" warns
      for how in ("sum", "none", "batchmean") for log, target in ((False, _UNIT), (True, rows(4, 3) - 2))),
    *_losses("HingeEmbeddingLoss", on=(_A, _SIGNS)),
    *_losses("HingeEmbeddingLoss", 0.4, on=(_A, _SIGNS)),
    *_losses("CosineEmbeddingLoss", 0.2, on=(_A, _B, _SIGNS[:, 0])),
    *_losses("MarginRankingLoss", 0.2, on=(_A, _B, _SIGNS)),
    *_losses("MultiMarginLoss", on=(_A, _CLASSES)),
    *_losses("MultiMarginLoss", 2, 0.5, _POSITIVE, on=(_A, _CLASSES)),
    *_losses("MultiLabelMarginLoss", on=(_A, np.array([[0, 2, -1], [1, -1, 0], [-1, 0, 0], [2, 1, 0]]))),
    *_losses("MultiLabelSoftMarginLoss", on=(_A, _UNIT)),
    *_losses("MultiLabelSoftMarginLoss", _POSITIVE, on=(_A, _UNIT)),
    *_losses("SoftMarginLoss", on=(_A, _SIGNS)),
    *_losses("TripletMarginLoss", on=(_A, _B, _C)),
    *_losses("TripletMarginLoss", 0.5, 3.0, 1e-3, True, on=(_A, _B, _C)),
    *_losses("TripletMarginWithDistanceLoss", swap=True, margin=0.6, on=(_A, _B, _C)),
    *_losses("CTCLoss", on=(_T, np.array([[1, 2, 2], [3, 3, 0]]), np.array([6, 5]), np.array([3, 2]))),
    *_losses("CTCLoss", 4, zero_infinity=True, on=(_T, np.array([[1, 2, 2], [3, 3, 3]]), np.array([6, 4]), np.array([3, 3]))),
    layer("CosineSimilarity", on=(_A, _B)),
    layer("CosineSimilarity", 0, 0.1, on=(_A, _B)),
    layer("PairwiseDistance", on=(_A, _B)),
    layer("PairwiseDistance", 1.0, 1e-3, True, on=[(_A, _B), call(_A, x2=_B[0])]),
]  # fmt: skip

BAD = [
    *(layer("AdaptiveLogSoftmaxWithLoss", 8, 20, c) for c in ([], [0], [10, 5], [5, 5], [20], [2.5])),
    *(
        layer("AdaptiveLogSoftmaxWithLoss", 8, 20, [5], on=on)
        for on in (
            (rows(2, 8), ids(20, 3)),
            (rows(2, 2, 8), ids(20, 2)),
            (rows(2, 8), np.array(1)),
            (rows(2, 8), ids(20, 2, 1)),
            (rows(2, 8), np.array([1, 20])),
            (rows(2, 8), np.array([-1, 2])),
        )
    ),
    layer("MultiMarginLoss", 3),
    layer("TripletMarginLoss", margin=0.0),
    layer("TripletMarginWithDistanceLoss", margin=-1.0),
    layer("MSELoss", reduction="most", on=(_A, _B)),
    layer("CrossEntropyLoss", on=(_A, _CLASSES[:3])),
    layer("CrossEntropyLoss", on=(_A, ids(3, 4, 1))),
    layer("LinearCrossEntropyLoss", 2, 3, weight=rows(4)),
    layer("LinearCrossEntropyLoss", 2, 3, label_smoothing=1.5),
    layer("LinearCrossEntropyLoss", 2, 3, on=(rows(4, 3), _CLASSES)),
    layer("NLLLoss", rows(4), on=(_A, _CLASSES)),
    layer("BCEWithLogitsLoss", on=(_A, _B[:2])),
    layer("BCELoss", on=(_UNIT, _SHARES[:2])),
    layer("GaussianNLLLoss", on=(_A, _B, np.exp(rows(2)))),
    layer("CrossEntropyLoss", on=(rows(2, 3, 4), ids(3, 2))),
    layer("CrossEntropyLoss", on=(rows(2, 3, 4, 2), ids(3, 2))),
    layer("CrossEntropyLoss", on=(rows(2, 3, 4, 2), ids(3, 2, 4, 3))),
    layer("CrossEntropyLoss", on=(rows(3), ids(3, 2))),
    layer("CosineEmbeddingLoss", on=(_A, _B, _SIGNS)),
    layer("MarginRankingLoss", on=(_A, _B, _SIGNS[0])),
]
