"""The one list of public functions: `@public` enters a function and derives its method, in-place and `out=` forms.

The torch namespace, the methods of Tensor, the table in docs/ and the tests that ask for cases all read `catalogue`.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..grad_mode import no_grad
from ..grad_mode import state as grad_state
from ..in_place import in_place
from ..tensor import Tensor

__all__ = ["Public", "catalogue", "public", "write"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Public:
    """What a name stands for.

    function: without the `out=` form; it is also the method. names: its name and other names for the same.
    namespace: "torch" or a part of it such as "torch.linalg".
    """

    name: str
    function: Callable[..., Any]
    namespace: str
    names: tuple[str, ...]
    is_function: bool
    is_method: bool
    has_in_place: bool
    has_out: bool


catalogue: dict[str, Public] = {}


def public(
    name: str | None = None,
    *,
    alias: str = "",
    namespace: str = "torch",
    function: bool = True,
    method: bool = True,
    in_place: bool = False,
    out: bool = False,
    exact: bool = False,
    prepare: Callable[[dict[str, Any], Any], None] | None = None,
) -> Callable[[F], F]:
    """Enters a function; its first parameter is the tensor that it is a method of.

    name: where it is not the function's own. alias: other names, apart by spaces. function: whether the namespace has
    it, else it is a method only. in_place: there is `t.name_(…)`. out: the function takes `out=`; exact: of the result's
    dtype only; prepare: sees the arguments by name and `out` first, to refuse or complete them.
    """

    def enter(target: F) -> F:
        own = name or target.__name__
        key = own if namespace == "torch" else f"{namespace.removeprefix('torch.')}.{own}"
        if key in catalogue:
            raise ValueError(f"{key} is entered twice")
        if name:
            target.__name__ = target.__qualname__ = own
        names = (own, *alias.split())
        is_method = method and namespace == "torch"
        catalogue[key] = Public(own, target, namespace, names, function, is_method, in_place, out)
        called = _also_by_numpy_names(target)
        for n in names:
            if is_method:
                setattr(Tensor, n, called)
            if in_place:
                setattr(Tensor, n + "_", _in_place_form(n, target))
        return _out_form(own, called, exact, prepare) if out else called  # type: ignore[return-value]

    return enter


_NUMPY = {"axis": "dim", "keepdims": "keepdim", "x": "input", "x2": "other"}


def _numpy_names(function: Callable[..., Any]) -> dict[str, str]:
    """NumPy's names for arguments of a function with a dim, none where it takes other keywords and sees to it itself."""
    taken = inspect.signature(function).parameters
    if "dim" not in taken or any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return {}
    return {theirs: own for theirs, own in _NUMPY.items() if own in taken and theirs not in taken}


def _also_by_numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with axis for its argument dim and so on, as PyTorch has it: looked up only where the call fails."""
    names = _numpy_names(function)
    if not names:
        return function

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError:
            if not names.keys() & kwargs.keys():
                raise
        return function(*args, **{names.get(k, k): v for k, v in kwargs.items()})

    return run


def _in_place_form(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs.get("dtype") not in (None, self.dtype):
            raise RuntimeError(
                f"Bad in-place call: input tensor dtype {self.dtype} and output tensor dtype {kwargs['dtype']} should match"
            )
        return in_place(self, lambda old: function(old, *args, **kwargs), name + "_")

    run.__name__ = run.__qualname__ = name + "_"
    run.__doc__ = f"The in-place form of {name}."
    return run


def _out_form(
    name: str,
    function: Callable[..., Any],
    exact: bool,
    prepare: Callable[[dict[str, Any], Any], None] | None,
) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        if prepare is not None:
            names = _numpy_names(function)
            bound = inspect.signature(function).bind(*args, **{names.get(k, k): v for k, v in kwargs.items()})
            named = bound.arguments
            for key, parameter in bound.signature.parameters.items():
                if parameter.kind is parameter.VAR_KEYWORD:
                    named.update(named.pop(key, {}))
            prepare(named, out)
            args, kwargs = (), named
        return _written(name, function, args, kwargs, out, exact)

    return run


def _written(
    name: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    out: Any,
    exact: bool,
) -> Any:
    """The result of `function` written into `out`: a tensor, or a sequence of them where the result is several."""
    several = isinstance(out, (tuple, list))
    targets = list(out) if several else [out]
    for target in targets:
        if not isinstance(target, Tensor):
            raise TypeError(
                f"{name}(): argument 'out' must be {'Tensors' if several else 'Tensor'}, not {type(target).__name__}"
            )
    given = [*args, *kwargs.values(), *targets]
    given += [t for a in args if isinstance(a, (tuple, list)) for t in a]
    if grad_state.enabled and any(isinstance(t, Tensor) and t.requires_grad for t in given):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    with no_grad():
        result = function(*args, **kwargs)
        results = list(result) if isinstance(result, tuple) else [result]
        if len(results) != len(targets):
            raise TypeError(f"{name}(): expected {len(results)} tensors as 'out', got {len(targets)}")
        for target, value in zip(targets, results, strict=True):
            write(name, target, value, exact)
    return result._make(targets) if hasattr(result, "_make") else out


def write(name: str, target: Tensor, value: Tensor, exact: bool = False) -> None:
    """Puts `value` into the tensor given as out=, which takes its shape."""
    if exact and value.dtype is not target.dtype:
        raise RuntimeError(
            f"Expected out tensor to have dtype {value.dtype}, but got {target.dtype} instead ({name})"
        )
    if value.dtype.category > target.dtype.category:
        raise RuntimeError(
            f"{name}(): result type {value.dtype} can't be cast to the desired output type {target.dtype}"
        )
    if target.device != value.device:
        raise RuntimeError(f"{name}(): expected 'out' on {value.device}, got one on {target.device}")
    if target.shape == value.shape:
        target.copy_(value)
        return
    if target.numel():
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(target.shape)}, which does not "
            f"match the required output shape {list(value.shape)}. Pass an empty tensor, or one of that shape.",
            stacklevel=4,
        )
    target.data = value.to(target.dtype).clone()
