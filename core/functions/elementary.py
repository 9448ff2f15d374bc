"""Elementwise functions of one tensor."""

from __future__ import annotations

from ..ops import activation as _act
from ..ops import pointwise as _pw
from ..ops import rounding as _ro
from ..ops.registry import unary
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


round = public("round", in_place=True, out=True)(unary(_ro.Round))


relu = public("relu", in_place=True)(unary(_act.Relu))


sigmoid = public("sigmoid", in_place=True, out=True)(unary(_act.Sigmoid))


erf = public("erf", in_place=True, out=True)(unary(_act.Erf))
