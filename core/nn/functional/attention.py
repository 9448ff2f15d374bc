"""Attention. Vaswani et al., Attention is all you need, arXiv:1706.03762."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ...autocast import runs_low
from ...backends import module_of
from ...dtypes import FLOATS, HALVES, float32
from ...functions import add, baddbmm, bmm, cat, masked_fill, matmul, mean, mul, reshape, softmax, transpose
from ...functions.arguments import tensor_of
from ...functions.dropping import check_share
from ...functions.dropping import dropout as _dropout
from ...grad_mode import state as grad_state
from ...ops.attention import Attention
from ...ops.registry import apply_several, cast_inputs
from ...tensor import Tensor
from .arguments import entered
from .products import linear

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]

_BOOL, _FLOAT32 = np.dtype(bool), np.dtype(np.float32)


@entered
@runs_low("cpu", "cuda")
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(query key^T * scale + mask) value: query (…, L, E), key (…, S, E), value (…, S, Ev) give (…, L, Ev).

    attn_mask: bool, True where a key takes part, or numbers to add. is_causal: query i sees keys up to i. scale: 1 / sqrt(E)
    where not given. enable_gqa: one head of key and value for several of query. Where no key takes part, zeros.
    """
    _check(query, key, value, attn_mask, is_causal)
    check_share(dropout_p)
    if enable_gqa:
        heads = query._array.shape[-3]
        if heads % key._array.shape[-3] or heads % value._array.shape[-3]:
            raise RuntimeError("Number of heads in key and value must divide the number of heads in query")
        key = key.repeat_interleave(heads // key._array.shape[-3], -3)
        value = value.repeat_interleave(heads // value._array.shape[-3], -3)
    to = query.dtype
    if to.numpy in HALVES:
        query, key, value = (cast_inputs(t, float32) for t in (query, key, value))
    size = query._array.shape[-1]
    if scale is None:
        scale = 1.0 / math.sqrt(size) if size else 1.0
    if not dropout_p and _at_once(query, key, value, attn_mask):
        mask = None if attn_mask is None else _added(attn_mask._array, query._array.dtype)
        return cast_inputs(apply_several(Attention, (query, key, value), (scale, is_causal, mask))[0], to)
    scores = matmul(mul(query, scale), transpose(key, -2, -1))
    rows, columns = scores._array.shape[-2:]
    xp = module_of(scores._array)
    if is_causal:
        # added, as a sum takes a fifth of the time of a selection
        later = xp.triu(xp.full((rows, columns), -math.inf, scores._array.dtype), 1)
        scores = add(scores, Tensor._wrap(later))
    if attn_mask is not None:
        if attn_mask._array.dtype == _BOOL:
            scores = masked_fill(scores, Tensor._wrap(~attn_mask._array), -math.inf)
        else:
            scores = add(scores, cast_inputs(attn_mask, scores.dtype))
    weights = _safe_softmax(scores, attn_mask is not None)
    if dropout_p:
        weights = _dropout(weights, dropout_p, True)
    return cast_inputs(matmul(weights, value), to)


def _at_once(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> bool:
    """Whether one operation can do it: on the host, where shapes need no broadcasting and the mask no gradient."""
    q, k, v = query._array, key._array, value._array
    lead = q.shape[:-2]
    if q.__class__ is not np.ndarray or not (q.ndim <= 4 and lead == k.shape[:-2] == v.shape[:-2]):
        return False
    if not (q.size and k.size and v.size and q.shape[-1] == k.shape[-1] and k.shape[-2] == v.shape[-2]):
        return False
    if mask is None:
        return True
    if (mask._requires_grad and grad_state.enabled) or mask._array.ndim < 2:
        return False
    wanted = (*lead, q.shape[-2], k.shape[-2])
    given = mask._array.shape
    return len(given) <= len(wanted) and all(
        n in (1, size) for n, size in zip(given, wanted[len(wanted) - len(given) :], strict=True)
    )


def _added(mask: Any, dtype: Any) -> Any:
    """The mask as numbers to add."""
    if mask.dtype == _BOOL:
        return module_of(mask).where(mask, dtype.type(0), dtype.type(-math.inf))
    return mask.astype(dtype, copy=False)


def _safe_softmax(scores: Tensor, masked: bool) -> Tensor:
    """softmax over the last dimension, with zeros in place of NaN where all scores are -inf."""
    if masked:
        none = (scores._array == -math.inf).all(axis=-1, keepdims=True)
        if bool(none.any()):
            nothing = Tensor._wrap(none)
            return masked_fill(softmax(masked_fill(scores, nothing, 0.0), -1), nothing, 0.0)
    return softmax(scores, -1)


def _check(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool) -> None:
    for name, t in (("query", query), ("key", key), ("value", value)):
        tensor_of(t, "scaled_dot_product_attention", name)
    dtype = query._array.dtype
    if not dtype == key._array.dtype == value._array.dtype:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {query.dtype} key.dtype: {key.dtype} and "
            f"value.dtype: {value.dtype} instead."
        )
    if dtype not in FLOATS:
        raise RuntimeError(f"scaled_dot_product_attention: expected floats, got {query.dtype}")
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {query.ndim} key.dim: {key.ndim} "
            f"and value.dim: {value.ndim} instead."
        )
    if attn_mask is None:
        return
    if is_causal:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    own = attn_mask._array.dtype
    if own not in (_BOOL, dtype) and not (own == _FLOAT32 and dtype in HALVES):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
            f"{attn_mask.dtype} and  query.dtype: {query.dtype} instead."
        )


