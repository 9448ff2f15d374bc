"""Cases of modules, and how one is run under PyTorch and gradwire alike.

A family's cases stand in `cases_<family>.py` beside this file, as a list MODULES (and BAD for what must be refused):

    MODULES = [
        layer("Linear", 4, 3, on=rows(5, 4)),                                  # one input
        layer("Linear", 4, 3, on=[rows(5, 4), rows(4), rows(2, 3, 4)]),        # called on each of several
        layer("Bilinear", 4, 3, 2, on=(rows(5, 4), rows(5, 3))),               # a tuple: the arguments of one call
        layer("Embedding", 9, 4, on=ids(9, 3, 5)),                             # integers stay integers
        layer("Upsample", scale_factor=2, on=rows(1, 2, 3), note="nearest"),
        layer("GRU", 4, 3, on=[call(rows(5, 4), hx=rows(1, 3))]),              # arguments by name
        layer("Sequential", sub("Linear", 4, 3), sub("ReLU"), on=rows(5, 4)),  # modules within
    ]
    BAD = [
        layer("Linear", 4, 3, on=rows(5, 2)),                # refused with PyTorch's type and first line of the message
        layer("Dropout", 1.5),                               # refused when it is made
        layer("Conv2d", 4, 3, 3, on=rows(4), words=False),   # with the type alone
    ]

test_every_module.py collects them and derives the tests: constructor's arguments, repr, state_dict, initial values, outputs,
gradients and buffers in float64, outputs in float32, in training and evaluation, on every device; deepcopy and pickle.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import gradwire
from tests.core.functions.driver import TORCH, D, Library, difference, leaves, ours, outcome

_draw = np.random.default_rng(33)
_REPEATS = 12
_LOOSE = {"float64": 0.0, "float32": 1e-4, "float16": 5e-3}  # sums in another order


def begin(family: str) -> None:
    """Draws anew for a family, so that its samples are the same whatever other families there are."""
    global _draw
    _draw = np.random.default_rng([33, *family.encode()])


def rows(*shape: int) -> np.ndarray:
    """Standard normal numbers."""
    return np.asarray(_draw.standard_normal(shape))


def ids(below: int, *shape: int) -> np.ndarray:
    """Integers from 0 to `below` - 1."""
    return np.asarray(_draw.integers(0, below, shape))


@dataclass(frozen=True)
class Call:
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def call(*args: Any, **kwargs: Any) -> Call:
    return Call(args, kwargs)


@dataclass(frozen=True)
class Sub:
    """A module that is an argument of another."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def sub(name: str, *args: Any, **kwargs: Any) -> Sub:
    return Sub(name, args, kwargs)


@dataclass(frozen=True)
class Layer:
    """`nn.<name>(*args, **kwargs)` and the calls that are made of it.

    train, evaluate: the modes it is called in. random: whether its output in training is drawn, so that only shape and dtype
    are compared there. half: whether it is run in float16 too. tolerance: in place of the dtype's. words: whether a
    refusal's first line must be PyTorch's. signature: whether the constructor's arguments must be.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    calls: tuple[Call, ...] = ()
    note: str = ""
    modes: tuple[bool, ...] = (True, False)
    random: bool = False
    half: bool = True
    tolerance: float | None = None
    words: bool = True
    signature: bool = True

    def __str__(self) -> str:
        given = [
            *(str(getattr(a, "name", a)) for a in self.args),
            *(f"{k}={v}" for k, v in self.kwargs.items()),
        ]
        return f"{self.name}({', '.join(given)})"[:70].replace("\n", " ") + (
            f"-{self.note}" if self.note else ""
        )

    def make(self, library: Library) -> Any:
        return _made(library, self)


def layer(name: str, *args: Any, on: Any = (), **options: Any) -> Layer:
    """A Layer; options that are no field of it are the constructor's keyword arguments."""
    own = {k: options.pop(k) for k in tuple(options) if k in _FIELDS}
    each = on if isinstance(on, list) else [on] if not isinstance(on, tuple) or on else []
    calls = tuple(c if isinstance(c, Call) else Call(c if isinstance(c, tuple) else (c,), {}) for c in each)
    return Layer(name, args, options, calls, **own)


_FIELDS = {"note", "modes", "random", "half", "tolerance", "words", "signature"}


def _made(library: Library, wanted: Any) -> Any:
    def value(x: Any) -> Any:
        return _made(library, x) if isinstance(x, Sub) else library.value(x, "float32")

    space: Any = library.root.nn
    for part in wanted.name.split("."):
        space = getattr(space, part)
    return space(*[value(a) for a in wanted.args], **{k: value(v) for k, v in wanted.kwargs.items()})


