"""From unconstrained numbers to those that a constraint allows: biject_to one to one, transform_to more simply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import constraints as c
from . import transforms as t
from .transforms_of_parts import (
    CatTransform,
    CorrCholeskyTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    StackTransform,
)

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """registry(constraint) is the transform entered for its type; NotImplementedError where there is none."""

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], t.Transform]] = {}

    def register(self, constraint: Any, factory: Callable[[Any], t.Transform] | None = None) -> Any:
        """Enters factory(constraint) -> Transform for a type of constraints; a decorator without one."""
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        if isinstance(constraint, c.Constraint):
            constraint = type(constraint)
        if not isinstance(constraint, type) or not issubclass(constraint, c.Constraint):
            raise TypeError(
                f"Expected constraint to be either a Constraint subclass or instance, but got {constraint}"
            )
        self._registry[constraint] = factory
        return factory

    def __call__(self, constraint: Any) -> t.Transform:
        factory = self._registry.get(type(constraint))
        if factory is None:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints")
        return factory(constraint)


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _above(constraint: Any) -> t.Transform:
    return t.ComposeTransform([t.ExpTransform(), t.AffineTransform(constraint.lower_bound, 1)])


def _below(constraint: Any) -> t.Transform:
    return t.ComposeTransform([t.ExpTransform(), t.AffineTransform(constraint.upper_bound, -1)])


def _between(constraint: Any) -> t.Transform:
    low, high = constraint.lower_bound, constraint.upper_bound
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and (low, high) == (0, 1):
        return t.SigmoidTransform()
    return t.ComposeTransform([t.SigmoidTransform(), t.AffineTransform(low, high - low)])


def _enter_common(to: ConstraintRegistry) -> None:
    """What both registries have in common."""

    def independent(k: Any) -> t.Transform:
        return t.IndependentTransform(to(k.base_constraint), k.reinterpreted_batch_ndims)

    def joined(k: Any) -> t.Transform:
        return CatTransform([to(part) for part in k.cseq], k.dim, k.lengths)

    def stacked(k: Any) -> t.Transform:
        return StackTransform([to(part) for part in k.cseq], k.dim)

    to.register(c.real, lambda _: t.identity_transform)
    to.register(c._IndependentConstraint, independent)
    to.register(c._GreaterThan, _above)
    to.register(c._GreaterThanEq, _above)
    to.register(c._LessThan, _below)
    to.register(c._Interval, _between)
    to.register(c._HalfOpenInterval, _between)
    to.register(c.corr_cholesky, lambda _: CorrCholeskyTransform())
    to.register(c._Cat, joined)
    to.register(c._Stack, stacked)


_enter_common(biject_to)
_enter_common(transform_to)
biject_to.register(c.simplex, lambda _: t.StickBreakingTransform())
transform_to.register(c.simplex, lambda _: t.SoftmaxTransform())
transform_to.register(c.lower_cholesky, lambda _: LowerCholeskyTransform())
transform_to.register(c.positive_definite, lambda _: PositiveDefiniteTransform())
transform_to.register(c.positive_semidefinite, lambda _: PositiveDefiniteTransform())
