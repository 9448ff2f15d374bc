"""What a call gives, in words that are the same for both libraries where they agree."""

from __future__ import annotations

import warnings

import torch as real

import gradwire as torch

Refused = (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AttributeError)


def described(x, values=True):
    """A tensor's dtype, shape, strides, requires_grad and values; the same of those in tuples; else its repr."""
    if isinstance(x, (torch.Tensor, real.Tensor)):
        shown = x.detach().double().tolist() if values else None
        return "tensor", str(x.dtype), tuple(x.shape), x.stride(), x.requires_grad, repr(shown)
    if isinstance(x, (tuple, list)):
        return tuple(described(item, values) for item in x)
    return str(x) if isinstance(x, (torch.dtype, real.dtype)) else repr(x)


def outcome(call, library):
    """What the call returns, or the error that it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, about its own plans
            return call(library)
    except Refused as e:
        return e


def same_refusal(mine, theirs):
    """Whether both are errors, of one type: NotImplementedError is a RuntimeError."""
    if not isinstance(mine, Refused) or not isinstance(theirs, Refused):
        return False
    return isinstance(mine, type(theirs)) or isinstance(theirs, type(mine))
