"""A convolution or linear layer and the batch normalisation behind it as one layer, for evaluation."""

from __future__ import annotations

import copy
from typing import Any

from ...creation import zeros_like
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None, bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of the convolution that does what a convolution and a batch norm of these statistics do."""
    scale = (bn_rv + bn_eps).rsqrt()
    scale = scale if bn_w is None else bn_w * scale
    before = zeros_like(bn_rm) if conv_b is None else conv_b
    shape = [1, -1] if transpose else [-1, 1]
    weight = conv_w * scale.reshape(*shape, *(1,) * (conv_w.ndim - 2))
    bias = (before - bn_rm) * scale
    bias = bias if bn_b is None else bias + bn_b
    return (
        Parameter(weight.to(conv_w.dtype).detach(), conv_w.requires_grad),
        Parameter(bias.to(before.dtype).detach(), True if conv_b is None else conv_b.requires_grad),
    )


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None, bn_b: Tensor | None
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of the linear layer that does what a linear layer and a batch norm of these statistics do."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _fused(layer: Any, bn: Any, transpose: bool) -> Any:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn running statistics must not be None for fusion")
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """The convolution that does what `conv` and then `bn` do, both in evaluation."""
    return _fused(conv, bn, transpose)  # type: ignore[no-any-return]


def fuse_linear_bn_eval(linear: Module, bn: Any) -> Module:
    """The linear layer that does what `linear` and then `bn` do, both in evaluation."""
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError("To fuse, linear.out_features == bn.num_features or bn.num_features == 1")
    return _fused(linear, bn, False)  # type: ignore[no-any-return]
