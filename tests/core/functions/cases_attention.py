"""Products with weights, and attention."""

from __future__ import annotations

import numpy as np

from .driver import bad, case
from .samples import signed

_F = "nn.functional."
_FLOATS = "float64 float32 float16"
_REAL = "float64 float32"
_Q, _K, _V = signed(2, 3, 4), signed(2, 5, 4), signed(2, 5, 2)
_SDPA = _F + "scaled_dot_product_attention"
_SEEN = np.array([[True, False, True, True, False], [False] * 5, [False, True, False, False, False]])
_ADDED = np.where(_SEEN, signed(3, 5), -np.inf)

_E, _HEADS = 4, 2
_SELF, _OTHER = signed(3, 2, _E), signed(5, 2, _E)
_PACKED, _PACKED_BIAS, _OUT, _OUT_BIAS = signed(3 * _E, _E), signed(3 * _E), signed(_E, _E), signed(_E)
_HIDDEN = np.array(
    [[False, True, False, True, True], [False, False, False, True, False], [True, True, False, False, False]]
)
_PADDED = np.array([[False, False, False, True, True], [False] * 5])


_MHA = {"dtypes": _REAL, "keywords": False, "tolerance": {"float32": 3e-5}}


def _attend(
    note, query=_SELF, key=_OTHER, value=_OTHER, bias=(None, None), zero=False, packed=_PACKED, **options
):
    args = (query, key, value, _E, _HEADS, packed, _PACKED_BIAS, *bias, zero, 0.0, _OUT, _OUT_BIAS)
    return case(
        _F + "multi_head_attention_forward",
        *args,
        note=note,
        **{**_MHA, "twice": options.get("need_weights", True), **options},
    )


CASES = [
    case(_F + "linear", signed(2, 4), signed(3, 4), signed(3), dtypes=_FLOATS),
    case(_F + "linear", signed(2, 3, 4), signed(3, 4), signed(3), note="deep", dtypes=_FLOATS),
    case(_F + "linear", signed(2, 3, 4), signed(3, 4), note="no-bias", dtypes=_FLOATS),
    case(_F + "linear", signed(4), signed(3, 4), signed(3), note="vector", dtypes=_FLOATS),
    case(_F + "linear", signed(2, 4), signed(4), note="one-output", dtypes=_FLOATS),
    case(_F + "linear", signed(0, 4), signed(3, 4), signed(3), note="empty", dtypes=_FLOATS),
    case(_F + "bilinear", signed(2, 4), signed(2, 3), signed(5, 4, 3), signed(5), dtypes=_REAL),
    case(_SDPA, _Q, _K, _V, dtypes=_FLOATS),
    case(_SDPA, _Q, _K, _V, scale=0.3, note="scale", dtypes=_REAL),
    case(_SDPA, _Q, _K, _V, is_causal=True, note="causal", dtypes=_REAL),
    case(_SDPA, signed(5, 4), signed(2, 4), signed(2, 3), is_causal=True, note="causal-matrix", dtypes=_REAL),
    case(_SDPA, _Q, _K, _V, _SEEN, note="bool-mask", dtypes=_REAL),
    case(_SDPA, _Q, _K, _V, signed(3, 5), note="added-mask", dtypes=_REAL),
    case(_SDPA, _Q, _K, _V, signed(2, 1, 5), note="added-mask-broadcast", dtypes=_REAL),
    case(_SDPA, _Q, _K, _V, _ADDED, note="infinite-mask", dtypes=_REAL, grad=False),
    case(_SDPA, signed(2, 6, 3, 4), signed(2, 2, 5, 4), signed(2, 3, 5, 4), enable_gqa=True, note="gqa", dtypes=_REAL),
    case(_SDPA, signed(2, 1, 3, 4), signed(3, 5, 4), signed(3, 5, 4), note="broadcast", dtypes=_REAL),
    case(_SDPA, signed(0, 3, 4), signed(0, 5, 4), signed(0, 5, 4), note="empty", dtypes=_REAL),
    case(_SDPA, _Q, _K, _V, dropout_p=0.5, note="dropout", compare=False, grad=False, dtypes=_FLOATS),
    _attend("plain"),
    _attend("self", _SELF, _SELF, _SELF),
    _attend("no-weights", need_weights=False),
    _attend("per-head", average_attn_weights=False),
    _attend("mask", attn_mask=_HIDDEN),
    _attend("mask-no-weights", attn_mask=_HIDDEN, need_weights=False),
    _attend("added-mask", attn_mask=signed(3, 5)),
    _attend("mask-per-head", attn_mask=signed(4, 3, 5), need_weights=False),
    _attend("padding", key_padding_mask=_PADDED),
    _attend("both-masks", key_padding_mask=_PADDED, attn_mask=_HIDDEN, need_weights=False),
    _attend("causal", _SELF, _SELF, _SELF, attn_mask=np.triu(np.ones((3, 3), bool), 1), is_causal=True, need_weights=False),
    _attend("biases", bias=(signed(1, 1, _E), signed(1, 1, _E)), attn_mask=_HIDDEN, key_padding_mask=_PADDED),
    _attend("zero", zero=True, key_padding_mask=_PADDED, need_weights=False),
    _attend("static", static_k=signed(4, 6, 2), static_v=signed(4, 6, 2)),
    _attend("separate", packed=None, key=signed(5, 2, 3), value=signed(5, 2, 2), use_separate_proj_weight=True,
            q_proj_weight=signed(_E, _E), k_proj_weight=signed(_E, 3), v_proj_weight=signed(_E, 2)),
    _attend("single", signed(3, _E), signed(5, _E), signed(5, _E), key_padding_mask=_PADDED[0], attn_mask=_HIDDEN),
]  # fmt: skip

BAD = [
    bad(_F + "linear", signed(2, 4), signed(3, 5)),
    bad(_F + "linear", signed(4), signed(3, 5)),
    bad(_F + "linear", signed(), signed(3, 5)),
    bad(_F + "linear", signed(2, 4), signed(3, 4).astype(np.float32)),
    bad(_F + "linear", signed(2, 4), signed(3, 4), signed(2)),
    bad(_F + "linear", signed(2, 4), signed(4), signed()),
    bad(_F + "bilinear", signed(2, 4), signed(2, 3), signed(5, 3, 3)),
    bad(_SDPA, _Q, _K, _V, _SEEN, is_causal=True),
    bad(_SDPA, _Q, _K, _V, np.zeros((3, 5), np.int32)),
    bad(_SDPA, _Q, _K, _V, signed(3, 4)),
    bad(_SDPA, signed(4), _K, _V),
    bad(_SDPA, _Q, _K.astype(np.float32), _V),
    bad(_SDPA, _Q, signed(2, 5, 3), _V),
    bad(_SDPA, signed(3, 3, 4), _K, _V, enable_gqa=True),
    bad(_SDPA, _Q, _K, _V, dropout_p=1.5),
    _attend("causal-without-mask", is_causal=True),
    _attend("mask-shape", attn_mask=np.zeros((3, 4), bool)),
    _attend("mask-per-head-shape", attn_mask=np.zeros((3, 3, 5), bool)),
]  # fmt: skip
