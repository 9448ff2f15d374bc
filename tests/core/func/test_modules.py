"""functional_call and stack_module_state beside PyTorch's."""

from __future__ import annotations

import pytest
import torch as theirs

import gradwire as ours
from tests.core.beside import assert_alike, assert_refused_alike


def _x(t):
    return t.tensor([[0.5, -1.5], [2.0, 1.0]], dtype=t.float64)


def _model(t, shift=0.0):
    model = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.Tanh(), t.nn.Linear(2, 2)).double()
    with t.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_((t.arange(p.numel(), dtype=t.float64) * 0.3 - i + shift).reshape(p.shape))
    return model


def _tied(t):
    class Tied(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = t.nn.Parameter(t.ones(2, dtype=t.float64))
            self.second = self.first
            self.register_buffer("count", t.zeros(1, dtype=t.float64))

        def forward(self, x, factor=1.0):
            self.count = self.count + 1
            return (x * self.first + self.second) * factor

    return Tied()


def test_the_given_tensors_stand_in_for_parameters():
    def run(t):
        model = _model(t)
        own = {k: v.detach() * 2 for k, v in model.named_parameters()}
        before = dict(model.named_parameters())
        out = t.func.functional_call(model, own, (_x(t),))
        partly = t.func.functional_call(model, {"0.weight": own["0.weight"]}, _x(t))
        assert all(before[k] is v for k, v in model.named_parameters())
        return out, partly

    assert_alike(run)


def test_gradients_go_to_the_given_tensors():
    def run(t):
        model = _model(t)
        own = {k: v.detach() * 2 for k, v in model.named_parameters()}
        first = t.func.grad(lambda p: (t.func.functional_call(model, p, (_x(t),)) ** 2).sum())(own)
        assert all(p.grad is None for p in model.parameters())
        return first, t.func.hessian(
            lambda p: t.func.functional_call(model, {"2.bias": p}, _x(t)).sum() ** 2
        )(own["2.bias"]).detach()

    assert_alike(run)


def test_the_module_has_its_own_tensors_again_after_an_error():
    model = _model(ours)
    before = model[0].weight
    with pytest.raises(RuntimeError):
        ours.func.functional_call(model, {"0.weight": ours.ones(5, 5)}, _x(ours))
    assert model[0].weight is before


@pytest.mark.parametrize("tie", [True, False])
def test_a_shared_parameter_is_replaced_under_all_its_names_or_one(tie):
    def run(t):
        return t.func.functional_call(
            _tied(t), {"second": _x(t)[0]}, (_x(t),), {"factor": 3.0}, tie_weights=tie
        ).detach()

    assert_alike(run)


def test_a_buffer_that_forward_replaces_is_found_in_the_dict():
    def run(t):
        module, own = _tied(t), {"count": t.ones(1, dtype=t.float64)}
        t.func.functional_call(module, own, _x(t))
        return own, module.count

    assert_alike(run)


def test_models_are_stacked_and_run_as_one():
    def run(t):
        models = [_model(t, s) for s in (0.0, 0.25, 0.5)]
        parameters, buffers = t.func.stack_module_state(models)
        out = t.func.vmap(lambda p, b: t.func.functional_call(models[0], (p, b), (_x(t),)))(
            parameters, buffers
        )
        return parameters, buffers, out.detach()

    assert_alike(run)
    assert ours.func.stack_module_state([_model(ours)])[0]["0.weight"].is_leaf


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.func.functional_call(_model(t), {"0.weight": t.ones(2, 2), "more": t.ones(1)}, _x(t), strict=True),
        lambda t: t.func.functional_call(_model(t), {"0.weight": 3}, _x(t)),
        lambda t: t.func.functional_call(_model(t), [{"a": t.ones(1)}, {"a": t.ones(1)}], _x(t)),
        lambda t: t.func.functional_call(_model(t), [3], _x(t)),
        lambda t: t.func.functional_call(_model(t), 3, _x(t)),
        lambda t: t.func.functional_call(_tied(t), {"first": t.ones(2), "second": t.zeros(2)}, _x(t)),
        lambda t: t.func.stack_module_state([]),
        lambda t: t.func.stack_module_state([_model(t), _model(t).eval()]),
        lambda t: t.func.stack_module_state([_model(t), _tied(t)]),
        lambda t: t.func.stack_module_state([_model(t), _model(t).requires_grad_(False)]),
    ],
)  # fmt: skip
def test_a_bad_call_is_refused_as_pytorch_refuses_it(call):
    assert_refused_alike(call, 50)


def test_a_name_below_no_module_is_refused():
    for t in (ours, theirs):
        with pytest.raises(AttributeError, match="has no attribute"):
            t.func.functional_call(_model(t), {"7.weight": t.ones(1)}, _x(t))


def test_batch_norm_without_statistics_is_mapped():
    def run(t):
        model = t.nn.Sequential(t.nn.BatchNorm1d(3), t.nn.BatchNorm1d(3, track_running_stats=False)).double()
        assert t.func.replace_all_batch_norm_modules_(model) is model
        x = t.arange(24, dtype=t.float64).reshape(2, 4, 3).sin()
        return t.func.vmap(model)(x).detach(), model[0].running_mean, list(model.state_dict())

    assert_alike(run)