@entered
def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention by several heads on projections of query (L, N, E), key and value (S, N, …); or without N.

    Returns the output (L, N, E) and the weights (N, L, S), of the heads' mean or (N, heads, L, S), or None. Masks: bool, True
    where a key does NOT take part, or numbers to add; attn_mask (L, S) or (N * heads, L, S), key_padding_mask (N, S).
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = (t.unsqueeze(1) for t in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, embed = query._array.shape
    source = key._array.shape[0]
    padding = mask_as_numbers(key_padding_mask, "key_padding_mask", query, attn_mask)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    by_hint = is_causal and padding is None and not need_weights
    mask = None if by_hint else mask_as_numbers(attn_mask, "attn_mask", query)
    if embed != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed}")
    size = embed // num_heads
    if size * num_heads != embed:
        raise AssertionError(f"embed_dim {embed} not divisible by num_heads {num_heads}")
    q, k, v = _projected(
        query, key, value, in_proj_weight, in_proj_bias, use_separate_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight
    )  # fmt: skip
    if mask is not None:
        mask = _three_dimensional(mask, (length, source), batch * num_heads)
    if (bias_k is None) != (bias_v is None):
        raise AssertionError(
            "bias_k is set but bias_v is None" if bias_v is None else "bias_v is set but bias_k is None"
        )
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError(
                f"bias cannot be added to static {'key' if static_k is not None else 'value'}."
            )
        k, v = cat([k, bias_k.repeat(1, batch, 1)]), cat([v, bias_v.repeat(1, batch, 1)])
        mask, padding = _one_more(mask), _one_more(padding)
    heads = batch * num_heads
    q = transpose(reshape(q, length, heads, size), 0, 1)
    k, v = (
        transpose(reshape(t, t._array.shape[0], heads, size), 0, 1)
        if given is None
        else _static(given, name, heads, size)
        for t, given, name in ((k, static_k, "static_k"), (v, static_v, "static_v"))
    )
    if add_zero_attn:
        nothing = k.new_zeros((heads, 1, size))
        k, v = cat([k, nothing], 1), cat([v, nothing], 1)
        mask, padding = _one_more(mask), _one_more(padding)
    source = k._array.shape[1]
    if padding is not None:
        if tuple(padding.shape) != (batch, source):
            raise AssertionError(
                f"expecting key_padding_mask shape of {(batch, source)}, but got {padding.shape}"
            )
        wide = padding.reshape(batch, 1, 1, source).expand(-1, num_heads, -1, -1).reshape(heads, 1, source)
        mask = wide if mask is None else mask + wide
    share = dropout_p if training else 0.0
    weights: Tensor | None = None
    if need_weights:
        q = mul(q, math.sqrt(1.0 / size))
        turned = transpose(k, -2, -1)
        weights = softmax(bmm(q, turned) if mask is None else baddbmm(mask, q, turned), -1)
        if share > 0.0:
            weights = _dropout(weights, share, True)
        out = transpose(bmm(weights, v), 0, 1)
        weights = reshape(weights, batch, num_heads, length, source)
        if average_attn_weights:
            weights = mean(weights, 1)
    else:
        if mask is not None:
            mask = (
                mask.unsqueeze(0) if mask._array.shape[0] == 1 else mask.reshape(batch, num_heads, -1, source)
            )
        q, k, v = (reshape(t, batch, num_heads, -1, size) for t in (q, k, v))
        out = scaled_dot_product_attention(q, k, v, mask, share, by_hint).permute(2, 0, 1, 3)
    out = linear(reshape(out, length, batch, embed), out_proj_weight, out_proj_bias)
    if not batched:
        out = out.squeeze(1)
        weights = None if weights is None else weights.squeeze(0)
    return out, weights


