"""Transforms of parts and to matrices, constraints and the registry of both, beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from tests.core.stories import same

from .test_beside_torch import close

rng = np.random.default_rng(13)
X = rng.standard_normal((4, 3))
WIDE = rng.standard_normal((4, 2, 3, 3))

TRANSFORMS = {
    "reshape": (lambda T, D: T.ReshapeTransform((3,), (1, 3)), X),
    "reshape more": (lambda T, D: T.ReshapeTransform((3, 3), (9,)), WIDE),
    "cumulative": (lambda T, D: T.CumulativeDistributionTransform(D.Normal(0.5, 2.0)), X),
    "correlations": (lambda T, D: T.CorrCholeskyTransform(), X),
    "correlations of two": (lambda T, D: T.CorrCholeskyTransform(), X[:, :1]),
    "correlations of four": (lambda T, D: T.CorrCholeskyTransform(), rng.standard_normal((2, 6))),
    "cat": (lambda T, D: T.CatTransform([T.ExpTransform(), T.AffineTransform(1.0, -2.0)], dim=-1, lengths=[1, 2]), X),
    "cat of ones": (lambda T, D: T.CatTransform([T.ExpTransform(), T.SigmoidTransform(), T.TanhTransform()], dim=1), X),
    "stack": (lambda T, D: T.StackTransform([T.ExpTransform(), T.SigmoidTransform(), T.TanhTransform()], dim=1), X),
    "stack in front": (lambda T, D: T.StackTransform([T.ExpTransform()] * 4), X),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_values_inverses_and_jacobians_with_gradients_are_torchs(name, device):
    make, values = TRANSFORMS[name]
    results = []
    for t, on in ((ours, device), (theirs, "cpu")):
        transform = make(t.distributions.transforms, t.distributions)
        x = t.tensor(values, requires_grad=True, device=on)
        y = transform(x)
        jacobian = transform.log_abs_det_jacobian(x, y)
        total = (y * y.detach().cos()).sum() + jacobian.sum()
        results.append([y, transform.inv(y), jacobian, t.autograd.grad(total, x)[0]])
        assert np.allclose(results[-1][1].detach().cpu().numpy(), values)
        assert bool(transform.codomain.check(y).all()) and bool(transform.domain.check(x).all())
    for a, b in zip(*results, strict=True):
        close(a.cpu(), b, 1e-8)


@pytest.mark.parametrize("name", [n for n in TRANSFORMS if "stack" not in n])
def test_shapes_are_torchs(name):
    make, values = TRANSFORMS[name]

    def story(t):
        transform = make(t.distributions.transforms, t.distributions)
        shape = t.tensor(values).shape
        out = transform.forward_shape(shape)
        dims = transform.domain.event_dim, transform.codomain.event_dim
        return tuple(out), tuple(transform.inverse_shape(out)), dims, transform.bijective, repr(transform)

    same(story)


@pytest.mark.parametrize(
    "act",
    [
        lambda t, T: T.ReshapeTransform((2, 3), (5,)),
        lambda t, T: T.ReshapeTransform((2, 3), (6,)).forward_shape((3,)),
        lambda t, T: T.ReshapeTransform((2, 3), (6,)).inverse_shape((4, 5)),
        lambda t, T: T.CorrCholeskyTransform().forward_shape((4,)),
        lambda t, T: T.CorrCholeskyTransform().inverse_shape((2, 3)),
        lambda t, T: T.CatTransform([3]),
        lambda t, T: T.StackTransform([3]),
        lambda t, T: T.CatTransform([T.ExpTransform()], lengths=[1, 2]),
        lambda t, T: T.CatTransform([T.ExpTransform()], lengths=[2])(t.zeros(3)),
        lambda t, T: T.PositiveDefiniteTransform()(t.zeros(2, 2)).tolist(),
    ],
)
def test_bad_calls_fail_as_torchs(act):
    def story(t):
        try:
            return act(t, t.distributions.transforms)
        except (ValueError, AssertionError) as e:
            return type(e).__name__

    same(story)


def test_the_cholesky_transforms_turn_back():
    T = ours.distributions.transforms
    for transform in (T.LowerCholeskyTransform(), T.PositiveDefiniteTransform()):
        x = ours.tensor(WIDE).tril()
        y = transform(x)
        assert bool(transform.codomain.check(y).all())
        np.testing.assert_allclose(transform.inv(y).numpy(), x.numpy(), atol=1e-9)


SPACES = {
    "real": lambda c, t: c.real, "positive": lambda c, t: c.positive, "nonnegative": lambda c, t: c.nonnegative,
    "greater": lambda c, t: c.greater_than(2.0), "less": lambda c, t: c.less_than(2.0), "interval": lambda c, t: c.interval(-1.0, 3.0),
    "tensors": lambda c, t: c.interval(t.tensor([0.0, 1.0, 2.0], dtype=t.float64), t.tensor([1.0, 2.0, 4.0], dtype=t.float64)),
    "unit": lambda c, t: c.unit_interval, "half open": lambda c, t: c.half_open_interval(0.0, 1.0), "simplex": lambda c, t: c.simplex,
    "independent": lambda c, t: c.independent(c.positive, 1), "vector": lambda c, t: c.real_vector,
    "correlations": lambda c, t: c.corr_cholesky, "cat": lambda c, t: c.cat([c.positive, c.real], -1, [1, 2]),
    "stack": lambda c, t: c.stack([c.positive, c.real, c.unit_interval], -1), "factor": lambda c, t: c.lower_cholesky,
    "definite": lambda c, t: c.positive_definite, "boolean": lambda c, t: c.boolean, "counts": lambda c, t: c.nonnegative_integer,
}  # fmt: skip


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("which", ["biject_to", "transform_to"])
def test_the_registry_gives_torchs_transforms(name, which):
    results = []
    for t in (ours, theirs):
        D = t.distributions
        space = SPACES[name](D.constraints, t)
        try:
            transform = getattr(D, which)(space)
        except NotImplementedError as e:
            results.append([str(e)])
            continue
        y = transform(t.tensor(WIDE if space.event_dim == 2 and name != "correlations" else X))
        assert bool(space.check(y).all())
        results.append([repr(transform), y])
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1:], results[1][1:], strict=True):
        close(a, b, 1e-9)


def test_a_constraint_of_ones_own_can_be_entered():
    class Mine(ours.distributions.constraints.Constraint):
        pass

    @ours.distributions.transform_to.register(Mine)
    def _(constraint):
        return ours.distributions.ExpTransform()

    assert repr(ours.distributions.transform_to(Mine())) == "ExpTransform()"
    with pytest.raises(TypeError):
        ours.distributions.transform_to.register(int, lambda c: None)


MATRIX = [
    np.eye(2),
    np.ones((2, 2)),
    np.array([[1.0, 2], [0, 1]]),
    np.array([[1.0, 0], [2, 1]]),
    -np.eye(2),
    np.ones((2, 2)) * np.nan,
]


@pytest.mark.parametrize(
    "kind", "lower_triangular lower_cholesky corr_cholesky symmetric square positive_definite".split()
)
def test_constraints_of_matrices_are_torchs(kind):
    for m in MATRIX[:-1]:
        same(lambda t, m=m: bool(getattr(t.distributions.constraints, kind).check(t.tensor(m)).all()))


@pytest.mark.parametrize(
    "act",
    [
        lambda t, c: c.half_open_interval(0.0, 1.0).check(t.tensor([0.0, 0.5, 1.0])).tolist(),
        lambda t, c: c.positive_semidefinite.check(
            t.tensor([[[1.0, 0], [0, 0]], [[-1.0, 0], [0, 1]]])
        ).tolist(),
        lambda t, c: c.cat([c.positive, c.real], 0, [1, 2]).check(t.tensor([-1.0, 1, -1])).tolist(),
        lambda t, c: c.stack([c.positive, c.boolean], 1).check(t.tensor([[1.0, 1], [-1, 2]])).tolist(),
        lambda t, c: c.MixtureSameFamilyConstraint(c.positive).check(t.tensor([-1.0, 1])).tolist(),
        lambda t, c: c.square.check(t.ones(3, 2, 4)).tolist(),
        lambda t, c: c.is_dependent(c.dependent),
        lambda t, c: c.is_dependent(c.real),
        lambda t, c: c.dependent.check(t.ones(2)),
        lambda t, c: [
            repr(x) for x in (c.corr_cholesky, c.half_open_interval(0, 1), c.symmetric, c.cat([c.real]))
        ],
    ],
)
def test_other_constraints_are_torchs(act):
    same(lambda t: act(t, t.distributions.constraints))
