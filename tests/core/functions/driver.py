"""Cases of public functions, and how one is run under PyTorch and gradwire alike.

A family's cases stand in `cases_<family>.py`, as a list CASES (and BAD for calls that must be refused):

    CASES = [
        *elementwise("hypot", signed, signed),            # same shape, broadcast, 0-d, empty
        case("cumsum", signed(2, 3), dim=1),              # arrays of float64 are what is differentiated and cast
        case("gather", signed(3, 4), 1, np.array([[0], [2], [1]])),
        case("linalg.qr", signed(3, 3), note="square"),   # the key of the catalogue
        case("sum", signed(2, 3), dtype=D("float32")),    # a dtype of either library
    ]
    BAD = [bad("cumsum", signed(2, 3), dim=2)]

test_every_function.py collects them and derives the tests: the value, dtype and shape for every dtype and on every
device, first and second derivatives, strided inputs, aliases, method, in-place and out= forms, names of arguments.
"""

from __future__ import annotations

import inspect
import itertools
import operator
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import gradwire
from gradwire.backends import to_numpy
from gradwire.functions.catalogue import Public, catalogue

DTYPES = "float64 float32 float16 bfloat16 int64 int32 int8 uint8 bool"
Refused = (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AssertionError)
_CLOSE = {
    "float64": (1e-10, 1e-12),
    "float32": (2e-5, 2e-6),
    "float16": (2e-3, 2e-3),
    "bfloat16": (1.6e-2, 1e-2),
}


@dataclass(frozen=True)
class Case:
    """One call of the catalogue's `name`.

    grad, twice: whether derivatives, and second ones, are compared. dtypes: those that float64 arrays are cast to, by
    turns. extra: dtypes that gradwire takes and PyTorch's CPU kernels do not. compare: whether values are compared (not
    for random ones). keywords: whether PyTorch takes the arguments by gradwire's names. tolerance: in place of the
    dtype's, or of some dtypes' by name. forms: whether the method, in-place and out= forms are run.
    strided: whether inputs that are not contiguous are tried.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    grad: bool = True
    twice: bool = True
    dtypes: str = DTYPES
    extra: str = ""
    compare: bool = True
    keywords: bool = True
    tolerance: float | dict[str, float] | None = None
    forms: bool = True
    strided: bool = True

    def __str__(self) -> str:
        return f"{self.name}-{self.note}" if self.note else self.name

    @property
    def entry(self) -> Public:
        return catalogue[self.name]


@dataclass(frozen=True)
class D:
    """A dtype by its name."""

    name: str


@dataclass(frozen=True)
class Constant:
    """An array that no gradient is asked for."""

    array: np.ndarray


def case(name: str, *args: Any, **options: Any) -> Case:
    """A Case; options that are no field of it are the call's keyword arguments."""
    own = {k: options.pop(k) for k in tuple(options) if k in Case.__dataclass_fields__}
    return Case(name, args, options, **own)


def bad(name: str, *args: Any, **options: Any) -> Case:
    """A call that must raise what PyTorch raises."""
    return case(name, *args, **options)


def elementwise(name: str, *makers: Callable[..., np.ndarray], **options: Any) -> list[Case]:
    """The shapes that matter to a function of one to three operands that broadcast. Options as for `case`."""
    note = options.pop("note", "")
    note = note + "-" if note else ""
    n = len(makers)
    shapes = {
        "matrix": [(2, 3)] * n,
        "0d": [()] * n,
        "empty": [(3, 0)] * n,
    }
    if n > 1:
        shapes["broadcast"] = [(2, 1, 3), (4, 1), (1, 3)][:n]
        shapes["0d-beside"] = [(), (3,), (2, 3)][:n]
    return [
        case(name, *[m(*s) for m, s in zip(makers, each, strict=True)], note=note + kind, **options)
        for kind, each in shapes.items()
    ]


# The two libraries


@dataclass(frozen=True)
class Library:
    root: Any
    device: str = "cpu"
    is_torch: bool = False

    def tensor(self, a: np.ndarray, dtype: str | None, strided: bool) -> Any:
        """A tensor of `a`; float64 in `dtype`."""
        a = cast(a, dtype)
        if strided and a.ndim:
            spread = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
            spread[..., ::2] = a
            t = self.root.from_numpy(spread).to(self.device)[..., ::2]
        else:
            t = self.root.from_numpy(np.ascontiguousarray(a).reshape(a.shape).copy()).to(self.device)
        return t.to(getattr(self.root, dtype)) if dtype == "bfloat16" and a.dtype == np.float32 else t

    def value(self, x: Any, dtype: str | None = None, strided: bool = False) -> Any:
        if isinstance(x, np.ndarray):
            return self.tensor(x, dtype, strided)
        if isinstance(x, Constant):
            t = self.tensor(x.array, dtype, strided)
            t._is_constant = True
            return t
        if isinstance(x, D):
            return getattr(self.root, x.name)
        if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
            return type(x)(self.value(item, dtype, strided) for item in x)
        return x

    def function(self, entry: Public, name: str) -> Callable[..., Any]:
        path = entry.namespace.removeprefix("torch").lstrip(".")
        space = operator.attrgetter(path)(self.root) if path else self.root
        return getattr(space if entry.is_function else self.root.Tensor, name)  # type: ignore[no-any-return]

    def arguments(
        self, c: Case, dtype: str | None = None, strided: bool = False
    ) -> tuple[list[Any], dict[str, Any]]:
        return [self.value(a, dtype, strided) for a in c.args], {
            k: self.value(v, dtype, strided) for k, v in c.kwargs.items()
        }


