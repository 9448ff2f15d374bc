"""Products with weights, attention, and the identity."""

from __future__ import annotations

import numpy as np

from .driver import call, layer, rows

_Q, _K = rows(3, 2, 4), rows(5, 2, 4)
_HIDDEN = np.array(
    [[False, True, False, True, True], [False, False, False, True, False], [True, True, False, False, False]]
)
_PADDED = np.array([[False, False, False, True, True], [False] * 5])
_MHA = {"half": False, "modes": (True,), "signature": False}  # PyTorch annotates nothing there

MODULES = [
    layer("Identity", on=rows(2, 3)),
    layer("Linear", 4, 3, on=[rows(5, 4), rows(4), rows(2, 3, 4)]),
    layer("Linear", 4, 3, bias=False, on=rows(2, 4)),
    layer("Bilinear", 4, 3, 2, on=[(rows(5, 4), rows(5, 3)), (rows(2, 5, 4), rows(2, 5, 3))], half=False),
    layer("Bilinear", 4, 3, 2, bias=False, on=(rows(4), rows(3)), half=False),
    layer("MultiheadAttention", 4, 2, on=[
        (_Q, _K, _K), (_Q, _Q, _Q), call(_Q, _K, _K, need_weights=False), call(_Q, _K, _K, average_attn_weights=False),
        call(_Q, _K, _K, attn_mask=_HIDDEN), call(_Q, _K, _K, attn_mask=rows(4, 3, 5), need_weights=False),
        call(_Q, _K, _K, key_padding_mask=_PADDED), call(_Q[:, 0], _K[:, 0], _K[:, 0], attn_mask=_HIDDEN),
        call(_Q, _Q, _Q, attn_mask=np.triu(np.ones((3, 3), bool), 1), is_causal=True, need_weights=False),
    ], **_MHA),
    layer("MultiheadAttention", 4, 2, bias=False, batch_first=True, on=[
        (_Q.transpose(1, 0, 2), _K.transpose(1, 0, 2), _K.transpose(1, 0, 2)), (_Q[:, 0], _K[:, 0], _K[:, 0]),
    ], **_MHA),
    layer("MultiheadAttention", 4, 1, add_bias_kv=True, add_zero_attn=True, on=call(_Q, _K, _K, attn_mask=_HIDDEN, key_padding_mask=_PADDED), **_MHA),
    layer("MultiheadAttention", 4, 4, kdim=3, vdim=2, on=(_Q, rows(5, 2, 3), rows(5, 2, 2)), **_MHA),
    layer("MultiheadAttention", 4, 2, on=[(_Q, _K, _K), (_Q, _Q, _Q)], note="evaluation", **{**_MHA, "modes": (False,)}),
    layer("MultiheadAttention", 4, 2, dropout=0.4, on=(_Q, _K, _K), random=True, note="dropout", **_MHA),
]  # fmt: skip

BAD = [
    layer("Linear", 4, 3, on=rows(5, 2)),
    layer("Linear", 4, 3, on=rows(2, 5, 2)),
    layer("Linear", 4, 3, on=rows(2)),
    layer("Bilinear", 0, 3, 2),
    layer("Bilinear", 4, 3, 2, on=(rows(5, 4), rows(5, 4)), words=False),
    layer("MultiheadAttention", 4, 3),
    layer("MultiheadAttention", 0, 3),
    layer("MultiheadAttention", 4, 2, on=(_Q, _K, _K[:, :1])),
    layer("MultiheadAttention", 4, 2, on=(rows(3), _K, _K)),
    layer("MultiheadAttention", 4, 2, on=(_Q, _K[:, 0], _K)),
    layer("MultiheadAttention", 4, 2, on=(rows(3, 2, 6), rows(5, 2, 6), rows(5, 2, 6))),
    layer("MultiheadAttention", 4, 2, on=call(_Q, _K, _K, attn_mask=_HIDDEN[:, :4])),
    layer("MultiheadAttention", 4, 2, on=call(_Q, _K, _K, key_padding_mask=_PADDED[0])),
    layer("MultiheadAttention", 4, 2, on=call(_Q, _K, _K, is_causal=True)),
]  # fmt: skip
