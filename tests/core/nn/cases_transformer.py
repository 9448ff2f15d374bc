"""Transformers and their layers, with every kind of mask."""

from __future__ import annotations

import numpy as np

from .driver import call, layer, rows, sub

_X, _Y = rows(3, 2, 4), rows(5, 2, 4)
_XB, _YB = _X.transpose(1, 0, 2), _Y.transpose(1, 0, 2)
_CAUSAL = np.triu(np.ones((3, 3), bool), 1)
_NUMBERS = np.where(_CAUSAL, -np.inf, 0.0)
_PADDED = np.array([[False, False, True], [False, False, False]])
_PADDED_Y = np.array([[False, False, False, True, True], [False] * 5])
_CAUSAL_Y = np.where(np.triu(np.ones((5, 5), bool), 1), -np.inf, 0.0)
_MEMORY = np.array(
    [[False, False, True], [True, False, False], [False] * 3, [False, True, True], [False] * 3]
)
_OFF = {"dropout": 0.0, "half": False, "modes": (True,)}

_ENCODING = [
    _X, _X[:, 0], call(_X, _CAUSAL), call(_X, _NUMBERS, is_causal=True), call(_X, rows(3, 3)), call(_X, rows(4, 3, 3)),
    call(_X, src_key_padding_mask=_PADDED), call(_X, _CAUSAL, _PADDED), call(_X, _NUMBERS, np.where(_PADDED, -np.inf, 0.0), is_causal=True),
]  # fmt: skip
_DECODING = [
    (_Y, _X), (_Y[:, 0], _X[:, 0]), call(_Y, _X, _CAUSAL_Y, tgt_is_causal=True), call(_Y, _X, memory_mask=_MEMORY),
    call(_Y, _X, _CAUSAL_Y, rows(5, 3)), call(_Y, _X, tgt_key_padding_mask=_PADDED_Y, memory_key_padding_mask=_PADDED),
    call(_X, _X, memory_mask=_NUMBERS, memory_is_causal=True),
]  # fmt: skip
_MASKED = [
    (_X, _Y), (_X[:, 0], _Y[:, 0]), call(_X, _Y, tgt_mask=_CAUSAL_Y), call(_X, _Y, _NUMBERS, _CAUSAL_Y, tgt_is_causal=True),
    call(_X, _Y, _CAUSAL, memory_mask=_MEMORY, src_key_padding_mask=_PADDED, tgt_key_padding_mask=_PADDED_Y, memory_key_padding_mask=_PADDED),
    call(_X, _Y, _NUMBERS, src_is_causal=True), call(_X, _X, memory_mask=_NUMBERS, memory_is_causal=True),
]  # fmt: skip
_ONE = sub("TransformerEncoderLayer", 4, 2, 6, 0.0)
_TWO = sub("TransformerDecoderLayer", 4, 2, 6, 0.0, norm_first=True)
_DRAWN = {"random": True, "half": False, "tolerance": 1e-5}

MODULES = [
    layer("TransformerEncoderLayer", 4, 2, 6, on=_ENCODING, **_OFF),
    layer("TransformerEncoderLayer", 4, 2, 6, norm_first=True, activation="gelu", on=_ENCODING[:4], **_OFF),
    layer("TransformerEncoderLayer", 4, 1, 6, batch_first=True, bias=False, layer_norm_eps=0.1, on=[_XB, _X[:, 0], call(_XB, _CAUSAL, _PADDED)], **_OFF),
    layer("TransformerEncoderLayer", 4, 2, 6, activation=sub("Tanh"), on=_X, **_OFF),
    layer("TransformerEncoderLayer", 4, 2, on=_X, **_DRAWN),
    layer("TransformerDecoderLayer", 4, 2, 6, on=_DECODING, **_OFF),
    layer("TransformerDecoderLayer", 4, 2, 6, norm_first=True, activation="gelu", on=_DECODING, **_OFF),
    layer("TransformerDecoderLayer", 4, 2, 6, batch_first=True, bias=False, layer_norm_eps=0.1, on=[(_YB, _XB), call(_YB, _XB, _CAUSAL_Y)], **_OFF),
    layer("TransformerDecoderLayer", 4, 2, on=(_Y, _X), **_DRAWN),
    layer("TransformerEncoder", _ONE, 2, enable_nested_tensor=False, on=[*_ENCODING, call(_X, _NUMBERS), call(_X, _NUMBERS, is_causal=False)], half=False),
    layer("TransformerEncoder", _ONE, 1, sub("LayerNorm", 4), False, False, on=_X, half=False),
    layer("TransformerDecoder", _TWO, 2, on=[*_DECODING, call(_Y, _X, _CAUSAL_Y)], half=False),
    layer("TransformerDecoder", _TWO, 1, norm=sub("LayerNorm", 4), on=(_Y, _X), half=False),
    layer("Transformer", 4, 2, 2, 1, 6, on=_MASKED, **_OFF),
    layer("Transformer", 4, 2, 1, 2, 6, 0.0, "gelu", batch_first=True, norm_first=True, bias=False, on=[(_XB, _YB), call(_XB, _YB, tgt_mask=_CAUSAL_Y)], half=False),
    layer("Transformer", 4, 2, custom_encoder=sub("TransformerEncoder", _ONE, 1), custom_decoder=sub("TransformerDecoder", _TWO, 1), on=(_X, _Y), half=False),
    layer("Transformer", 4, 2, 1, 1, 6, on=(_X, _Y), **_DRAWN),
]  # fmt: skip

BAD = [
    layer("TransformerEncoderLayer", 4, 3),
    layer("TransformerEncoderLayer", 4, 2, activation="tanh"),
    layer("TransformerDecoderLayer", 4, 2, activation="tanh"),
    layer("TransformerEncoderLayer", 4, 2, on=call(_X, is_causal=True)),
    layer("TransformerEncoderLayer", 4, 2, on=call(_X, np.zeros((3, 3), int))),
    layer("TransformerEncoderLayer", 4, 2, on=call(_X, src_key_padding_mask=np.zeros((2, 3), int))),
    layer("TransformerEncoderLayer", 4, 2, on=call(_X, _CAUSAL[:2])),
    layer("TransformerDecoderLayer", 4, 2, on=call(_Y, _X, memory_mask=_MEMORY.T)),
    layer("TransformerDecoderLayer", 4, 2, on=call(_Y, _X, tgt_is_causal=True)),
    layer("TransformerDecoderLayer", 4, 2, on=(_Y, _X[:, 0])),
    layer("TransformerEncoder", _ONE, 0, on=_X, words=False),
    layer("TransformerDecoder", _TWO, 1, on=_X, words=False),
    layer("Transformer", 4, 2, 1, 1, on=(_X, _Y[:, :1])),
    layer("Transformer", 4, 2, 1, 1, on=(_X, _Y[:, 0])),
    layer("Transformer", 4, 2, 1, 1, on=(_X, rows(3, 2, 5))),
    layer("Transformer", 4, 2, 1, 1, on=(rows(3, 2, 5), rows(3, 2, 5))),
    layer("Transformer", 4, 2, 1, 1, on=call(_X, _X, src_mask=_MEMORY)),
    layer("Transformer", 4, 2, 1, 1, on=call(_X, _X, src_is_causal=True)),
]  # fmt: skip
