"""torch.jit, whose decorators leave code as it is, with PyTorch's results."""

from __future__ import annotations

import warnings

import pytest
import torch as theirs

import gradwire as ours


@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
def test_decorated_functions_and_modules_compute_what_they_say(t):
    class Twice(t.nn.Module):
        def forward(self, x):
            return x * 2

        @t.jit.export
        def more(self, x):
            return x + 1

        @t.jit.ignore
        def other(self, x):
            return x

        @t.jit.ignore(drop=False)
        def another(self, x):
            return x

        @t.jit.unused
        def none(self, x):
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, that script is deprecated
        module = t.jit.script(Twice())
    assert module(t.ones(2)).tolist() == [2, 2] and module.more(t.ones(2)).tolist() == [2, 2]
    assert Twice().another(3) == Twice().other(3) == 3
    assert not t.jit.is_scripting() and not t.jit.is_tracing()
    with pytest.raises(RuntimeError, match="must be a bool or a function but got 3"):
        t.jit.ignore(3)


def test_what_would_need_a_compiler_is_not_there():
    for name in ("trace", "save", "load", "freeze"):
        assert not hasattr(ours.jit, name)
    assert not hasattr(ours.jit.script(ours.nn.Linear(1, 1)), "save")