def _check_shapes(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, heads: int
) -> bool:
    """Whether there is a dimension of examples. Raises AssertionError for inputs that don't fit each other."""
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    batched = query.ndim == 3
    kind, n = ("batched (3-D)", 3) if batched else ("unbatched (2-D)", 2)
    if key.ndim != n or value.ndim != n:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {n}-D but found {key.ndim}-D and {value.ndim}-D tensors "
            "respectively"
        )
    if padding is not None and padding.ndim != n - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {n - 1}-D but found {padding.ndim}-D tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead"
        )
    if not batched and mask is not None and mask.ndim == 3:
        expected = (heads, query._array.shape[0], key._array.shape[0])
        if tuple(mask.shape) != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {mask.shape}")
    return batched


def mask_as_numbers(
    mask: Tensor | None, name: str, query: Tensor, other: Tensor | None = None, other_name: str = "attn_mask"
) -> Tensor | None:
    """-inf where a bool mask is True; a mask of numbers as it is."""
    if mask is None:
        return None
    dtype = mask._array.dtype
    if dtype != _BOOL and dtype not in FLOATS:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other is not None and other._array.dtype != dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=4,
        )
    if dtype != _BOOL:
        return mask
    return masked_fill(query.new_zeros(mask.shape), mask, -math.inf)


def _three_dimensional(mask: Tensor, shape: tuple[int, int], heads: int) -> Tensor:
    if mask.ndim == 2:
        if tuple(mask.shape) != shape:
            raise RuntimeError(f"The shape of the 2D attn_mask is {mask.shape}, but should be {shape}.")
        return mask.unsqueeze(0)  # type: ignore[no-any-return]
    if tuple(mask.shape) != (heads, *shape):
        raise RuntimeError(f"The shape of the 3D attn_mask is {mask.shape}, but should be {(heads, *shape)}.")
    return mask


def _one_more(mask: Tensor | None) -> Tensor | None:
    """The mask with a key at the end that takes part."""
    if mask is None:
        return None
    joined: Tensor = cat([mask, mask.new_zeros((*mask.shape[:-1], 1))], -1)
    return joined


def _static(given: Tensor, name: str, heads: int, size: int) -> Tensor:
    for dim, expected in ((0, heads), (2, size)):
        if given._array.shape[dim] != expected:
            raise AssertionError(
                f"expecting {name}.size({dim}) of {expected}, but got {given._array.shape[dim]}"
            )
    return given


def _projected(
    query: Tensor, key: Tensor, value: Tensor, packed: Tensor | None, bias: Tensor | None, separate: bool, q: Tensor | None,
    k: Tensor | None, v: Tensor | None,
) -> tuple[Any, ...]:  # fmt: skip
    """query, key and value, each through its projection."""
    if separate:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
            )
        for name, weight in (("q", q), ("k", k), ("v", v)):
            if weight is None:
                raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")
        weights: Any = (q, k, v)
    else:
        if key.shape != value.shape:
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
        if packed is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        if query is key is value:  # one product for all three
            return linear(query, packed, bias).chunk(3, -1)  # type: ignore[no-any-return]
        weights = packed.chunk(3)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
