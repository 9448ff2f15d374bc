"""nn.utils and nn.init beside torch: gradients clipped, vectors of parameters, parametrizations, initial values."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from tests.core.stories import same

from .test_module_hooks_and_state import linear, net

for _module in ("torch.nn.utils.parametrize", "torch.nn.utils.parametrizations"):
    __import__(_module)


def rounded(t):
    return np.round(np.asarray(t.detach().tolist(), np.float64), 9).tolist()


def with_gradients(t):
    m = net(t)
    m(t.tensor([[1.0, 2.0], [-0.5, 0.25]], dtype=t.float64)).sum().backward()
    m.b.bias.grad = None
    return m


@pytest.mark.parametrize("norm_type", [2, 1, 3.5, 0, math.inf, -math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 100])
def test_gradients_are_clipped_by_their_norm_as_torch_does(norm_type, max_norm):
    def story(t):
        m = with_gradients(t)
        total = t.nn.utils.clip_grad_norm_(m.parameters(), max_norm, norm_type)
        return round(total.item(), 9), [None if p.grad is None else rounded(p.grad) for p in m.parameters()]

    same(story)


@pytest.mark.parametrize(
    "act",
    [
        lambda t, m: t.nn.utils.clip_grad_value_(m.parameters(), 0.3),
        lambda t, m: t.nn.utils.clip_grad_value_(m.a.weight, 0.1),
        lambda t, m: round(t.nn.utils.clip_grad_norm_(m.a.weight, 0.1).item(), 9),
        lambda t, m: t.nn.utils.clip_grad_norm_([], 1.0).item(),
        lambda t, m: t.nn.utils.clip_grad_norm_(iter(m.parameters()), 1.0) and None,
        lambda t, m: round(t.nn.utils.get_total_norm(list(m.parameters())).item(), 9),
        lambda t, m: t.nn.utils.clip_grads_with_norm_(m.parameters(), 1.0, t.tensor(4.0, dtype=t.float64)),
        lambda t, m: rounded(t.nn.utils.parameters_to_vector(m.parameters())),
        lambda t, m: t.nn.utils.vector_to_parameters(t.arange(13, dtype=t.float64), m.parameters()),
        lambda t, m: t.nn.utils.vector_to_parameters([1.0], m.parameters()),
    ],
)
def test_gradients_and_vectors(act):
    def story(t):
        m = with_gradients(t)
        result = act(t, m)
        return (
            result,
            [rounded(p) for p in m.parameters()],
            [None if p.grad is None else rounded(p.grad) for p in m.parameters()],
        )

    same(story)


def test_a_norm_that_is_not_finite_is_refused_when_asked():
    def story(t):
        p = t.nn.Parameter(t.ones(2))
        p.grad = t.tensor([1.0, math.inf])
        t.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)

    assert same(story)[0] == "RuntimeError"


def symmetric(t):
    class Symmetric(t.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(-1, -2)

        def right_inverse(self, x):
            return x.triu()

    return Symmetric()


def doubled(t):
    class Doubled(t.nn.Module):
        def forward(self, x):
            return x * 2

    return Doubled()


def wrong(t, result):
    class Wrong(t.nn.Module):
        def forward(self, x):
            return result(x)

    return Wrong()


def told(m):
    return (
        type(m).__name__,
        list(m.state_dict()),
        [n for n, _ in m.named_parameters()],
        rounded(m.weight),
        repr(m),
    )


@pytest.mark.parametrize(
    "act",
    [
        lambda t, P, m: P.register_parametrization(m, "weight", symmetric(t)),
        lambda t, P, m: (
            P.register_parametrization(m, "weight", symmetric(t)),
            P.register_parametrization(m, "weight", doubled(t)),
        ),
        lambda t, P, m: (
            P.register_parametrization(m, "weight", symmetric(t)),
            P.remove_parametrizations(m, "weight"),
        ),
        lambda t, P, m: (
            P.register_parametrization(m, "weight", doubled(t)),
            P.remove_parametrizations(m, "weight", leave_parametrized=False),
        ),
        lambda t, P, m: (
            P.register_parametrization(m, "weight", symmetric(t)),
            setattr(m, "weight", t.ones(3, 3, dtype=t.float64).triu() * 3),
        ),
        lambda t, P, m: (
            P.register_parametrization(m, "weight", doubled(t)),
            setattr(m, "weight", t.ones(3, 3, dtype=t.float64)),
        ),
        lambda t, P, m: P.register_parametrization(m, "nothing", doubled(t)),
        lambda t, P, m: P.register_parametrization(m, "weight", wrong(t, lambda x: 3)),
        lambda t, P, m: P.register_parametrization(m, "weight", wrong(t, lambda x: x.float())),
        lambda t, P, m: P.register_parametrization(m, "weight", wrong(t, lambda x: x[:2])),
        lambda t, P, m: P.remove_parametrizations(m, "weight"),
        lambda t, P, m: t.nn.utils.parametrizations.weight_norm(m),
        lambda t, P, m: t.nn.utils.parametrizations.weight_norm(m, dim=None),
        lambda t, P, m: t.nn.utils.parametrizations.weight_norm(m, dim=1),
        lambda t, P, m: (t.nn.utils.parametrizations.weight_norm(m), P.remove_parametrizations(m, "weight")),
        lambda t, P, m: (
            t.nn.utils.parametrizations.weight_norm(m),
            P.remove_parametrizations(m, "weight", leave_parametrized=False),
        ),
        lambda t, P, m: t.nn.utils.parametrizations.spectral_norm(m, "nothing"),
        lambda t, P, m: t.nn.utils.parametrizations.spectral_norm(m, dim=5),
        lambda t, P, m: t.nn.utils.parametrizations.spectral_norm(m, n_power_iterations=0),
    ],
)
def test_parametrizations_do_what_torchs_do(act):
    def story(t):
        m = linear(t, 3, 3)
        act(t, t.nn.utils.parametrize, m)
        before = told(m)
        m(t.ones(2, 3, dtype=t.float64)).sum().backward()
        again = copy.deepcopy(m)
        return (
            before,
            {n: rounded(p.grad) for n, p in m.named_parameters() if p.grad is not None},
            told(again),
        )

    same(story)


@pytest.mark.parametrize("t", [ours, theirs])
def test_a_parametrized_module_tells_what_it_is(t):
    P, m = t.nn.utils.parametrize, linear(t, 3, 3)
    assert not P.is_parametrized(m) and P.type_before_parametrizations(m) is t.nn.Linear
    P.register_parametrization(m, "weight", doubled(t))
    assert P.is_parametrized(m) and P.is_parametrized(m, "weight") and not P.is_parametrized(m, "bias")
    assert isinstance(m, t.nn.Linear) and P.type_before_parametrizations(m) is t.nn.Linear
    assert m.weight is not m.weight
    with P.cached():
        assert m.weight is m.weight
    other = linear(t, 3, 3)
    P.transfer_parametrizations_and_params(m, other)
    assert P.is_parametrized(other, "weight") and t.equal(other.weight, m.weight)


@pytest.mark.parametrize("t", [ours, theirs])
@pytest.mark.parametrize("make", [lambda t: t.nn.Linear(5, 4), lambda t: t.nn.Conv2d(2, 3, 2)])
def test_a_spectral_norm_is_one_and_gradients_flow_through_it(t, make):
    m = make(t)
    t.nn.utils.parametrizations.spectral_norm(m, n_power_iterations=30)
    matrix = np.asarray(m.weight.detach().flatten(1).tolist())
    assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=1e-3)
    m.weight.sum().backward()
    assert m.parametrizations.weight.original.grad is not None
    assert {n.rpartition(".")[2] for n, _ in m.named_buffers()} == {"_u", "_v"}


OLDER = {
    "weight": lambda t, U, m: U.weight_norm(m),
    "whole": lambda t, U, m: U.weight_norm(m, dim=None),
    "dim": lambda t, U, m: U.weight_norm(m, dim=1),
    "twice": lambda t, U, m: U.weight_norm(U.weight_norm(m)),
    "removed": lambda t, U, m: U.remove_weight_norm(U.weight_norm(m)),
    "not-there": lambda t, U, m: U.remove_weight_norm(m),
    "no-spectral": lambda t, U, m: U.remove_spectral_norm(m),
    "spectral-twice": lambda t, U, m: U.spectral_norm(U.spectral_norm(m)),
    "no-iterations": lambda t, U, m: U.spectral_norm(m, n_power_iterations=0),
}


@pytest.mark.parametrize("name", OLDER)
def test_the_older_norms_of_weights_do_what_torchs_do(name):
    def story(t):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            m = OLDER[name](t, t.nn.utils, linear(t, 3, 2))
        m(t.ones(2, 3, dtype=t.float64)).sum().backward()
        return (
            list(m.state_dict()),
            rounded(m.weight),
            {n: rounded(p.grad) for n, p in m.named_parameters()},
            repr(m),
        )

    same(story)


@pytest.mark.parametrize("t", [ours, theirs])
def test_the_older_spectral_norm_is_one_after_some_calls(t):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m = t.nn.utils.spectral_norm(t.nn.Linear(5, 4))
    assert list(m.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    for _ in range(40):
        m(t.ones(1, 5))
    assert np.linalg.svd(np.asarray(m.weight.tolist()), compute_uv=False)[0] == pytest.approx(1, abs=1e-3)
    m(t.ones(1, 5)).sum().backward()
    assert m.weight_orig.grad is not None
    t.nn.utils.remove_spectral_norm(m)
    assert set(m.state_dict()) == {"bias", "weight"}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("kind", ["conv", "transposed", "linear"])
def test_a_layer_and_its_batch_norm_are_fused(kind, affine):
    t = ours
    layer = {
        "conv": lambda: t.nn.Conv2d(2, 3, 2), "transposed": lambda: t.nn.ConvTranspose2d(2, 3, 2, bias=False), "linear": lambda: t.nn.Linear(2, 3)
    }[kind]().double()  # fmt: skip
    bn = (t.nn.BatchNorm1d if kind == "linear" else t.nn.BatchNorm2d)(3, affine=affine).double()
    x = t.randn(6, 2, dtype=t.float64) if kind == "linear" else t.randn(6, 2, 4, 4, dtype=t.float64)
    bn(layer(x))
    fuse = t.nn.utils.fuse_linear_bn_eval if kind == "linear" else t.nn.utils.fuse_conv_bn_eval
    with pytest.raises(AssertionError, match="eval"):
        fuse(layer, bn)
    layer.eval(), bn.eval()
    fused = fuse(layer, bn, transpose=True) if kind == "transposed" else fuse(layer, bn)
    assert t.allclose(fused(x), bn(layer(x)), atol=1e-12) and isinstance(fused.weight, t.nn.Parameter)


# Initial values: what is random is checked by its moments and bounds, the rest by torch.


@pytest.mark.parametrize(
    "act",
    [
        lambda t, init: init.eye_(t.empty(3, 4)),
        lambda t, init: init.dirac_(t.empty(4, 2, 3, 3)),
        lambda t, init: init.dirac_(t.empty(4, 2, 3), groups=2),
        lambda t, init: init.constant_(t.empty(2), 3.5),
        lambda t, init: init.eye_(t.empty(3)),
        lambda t, init: init.dirac_(t.empty(3)),
        lambda t, init: init.dirac_(t.empty(3, 2, 1), groups=2),
        lambda t, init: init.orthogonal_(t.empty(3)),
        lambda t, init: init.orthogonal_(t.empty(0, 3)),
        lambda t, init: init.sparse_(t.empty(3), 0.5),
        lambda t, init: init.xavier_uniform_(t.empty(3)),
        lambda t, init: init.kaiming_normal_(t.empty(3, 3), mode="x"),
        lambda t, init: init.kaiming_normal_(t.empty(3, 0)),
        lambda t, init: t.tensor(init.calculate_gain("leaky_relu", 0.3), dtype=t.float64),
        lambda t, init: t.tensor(init.calculate_gain("selu"), dtype=t.float64),
        lambda t, init: init.calculate_gain("leaky_relu", "x"),
        lambda t, init: init.calculate_gain("x"),
    ],
)
def test_certain_initial_values_and_refusals_are_torchs(act):
    same(lambda t: act(t, t.nn.init).tolist())


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (10, 4, 3)])
@pytest.mark.parametrize("gain", [1, 2.5])
def test_orthogonal_rows_or_columns(shape, gain):
    w = ours.nn.init.orthogonal_(ours.empty(*shape, dtype=ours.float64), gain).flatten(1).numpy() / gain
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)
    assert (w > 0).mean() == pytest.approx(0.5, abs=0.15)


def test_truncated_normal_values_lie_within_and_have_their_spread():
    w = ours.nn.init.trunc_normal_(ours.empty(200, 200), mean=0.5, std=2.0, a=-1.5, b=2.5).numpy()
    assert w.min() >= -1.5 and w.max() <= 2.5
    assert w.mean() == pytest.approx(0.5, abs=0.03) and w.std() == pytest.approx(2 * 0.5396, rel=0.02)
    with pytest.raises(ValueError, match="too far"), pytest.warns(UserWarning, match="more than 2 std"):
        ours.nn.init.trunc_normal_(ours.empty(3), mean=0.0, std=0.01, a=5, b=6)


def test_sparse_columns_have_their_share_of_zeros():
    w = ours.nn.init.sparse_(ours.empty(50, 8), sparsity=0.3, std=1.0).numpy()
    assert ((w == 0).sum(axis=0) == 15).all() and w.std() == pytest.approx(0.84, rel=0.2)
