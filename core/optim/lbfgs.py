"""LBFGS: quasi-Newton steps from a short history of gradients. Nocedal and Wright, Numerical optimization, chapter 7."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from ..backends import module_of
from ..grad_mode import enable_grad, no_grad
from ..tensor import Tensor
from ..versions import note_change
from .checks import check_lr
from .line_search import strong_wolfe
from .optimizer import Optimizer

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Limited-memory BFGS over one group of parameters, with a closure that evaluates the loss several times in a step.

    line_search_fn: None for steps of length lr, "strong_wolfe" for a line search. The state is that of the first parameter.
    """

    elementwise: ClassVar[bool] = False

    def __init__(
        self, params: Iterable[Any], lr: Any = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        check_lr(lr)
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    # The parameters as one vector

    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def _gradient(self) -> Any:
        params = self._params()
        xp = module_of(params[0]._array)
        return xp.concatenate(
            [
                xp.zeros(p._array.size, p._array.dtype) if p._grad is None else p._grad._array.reshape(-1)
                for p in params
            ]
        )

    def _move(self, length: float, direction: Any) -> None:
        at = 0
        for p in self._params():
            array = p._array
            note_change(array)
            array += (direction[at : at + array.size] * length).reshape(array.shape)
            at += array.size

    def _values(self) -> list[Any]:
        return [p._array.copy() for p in self._params()]

    def _put(self, values: list[Any]) -> None:
        for p, value in zip(self._params(), values, strict=True):
            note_change(p._array)
            p._array[...] = value

    # A step

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Up to max_iter iterations; `closure` clears the gradients, computes the loss, calls backward and returns the loss.

        Returns the first loss. Raises RuntimeError for an unknown line search.
        """
        with no_grad(), np.errstate(all="ignore"):
            return self._step(closure)

    def _step(self, closure: Callable[[], Any]) -> Any:
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        group = self.param_groups[0]
        lr, least_change = float(group["lr"]), group["tolerance_change"]

        def evaluated() -> Any:
            with enable_grad():
                return closure()

        memory = _Memory(self.state[self._params()[0]], group["history_size"])
        first_loss = evaluated()
        loss = float(first_loss)
        evaluations = 1
        memory.state["func_evals"] += 1
        g = self._gradient()
        if _largest(g) <= group["tolerance_grad"]:
            return first_loss
        for i in range(1, group["max_iter"] + 1):
            memory.state["n_iter"] += 1
            first = memory.state["n_iter"] == 1
            direction = memory.direction(g)
            memory.remember(g)
            loss_before = loss
            memory.loss = loss
            memory.length = min(1.0, 1.0 / float(abs(g).sum())) * lr if first else lr
            slope = _dot(g, direction)
            if slope > -least_change:
                break
            used = 0
            flat = False
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                start = self._values()

                def at(length: float, start: list[Any] = start, direction: Any = direction) -> tuple[float, Any, float]:  # fmt: skip
                    self._move(length, direction)
                    value, gradient = float(evaluated()), self._gradient()
                    self._put(start)
                    return value, gradient, _dot(gradient, direction)

                loss, g, memory.length, used = strong_wolfe(
                    at, memory.length, _largest(direction), loss, g, slope, max_steps=group["max_eval"] - evaluations
                )  # fmt: skip
                self._move(memory.length, direction)
                flat = _largest(g) <= group["tolerance_grad"]
            else:
                self._move(memory.length, direction)
                if i != group["max_iter"]:  # the last point is not evaluated: the next step begins with it
                    loss = float(evaluated())
                    g = self._gradient()
                    flat = _largest(g) <= group["tolerance_grad"]
                    used = 1
            evaluations += used
            memory.state["func_evals"] += used
            if evaluations >= group["max_eval"] or flat:
                break
            if (
                _largest(direction) * abs(memory.length) <= least_change
                or abs(loss - loss_before) < least_change
            ):
                break
        memory.save()
        return first_loss


def _dot(a: Any, b: Any) -> float:
    return float(a @ b)


def _largest(a: Any) -> float:
    return float(abs(a).max())


class _Memory:
    """The history in a parameter's state, under PyTorch's names."""

    def __init__(self, state: dict[str, Any], size: int) -> None:
        self.state, self.size = state, size
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        self.d = _array(state.get("d"))
        self.length = _number(state.get("t"))
        self.changes = [_array(t) for t in state.get("old_dirs") or []]
        self.steps = [_array(t) for t in state.get("old_stps") or []]
        self.weights = [_number(t) for t in state.get("ro") or []]
        self.scale = _number(state.get("H_diag"))
        self.before = _array(state.get("prev_flat_grad"))
        self.loss = state.get("prev_loss")

    def direction(self, g: Any) -> Any:
        """Minus the approximate inverse Hessian times the gradient, by the two-loop recursion."""
        if self.state["n_iter"] == 1:
            self.d = -g
            self.changes, self.steps, self.weights, self.scale = [], [], [], 1.0
            return self.d
        change, step = g - self.before, self.d * self.length
        curvature = _dot(change, step)
        if curvature > 1e-10:
            if len(self.changes) == self.size:
                for history in (self.changes, self.steps, self.weights):
                    del history[0]
            self.changes.append(change)
            self.steps.append(step)
            self.weights.append(1.0 / curvature)
            self.scale = curvature / _dot(change, change)
        history = list(zip(self.changes, self.steps, self.weights, strict=True))
        q, along = -g, []
        for change, step, weight in reversed(history):
            along.append(_dot(step, q) * weight)
            q -= change * along[-1]
        q *= self.scale
        for (change, step, weight), a in zip(history, reversed(along), strict=True):
            q += step * (a - _dot(change, q) * weight)
        self.d = q
        return q

    def remember(self, g: Any) -> None:
        self.before = g.copy()

    def save(self) -> None:
        self.state.update(
            d=Tensor._wrap(self.d), t=self.length, old_dirs=[Tensor._wrap(a) for a in self.changes],
            old_stps=[Tensor._wrap(a) for a in self.steps], ro=list(self.weights), H_diag=self.scale,
            prev_flat_grad=Tensor._wrap(self.before), prev_loss=self.loss,
        )  # fmt: skip


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else value


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value