def both(case: Layer, device: str, dtype: str) -> tuple[Any, Any]:
    """gradwire's and PyTorch's module in `dtype`, with the same values in parameters and buffers."""
    mine, theirs = case.make(ours("cpu")), case.make(TORCH)
    to = lambda lib: getattr(lib, dtype)  # noqa: E731
    theirs = theirs.to(torch.float64)
    with torch.no_grad():
        for p in theirs.parameters():
            if not isinstance(p, torch.nn.parameter.UninitializedParameter):
                p.copy_(torch.from_numpy(np.random.default_rng(p.numel()).uniform(-0.7, 0.7, tuple(p.shape))))
    mine = mine.to(gradwire.float64)
    state = (
        {k: gradwire.from_numpy(v.numpy().copy()) for k, v in theirs.state_dict().items()}
        if _has_state(theirs)
        else {}
    )
    mine.load_state_dict(state) if state else None
    return mine.to(to(gradwire)).to(device), theirs.to(to(torch))


def _has_state(module: Any) -> bool:
    lazy = torch.nn.parameter.UninitializedParameter
    return not any(isinstance(p, lazy) for p in module.parameters()) and bool(module.state_dict())


def _arguments(library: Library, c: Call, dtype: str) -> tuple[list[Any], dict[str, Any]]:
    args = [library.value(a, dtype) for a in c.args]
    return args, {k: library.value(v, dtype) for k, v in c.kwargs.items()}


def _weighted(library: Library, tensors: list[Any]) -> Any:
    total = None
    for i, t in enumerate(tensors):
        w = library.tensor(
            (np.cos(np.arange(t.numel()) * 1.3 + i) + 0.4).reshape(tuple(t.shape)), None, False
        )
        part = (t * w.to(t.dtype)).sum()
        total = part if total is None else total + part
    return total


