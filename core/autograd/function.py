"""torch.autograd.function: Function, and the decorator for a backward that is not differentiable."""

from ..function import Function, once_differentiable
from ..function import _Context as FunctionCtx

__all__ = ["Function", "FunctionCtx", "once_differentiable"]
