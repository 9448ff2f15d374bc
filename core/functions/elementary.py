"""Elementwise functions of one tensor."""

from __future__ import annotations

from ..ops import activation as _act
from ..ops import error_functions as _ef
from ..ops import pointwise as _pw
from ..ops import rounding as _ro
from ..ops.registry import apply, unary
from ..tensor import Tensor
from .arguments import tensor_of
from .catalogue import public

__all__ = [
    "neg",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tanh",
    "abs",
    "sign",
    "floor",
    "ceil",
    "round",
    "relu",
    "sigmoid",
    "erf",
]


neg = public("neg", alias="negative", in_place=True, out=True)(unary(_pw.Neg))


exp = public("exp", in_place=True, out=True)(unary(_pw.Exp))


expm1 = public("expm1", in_place=True, out=True)(unary(_pw.Expm1))


log = public("log", in_place=True, out=True)(unary(_pw.Log))


log1p = public("log1p", in_place=True, out=True)(unary(_pw.Log1p))


sqrt = public("sqrt", in_place=True, out=True)(unary(_pw.Sqrt))


sin = public("sin", in_place=True, out=True)(unary(_pw.Sin))


cos = public("cos", in_place=True, out=True)(unary(_pw.Cos))


tanh = public("tanh", in_place=True, out=True)(unary(_pw.Tanh))


abs = public("abs", alias="absolute", in_place=True, out=True)(unary(_pw.Abs))


sign = public("sign", in_place=True, out=True)(unary(_ro.Sign))


floor = public("floor", in_place=True, out=True)(unary(_ro.Floor))


ceil = public("ceil", in_place=True, out=True)(unary(_ro.Ceil))


_whole = unary(_ro.Round)


@public(in_place=True, out=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """To the nearest multiple of 10^-decimals, halves to even."""
    if not decimals:
        return _whole(input)
    if not tensor_of(input, "round").is_floating_point():
        raise NotImplementedError(
            f"round: decimals are not implemented for {input.dtype}; convert with .float() first"
        )
    return apply(_ro.RoundDecimals, (input,), (decimals,))


relu = public("relu", in_place=True)(unary(_act.Relu))


sigmoid = public("sigmoid", in_place=True, out=True)(unary(_act.Sigmoid))


erf = public("erf", in_place=True, out=True)(unary(_ef.Erf))
