"""Tables and dropout as modules."""

from __future__ import annotations

import numpy as np

from .driver import call, ids, layer, rows

_IDS, _FLAT, _OFFSETS = ids(6, 3, 4), ids(6, 9), np.array([0, 2, 2, 5])

MODULES = [
    layer("Embedding", 6, 3, on=[_IDS, ids(6)]),
    layer("Embedding", 6, 3, padding_idx=2, on=_IDS),
    layer("Embedding", 6, 3, -1, on=_IDS),
    layer("Embedding", 6, 3, max_norm=0.5, norm_type=1.0, on=_IDS, half=False),
    layer("Embedding", 6, 3, scale_grad_by_freq=True, on=_IDS),
    layer("Embedding", 6, 3, _weight=rows(6, 3), on=_IDS),
    layer("Embedding", 6, 3, _freeze=True, on=_IDS),
    layer("Embedding", 6, 3, device="cpu", on=_IDS),
    *(layer("EmbeddingBag", 6, 3, mode=mode, on=[(_IDS,), (_FLAT, _OFFSETS)]) for mode in ("sum", "mean", "max")),
    layer("EmbeddingBag", 6, 3, mode="sum", on=[call(_IDS, per_sample_weights=rows(3, 4))], half=False),
    layer("EmbeddingBag", 6, 3, padding_idx=1, include_last_offset=True, on=(_FLAT, np.array([0, 2, 2, 5, 9]))),
    layer("EmbeddingBag", 6, 3, max_norm=0.5, padding_idx=-2, on=_IDS, half=False),
    *(layer(name, p, on=x, random=True) for name, x in (
        ("Dropout", rows(3, 4)), ("AlphaDropout", rows(3, 4)), ("FeatureAlphaDropout", rows(3, 4, 2)), ("Dropout1d", rows(3, 4, 2)),
        ("Dropout2d", rows(3, 4, 2, 2)), ("Dropout3d", rows(3, 4, 2, 1, 2)),
    ) for p in (0.4, 0.0)),
    layer("Dropout", 1.0, on=rows(3, 4)),
    layer("Dropout", inplace=False, on=rows(3, 4), random=True),
]  # fmt: skip

BAD = [
    layer("Embedding", 6, 3, padding_idx=6),
    layer("Embedding", 6, 3, padding_idx=-7),
    layer("Embedding", 6, 3, _weight=rows(5, 3)),
    layer("EmbeddingBag", 6, 3, padding_idx=6),
    layer("Embedding", 6, 3, on=ids(6, 2) + 6, words=False),
    layer("EmbeddingBag", 6, 3, on=_FLAT),
    layer("EmbeddingBag", 6, 3, on=(_IDS, _OFFSETS), words=False),
    layer("EmbeddingBag", 6, 3, mode="median", on=_IDS),
    *(layer(name, 1.5) for name in ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")),
]  # fmt: skip