TORCH = Library(torch, is_torch=True)


def ours(device: str) -> Library:
    return Library(gradwire, device)


def cast(a: np.ndarray, dtype: str | None) -> np.ndarray:
    """float64 in `dtype`, spread so that integers differ; the rest as it is. bfloat16 is float32 on the way."""
    if dtype is None or dtype == "float64" or a.dtype != np.float64:
        return a
    if dtype == "bfloat16":
        return a.astype(np.float32)
    if dtype == "bool":
        return a > 0
    if dtype.startswith("float"):
        with np.errstate(all="ignore"):
            return a.astype(dtype)
    finite = np.clip(np.nan_to_num(a), -30, 30) if a.size else a
    spread = np.where(finite == np.round(finite), finite, np.round(finite * 3))
    return (np.abs(spread) if dtype == "uint8" else spread).astype(dtype)


def leaves(x: Any) -> Iterator[Any]:
    """The tensors in arguments or a result, in order."""
    if isinstance(x, (torch.Tensor, gradwire.Tensor)):
        yield x
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from leaves(item)
    elif isinstance(x, dict):
        yield from leaves(list(x.values()))


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the error it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, about its own plans
            warnings.simplefilter(
                "error", RuntimeWarning
            )  # NumPy's, about numbers that it is to be silent about
            return call()
    except Refused as e:
        return e


def host(t: Any) -> np.ndarray:
    if isinstance(t, torch.Tensor):
        t = t.detach()
        return (t.double() if t.dtype.is_floating_point else t).numpy(force=True)
    a = to_numpy(t._array)
    return a.astype(np.float64) if t.is_floating_point() else a


def difference(mine: Any, theirs: Any, tolerance: Any = None, compare: bool = True) -> str | None:
    """How gradwire's result differs from PyTorch's, in words."""
    if isinstance(mine, Exception) or isinstance(theirs, Exception):
        both = isinstance(mine, Exception) and isinstance(theirs, Exception)
        return None if both else f"gradwire: {mine!r}\nPyTorch: {theirs!r}"
    if isinstance(theirs, torch.Tensor):
        if not isinstance(mine, gradwire.Tensor):
            return f"gradwire returned {type(mine).__name__}, PyTorch a tensor"
        if str(mine.dtype) != str(theirs.dtype):
            return f"dtype: gradwire {mine.dtype}, PyTorch {theirs.dtype}"
        if tuple(mine.shape) != tuple(theirs.shape):
            return f"shape: gradwire {tuple(mine.shape)}, PyTorch {tuple(theirs.shape)}"
        if not compare:
            return None
        rtol, atol = _CLOSE.get(mine.dtype.name, (0.0, 0.0))
        if isinstance(tolerance, dict):
            tolerance = tolerance.get(mine.dtype.name)
        if tolerance is not None and rtol:
            rtol, atol = max(rtol, tolerance), max(atol, tolerance)
        a, b = host(mine), host(theirs)
        same = np.allclose(a, b, rtol, atol, equal_nan=True) if rtol else np.array_equal(a, b)
        return None if same else f"values of {mine.dtype}:\ngradwire {a}\nPyTorch  {b}"
    if isinstance(theirs, (tuple, list)):
        if not isinstance(mine, type(theirs) if type(theirs) in (list,) else tuple) or len(mine) != len(
            theirs
        ):
            return f"gradwire {mine!r}, PyTorch {theirs!r}"
        for field_ in getattr(mine, "_fields", ()):
            if not hasattr(theirs, field_):
                return f"PyTorch's result has no field {field_}"
        for a, b in zip(mine, theirs, strict=True):
            wrong = difference(a, b, tolerance, compare)
            if wrong:
                return wrong
        return None
    if isinstance(theirs, float):
        return (
            None
            if isinstance(mine, float) and np.isclose(mine, theirs, equal_nan=True)
            else f"{mine!r}, {theirs!r}"
        )
    if isinstance(theirs, torch.dtype):
        return None if str(mine) == str(theirs) else f"gradwire {mine}, PyTorch {theirs}"
    return None if type(mine) is type(theirs) and mine == theirs else f"gradwire {mine!r}, PyTorch {theirs!r}"


