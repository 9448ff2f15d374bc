"""Elementwise functions of one tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import activation as _act
from ..ops import pointwise as _pw
from ..ops.registry import apply, as_tensor
from ..tensor import Tensor
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


def _unary(op: type[Any]) -> Callable[[Tensor], Tensor]:
    def run(input: Tensor) -> Tensor:
        return apply(op, (as_tensor(input),))

    return run


neg = public("neg", alias="negative", in_place=True, out=True)(_unary(_pw.Neg))


exp = public("exp", in_place=True, out=True)(_unary(_pw.Exp))


expm1 = public("expm1", in_place=True, out=True)(_unary(_pw.Expm1))


log = public("log", in_place=True, out=True)(_unary(_pw.Log))


log1p = public("log1p", in_place=True, out=True)(_unary(_pw.Log1p))


sqrt = public("sqrt", in_place=True, out=True)(_unary(_pw.Sqrt))


sin = public("sin", in_place=True, out=True)(_unary(_pw.Sin))


cos = public("cos", in_place=True, out=True)(_unary(_pw.Cos))


tanh = public("tanh", in_place=True, out=True)(_unary(_pw.Tanh))


abs = public("abs", alias="absolute", in_place=True, out=True)(_unary(_pw.Abs))


sign = public("sign", in_place=True, out=True)(_unary(_pw.Sign))


floor = public("floor", in_place=True, out=True)(_unary(_pw.Floor))


ceil = public("ceil", in_place=True, out=True)(_unary(_pw.Ceil))


round = public("round", in_place=True, out=True)(_unary(_pw.Round))


relu = public("relu", in_place=True)(_unary(_act.Relu))


sigmoid = public("sigmoid", in_place=True, out=True)(_unary(_act.Sigmoid))


erf = public("erf", in_place=True, out=True)(_unary(_act.Erf))