def _run(library: Library, module: Any, c: Call, dtype: str) -> dict[str, Any]:
    """Output, gradients of inputs and parameters, and buffers, by name."""
    args, kwargs = _arguments(library, c, dtype)
    inputs = [t for t in leaves([args, kwargs]) if t.is_floating_point()]
    if dtype == "float64":
        for t in inputs:
            t.requires_grad_()
    out = outcome(lambda: module(*args, **kwargs))
    found = {"output": out}
    if isinstance(out, Exception):
        return found
    roots = [t for t in leaves([out]) if t.requires_grad]
    if dtype == "float64" and roots:
        named = [(f"input {i}", t) for i, t in enumerate(inputs)]
        named += [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        grads = library.root.autograd.grad(
            _weighted(library, roots), [t for _, t in named], allow_unused=True
        )
        for (n, t), g in zip(named, grads, strict=True):
            found[f"gradient of {n}"] = library.root.zeros_like(t) if g is None else g
    found.update({f"buffer {n}": b for n, b in module.named_buffers()})
    return found


# The checks; each returns what is wrong, by circumstance.


def wrong_results(case: Layer, device: str) -> dict[str, str]:
    wrong: dict[str, str] = {}
    for training in case.modes:
        for dtype in ("float64", "float32", "float16") if case.half else ("float64", "float32"):
            mine, theirs = both(case, device, dtype)
            mine.train(training), theirs.train(training)
            for i, c in enumerate(case.calls):
                got, expected = _run(ours(device), mine, c, dtype), _run(TORCH, theirs, c, dtype)
                for what in {**expected, **got}:
                    compare = not (case.random and training)
                    tolerance = max(case.tolerance or 0, _LOOSE[dtype])
                    told = difference(got.get(what), expected.get(what), tolerance, compare)
                    if told:
                        wrong[f"{dtype}, {'training' if training else 'evaluation'}, call {i}: {what}"] = told
                for t in leaves([got["output"]]):
                    if t.device.type != device:
                        wrong["device"] = f"the output is on {t.device}"
    return wrong


def wrong_description(case: Layer) -> dict[str, str]:
    """repr, arguments of the constructor, keys and order and shapes of the state, parameters' flags."""
    wrong = {}
    mine, theirs = case.make(ours("cpu")), case.make(TORCH)
    if repr(mine) != repr(theirs):
        wrong["repr"] = f"gradwire {mine!r}\nPyTorch  {theirs!r}"
    if case.signature:
        a, b = (_parameters(type(m)) for m in (mine, theirs))
        if a != b:
            wrong["constructor"] = f"gradwire {a}\nPyTorch  {b}"
    if _has_state(theirs):
        a, b = (_state(m) for m in (mine, theirs))
        if a != b:
            wrong["state_dict"] = f"gradwire {a}\nPyTorch  {b}"
    a, b = ([(n, p.requires_grad) for n, p in m.named_parameters()] for m in (mine, theirs))
    if a != b:
        wrong["parameters"] = f"gradwire {a}\nPyTorch  {b}"
    return wrong


def _parameters(cls: type) -> list[Any]:
    found = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [
        (p.name, p.kind.name, str(getattr(p.default, "__name__", p.default)).replace("gradwire", "torch"))
        for p in found
    ]


def _state(module: Any) -> list[Any]:
    return [(k, tuple(t.shape), str(t.dtype)) for k, t in module.state_dict().items()]


def wrong_initial_values(case: Layer) -> dict[str, str]:
    """Fixed values are PyTorch's; drawn ones have its mean, spread and bounds, as far as _REPEATS modules show."""
    wrong = {}
    theirs = case.make(TORCH)
    if not _has_state(theirs):
        return {}
    drawn: dict[str, tuple[list[Any], list[Any]]] = {}
    gradwire.manual_seed(5), torch.manual_seed(5)
    for _ in range(_REPEATS):
        a, b = case.make(ours("cpu")).state_dict(), case.make(TORCH).state_dict()
        for k in b:
            mine, expected = drawn.setdefault(k, ([], []))
            mine.append(np.asarray(a[k].numpy(), np.float64).ravel())
            expected.append(np.asarray(b[k].numpy(), np.float64).ravel())
    for k, (mine, expected) in drawn.items():
        x, y = np.concatenate(mine), np.concatenate(expected)
        if all(np.array_equal(e, expected[0]) for e in expected):
            if not np.array_equal(x, y):
                wrong[k] = f"fixed: gradwire {x[:5]}, PyTorch {y[:5]}"
            continue
        noise = 4 / np.sqrt(len(y))
        if not abs(x.std() / y.std() - 1) < max(0.05, noise):
            wrong[k] = f"spread: gradwire {x.std()}, PyTorch {y.std()}"
        elif not abs(x.mean() - y.mean()) < 2 * noise * y.std():
            wrong[k] = f"mean: gradwire {x.mean()}, PyTorch {y.mean()}"
    return wrong


def wrong_copies(case: Layer) -> dict[str, str]:
    """A deep copy and a pickled one print, hold and give the same."""
    wrong = {}
    original = case.make(ours("cpu")).eval()
    copies: dict[str, Callable[[], Any]] = {
        "deepcopy": lambda: copy.deepcopy(original),
        "pickle": lambda: pickle.loads(pickle.dumps(original)),
    }
    for how, made in copies.items():
        again = made()
        if repr(again) != repr(original) or again.training:
            wrong[how] = f"{again!r}"
        for c in case.calls[:1]:
            args, kwargs = _arguments(ours("cpu"), c, "float32")
            a, b = (list(leaves([_seeded(m, args, kwargs)])) for m in (original, again))
            if not all(
                np.array_equal(s.detach().numpy(), t.detach().numpy(), equal_nan=True)
                for s, t in zip(a, b, strict=True)
            ):
                wrong[how] = "the copy gives another output"
    return wrong


def _seeded(module: Any, args: Any, kwargs: Any) -> Any:
    gradwire.manual_seed(7)
    return module(*args, **kwargs)


def wrong_refusal(case: Layer, device: str) -> dict[str, str]:
    def run(library: Library) -> Any:
        def whole() -> Any:
            module = case.make(library)
            if library.device != "cpu":
                module = module.to(library.device)
            for c in case.calls:
                args, kwargs = _arguments(library, c, "float32")
                module(*args, **kwargs)

        return outcome(whole)

    mine, theirs = run(ours(device)), run(TORCH)
    assert isinstance(theirs, Exception), f"PyTorch takes {case}"
    if not isinstance(mine, Exception):
        return {"refusal": f"gradwire takes it; PyTorch: {theirs!r}"}
    kinds = (RuntimeError,) if isinstance(theirs, RuntimeError) else (type(theirs),)
    if not isinstance(mine, kinds):
        return {"refusal": f"gradwire: {mine!r}\nPyTorch: {theirs!r}"}
    a, b = (str(e).split("\n")[0] for e in (mine, theirs))
    place = re.match(r"(\w+\.)*\w+: ", a)  # gradwire names the module within
    alike = a == b or (place is not None and a[place.end() :] == b)
    return {"words": f"gradwire: {a}\nPyTorch:  {b}"} if case.words and not alike else {}


__all__ = [
    "D", "Layer", "call", "ids", "layer", "rows", "sub", "wrong_copies", "wrong_description", "wrong_initial_values",
    "wrong_refusal", "wrong_results",
]  # fmt: skip