def called(library: Library, c: Case, name: str = "", dtype: str | None = None, strided: bool = False) -> Any:
    """What the case's call gives under the library, or the error."""
    args, kwargs = library.arguments(c, dtype, strided)
    function = library.function(c.entry, name or c.entry.name)
    return outcome(lambda: function(*args, **kwargs))


# The checks; each returns what is wrong, by circumstance.


def wrong_values(c: Case, device: str) -> dict[str, str]:
    """For every dtype, and for strided inputs."""
    wrong = {}
    library = ours(device)
    floats = [x for x in _arrays(c) if x.dtype == np.float64]
    for dtype in c.dtypes.split() if floats else ["float64"]:
        if dtype == "bfloat16" and device != "cpu":
            continue  # CuPy has no such arrays
        mine, theirs = called(library, c, dtype=dtype), called(TORCH, c, dtype=dtype)
        if (
            dtype in c.extra.split()
            and isinstance(theirs, Exception)
            and not isinstance(theirs, (TypeError, IndexError))
        ):
            continue
        found = difference(mine, theirs, c.tolerance, c.compare)
        if found:
            wrong[dtype] = found
    strided = c.strided
    mine, theirs = called(library, c, strided=strided), called(TORCH, c, strided=strided)
    found = difference(mine, theirs, c.tolerance, c.compare)
    if found:
        wrong["strided"] = found
    for t in leaves(mine):
        if t.device.type != device and _arrays(c):
            wrong["device"] = f"the result is on {t.device}"
    return wrong


def _arrays(c: Case) -> list[np.ndarray]:
    found: list[np.ndarray] = []

    def look(x: Any) -> None:
        if isinstance(x, np.ndarray):
            found.append(x)
        elif isinstance(x, (list, tuple)):
            for item in x:
                look(item)

    look([*c.args, *c.kwargs.values()])
    return found


def wrong_gradients(c: Case, device: str) -> dict[str, str]:
    """First and second derivatives in float64, the first in float32 too; all inputs at once and each alone."""
    wrong = {}
    for dtype in ("float64", "float32"):
        mine = _derivatives(ours(device), c, dtype, c.twice and dtype == "float64")
        theirs = _derivatives(TORCH, c, dtype, c.twice and dtype == "float64")
        for order, (a, b) in enumerate(itertools.zip_longest(mine, theirs)):
            found = difference(a, b, c.tolerance)
            if found:
                wrong[f"{dtype}, derivative {order + 1}"] = found
    return wrong


def _derivatives(library: Library, c: Case, dtype: str, twice: bool) -> list[Any]:
    """The gradients of a weighted sum of the result, and of a weighted sum of these; or the error that came."""
    args, kwargs = library.arguments(c, dtype)
    function = library.function(c.entry, c.entry.name)
    inputs = [
        t for t in leaves([args, kwargs]) if t.is_floating_point() and not getattr(t, "_is_constant", False)
    ]
    for t in inputs:
        t.requires_grad_()
    grad = library.root.autograd.grad

    def weighted(tensors: list[Any], start: int) -> Any:
        total = None
        for i, t in enumerate(tensors):
            weights = np.cos(np.arange(start + 7 * i, start + 7 * i + t.numel()) * 1.3) + 0.4
            w = library.tensor(weights.reshape(tuple(t.shape)), None, False).to(t.dtype)
            part = (t * w).sum()
            total = part if total is None else total + part
        return total

    result: list[Any] = []
    out = outcome(lambda: function(*args, **kwargs))
    if isinstance(out, Exception):
        return [out]
    outputs = [t for t in leaves([out]) if t.requires_grad]
    if not outputs or not inputs:
        return [[]]
    first = outcome(
        lambda: grad(weighted(outputs, 0), inputs, create_graph=twice, allow_unused=True, retain_graph=True)
    )
    if isinstance(first, Exception):
        return [first]
    result.append(_filled(library, first, inputs))
    if twice:
        again = [g for g in first if g is not None and g.requires_grad]
        second = (
            outcome(lambda: grad(weighted(again, 3), inputs, allow_unused=True))
            if again
            else [None] * len(inputs)
        )
        result.append(second if isinstance(second, Exception) else _filled(library, second, inputs))
    return result


def _filled(library: Library, grads: Any, inputs: list[Any]) -> list[Any]:
    """Zeros for None: whether a zero gradient is told by None is no part of the contract."""
    return [
        library.root.zeros_like(t) if g is None else g.detach() for g, t in zip(grads, inputs, strict=True)
    ]


def wrong_forms(c: Case, device: str) -> dict[str, str]:
    """Other names, arguments by name, the method, the in-place form and its gradient, the out= form."""
    entry, library, wrong = c.entry, ours(device), {}
    expected = called(TORCH, c)

    def check(form: str, mine: Any, theirs: Any) -> None:
        found = difference(mine, theirs, c.tolerance, c.compare)
        if found:
            wrong[form] = found

    for name in entry.names[1:] if entry.is_function else ():
        check(name, called(library, c, name), called(TORCH, c, name))
    if c.keywords and not isinstance(expected, Exception):
        for form, answer in _by_keywords(c, library):
            check(form, answer, expected)
    first_is_tensor = bool(c.args) and isinstance(c.args[0], np.ndarray)
    if entry.is_method and first_is_tensor:
        for name in entry.names:
            check(f"method {name}", _method(library, c, name), _method(TORCH, c, name))
    if entry.has_in_place and first_is_tensor:
        for dtype in ("float64", "int64"):
            for name in entry.names:
                form = f"{name}_"
                mine, theirs = (_method(lib, c, form, dtype, graph=True) for lib in (library, TORCH))
                check(f"{form} of {dtype}", mine, theirs)
    if entry.has_out and not isinstance(expected, Exception):
        for dtype in (None, "float32", "int64"):
            theirs = _out(TORCH, c, expected, dtype)
            if dtype == "float32" and isinstance(theirs, Exception):
                continue  # some of PyTorch's kernels take no narrower out=, some do
            check(f"out= of {dtype or 'the result'}", _out(library, c, expected, dtype), theirs)
    return wrong


def _by_keywords(c: Case, library: Library) -> list[tuple[str, Any]]:
    """The case's call with every argument by gradwire's name for it, where there is one, under both libraries."""
    parameters = list(inspect.signature(c.entry.function).parameters.values())
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) or not c.entry.is_function:
        return []
    calls = []
    for form, lib in (("by keywords", library), ("PyTorch by gradwire's keywords", TORCH)):
        args, kwargs = lib.arguments(c)
        named = {p.name: a for p, a in zip(parameters, args, strict=False)}
        function = lib.function(c.entry, c.entry.name)
        answer = outcome(lambda f=function, n=named, k=kwargs: f(**n, **k))
        calls.append((form, _as_gradwire(answer) if lib.is_torch else answer))
    return calls


def _as_gradwire(x: Any) -> Any:
    """PyTorch's result in gradwire's clothes, to be compared by the same function."""
    if isinstance(x, torch.Tensor):
        return gradwire.from_numpy(x.detach().numpy())
    return tuple(_as_gradwire(i) for i in x) if isinstance(x, tuple) else x


def _method(library: Library, c: Case, name: str, dtype: str | None = None, graph: bool = False) -> Any:
    """`args[0].name(…)`; graph: on a tensor that is part of a graph, with the gradient that comes back."""
    args, kwargs = library.arguments(c, dtype)
    receiver = leaf = args[0]
    if graph and leaf.is_floating_point() and c.grad:
        leaf.requires_grad_()
        receiver = leaf.clone()
    answer = outcome(lambda: getattr(receiver, name)(*args[1:], **kwargs))
    if not graph or isinstance(answer, Exception):
        return answer
    if answer is not receiver:
        return TypeError(f"{name} did not return the tensor itself")
    if not answer.requires_grad:
        return [answer]
    gradient = outcome(lambda: library.root.autograd.grad(answer.sum(), leaf)[0])
    return [answer.detach(), gradient if not isinstance(gradient, Exception) else str(type(gradient))]


def _out(library: Library, c: Case, expected: Any, dtype: str | None) -> Any:
    """The result written into tensors of its shape, of its own or another dtype."""
    args, kwargs = library.arguments(c)
    likes = list(leaves([expected]))
    targets = [
        library.root.zeros(tuple(t.shape), dtype=getattr(library.root, dtype or str(t.dtype)[6:])).to(
            library.device
        )
        for t in likes
    ]
    out = targets[0] if isinstance(expected, torch.Tensor) else tuple(targets)
    function = library.function(c.entry, c.entry.name)
    answer = outcome(lambda: function(*args, out=out, **kwargs))
    if isinstance(answer, Exception):
        return answer
    for t, target in zip(leaves([answer]), targets, strict=True):
        if t is not target:
            return TypeError("out= did not return the tensors it was given")
    return targets


def wrong_refusal(c: Case, device: str) -> dict[str, str]:
    """That gradwire raises an error of PyTorch's type."""
    mine, theirs = called(ours(device), c), called(TORCH, c)
    assert isinstance(theirs, Exception), "PyTorch takes this call"
    kinds = (RuntimeError,) if isinstance(theirs, (RuntimeError, NotImplementedError)) else (type(theirs),)
    return {} if isinstance(mine, kinds) else {"refusal": f"gradwire: {mine!r}\nPyTorch: {theirs!r}"}
